//! The log on RocksDB: WAL on, one synced write per batch.
//!
//! Family `log`: position `u64` big-endian → the record's bytes. Family `meta`: the name of a fact → its value. The
//! last durable position also stands in the [head mark](head_mark), a file beside the folder, so that a log that comes
//! back shorter than it was is noticed.

mod growing;
mod head_mark;
mod options;
mod read_only;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use event_log::{Batch, EventLog, Head, LogError, LogPosition, Record, RecordError, Visit};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, IteratorMode, ReadOptions, WriteBatch, WriteOptions};

pub use growing::GrowingLog;
pub use options::LogOptions;
pub use read_only::ReadOnlyLog;

use self::head_mark::HeadMark;
use crate::database::{self, Creation, Source, family, lock};

const RECORDS: &str = "log";
const META: &str = "meta";
/// The format of the whole log; its records have a format of their own.
const FORMAT: u32 = 1;
/// What RocksDB adds to each row of a batch, at most: a tag, a family number, a key and two lengths.
const ROW_OVERHEAD_BYTES: usize = 24;
/// The steps in which memory for a large batch grows.
const ROOM_STEP: usize = 2 << 20;
/// From this many records on a read is a scan: it reads ahead.
const SCAN_RECORDS_MIN: u64 = 4_096;
/// How far a scan reads ahead.
const READAHEAD_BYTES: usize = 4 << 20;

/// A log in a folder of its own, with its head mark `<folder>-head` beside it. One process at a time.
pub struct RocksLog {
    db: DB,
    head: Mutex<Head>,
    grown: Condvar,
    writer: Mutex<Writer>,
}

struct Writer {
    /// Set while a write is under way, so that it stays set when that fails or panics.
    poisoned: bool,
    mark: HeadMark,
}

impl RocksLog {
    /// Opens the log in `folder`, or makes an empty one there.
    ///
    /// # Errors
    /// [`LogError::Locked`], [`LogError::NewerFormat`], [`LogError::Shortened`]; [`LogError::Missing`] when files are
    /// missing from the middle; [`LogError::Damaged`] when the last
    /// record can't be read or isn't the one that the head mark knows; [`LogError::Storage`] for anything that
    /// RocksDB finds wrong. After [`LogError::Shortened`] restore a backup; only removing the head mark, by hand,
    /// accepts the loss.
    pub fn open(folder: &Path, options: &LogOptions) -> Result<Self, LogError> {
        Self::open_as(folder, options, Creation::Allowed)
    }

    /// Opens the log in `folder`, which must be there.
    ///
    /// # Errors
    /// As [`RocksLog::open`]; [`LogError::Storage`] where there is no log.
    pub fn open_existing(folder: &Path, options: &LogOptions) -> Result<Self, LogError> {
        Self::open_as(folder, options, Creation::Refused)
    }

    fn open_as(folder: &Path, options: &LogOptions, creation: Creation) -> Result<Self, LogError> {
        let exists = database::exists(folder).map_err(storage("open"))?;
        if !exists && let Some(known) = head_mark::read(folder)? {
            not_shorter(Head::default(), known)?;
        }
        let families = vec![(RECORDS, options.records()), (META, options.meta())];
        let db = database::open(folder, creation, &mut options.database(), families).map_err(open_error)?;
        let found = database::format(&db, FORMAT, &synced()).map_err(storage("open"))?;
        if found > FORMAT {
            return Err(LogError::NewerFormat { found, known: FORMAT });
        }
        let head = last_record(&db)?;
        check_dense(&db, head)?;
        if let Some(known) = head_mark::read(folder)? {
            not_shorter(head, known)?;
            same_history(&db, known)?;
        }
        let mark = HeadMark::open(folder, head)?;
        let writer = Mutex::new(Writer { poisoned: false, mark });
        Ok(Self { db, head: Mutex::new(head), grown: Condvar::new(), writer })
    }

    /// Writes the batch, synced.
    fn write(&self, batch: &Batch) -> Result<(), LogError> {
        let rows = batch.ends.len() + batch.meta.len();
        let mut writes = WriteBatch::with_capacity_bytes(room_for(batch.bytes.len() + rows * ROW_OVERHEAD_BYTES));
        let records = family(&self.db, RECORDS);
        let mut position = batch.after;
        for record in batch.records() {
            position = position.next();
            writes.put_cf(records, position.to_key(), record);
        }
        let meta = family(&self.db, META);
        for (key, value) in &batch.meta {
            writes.put_cf(meta, key, value);
        }
        self.db.write_opt(writes, &synced()).map_err(storage("write to"))
    }

    /// Makes a new head known.
    fn publish(&self, head: Head) {
        *lock(&self.head) = head;
        self.grown.notify_all();
    }
}

impl EventLog for RocksLog {
    fn append(&self, batch: &Batch) -> Result<(), LogError> {
        let mut writer = lock(&self.writer);
        if writer.poisoned {
            return Err(LogError::Poisoned);
        }
        let head = self.head();
        if batch.after != head.position {
            return Err(LogError::NotAtHead { after: batch.after, head: head.position });
        }
        writer.poisoned = true;
        self.write(batch)?;
        writer.poisoned = false;
        writer.mark.set(batch.head());
        self.publish(batch.head());
        Ok(())
    }

    fn head(&self) -> Head {
        *lock(&self.head)
    }

    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
        read_records(&self.db, from, self.head().position, visit)
    }

    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError> {
        if position == LogPosition::START || position > self.head().position {
            return Ok(None);
        }
        record_bytes(&self.db, position).map(Some)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.db.get_cf(family(&self.db, META), key).map_err(storage("read from"))
    }

    /// Shares the files that no longer change with the copy where both are on one file system. What is in memory is
    /// written out first; only what comes meanwhile waits.
    fn checkpoint(&self, folder: &Path) -> Result<Head, LogError> {
        self.db.flush_cf(family(&self.db, RECORDS)).map_err(storage("copy"))?;
        let head = {
            let writer = lock(&self.writer);
            if writer.poisoned {
                return Err(LogError::Poisoned);
            }
            let checkpoint = Checkpoint::new(&self.db).map_err(storage("copy"))?;
            checkpoint.create_checkpoint(folder).map_err(storage("copy"))?;
            self.head()
        };
        HeadMark::open(folder, head)?;
        Ok(head)
    }

    fn wait_beyond(&self, position: LogPosition, limit: Duration) -> Head {
        let waited = self.grown.wait_timeout_while(lock(&self.head), limit, |head| head.position <= position);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn storage<E: Into<Source>>(doing: &'static str) -> impl FnOnce(E) -> LogError {
    move |source| LogError::Storage { doing, source: source.into() }
}

/// Tells a lock that another handle holds from other trouble; RocksDB has no kind of its own for it.
fn open_error(source: Source) -> LogError {
    let text = source.to_string();
    if text.contains("While lock file") || text.contains("lock hold by current process") {
        return LogError::Locked;
    }
    LogError::Storage { doing: "open", source }
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// The memory to ask for, for so many bytes. Large batches come one after the other, each a little longer or shorter: where
/// they ask for the same, they get the same memory again, and fresh memory is dear.
fn room_for(bytes: usize) -> usize {
    if bytes < ROOM_STEP { bytes } else { bytes.next_multiple_of(ROOM_STEP) }
}

/// How to read the records behind `before` up to `until`.
fn between(before: LogPosition, until: LogPosition) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(before.next().to_key());
    options.set_iterate_upper_bound(until.next().to_key());
    options.fill_cache(false);
    if until.0 - before.0 >= SCAN_RECORDS_MIN {
        options.set_readahead_size(READAHEAD_BYTES);
    }
    options
}

/// Visits the records from `from` to `until`, which must be there.
fn read_records(db: &DB, from: LogPosition, until: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError> {
    let mut last = LogPosition(from.0.saturating_sub(1));
    if last >= until {
        return Ok(last);
    }
    let mut rows = db.raw_iterator_cf_opt(family(db, RECORDS), between(last, until));
    rows.seek_to_first();
    while last < until {
        let position = last.next();
        let Some((key, bytes)) = rows.item() else {
            rows.status().map_err(storage("read from"))?;
            return Err(LogError::Missing { position });
        };
        if key != position.to_key() {
            return Err(LogError::Missing { position });
        }
        let flow = visit(read_at(position, bytes)?);
        last = position;
        if flow == ControlFlow::Break(()) {
            break;
        }
        rows.next();
    }
    Ok(last)
}

/// The bytes of a record that must be there.
fn record_bytes(db: &DB, position: LogPosition) -> Result<Vec<u8>, LogError> {
    let found = db.get_cf(family(db, RECORDS), position.to_key());
    found.map_err(storage("read from"))?.ok_or(LogError::Missing { position })
}

/// Splits the record found at `position`.
fn read_at(position: LogPosition, bytes: &[u8]) -> Result<Record<'_>, LogError> {
    let record = Record::read(bytes).map_err(|fault| LogError::Damaged { position, fault })?;
    let found = record.header.position;
    if found != position {
        return Err(LogError::Damaged { position, fault: RecordError::Position { found } });
    }
    Ok(record)
}

/// The end of the log by its last row.
fn last_record(db: &DB) -> Result<Head, LogError> {
    let Some(row) = db.iterator_cf(family(db, RECORDS), IteratorMode::End).next() else {
        return Ok(Head::default());
    };
    let (key, bytes) = row.map_err(storage("read the end of"))?;
    let key = <[u8; 8]>::try_from(&*key).map_err(storage("read the end of"))?;
    let position = LogPosition(u64::from_be_bytes(key));
    let record = read_at(position, &bytes)?;
    Ok(Head { position, chain: record.chain })
}

/// Checks that the files hold every position up to the head, by their bounds. Opening has written what was in the WAL
/// to files. A hole means that a file, or the manifest's knowledge of it, was lost.
fn check_dense(db: &DB, head: Head) -> Result<(), LogError> {
    let files = db.live_files().map_err(storage("open"))?;
    let mut bounds = Vec::with_capacity(files.len());
    for file in files.into_iter().filter(|file| file.column_family_name == RECORDS) {
        let bound = |key: Option<Vec<u8>>| key.and_then(|key| key.try_into().ok()).map(u64::from_be_bytes);
        bounds.extend(bound(file.start_key).zip(bound(file.end_key)));
    }
    bounds.sort_unstable();
    let mut last = LogPosition::START;
    for (first, end) in bounds {
        if first > last.next().0 {
            return Err(LogError::Missing { position: last.next() });
        }
        last = last.max(LogPosition(end));
    }
    if last < head.position { Err(LogError::Missing { position: last.next() }) } else { Ok(()) }
}

/// Checks that the log reaches to where it once did.
fn not_shorter(found: Head, known: Head) -> Result<(), LogError> {
    if found.position < known.position {
        return Err(LogError::Shortened { found: found.position, known: known.position });
    }
    Ok(())
}

/// Checks that the record at the marked position is the one that was marked, not one of another log.
fn same_history(db: &DB, known: Head) -> Result<(), LogError> {
    let position = known.position;
    if position == LogPosition::START {
        return Ok(());
    }
    let found = db.get_cf(family(db, RECORDS), position.to_key()).map_err(storage("open"))?;
    let found = found.ok_or(LogError::Missing { position })?;
    if read_at(position, &found)?.chain != known.chain {
        return Err(LogError::Damaged { position, fault: RecordError::Chain });
    }
    Ok(())
}
