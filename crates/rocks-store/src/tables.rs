//! The tables on RocksDB: no WAL; all families are flushed together with the position they stand at.
//!
//! One family per table. A write-back is one batch over all of them and the row `position` of the family `default`;
//! `atomic_flush` makes what is on disk a prefix of the write-backs at every moment. Many messages at once don't go
//! through the batch: they are [sealed](sealing) as a sorted file, which is durable by itself *before* the batch that
//! tells their position. Messages beyond the durable position may thus survive a crash; that is harmless, for the
//! engine replays the log from there and records the same again.

mod options;
mod sealing;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use event_log::{LogPosition, Message, Rows, Table, TableError, Tables, WriteBack};
use rocksdb::{ColumnFamily, DB, FlushOptions, ReadOptions, WriteBatch, WriteOptions};

pub use options::TablesOptions;

use self::sealing::Sealing;
use crate::database::{self, Creation, Source, family, lock};

/// The key of the position in the family `default`.
const POSITION_KEY: &[u8] = b"position";
const FORMAT: u32 = 1;

/// What a row takes in a batch besides its key and value, or with them for a message; at most, so that the batch doesn't
/// grow on the way.
const BATCH_ROW_BYTES: usize = 48;
/// Keys that are looked up at once: RocksDB keeps some hundred bytes of each meanwhile, and fresh memory is dear.
const READ_AT_ONCE: usize = 512;

/// Tables in a folder of their own. One process at a time.
///
/// A write-back takes about twice its size of memory until it is on disk. Closing writes out
/// what is not yet durable, but nothing depends on it.
pub struct RocksTables {
    db: DB,
    position: AtomicU64,
    writer: Mutex<Writer>,
    ingest_messages_min: usize,
}

struct Writer {
    /// Set while a write is under way, so that it stays set when that fails or panics: a later write-back must not
    /// move the position over one that is missing.
    poisoned: bool,
    sealing: Sealing,
}

impl RocksTables {
    /// Opens the tables in `folder`, or makes empty ones there.
    ///
    /// # Errors
    /// [`TableError::NewerFormat`]; [`TableError::Storage`] when another process holds the folder or RocksDB finds
    /// something wrong. `leadfold repair` rebuilds damaged tables from the log.
    pub fn open(folder: &Path, options: &TablesOptions) -> Result<Self, TableError> {
        let families = options.families();
        let all = Table::ALL.into_iter().map(|table| (table.name(), families.of(table))).collect();
        let db = database::open(folder, Creation::Allowed, &mut options.database(), all).map_err(storage("open"))?;
        let found = database::format(&db, FORMAT, &without_wal()).map_err(storage("open"))?;
        if found > FORMAT {
            return Err(TableError::NewerFormat { found, known: FORMAT });
        }
        let position = db.get(POSITION_KEY).map_err(storage("open"))?;
        let position = position.map(|it| it.try_into().map(u64::from_be_bytes)).transpose();
        let position = position.map_err(|_| TableError::Damaged { table: "default" })?.unwrap_or_default();
        let sealing = Sealing::open(folder, families.of(Table::Messages)).map_err(storage("open"))?;
        let tables = Self {
            db,
            position: AtomicU64::new(position),
            writer: Mutex::new(Writer { poisoned: false, sealing }),
            ingest_messages_min: options.ingest_messages_min,
        };
        tables.flush()?;
        Ok(tables)
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        family(&self.db, table.name())
    }

    /// Writes out all families together.
    fn flush_all(&self, options: &FlushOptions) -> Result<(), TableError> {
        let own = family(&self.db, "default");
        let families: Vec<_> = Table::ALL.into_iter().map(|table| self.family(table)).chain([own]).collect();
        self.db.flush_cfs_opt(&families, options).map_err(storage("flush"))
    }

    /// The batch that makes the changes.
    fn batch(&self, changes: &WriteBack) -> WriteBatch {
        let bytes = changes.rows.bytes() + (changes.rows.len() + changes.messages.len()) * BATCH_ROW_BYTES;
        let mut batch = WriteBatch::with_capacity_bytes(bytes);
        for (table, key, value) in changes.rows.iter() {
            match value {
                Some(value) => batch.put_cf(self.family(table), key, value),
                None => batch.delete_cf(self.family(table), key),
            }
        }
        let messages = self.family(Table::Messages);
        for (key, message) in &changes.messages {
            batch.put_cf(messages, key.to_be_bytes(), message.to_bytes());
        }
        batch.put(POSITION_KEY, changes.position.to_key());
        batch
    }

    /// Writes as one that stays poisoned when it fails.
    fn write(&self, write: impl FnOnce(&mut Writer) -> Result<(), TableError>) -> Result<(), TableError> {
        let mut writer = lock(&self.writer);
        if writer.poisoned {
            return Err(storage("write to")("an earlier write failed; stop, and open the tables again"));
        }
        writer.poisoned = true;
        write(&mut writer)?;
        writer.poisoned = false;
        Ok(())
    }

    fn apply(&self, mut changes: WriteBack) -> Result<(), TableError> {
        // Rows in key order take half the time on their way into the memtable.
        changes.rows.sort();
        let (batch, position) = (self.batch(&changes), changes.position);
        // A copy of everything stands in the batch, and will in the memtable.
        drop(changes);
        self.db.write_opt(batch, &without_wal()).map_err(storage("write to"))?;
        self.position.store(position.0, Ordering::Release);
        Ok(())
    }
}

impl Tables for RocksTables {
    fn position(&self) -> LogPosition {
        LogPosition(self.position.load(Ordering::Acquire))
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.db.get_cf(self.family(table), key).map_err(storage("read from"))
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, TableError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let family = self.family(table);
        let found = keys
            .chunks(READ_AT_ONCE)
            .flat_map(|keys| self.db.batched_multi_get_cf(family, keys.iter().copied(), false));
        let found = found.map(|it| it.map(|it| it.map(|value| value.to_vec())));
        found.collect::<Result<_, _>>().map_err(storage("read from"))
    }

    fn scan(&self, table: Table, from: &[u8], until: &[u8], limit: usize) -> Result<Rows, TableError> {
        let mut found = Rows::new();
        if !until.is_empty() && from >= until {
            return Ok(found);
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if !until.is_empty() {
            options.set_iterate_upper_bound(until);
        }
        let mut rows = self.db.raw_iterator_cf_opt(self.family(table), options);
        rows.seek_to_first();
        while found.len() < limit
            && let Some((key, value)) = rows.item()
        {
            found.push((key.to_vec(), value.to_vec()));
            rows.next();
        }
        rows.status().map_err(storage("read from"))?;
        Ok(found)
    }

    fn find_messages(&self, keys: &[u128]) -> Result<Vec<Option<Message>>, TableError> {
        let mut found = vec![None; keys.len()];
        if keys.is_empty() {
            return Ok(found);
        }
        let mut sorted: Vec<_> = keys.iter().zip(&mut found).collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        let rows: Vec<_> = sorted.iter().map(|(key, _)| key.to_be_bytes()).collect();
        let family = self.family(Table::Messages);
        let values = rows.chunks(READ_AT_ONCE).flat_map(|rows| self.db.batched_multi_get_cf(family, rows, true));
        for ((_, place), value) in sorted.into_iter().zip(values) {
            if let Some(value) = value.map_err(storage("read from"))? {
                *place = Some(Message::read(&value)?);
            }
        }
        Ok(found)
    }

    fn add_messages(&self, messages: Vec<(u128, Message)>) -> Result<Vec<(u128, Message)>, TableError> {
        if messages.len() < self.ingest_messages_min.max(1) {
            return Ok(messages);
        }
        let family = self.family(Table::Messages);
        self.write(|writer| writer.sealing.seal(&self.db, family, &messages).map_err(storage("seal messages in")))?;
        Ok(Vec::new())
    }

    fn write_back(&self, mut changes: WriteBack) -> Result<(), TableError> {
        changes.messages = self.add_messages(changes.messages)?;
        self.write(|_| {
            self.apply(changes)?;
            let mut in_background = FlushOptions::default();
            in_background.set_wait(false);
            self.flush_all(&in_background)
        })
    }

    fn flush(&self) -> Result<(), TableError> {
        self.flush_all(&FlushOptions::default())
    }
}

fn storage<E: Into<Source>>(doing: &'static str) -> impl FnOnce(E) -> TableError {
    move |source| TableError::Storage { doing, source: source.into() }
}

fn without_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options.set_memtable_insert_hint_per_batch(true);
    options
}
