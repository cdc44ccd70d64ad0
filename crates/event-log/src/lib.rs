//! What a log and the tables that follow it promise, an in-memory pair that keeps the promise, and the contract suite.
//!
//! This crate knows bytes, positions and chains. It knows no leads, no codec and no database.

#![forbid(unsafe_code)]

mod position;
mod record;

mod log;
mod tables;

mod memory;

#[cfg(feature = "contract")]
pub mod contract;

pub use log::{Batch, EventLog, Head, LogError, Visit};
pub use memory::{MemoryLog, MemoryTables};
pub use position::LogPosition;
pub use record::{Chain, HEADER_BYTES, Header, Record, RecordError, RecordKind};
pub use tables::{Message, RowChanges, Rows, Table, TableError, Tables, WriteBack};
