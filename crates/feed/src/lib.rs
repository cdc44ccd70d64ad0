//! Inputs in order: events from files now, from other feeds later, checked, normalised and ready to be decided about.
//!
//! Every input becomes one [`Entry`]: an interaction with its facts and its personal part, or a rejected one with the
//! reason and the bytes; nothing is dropped. Knows no engine, no log and no storage, seals nothing and decides nothing.

#![forbid(unsafe_code)]

pub mod entry;

pub mod limits;

pub mod decoder;

pub mod segment;

pub mod source;

pub mod mapping;

pub mod csv_rows;

pub mod lookup;

mod lines;

mod compression;

mod content;

mod hashing;

mod normalise;

mod device;

mod bounded_cache;

pub use decoder::{ClockCorrection, InteractionDecoder, NoTenant, Origin, TenantRules, answer_sealed};
pub use entry::{Entry, InteractionEntry, RejectedEntry};
pub use limits::Limits;
pub use lookup::{identifier_key, order_key, request_key};
pub use mapping::{Mapping, MappingError};
pub use proto_events::cloud_event::{BinaryEvent, split_batch, split_lines};
pub use source::{Chunk, FileSource, Progress, Reception, SourceError};
