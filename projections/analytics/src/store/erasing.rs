//! Files written anew without the rows of erased people that no longer count, in one step with the rows that take their
//! place.

use std::sync::atomic::AtomicBool;

use lead_domain::{LeadId, VisitorId};

use super::compaction::write;
use super::part::Part;
use super::{Seal, Store};
use crate::error::AnalyticsError;
use crate::table::Table;
use crate::table::reading::Reading;

/// Whether the row is of one of these visitors, whom the column names.
pub(crate) fn is_of(row: Reading<'_>, column: &str, visitors: &[VisitorId]) -> bool {
    row.text(column).and_then(|visitor| visitor.parse().ok()).is_some_and(|visitor| visitors.contains(&visitor))
}

impl Store {
    /// Seals, and writes every file anew that has rows of these visitors which no longer count. Durable, and the old files
    /// gone, on return; whoever reads one of them keeps it until then. Nothing is changed when it fails.
    pub(crate) fn seal_erasing(&mut self, seal: Seal, visitors: &[VisitorId]) -> Result<(), AnalyticsError> {
        self.finish_seal()?;
        let (mut tables, mut manifest) = (self.tables.clone(), self.manifest.clone());
        manifest.generation += 1;
        let mut replaced = Vec::new();
        for table in [Table::Interactions, Table::Leads] {
            for part in tables.get_mut(table).iter_mut() {
                let Some(file) = part.file().cloned() else { continue };
                if !has_worn_rows(table, part, visitors)? {
                    continue;
                }
                let goes_on = AtomicBool::new(false);
                let inputs = std::slice::from_ref(part);
                let Some(written) = write(&self.folder, table, manifest.generation, inputs, &goes_on)? else {
                    continue;
                };
                for entry in manifest.files.iter_mut().filter(|entry| entry.name == file.entry.name) {
                    if let Some(file) = written.file() {
                        entry.clone_from(&file.entry);
                    }
                }
                *part = written;
                replaced.push(file);
            }
        }
        self.seal_with((tables, manifest), seal)?;
        replaced.iter().for_each(|file| file.replace());
        Ok(())
    }
}

/// Whether the file has a row of one of the visitors that no longer counts.
fn has_worn_rows(table: Table, part: &Part, visitors: &[VisitorId]) -> Result<bool, AnalyticsError> {
    if part.superseded.count() == 0 {
        return Ok(false);
    }
    let column = match table {
        Table::Interactions | Table::LeadEvents | Table::ScoreRows => "visitor_id",
        Table::Leads => "lead_id",
    };
    let (mut number, mut found) = (0, false);
    part.each(&[column], |row| {
        let is_theirs = match table {
            Table::Interactions | Table::LeadEvents | Table::ScoreRows => is_of(row, column, visitors),
            Table::Leads => {
                let lead = row.text(column).and_then(|lead| lead.parse::<LeadId>().ok());
                lead.is_some_and(|lead| visitors.contains(&lead.visitor))
            }
        };
        found |= is_theirs && part.superseded.contains(number);
        number += 1;
    })?;
    Ok(found)
}
