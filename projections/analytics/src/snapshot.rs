//! What a query reads: files and tail as they were at one position. Taking one costs nothing and stops nobody.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use event_log::LogPosition;

use crate::analytics::folder_in;
use crate::error::AnalyticsError;
use crate::store::{self, Tables};

/// The tables at one position.
#[derive(Debug)]
pub struct Snapshot {
    position: LogPosition,
    pub(crate) tables: Tables,
}

impl Snapshot {
    pub(crate) const fn of(position: LogPosition, tables: Tables) -> Self {
        Self { position, tables }
    }

    /// The last record in it.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        self.position
    }
}

/// Reads the tables while they are written.
#[derive(Clone, Debug)]
pub struct AnalyticsReader(Arc<RwLock<Arc<Snapshot>>>);

impl AnalyticsReader {
    /// Reads nothing yet: for a model that takes its place later ([`Analytics::begin_rebuild_for`]).
    ///
    /// [`Analytics::begin_rebuild_for`]: crate::Analytics::begin_rebuild_for
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Snapshot::of(LogPosition::START, Tables::default()))
    }

    /// The tables of a folder as they were made durable last, also while another process keeps them, with the names of their
    /// tenants; none of either where there are no tables.
    ///
    /// # Errors
    /// When a file is missing or damaged, or can't be read.
    pub fn open(data: &Path) -> Result<(Self, Vec<String>), AnalyticsError> {
        let (position, tables, tenants) = store::read_only(&folder_in(data))?;
        Ok((Self::new(Snapshot::of(position, tables)), tenants))
    }

    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(snapshot))))
    }

    /// The tables as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}
