//! Drives projections over the log: reads records in order, opens what is sealed, folds, and commits model and checkpoint
//! together.
//!
//! This crate knows no model and no store: a [`Projection`] brings both. It never writes to the log and never skips a
//! record; one that can't be taken stops the projection with an error that names the position.

#![forbid(unsafe_code)]

mod projection;

mod projector;

#[cfg(feature = "contract")]
pub mod contract;

pub use projection::{Checkpoint, FoldError, ModelError, Park, Projection, Recorded};
pub use projector::{Projector, ProjectorError};
