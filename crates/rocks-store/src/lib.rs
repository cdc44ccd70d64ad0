//! The log and the tables on RocksDB.
//!
//! The only crate that knows RocksDB. It keeps what `event-log` promises and knows no leads. A failed write is final:
//! whoever gets an error from a write ends the process and opens again.
//!
//! Both databases have the column family `default` for what is their own: the row `format`, a `u32`, and in the tables
//! `position`, a `u64`, both big-endian.

#![forbid(unsafe_code)]

mod database;
mod log;
mod tables;

pub use log::{GrowingLog, LogOptions, ReadOnlyLog, RocksLog};
pub use tables::{RocksTables, TablesOptions};
