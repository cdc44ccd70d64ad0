//! A projection of your own: how many interactions and sales each channel has on each day. See `docs/projections.md`.
//!
//! The model is a file of SQLite with one table; days are those of UTC. It needs no personal data.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use chrono::{DateTime, NaiveDate};
use event_log::{Chain, Header, LogPosition};
use lead_domain::Event;
use projector::{Checkpoint, FoldError, ModelError, Park, Parked, Projection, Recorded};
use proto_events::stored::InputRef;
use rusqlite::{Connection, OptionalExtension, params};

/// Rows that change before they are committed: this bounds the memory, and how much a crash makes it read again.
const ROWS_MAX: usize = 1_000;

/// Another version is another table layout: the program that reads it looks for its own file.
const VERSION: u32 = 2;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS days (
        day TEXT NOT NULL,
        channel TEXT NOT NULL,
        interactions INTEGER NOT NULL,
        sales INTEGER NOT NULL,
        PRIMARY KEY (day, channel)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS checkpoint (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        position INTEGER NOT NULL,
        chain BLOB NOT NULL,
        parked TEXT NOT NULL
    );";

/// A row's key.
type Key = (NaiveDate, String);

/// What changed in a row since the last commit.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    interactions: i64,
    sales: i64,
}

/// The projection, with its model.
pub struct ByChannel {
    file: Connection,
    changes: BTreeMap<Key, Change>,
    /// The streams that are left out: of the last commit, or newer.
    parked: Parked,
}

impl ByChannel {
    /// Opens the model in `folder`, or makes an empty one.
    ///
    /// # Errors
    /// When SQLite can't open the file or make its tables.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(format!("by-channel-v{VERSION}.sqlite"));
        let file = Connection::open(path).map_err(storage)?;
        // A commit that a power failure takes away takes its checkpoint with it, so less than FULL is enough.
        file.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;").map_err(storage)?;
        file.execute_batch(SCHEMA).map_err(storage)?;
        let parked = parked_in(&file)?;
        Ok(Self { file, changes: BTreeMap::new(), parked })
    }

    /// Day, channel, interactions and sales of each row, in order of day and channel.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn rows(&self) -> Result<Vec<(String, String, i64, i64)>, ModelError> {
        let sql = "SELECT day, channel, interactions, sales FROM days ORDER BY day, channel";
        let mut statement = self.file.prepare(sql).map_err(storage)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.and_then(Iterator::collect).map_err(storage)
    }
}

impl Projection for ByChannel {
    fn name(&self) -> &'static str {
        "by-channel"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn checkpoint(&self) -> Result<Checkpoint, ModelError> {
        let sql = "SELECT position, chain FROM checkpoint";
        let found = self.file.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional();
        let Some((position, chain)) = found.map_err(storage)? else { return Ok(Checkpoint::default()) };
        Ok(Checkpoint { position: LogPosition(position.cast_unsigned()), chain: Chain(chain) })
    }

    fn wants_personal(_: &Header, _: InputRef<'_>) -> bool {
        false
    }

    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), FoldError> {
        // A sale counts where an interaction brought it; one that an operator enters has no channel.
        let InputRef::Interaction(interaction) = recorded.input else { return Ok(()) };
        let at = DateTime::from_timestamp_millis(recorded.header.occurred_at);
        let day = at.ok_or(Park { reason: "its time is beyond the calendar" })?.date_naive();
        let sales = recorded.events.iter().filter(|event| matches!(event, Event::ConversionRecorded { .. })).count();
        let change = match self.changes.entry((day, interaction.channel.as_str().to_owned())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Change::default()),
        };
        change.interactions += 1;
        change.sales += sales as i64;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= ROWS_MAX
    }

    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), ModelError> {
        let transaction = self.file.transaction().map_err(storage)?;
        {
            let sql = "INSERT INTO days VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                interactions = interactions + excluded.interactions, sales = sales + excluded.sales";
            let mut put = transaction.prepare_cached(sql).map_err(storage)?;
            for ((day, channel), change) in &self.changes {
                put.execute(params![day.to_string(), channel, change.interactions, change.sales]).map_err(storage)?;
            }
        }
        let sql = "INSERT OR REPLACE INTO checkpoint VALUES (1, ?1, ?2, ?3)";
        let (position, chain) = (checkpoint.position.0.cast_signed(), checkpoint.chain.0);
        let parked = serde_json::to_string(&self.parked).map_err(|error| ModelError(Box::new(error)))?;
        transaction.execute(sql, params![position, chain, parked]).map_err(storage)?;
        transaction.commit().map_err(storage)?;
        // Not earlier: where the commit fails, the projector decides what becomes of them.
        self.changes.clear();
        Ok(())
    }

    fn discard(&mut self) {
        self.changes.clear();
        // Where the file can't be read, what follows fails too.
        self.parked = parked_in(&self.file).unwrap_or_default();
    }

    fn parked(&self) -> Result<Parked, ModelError> {
        parked_in(&self.file)
    }

    fn park(&mut self, parked: &Parked) -> bool {
        self.parked.clone_from(parked);
        true
    }
}

/// The streams that the model leaves out.
fn parked_in(file: &Connection) -> Result<Parked, ModelError> {
    let found = file.query_row("SELECT parked FROM checkpoint", [], |row| row.get::<_, String>(0)).optional();
    let Some(text) = found.map_err(storage)? else { return Ok(Parked::default()) };
    serde_json::from_str(&text).map_err(|error| ModelError(Box::new(error)))
}

/// The model's file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("use the file by-channel-v{VERSION}.sqlite; where it is damaged, delete it, and it is built anew from the log")]
struct FileError(#[source] rusqlite::Error);

fn storage(source: rusqlite::Error) -> ModelError {
    ModelError(Box::new(FileError(source)))
}
