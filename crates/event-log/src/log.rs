//! What a log promises.

use std::ops::ControlFlow;
use std::time::Duration;

use thiserror::Error;

use crate::position::LogPosition;
use crate::record::{Chain, Record, RecordError};

/// The end of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last durable record; [`LogPosition::START`] in an empty log.
    pub position: LogPosition,
    /// Its chain value.
    pub chain: Chain,
}

/// Records to append together, and small facts about the log that become true with them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The bytes of all records, one after the other.
    pub bytes: Vec<u8>,
    /// Where each record ends in `bytes`.
    pub ends: Vec<usize>,
    /// Small named facts, such as a feed's watermark: key and value.
    pub meta: Vec<(String, Vec<u8>)>,
    /// The position before the first record; must be the log's head.
    pub after: LogPosition,
    /// The chain value of the last record; of the head where there is none.
    pub chain: Chain,
}

impl Batch {
    /// An empty batch behind `head`.
    #[must_use]
    pub fn after(head: Head) -> Self {
        Self { after: head.position, chain: head.chain, ..Self::default() }
    }

    /// The end of the log once the batch is appended.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { position: LogPosition(self.after.0 + self.ends.len() as u64), chain: self.chain }
    }

    /// The bytes of each record, in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

/// Why a log could not do what was asked.
#[derive(Debug, Error)]
pub enum LogError {
    /// The batch doesn't continue the log. Nothing was written; a second writer is at work, or the caller is wrong.
    #[error("append after position {after} to a log whose head is {head}")]
    NotAtHead {
        /// Where the batch wants to go.
        after: LogPosition,
        /// Where the log ends.
        head: LogPosition,
    },
    /// An earlier write failed, so what is durable is unknown. Stop the process; opening the log again finds out.
    #[error("write to a log after a failed write; stop, and open it again")]
    Poisoned,
    /// The storage below failed. The process must stop: what is durable is known only after opening again.
    #[error("{doing} the log")]
    Storage {
        /// What was being done: "write to", "read from", "open" …
        doing: &'static str,
        /// What the storage said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored record is damaged.
    #[error("read the record at position {position}, which {fault}")]
    Damaged {
        /// Which one.
        position: LogPosition,
        /// What is wrong with it.
        fault: RecordError,
    },
    /// A record that must be there is not.
    #[error("read the record at position {position}: it is missing, though the log goes on behind it")]
    Missing {
        /// Which one.
        position: LogPosition,
    },
    /// The log came back shorter than it was.
    #[error(
        "open the log: it ends at position {found}, but {known} were durable; records {} to {known} are missing. \
         Restore the folder from a backup", found.0 + 1
    )]
    Shortened {
        /// Where it ends.
        found: LogPosition,
        /// Where it once ended, by the head mark.
        known: LogPosition,
    },
    /// Written by a newer program.
    #[error("open the log: its format is {found}, this program knows {known}. Use a newer program")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// Another process holds it.
    #[error("open the log: another process holds it")]
    Locked,
}

/// Called with each record that is read; says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(Record<'_>) -> ControlFlow<()>;

/// An append-only sequence of records at dense positions from 1.
///
/// There is one writer; readers may read what is durable at any time from any thread. A reader never sees a record
/// before all records in front of it.
pub trait EventLog: Send + Sync {
    /// Appends the batch as one: after a crash either all of it is there or nothing. Durable on return.
    ///
    /// # Errors
    /// [`LogError::NotAtHead`] without effect. After any other error the log refuses further appends.
    fn append(&self, batch: &Batch) -> Result<(), LogError>;

    /// The last durable record.
    fn head(&self) -> Head;

    /// Visits the records from `from` up to the head as it was at the call, in order, until `visit` breaks.
    /// Returns the position of the last visited record, or the one before `from`.
    ///
    /// # Errors
    /// When a record is missing, can't be split into its parts, or can't be read. The chain is not checked.
    fn read(&self, from: LogPosition, visit: Visit<'_>) -> Result<LogPosition, LogError>;

    /// The bytes of one record; `None` beyond the head.
    ///
    /// # Errors
    /// When it can't be read.
    fn get(&self, position: LogPosition) -> Result<Option<Vec<u8>>, LogError>;

    /// The value of a named fact.
    ///
    /// # Errors
    /// When it can't be read.
    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, LogError>;

    /// Copies the log as it stands into a folder that isn't there yet, so that a log of the same kind can be opened in it,
    /// and returns where the copy ends. Appends may have to wait meanwhile.
    ///
    /// # Errors
    /// When that fails, also because this log has no files; the log itself is as before.
    fn checkpoint(&self, _folder: &std::path::Path) -> Result<Head, LogError> {
        Err(LogError::Storage { doing: "copy", source: "it is not kept in files".into() })
    }

    /// Waits until the head is beyond `position` or `limit` has passed; returns the head.
    fn wait_beyond(&self, position: LogPosition, limit: Duration) -> Head;
}
