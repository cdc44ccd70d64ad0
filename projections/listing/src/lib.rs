//! Leads, orphans and visitors to list, filter, sort and search: a read model in one SQLite file.
//!
//! [`Listing`] follows the log; [`ListingReader`]s answer, in the same process or another one, while it writes. Neither
//! decides anything, and the whole file can be thrown away and built again. Timelines and score ledgers are walked in the
//! log, not here.

#![forbid(unsafe_code)]

mod row;

mod json;

pub mod query;

mod reader;

mod columns;

mod listing;

mod load;

mod fold;

mod state;

mod cache;
mod clean;

mod rows;

mod store;

mod error;

pub use error::ListingError;
pub use listing::{Listing, LoadLimits};
pub use query::{CountMode, DuplicateQuery, LeadQuery, LeadSort, OrphanQuery, Page, QueryError, parse_time};
pub use reader::{ListingReader, ListingReaders, Told};
pub use row::{
    CampaignRow, ContactRow, Counts, DeviceRow, DuplicatePairRow, DuplicateRow, IdentifierRow, LeadRow, LeadStatus,
    MoneyShape, NoteRow, OrphanRow, ProductRow, ScoreRow, TenantRow, VisitorRow,
};
