//! The log as it stands, to be read beside the process that holds it. Appends nothing and locks nothing.

use std::path::Path;
use std::time::Duration;

use event_log::{Batch, EventLog, Head, LogError, LogPosition, Visit};
use rocksdb::DB;

use super::options::LogOptions;
use super::{FORMAT, META, RECORDS, head_mark, last_record, not_shorter, read_records, record_bytes, storage};
use crate::database::{self, family};

/// How often opening is tried: the process that writes may remove a file while the list of files is being read.
const TRIES_MAX: u32 = 5;

/// What was durable in a log when this was opened. It doesn't grow; whoever wants to see more opens it again.
pub struct ReadOnlyLog {
    db: DB,
    head: Head,
}

impl ReadOnlyLog {
    /// Opens the log in `folder` as it stands, also while another process writes to it. Takes the memory of the newest
    /// records, about 64 MiB.
    ///
    /// # Errors
    /// [`LogError::NewerFormat`], [`LogError::Shortened`], [`LogError::Damaged`]; [`LogError::Storage`] where there is no
    /// log or RocksDB finds something wrong.
    pub fn open(folder: &Path, options: &LogOptions) -> Result<Self, LogError> {
        let mut tries = 1;
        loop {
            match Self::try_open(folder, options) {
                Err(LogError::Storage { .. }) if tries < TRIES_MAX => tries += 1,
                opened => return opened,
            }
        }
    }

    fn try_open(folder: &Path, options: &LogOptions) -> Result<Self, LogError> {
        // Before the files: what was marked by now is in them. What lies behind the mark may not be synced yet.
        let mark = head_mark::read(folder)?;
        let families = vec![(RECORDS, options.records()), (META, options.meta())];
        let db = database::open_read_only(folder, &options.read_only(), families).map_err(storage("open"))?;
        let found = database::read_format(&db).map_err(storage("open"))?.unwrap_or(FORMAT);
        if found > FORMAT {
            return Err(LogError::NewerFormat { found, known: FORMAT });
        }
        let last = last_record(&db)?;
        let head = match mark {
            Some(known) => {
                not_shorter(last, known)?;
                known
            }
            None => last,
        };
        Ok(Self { db, head })
    }
}

impl EventLog for ReadOnlyLog {
    /// Refused.
    fn append(&self, _batch: &Batch) -> Result<(), LogError> {
        Err(storage("write to")("it was opened for reading only"))
    }

    fn head(&self) -> Head {
        self.head
    }

    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
        read_records(&self.db, from, self.head.position, visit)
    }

    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError> {
        if position == LogPosition::START || position > self.head.position {
            return Ok(None);
        }
        record_bytes(&self.db, position).map(Some)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.db.get_cf(family(&self.db, META), key).map_err(storage("read from"))
    }

    /// Never waits: this log doesn't grow.
    fn wait_beyond(&self, _position: LogPosition, _limit: Duration) -> Head {
        self.head
    }
}
