//! The log as another process goes on writing it: read-only, and opened again when it has grown.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use event_log::{Batch, EventLog, Head, LogError, LogPosition, Visit};

use super::head_mark;
use super::options::LogOptions;
use super::read_only::ReadOnlyLog;

/// How often a wait looks whether the log has grown.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A log that somebody else may be writing, as of the last [`GrowingLog::renew`]. Appends nothing and locks nothing.
pub struct GrowingLog {
    folder: PathBuf,
    options: LogOptions,
    seen: RwLock<Arc<ReadOnlyLog>>,
}

impl GrowingLog {
    /// Opens the log in `folder` as it stands.
    ///
    /// # Errors
    /// As [`ReadOnlyLog::open`].
    pub fn open(folder: &Path, options: LogOptions) -> Result<Self, LogError> {
        let seen = ReadOnlyLog::open(folder, &options)?;
        Ok(Self { folder: folder.to_owned(), options, seen: RwLock::new(Arc::new(seen)) })
    }

    /// Takes in what has become durable since, and returns the new end. Costs one small file to read where that is nothing,
    /// and else opening the log once more, some tenths of a second; so it is for now and then.
    ///
    /// # Errors
    /// As [`ReadOnlyLog::open`]. What was seen before can be read still.
    pub fn renew(&self) -> Result<Head, LogError> {
        let head = self.head();
        let marked = head_mark::read(&self.folder)?;
        if marked.is_none_or(|marked| marked.position <= head.position) {
            return Ok(head);
        }
        let newer = ReadOnlyLog::open(&self.folder, &self.options)?;
        let head = newer.head();
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(newer);
        Ok(head)
    }

    fn seen(&self) -> Arc<ReadOnlyLog> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventLog for GrowingLog {
    /// Refused.
    fn append(&self, batch: &Batch) -> Result<(), LogError> {
        self.seen().append(batch)
    }

    fn head(&self) -> Head {
        self.seen().head()
    }

    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
        self.seen().read(from, visit)
    }

    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError> {
        self.seen().get(position)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.seen().meta(key)
    }

    /// Looks five times a second. Where looking fails, whoever reads next is told.
    fn wait_beyond(&self, position: LogPosition, limit: Duration) -> Head {
        let until = Instant::now() + limit;
        loop {
            let head = self.renew().unwrap_or_else(|_| self.head());
            let left = until.saturating_duration_since(Instant::now());
            if head.position > position || left.is_zero() {
                return head;
            }
            std::thread::sleep(LOOK_EVERY.min(left));
        }
    }
}
