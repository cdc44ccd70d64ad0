//! The tables: their columns, and how rows are written to Arrow batches and read back. Knows no files.

pub(crate) mod columns;
pub(crate) mod interactions;
pub(crate) mod lead_events;
pub(crate) mod leads;
pub(crate) mod reading;
pub(crate) mod score_rows;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

/// A table of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// One row an interaction. An interaction that was adopted or moved has a newer row that counts instead.
    Interactions,
    /// One row an event, never changed.
    LeadEvents,
    /// One row an interaction and rule that gave points for it; of several the newest counts.
    ScoreRows,
    /// One row a lead and each batch that changed it; the newest counts.
    Leads,
}

impl Table {
    /// All of them. A further one needs its columns, an entry here and in [`Table::name`].
    pub const ALL: [Self; 4] = [Self::Interactions, Self::LeadEvents, Self::ScoreRows, Self::Leads];

    /// The name in SQL and in front of file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interactions => "interactions",
            Self::LeadEvents => "lead_events",
            Self::ScoreRows => "score_rows",
            Self::Leads => "leads",
        }
    }

    /// The column that says which thing a row is of, where the newest row of a thing counts. Others are facts.
    pub(crate) const fn key_column(self) -> Option<&'static str> {
        match self {
            Self::Leads => Some("_lead"),
            Self::ScoreRows => Some("_key"),
            Self::Interactions | Self::LeadEvents => None,
        }
    }

    /// The columns that people see in SQL: those whose names don't begin with an underscore.
    pub(crate) fn shown(self) -> SchemaRef {
        // Hidden columns are the last ones, so the places of the others are those in the files.
        let all = self.schema();
        let shown = all.fields().iter().filter(|field| !field.name().starts_with('_')).cloned();
        Arc::new(Schema::new(shown.collect::<Vec<_>>()))
    }

    /// The columns in files, and, but for those whose names begin with an underscore, in SQL.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Interactions => interactions::InteractionColumns::schema(),
            Self::LeadEvents => lead_events::LeadEventColumns::schema(),
            Self::ScoreRows => score_rows::ScoreRowColumns::schema(),
            Self::Leads => leads::LeadColumns::schema(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing of each table.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerTable<T> {
    pub(crate) interactions: T,
    pub(crate) lead_events: T,
    pub(crate) score_rows: T,
    pub(crate) leads: T,
}

impl<T> PerTable<T> {
    pub(crate) const fn get(&self, table: Table) -> &T {
        match table {
            Table::Interactions => &self.interactions,
            Table::LeadEvents => &self.lead_events,
            Table::ScoreRows => &self.score_rows,
            Table::Leads => &self.leads,
        }
    }

    pub(crate) const fn get_mut(&mut self, table: Table) -> &mut T {
        match table {
            Table::Interactions => &mut self.interactions,
            Table::LeadEvents => &mut self.lead_events,
            Table::ScoreRows => &mut self.score_rows,
            Table::Leads => &mut self.leads,
        }
    }
}
