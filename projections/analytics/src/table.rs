//! The tables: their columns, and how rows are written to Arrow batches and read back. Knows no files.

pub(crate) mod columns;
pub(crate) mod interactions;
pub(crate) mod lead_events;
pub(crate) mod leads;
pub(crate) mod reading;

use std::fmt;

use datafusion::arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

/// A table of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// One row an interaction. An interaction that was adopted or moved has a newer row that counts instead.
    Interactions,
    /// One row an event, never changed.
    LeadEvents,
    /// One row a lead and each batch that changed it; the newest counts.
    Leads,
}

impl Table {
    /// All of them. A further one needs its columns, an entry here and in [`Table::name`].
    pub const ALL: [Self; 3] = [Self::Interactions, Self::LeadEvents, Self::Leads];

    /// The name in SQL and in front of file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interactions => "interactions",
            Self::LeadEvents => "lead_events",
            Self::Leads => "leads",
        }
    }

    /// The columns in files, and, but for those whose names begin with an underscore, in SQL.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Interactions => interactions::InteractionColumns::schema(),
            Self::LeadEvents => lead_events::LeadEventColumns::schema(),
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
    pub(crate) leads: T,
}

impl<T> PerTable<T> {
    pub(crate) const fn get(&self, table: Table) -> &T {
        match table {
            Table::Interactions => &self.interactions,
            Table::LeadEvents => &self.lead_events,
            Table::Leads => &self.leads,
        }
    }

    pub(crate) const fn get_mut(&mut self, table: Table) -> &mut T {
        match table {
            Table::Interactions => &mut self.interactions,
            Table::LeadEvents => &mut self.lead_events,
            Table::Leads => &mut self.leads,
        }
    }
}
