//! Records off the log, made ready to fold: decoded, and opened where the projection wants that. On a thread of its own when
//! there are many: that is about half of the work.

use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender};

use event_log::{Chain, EventLog, Header, LogPosition, Record};
use key_vault::{KeySlot, KeyVault, SubjectKey};
use proto_events::stored::InputRef;
use proto_events::{Facts, Personal, stored};
use rustc_hash::FxHashMap;

use crate::projector::ProjectorError;

/// From so many records on they are read ahead.
pub(crate) const AHEAD_MIN: u64 = 1_024;
/// Records that are handed over at once.
const CHUNK_RECORDS: usize = 256;
/// Bytes of records that are handed over at once, once there are so many.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that may wait, some milliseconds of a commit.
pub(crate) const CHUNKS_QUEUED_MAX: usize = 32;
/// How many visitors' keys stay in memory while catching up, about 10 MB. Finding one again costs more than opening.
const KEYS_MAX: usize = 1 << 17;

/// A record, ready to fold.
pub(crate) struct Ready {
    pub(crate) header: Header,
    pub(crate) chain: Chain,
    pub(crate) facts: Facts,
    /// `None` when the projection doesn't want it, when there is none, and when the visitor was erased.
    pub(crate) personal: Option<Personal>,
}

/// Records in their order, or why there are no more.
pub(crate) type Chunk = Result<Vec<Ready>, ProjectorError>;
/// What reads ahead gets them from here.
pub(crate) type Chunks = Receiver<Chunk>;

/// Makes records ready.
pub(crate) struct Reader<'a> {
    pub(crate) projection: &'static str,
    /// Whether the projection wants a record's personal part.
    pub(crate) wants_personal: fn(&Header, InputRef<'_>) -> bool,
    pub(crate) vault: &'a KeyVault,
    /// By number; `None` for one that was destroyed.
    pub(crate) keys: FxHashMap<u64, Option<SubjectKey>>,
}

impl Reader<'_> {
    /// Reads the records of a range and hands them over, until nobody takes them.
    pub(crate) fn read_ahead(
        mut self,
        log: &dyn EventLog,
        (from, until): (LogPosition, LogPosition),
        ready: &SyncSender<Chunk>,
    ) {
        let (mut chunk, mut bytes) = (Vec::with_capacity(CHUNK_RECORDS), 0);
        let mut failed = None;
        let read = log.read(from, &mut |record| {
            bytes += record.facts.len() + record.personal.len();
            let is_last = record.header.position >= until;
            match self.ready(&record) {
                Ok(record) => chunk.push(record),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if !is_last && chunk.len() < CHUNK_RECORDS && bytes < CHUNK_BYTES {
                return ControlFlow::Continue(());
            }
            bytes = 0;
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_RECORDS));
            let goes_on = ready.send(Ok(full)).is_ok() && !is_last;
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // What came before a failure is taken first. Nobody may listen any more.
        if !chunk.is_empty() {
            let _ = ready.send(Ok(chunk));
        }
        if let Some(error) = failed.or_else(|| read.err().map(ProjectorError::from)) {
            let _ = ready.send(Err(error));
        }
    }

    /// Decodes a record, and opens it where that is wanted.
    pub(crate) fn ready(&mut self, record: &Record<'_>) -> Result<Ready, ProjectorError> {
        let (header, projection) = (record.header, self.projection);
        let position = header.position;
        let decoding = |source| ProjectorError::Decode { projection, position, source };
        let facts = stored::decode_facts(header.codec, record.facts).map_err(decoding)?;
        let personal = self.open(record, &facts)?;
        Ok(Ready { header, chain: record.chain, facts, personal })
    }

    /// The personal part, if there is one, the projection wants it, and the visitor wasn't erased.
    fn open(&mut self, record: &Record<'_>, facts: &Facts) -> Result<Option<Personal>, ProjectorError> {
        let (header, projection) = (&record.header, self.projection);
        if header.personal_len == 0 || header.key == 0 || !(self.wants_personal)(header, facts.input.as_input()) {
            return Ok(None);
        }
        let position = header.position;
        let Some(key) = self.key(header.key, position)? else { return Ok(None) };
        let opened = key.open(&record.chain.0, record.personal);
        let opened = opened.map_err(|source| ProjectorError::Sealed { position, source })?;
        let personal = stored::decode_personal(header.codec, &opened);
        personal.map(Some).map_err(|source| ProjectorError::Decode { projection, position, source })
    }

    /// The key of that number; `None` when it was destroyed.
    fn key(&mut self, number: u64, position: LogPosition) -> Result<Option<&SubjectKey>, ProjectorError> {
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&number) {
            self.keys.clear();
        }
        let found = match self.keys.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let slot = self.vault.get(number).map_err(|source| ProjectorError::Vault { position, source })?;
                unknown.insert(match slot {
                    KeySlot::Live(key) => Some(key),
                    KeySlot::Destroyed => None,
                    KeySlot::Empty => return Err(ProjectorError::KeyMissing { position, key: number }),
                })
            }
        };
        Ok(found.as_ref())
    }
}
