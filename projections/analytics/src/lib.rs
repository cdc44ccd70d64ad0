//! The analytics tables: interactions, lead events, score rows and leads as Parquet files and a tail in memory; reports and SQL over them.
//!
//! A projection that follows the log, and read-only queries of one tenant at one position. Decides nothing, and holds no
//! contact details: names, addresses and numbers stay out of the tables. What may be personal in them are free attributes;
//! each row names its visitor, so that erasure can find and rewrite them.

#![forbid(unsafe_code)]

mod error;

mod table;

mod lead;

mod ledger;

mod families;

mod store;

mod fold;

mod analytics;

mod rebuild;

mod upkeep;

mod snapshot;

mod query;

mod nearest;

mod report;

pub use analytics::{Analytics, Limits};
pub use error::AnalyticsError;
pub use query::{
    Answer, Format, Output, Place, QueryError, QueryLimits, Session, Sheet, SheetColumn, SheetKind, Shown,
};
pub use report::{
    Column, Fault, Funnel, FunnelGroup, FunnelReport, FunnelStep, Note, Question, Report, Setting, ShownPeriod,
};
pub use snapshot::{AnalyticsReader, Snapshot};
pub use table::Table;
