//! Drives projections over the log: reads records in order, opens what is sealed, folds, and commits model and checkpoint
//! together.
//!
//! This crate knows no model and no store: a [`Projection`] brings both. It never writes to the log and skips nothing
//! silently: a record that doesn't fit parks the streams of its visitors ([`Parked`]), and where that can't be, it stops the
//! projection with an error that names the position.

#![forbid(unsafe_code)]

mod parked;
mod pause;
mod projection;
mod projector;
mod reading;

#[cfg(feature = "contract")]
pub mod contract;

pub use parked::{PARKED_MAX, Parked, ParkedStream};
pub use pause::PauseMark;
pub use projection::{Checkpoint, FoldError, ModelError, Park, Projection, Recorded};
pub use projector::{Projector, ProjectorError};
