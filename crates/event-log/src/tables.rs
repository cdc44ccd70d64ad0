//! What the tables promise that follow a log and that the log can rebuild.

use thiserror::Error;

use crate::position::LogPosition;

/// The tables. Keys are fixed-width and big-endian, without plain personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Small named facts that follow the log.
    Facts,
    /// Visitor → book.
    Books,
    /// Absorbed visitor → survivor.
    Redirects,
    /// Keyed hash of an identifier → visitor.
    Identifiers,
    /// Keyed hash of an order id → lead.
    Orders,
    /// Due time and visitor → nothing.
    Deadlines,
    /// Position of a quarantined input → its state.
    Quarantine,
    /// Keyed hash of an interaction's source and id → position and fingerprint.
    Messages,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 8] = [
        Self::Facts,
        Self::Books,
        Self::Redirects,
        Self::Identifiers,
        Self::Orders,
        Self::Deadlines,
        Self::Quarantine,
        Self::Messages,
    ];

    /// The name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Books => "books",
            Self::Redirects => "redirects",
            Self::Identifiers => "identifiers",
            Self::Orders => "orders",
            Self::Deadlines => "deadlines",
            Self::Quarantine => "quarantine",
            Self::Messages => "messages",
        }
    }
}

/// What is known of a recorded message, for exact dedupe.
///
/// In the table: key = 16 bytes big-endian keyed hash; value = `position u64 | fingerprint u64`, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where its record stands.
    pub position: LogPosition,
    /// A hash of its content, to tell a duplicate from a conflicting one.
    pub fingerprint: u64,
}

impl Message {
    /// The value of its row.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.position.0) << 64) | u128::from(self.fingerprint)).to_be_bytes()
    }

    /// Reads the value of a row of [`Table::Messages`].
    ///
    /// # Errors
    /// [`TableError::Damaged`] when it hasn't 16 bytes.
    pub fn read(value: &[u8]) -> Result<Self, TableError> {
        let damaged = |_| TableError::Damaged { table: Table::Messages.name() };
        let both = u128::from_be_bytes(value.try_into().map_err(damaged)?);
        let [position, fingerprint] = [(both >> 64) as u64, both as u64];
        Ok(Self { position: LogPosition(position), fingerprint })
    }
}

/// Rows to put or to delete, one behind the other in one piece of memory: there may be hundreds of thousands.
#[derive(Clone, Debug, Default)]
pub struct RowChanges {
    /// Key and value of each.
    bytes: Vec<u8>,
    rows: Vec<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    table: Table,
    start: usize,
    key_len: usize,
    /// `None` for a row to delete.
    value_len: Option<usize>,
}

impl RowChanges {
    /// Makes room for so many more rows, of so many bytes with their keys. What isn't used of it costs no memory; growing
    /// on the way would touch twice as much as there is.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.rows.reserve(rows);
        self.bytes.reserve(bytes);
    }

    /// Puts a row whose value `write` appends.
    pub fn put_with(&mut self, table: Table, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        write(&mut self.bytes);
        let value_len = self.bytes.len() - start - key.len();
        self.rows.push(Change { table, start, key_len: key.len(), value_len: Some(value_len) });
    }

    /// Puts a row, or deletes it for `None`.
    pub fn set(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.put_with(table, key, |bytes| bytes.extend_from_slice(value)),
            None => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(key);
                self.rows.push(Change { table, start, key_len: key.len(), value_len: None });
            }
        }
    }

    /// Sorts them by table and key.
    pub fn sort(&mut self) {
        let Self { bytes, rows } = self;
        let key = |row: &Change| bytes.get(row.start..row.start + row.key_len);
        // They come as a few sorted runs, which the stable sort finds.
        rows.sort_by(|one, other| (one.table, key(one)).cmp(&(other.table, key(other))));
    }

    /// Table, key and value of each; no value for a row to delete.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.rows.iter().filter_map(|row| {
            let (key, rest) = self.bytes.get(row.start..)?.split_at_checked(row.key_len)?;
            let value = match row.value_len {
                Some(length) => Some(rest.get(..length)?),
                None => None,
            };
            Some((row.table, key, value))
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How long their keys and values are together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Changes to the tables that bring them to a position.
#[derive(Clone, Debug, Default)]
pub struct WriteBack {
    /// The log position that the tables stand at once the changes are in.
    pub position: LogPosition,
    /// Rows to put or to delete. At most one per table and key. Not for [`Table::Messages`].
    pub rows: RowChanges,
    /// Messages recorded since the last write-back, sorted by key, without repetition.
    pub messages: Vec<(u128, Message)>,
}

/// Why the tables could not do what was asked.
#[derive(Debug, Error)]
pub enum TableError {
    /// The storage below failed. The log is whole; opening again replays what the tables lack.
    #[error("{doing} the tables")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What the storage said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Written by a newer program.
    #[error("open the tables: their format is {found}, this program knows {known}. Use a newer program")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// A row can't be read as what it must be. `leadfold repair` rebuilds the tables from the log.
    #[error("read a row of table \"{table}\": it is damaged")]
    Damaged {
        /// Which table.
        table: &'static str,
    },
}

/// Rows as they come out of a scan: key and value, in key order.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Sorted tables that follow a log lazily.
///
/// A write-back becomes visible at once and durable later, always as a whole and in order: whatever a crash leaves is
/// what some earlier write-back left, with the position it stood at.
pub trait Tables: Send + Sync {
    /// The position of the last visible write-back; after opening, of the last durable one.
    fn position(&self) -> LogPosition;

    /// One row's value.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TableError>;

    /// Several rows' values, in the order of the keys.
    ///
    /// # Errors
    /// When the storage fails.
    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, TableError>;

    /// The rows from `from` (inclusive) to `until` (exclusive; empty means the end), in key order, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan(&self, table: Table, from: &[u8], until: &[u8], limit: usize) -> Result<Rows, TableError>;

    /// What is known of the messages with these keys, in their order.
    ///
    /// # Errors
    /// When the storage fails.
    fn find_messages(&self, keys: &[u128]) -> Result<Vec<Option<Message>>, TableError>;

    /// Takes in messages ahead of the write-back that brings the tables to their positions, where that takes less time and
    /// memory than with it. They are sorted by key, without repetition. Returns those that must come with the write-back.
    /// A crash in between may leave them: the log holds their records, and recording those again gives the same messages.
    ///
    /// # Errors
    /// When the storage fails; the process must stop and open again.
    fn add_messages(&self, messages: Vec<(u128, Message)>) -> Result<Vec<(u128, Message)>, TableError> {
        Ok(messages)
    }

    /// Makes the changes visible, and begins to make them durable.
    ///
    /// # Errors
    /// When the storage fails; the process must stop and open again.
    fn write_back(&self, changes: WriteBack) -> Result<(), TableError>;

    /// Returns once every write-back so far is durable.
    ///
    /// # Errors
    /// When the storage fails.
    fn flush(&self) -> Result<(), TableError>;
}
