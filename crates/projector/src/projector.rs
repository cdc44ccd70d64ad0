//! The worker that drives one projection: reads, opens, folds, commits.

use std::ops::ControlFlow;
use std::sync::Arc;

use event_log::{Chain, EventLog, LogError, LogPosition, Record};
use key_vault::{KeySlot, KeyVault, OpenError, SubjectKey, VaultError};
use proto_events::{DecodeError, Facts, Personal, stored};
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::projection::{Checkpoint, FoldError, ModelError, Park, Projection, Recorded};

/// How many records pass between two calls of the progress function.
const PROGRESS_RECORDS: u64 = 8_192;
/// How many visitors' keys stay in memory while catching up, about 10 MB. Finding one again costs more than opening.
const KEYS_MAX: usize = 1 << 17;

/// Why a projection could not follow the log. It stands at its checkpoint; what was folded since is forgotten.
#[derive(Debug, Error)]
pub enum ProjectorError {
    /// The log could not be read. Stop, and look at the log.
    #[error("follow the log")]
    Log(#[from] LogError),
    /// A record's facts or opened personal part can't be decoded.
    #[error("take the record at position {position} into projection {projection}")]
    Decode {
        /// Which projection.
        projection: &'static str,
        /// Which record.
        position: LogPosition,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// A record's personal part doesn't open: it was altered, or the vault belongs to another log.
    #[error(
        "open the personal part of the record at position {position}; check log and key vault with `leadfold verify`"
    )]
    Sealed {
        /// Which record.
        position: LogPosition,
        /// What the key said.
        #[source]
        source: OpenError,
    },
    /// The vault never had the key of a record.
    #[error(
        "open the record at position {position}: the key vault has no key {key}. Restore the vault from its backup"
    )]
    KeyMissing {
        /// Which record.
        position: LogPosition,
        /// The number of its key.
        key: u64,
    },
    /// The vault could not be read.
    #[error("get the key of the record at position {position}")]
    Vault {
        /// Which record.
        position: LogPosition,
        /// What the vault said.
        #[source]
        source: VaultError,
    },
    /// A record doesn't fit into the model.
    #[error(
        "take the record at position {position} into projection {projection}: {park}. \
         Run `leadfold projections rebuild {projection}`; if it fails at the same position, verify the log"
    )]
    Parked {
        /// Which projection.
        projection: &'static str,
        /// Which record.
        position: LogPosition,
        /// What doesn't fit.
        park: Park,
    },
    /// The model's store failed.
    #[error("keep projection {projection}")]
    Model {
        /// Which projection.
        projection: &'static str,
        /// What failed.
        #[source]
        source: ModelError,
    },
    /// The model has followed another log, or this one before it was restored.
    #[error(
        "follow the log with projection {projection}: its model stands at position {checkpoint}, which is not in this \
         log. Run `leadfold projections rebuild {projection}`"
    )]
    OtherLog {
        /// Which projection.
        projection: &'static str,
        /// Where its model stands.
        checkpoint: LogPosition,
    },
}

/// Drives one projection over one log. One projector a model: two would overwrite each other.
pub struct Projector<P> {
    log: Arc<dyn EventLog>,
    vault: Arc<KeyVault>,
    projection: P,
    /// Of the last commit.
    committed: Checkpoint,
    /// Of the last record folded: what [`Projector::take_fresh`] has taken since the last commit.
    folded: Checkpoint,
    /// Emptied at the end of each catching up, so that a key destroyed since is asked for again.
    keys: FxHashMap<u64, Option<SubjectKey>>,
}

/// What one catching up has done so far.
struct Run<'a> {
    until: LogPosition,
    progress: &'a mut dyn FnMut(LogPosition),
}

impl<P: Projection> Projector<P> {
    /// A projector that goes on where the model stands.
    ///
    /// # Errors
    /// When the checkpoint can't be read, or is not of this log.
    pub fn new(log: Arc<dyn EventLog>, vault: Arc<KeyVault>, projection: P) -> Result<Self, ProjectorError> {
        let name = projection.name();
        let committed = projection.checkpoint().map_err(|source| ProjectorError::Model { projection: name, source })?;
        let other = ProjectorError::OtherLog { projection: name, checkpoint: committed.position };
        if committed.position > LogPosition::START {
            let bytes = log.get(committed.position)?.ok_or(other)?;
            let record =
                Record::read(&bytes).map_err(|fault| LogError::Damaged { position: committed.position, fault })?;
            if record.chain != committed.chain {
                return Err(ProjectorError::OtherLog { projection: name, checkpoint: committed.position });
            }
        }
        Ok(Self { log, vault, projection, committed, folded: committed, keys: FxHashMap::default() })
    }

    /// Takes the records behind the checkpoint up to `until`, or up to the head if that comes first, and commits them.
    /// Returns the new checkpoint.
    ///
    /// `progress` gets the position folded last: now and then, and after the last commit. A crash at any point leaves
    /// the model at some commit; calling again goes on from there.
    ///
    /// # Errors
    /// Names the position concerned. The model stands at its checkpoint then, and calling again tries again from there.
    pub fn catch_up(
        &mut self,
        until: LogPosition,
        progress: &mut dyn FnMut(LogPosition),
    ) -> Result<LogPosition, ProjectorError> {
        let until = until.min(self.log.head().position);
        let done = self.follow(until, progress);
        self.keys = FxHashMap::default();
        if done.is_err() {
            self.discard();
        }
        done.map(|()| self.committed.position)
    }

    /// Says how many records are about to come by [`Projector::take_fresh`], as far as can be told. A model may put work
    /// off until they are there. [`Projector::catch_up`] knows by itself.
    ///
    /// # Errors
    /// When the model's store fails.
    pub fn expect(&mut self, records: u64) -> Result<(), ProjectorError> {
        self.projection.prepare(records).map_err(|source| self.model(source))
    }

    /// Takes the next record from the writer's memory instead of the log. Commits when the projection is full;
    /// [`Projector::catch_up`] commits the rest. A record that was taken already is passed over; records missing in
    /// front of it are read from the log.
    ///
    /// # Errors
    /// As [`Projector::catch_up`].
    pub fn take_fresh(&mut self, recorded: &Recorded<'_>, chain: Chain) -> Result<(), ProjectorError> {
        let header = recorded.header;
        if header.position <= self.folded.position {
            return Ok(());
        }
        if header.position > self.folded.position.next() {
            self.close_gap(header.position)?;
        }
        let personal = recorded.personal.filter(|_| self.projection.wants_personal(header, recorded.input));
        let taken = self.fold(&Recorded { personal, ..*recorded }, chain);
        if taken.is_err() {
            self.discard();
        }
        taken
    }

    /// Commits what [`Projector::take_fresh`] has taken. Returns the new checkpoint.
    ///
    /// # Errors
    /// When the model's store fails. The model stands at its checkpoint then.
    pub fn commit_fresh(&mut self) -> Result<LogPosition, ProjectorError> {
        let done = self.commit().and_then(|()| self.settle());
        if done.is_err() {
            self.discard();
        }
        done.map(|()| self.committed.position)
    }

    /// Makes everything committed durable. A model that has a volatile tail is opened at an earlier commit otherwise.
    ///
    /// # Errors
    /// When the model's store fails.
    pub fn seal(&mut self) -> Result<(), ProjectorError> {
        self.projection.seal().map_err(|source| self.model(source))
    }

    /// The last record in the model.
    #[must_use]
    pub const fn checkpoint(&self) -> LogPosition {
        self.committed.position
    }

    /// How many records the log has beyond the model.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.log.head().position.0.saturating_sub(self.committed.position.0)
    }

    /// The projection, to read its model.
    #[must_use]
    pub const fn projection(&self) -> &P {
        &self.projection
    }

    /// Ends the projector and hands the projection back.
    #[must_use]
    pub fn into_projection(self) -> P {
        self.projection
    }

    fn follow(&mut self, until: LogPosition, progress: &mut dyn FnMut(LogPosition)) -> Result<(), ProjectorError> {
        if until > self.committed.position {
            self.read_log(until, progress)?;
        }
        self.settle()
    }

    /// Takes from the log what lies between the model and `position`. More is about to come, so nothing is settled.
    fn close_gap(&mut self, position: LogPosition) -> Result<(), ProjectorError> {
        let done = self.read_log(LogPosition(position.0 - 1), &mut |_| {});
        if done.is_err() {
            self.discard();
        }
        done
    }

    /// Folds the records behind the last one up to `until`, and commits.
    fn read_log(&mut self, until: LogPosition, progress: &mut dyn FnMut(LogPosition)) -> Result<(), ProjectorError> {
        let behind = until.0.saturating_sub(self.folded.position.0);
        if self.folded == self.committed {
            self.projection.prepare(behind).map_err(|source| self.model(source))?;
        }
        let mut run = Run { until, progress };
        let log = Arc::clone(&self.log);
        let mut failed = None;
        log.read(self.folded.position.next(), &mut |record| match self.take(&record, &mut run) {
            Ok(()) if self.folded.position < run.until => ControlFlow::Continue(()),
            Ok(()) => ControlFlow::Break(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.commit()?;
        (run.progress)(self.folded.position);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), ProjectorError> {
        let behind = self.lag();
        self.projection.settle(behind).map_err(|source| self.model(source))
    }

    /// Folds one record, and commits when the projection is full.
    fn take(&mut self, record: &Record<'_>, run: &mut Run<'_>) -> Result<(), ProjectorError> {
        let (header, projection) = (&record.header, self.projection.name());
        let position = header.position;
        let decoding = |source| ProjectorError::Decode { projection, position, source };
        let facts = stored::decode_facts(header.codec, record.facts).map_err(decoding)?;
        let personal = self.open(record, &facts)?;
        let (input, events, personal) = (facts.input.as_input(), facts.events.as_slice(), personal.as_ref());
        self.fold(&Recorded { header, input, events, personal }, record.chain)?;
        if position.0.is_multiple_of(PROGRESS_RECORDS) {
            (run.progress)(position);
        }
        Ok(())
    }

    /// Folds the next record, and commits when the projection is full.
    fn fold(&mut self, recorded: &Recorded<'_>, chain: Chain) -> Result<(), ProjectorError> {
        let (position, projection) = (recorded.header.position, self.projection.name());
        self.projection.fold(recorded).map_err(|error| match error {
            FoldError::Park(park) => ProjectorError::Parked { projection, position, park },
            FoldError::Model(source) => ProjectorError::Model { projection, source },
        })?;
        self.folded = Checkpoint { position, chain };
        if self.projection.is_full() { self.commit() } else { Ok(()) }
    }

    /// Forgets what was folded since the last commit.
    fn discard(&mut self) {
        self.projection.discard();
        // A model that was being loaded stands at its beginning again.
        self.committed = self.projection.checkpoint().unwrap_or(self.committed);
        self.folded = self.committed;
    }

    fn commit(&mut self) -> Result<(), ProjectorError> {
        let folded = self.folded;
        if folded != self.committed {
            self.projection.commit(folded).map_err(|source| self.model(source))?;
            self.committed = folded;
            tracing::debug!(projection = self.projection.name(), position = folded.position.0, "a batch is committed");
        }
        Ok(())
    }

    /// The personal part, if there is one, the projection wants it, and the visitor wasn't erased.
    fn open(&mut self, record: &Record<'_>, facts: &Facts) -> Result<Option<Personal>, ProjectorError> {
        let (header, projection) = (&record.header, self.projection.name());
        if header.personal_len == 0
            || header.key == 0
            || !self.projection.wants_personal(header, facts.input.as_input())
        {
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
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
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

    fn model(&self, source: ModelError) -> ProjectorError {
        ProjectorError::Model { projection: self.projection.name(), source }
    }
}
