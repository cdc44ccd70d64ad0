//! Keeping a cursor often enough that a crash sends little again, and seldom enough that the disk has time for others.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_log::LogPosition;
use tokio::time::Instant;

use super::blocking;
use crate::cursor::{CursorError, CursorStore};

/// A cursor is kept after so long …
const KEPT_EVERY: Duration = Duration::from_secs(1);
/// … or after so many events.
const KEPT_EVENTS: usize = 1_000;
/// After a failure it is kept no sooner than this, so that a full disk doesn't fill the log lines too.
const FAILED_EVERY: Duration = Duration::from_secs(30);

/// Keeps the cursor of one destination.
pub(super) struct CursorKeeper {
    cursors: Arc<dyn CursorStore>,
    name: Arc<str>,
    kept: Arc<Mutex<LogPosition>>,
    /// Not before then, unless there were many events.
    due: Instant,
    /// What is known to be kept.
    known: LogPosition,
    events: usize,
}

impl CursorKeeper {
    pub(super) fn new(cursors: Arc<dyn CursorStore>, name: Arc<str>, kept: LogPosition) -> Self {
        Self { cursors, name, kept: Arc::new(Mutex::new(kept)), due: Instant::now(), known: kept, events: 0 }
    }

    /// Counts events that arrived.
    pub(super) fn count(&mut self, events: usize) {
        self.events = self.events.saturating_add(events);
    }

    /// Keeps the position if it is time to.
    pub(super) async fn keep_when_due(&mut self, position: LogPosition) {
        if Instant::now() >= self.due || self.events >= KEPT_EVENTS {
            self.keep(position).await;
        }
    }

    /// Keeps the position now, if it is another one. Where that fails, deliveries go on and it is tried again.
    pub(super) async fn keep(&mut self, position: LogPosition) {
        if position == self.known {
            return;
        }
        self.events = 0;
        self.due = Instant::now() + KEPT_EVERY;
        let (cursors, name, kept) = (Arc::clone(&self.cursors), Arc::clone(&self.name), Arc::clone(&self.kept));
        // A caller that gives up leaves its thread at work; the lock keeps the next one from writing at the same time.
        let stored = blocking(move || {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if position > *kept {
                cursors.store(&name, position)?;
                *kept = position;
            }
            Ok::<(), CursorError>(())
        });
        match stored.await {
            Ok(()) => self.known = position,
            Err(error) => {
                self.due = Instant::now() + FAILED_EVERY;
                let error: &(dyn Error + 'static) = &error;
                tracing::warn!(destination = %self.name, error, "the cursor could not be kept; events may go out again");
            }
        }
    }
}
