//! The log and the tables in memory: for tests, trials and what-if runs.
//!
//! Handles are clones of one place: dropping a handle and cloning another is what closing and opening is on disk.
//! Nothing outlives the process.

mod log;
mod tables;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use log::MemoryLog;
pub use tables::MemoryTables;

/// Locks even where another thread panicked: nothing in here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
