//! The columns between one writer and many readers, always of exactly one commit. Knows no SQL.
//!
//! A reader's page is of the commit that its transaction sees; its keys must be of the same one. The writer cannot hold
//! readers up while it commits, for a commit may have to move the write-ahead log. So it leaves what a commit changes here
//! before it commits, and whoever comes first afterwards, the writer or a reader that sees the commit already, takes it
//! into the columns.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use event_log::LogPosition;
use lead_domain::Name;

use super::{Entry, LeadColumns};

/// What a commit changes.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The commit before it.
    pub(crate) after: LogPosition,
    pub(crate) position: LogPosition,
    pub(crate) entries: Vec<Entry<Name>>,
}

/// Columns that one writer may follow the model with while any number of readers search them.
#[derive(Default)]
pub(crate) struct SharedColumns {
    /// Those of an empty model, at the beginning of the log, until a reader needs them.
    columns: RwLock<LeadColumns>,
    /// What may be committed at any moment, or is.
    pending: Mutex<Option<Change>>,
    /// Whether anybody ever needed them.
    is_wanted: AtomicBool,
}

/// Columns that stand still.
pub(crate) struct Held<'a>(RwLockReadGuard<'a, LeadColumns>);

/// Columns that nobody else can look at.
pub(crate) struct Exclusive<'a>(RwLockWriteGuard<'a, LeadColumns>);

impl std::ops::Deref for Held<'_> {
    type Target = LeadColumns;

    fn deref(&self) -> &LeadColumns {
        &self.0
    }
}

impl fmt::Debug for SharedColumns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedColumns").finish_non_exhaustive()
    }
}

impl SharedColumns {
    /// Whether a writer should say what it changes.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// The writer is about to commit that.
    pub(crate) fn announce(&self, change: Change) {
        *self.pending() = Some(change);
    }

    /// What was announced is not committed.
    pub(crate) fn withdraw(&self) {
        *self.pending() = None;
    }

    /// What was announced is committed.
    pub(crate) fn settle(&self) {
        let mut exclusive = self.exclusive();
        let change = self.pending().take();
        if let Some(change) = change {
            exclusive.0.apply(&change);
        }
    }

    /// The columns at the position of the caller's transaction, from the model by `read` where they are not known.
    /// `None` when they have gone beyond it: begin a new transaction.
    pub(crate) fn at<E>(
        &self,
        position: LogPosition,
        read: impl FnOnce() -> Result<LeadColumns, E>,
    ) -> Result<Option<Held<'_>>, E> {
        let held = Held(self.columns.read().unwrap_or_else(PoisonError::into_inner));
        // Whoever panicked while changing them left something that must be read anew.
        if held.position == position && !self.columns.is_poisoned() {
            return Ok(Some(held));
        }
        drop(held);
        let exclusive = self.exclusive();
        if exclusive.0.position > position {
            return Ok(None);
        }
        self.bring(exclusive, position, read).map(Some)
    }

    /// The columns, for a caller who has no transaction yet and keeps them from going on.
    pub(crate) fn exclusive(&self) -> Exclusive<'_> {
        let mut guard = self.columns.write().unwrap_or_else(PoisonError::into_inner);
        if self.columns.is_poisoned() {
            *guard = LeadColumns::default();
            self.columns.clear_poison();
        }
        Exclusive(guard)
    }

    /// Brings the columns to the position of the caller's transaction.
    pub(crate) fn bring<'a, E>(
        &self,
        exclusive: Exclusive<'a>,
        position: LogPosition,
        read: impl FnOnce() -> Result<LeadColumns, E>,
    ) -> Result<Held<'a>, E> {
        let Exclusive(mut guard) = exclusive;
        if guard.position != position {
            let committed = self.pending().take_if(|change| change.position == position);
            if let Some(change) = committed {
                guard.apply(&change);
            }
        }
        if guard.position != position {
            self.is_wanted.store(true, Ordering::Release);
            // The old ones go first: both together may be more than there is room for.
            *guard = LeadColumns::default();
            *guard = read()?;
        }
        Ok(Held(RwLockWriteGuard::downgrade(guard)))
    }

    fn pending(&self) -> MutexGuard<'_, Option<Change>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeadColumns {
    /// Takes over what a commit changed. Columns that missed the commit before it are of no use any more.
    pub(super) fn apply(&mut self, change: &Change) {
        if self.position == change.after {
            for entry in &change.entries {
                self.put(entry);
            }
            self.position = change.position;
        } else if self.position < change.position {
            *self = Self::default();
        }
    }
}
