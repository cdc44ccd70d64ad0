//! What a query reads: files and tail as they were at one position. Taking one costs nothing and stops nobody.

use std::sync::{Arc, PoisonError, RwLock};

use event_log::LogPosition;

use crate::store::Tables;

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
