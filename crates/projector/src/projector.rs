//! The worker that drives one projection: reads, opens, folds, commits.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use event_log::{Chain, EventLog, Header, LogError, LogPosition, Record};
use key_vault::{KeyVault, OpenError, VaultError};
use lead_domain::{Event, VisitorId};
use proto_events::DecodeError;
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::parked::{PARKED_MAX, Parked, ParkedStream};
use crate::projection::{Checkpoint, FoldError, ModelError, Park, Projection, Recorded};
use crate::reading::{AHEAD_MIN, CHUNKS_QUEUED_MAX, Chunks, Reader, Ready};

/// How many records pass between two calls of the progress function.
const PROGRESS_RECORDS: u64 = 8_192;

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
    /// A record doesn't fit into the model, and there is no stream that could be left out: it concerns no visitor, or it
    /// erases one, or the model has no place to remember it.
    #[error(
        "take the record at position {position} into projection {projection}: {park}. \
         Run `leadfold projections rebuild {projection}`; if it fails at the same position, verify the log"
    )]
    Unfit {
        /// Which projection.
        projection: &'static str,
        /// Which record.
        position: LogPosition,
        /// What doesn't fit.
        park: Park,
    },
    /// More streams would be left out than [`PARKED_MAX`].
    #[error(
        "go on with projection {projection}: at position {position} more than {PARKED_MAX} visitors are left out of its \
         model, because {reason}. See `leadfold projections parked {projection}`; then rebuild it with a program that can \
         take them, or discard them"
    )]
    TooManyParked {
        /// Which projection.
        projection: &'static str,
        /// Which record.
        position: LogPosition,
        /// What didn't fit into it.
        reason: String,
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
    /// Streams that are left out, as of the last record folded.
    left_out: Parked,
    /// The same as of the last commit.
    parked: Parked,
    /// Records that were found not to fit, with what doesn't: they are met again without trying.
    unfit: BTreeMap<LogPosition, Park>,
    /// Those that an earlier model of this projection left out: what was decided about them holds.
    earlier: Parked,
}

/// What became of a record.
enum Taken {
    /// It is in, or left out.
    Done,
    /// It doesn't fit, and what was folded before it had to be forgotten: read on behind the last commit.
    Unfit,
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
        let parked = projection.parked().map_err(|source| ProjectorError::Model { projection: name, source })?;
        Ok(Self {
            log,
            vault,
            projection,
            committed,
            folded: committed,
            left_out: parked.clone(),
            parked,
            unfit: BTreeMap::new(),
            earlier: Parked::default(),
        })
    }

    /// What was decided about streams that an earlier model left out holds for this one, where it has to leave them out too.
    #[must_use]
    pub fn after(mut self, earlier: Parked) -> Self {
        self.earlier = earlier;
        self
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
        if done.is_err() {
            self.discard();
        }
        done.map(|()| self.committed.position)
    }

    /// Takes records in as [`Projector::catch_up`] does, but doesn't tell the model how near the head it is: one that is
    /// built beside another doesn't take its place yet.
    ///
    /// # Errors
    /// As there.
    pub fn build_up(
        &mut self,
        until: LogPosition,
        progress: &mut dyn FnMut(LogPosition),
    ) -> Result<LogPosition, ProjectorError> {
        let until = until.min(self.log.head().position);
        let done = if until > self.committed.position { self.read_log(until, progress) } else { Ok(()) };
        if done.is_err() {
            self.discard();
        }
        done.map(|()| self.committed.position)
    }

    /// Lets a model that was built up beside another one prepare to take its place.
    ///
    /// # Errors
    /// When the model's store fails.
    pub fn stand_by(&mut self) -> Result<(), ProjectorError> {
        let done = self.projection.stand_by().map_err(|source| self.model(source));
        done.inspect_err(|_| self.discard())
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
        let taken = self.take_next(recorded, chain);
        if taken.is_err() {
            self.discard();
        }
        match taken? {
            Taken::Done => Ok(()),
            // It is durable: read from the log it is left out.
            Taken::Unfit => self.close_gap(header.position.next()),
        }
    }

    fn take_next(&mut self, recorded: &Recorded<'_>, chain: Chain) -> Result<Taken, ProjectorError> {
        let header = recorded.header;
        if self.leaves_out(header, recorded.events)? {
            return self.passed(header, chain);
        }
        let personal = recorded.personal.filter(|_| P::wants_personal(header, recorded.input));
        self.fold(&Recorded { personal, ..*recorded }, chain)
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

    /// The streams that are left out of the model, as of its checkpoint.
    #[must_use]
    pub const fn parked(&self) -> &Parked {
        &self.parked
    }

    /// Somebody decided to do without a stream that is left out: it no longer counts as trouble. Durable with the model.
    /// Whether it is left out at all.
    ///
    /// # Errors
    /// When the model's store fails.
    pub fn discard_parked(&mut self, visitor: VisitorId, reason: &str) -> Result<bool, ProjectorError> {
        if !self.left_out.discard(visitor, reason) {
            return Ok(false);
        }
        self.write().and_then(|()| self.seal()).inspect_err(|_| self.discard()).map(|()| true)
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
        let mut run = Run { until, progress };
        // Each record that doesn't fit is met twice: what was folded of it can't be told from what came before.
        while let Taken::Unfit = self.read_once(&mut run)? {}
        self.commit()?;
        (run.progress)(self.folded.position);
        Ok(())
    }

    /// Folds until the end, or until a record turns out not to fit.
    fn read_once(&mut self, run: &mut Run<'_>) -> Result<Taken, ProjectorError> {
        let behind = run.until.0.saturating_sub(self.folded.position.0);
        if self.folded == self.committed {
            self.projection.prepare(behind).map_err(|source| self.model(source))?;
        }
        let (log, vault) = (Arc::clone(&self.log), Arc::clone(&self.vault));
        if behind >= AHEAD_MIN
            && let Some(taken) = self.read_ahead(&*log, &vault, run)
        {
            return taken;
        }
        let mut reader = self.reader(&vault);
        let mut ended = Ok(Taken::Done);
        log.read(self.folded.position.next(), &mut |record| match reader
            .ready(&record)
            .and_then(|ready| self.take(&ready, run))
        {
            Ok(Taken::Done) if self.folded.position < run.until => ControlFlow::Continue(()),
            end => {
                ended = end;
                ControlFlow::Break(())
            }
        })?;
        ended
    }

    /// The same while another thread reads on; `None` when the system gives none.
    fn read_ahead(
        &mut self,
        log: &dyn EventLog,
        vault: &KeyVault,
        run: &mut Run<'_>,
    ) -> Option<Result<Taken, ProjectorError>> {
        let range = (self.folded.position.next(), run.until);
        let reader = self.reader(vault);
        std::thread::scope(|scope| {
            let (sender, chunks) = sync_channel(CHUNKS_QUEUED_MAX);
            let reading = std::thread::Builder::new().name("read ahead".to_owned());
            let reading = reading.spawn_scoped(scope, move || reader.read_ahead(log, range, &sender)).ok()?;
            let taken = self.take_all(&chunks, run);
            // What is behind the end, or behind a record that doesn't fit, is not wanted.
            drop(chunks);
            match reading.join() {
                Ok(()) => Some(taken),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn take_all(&mut self, chunks: &Chunks, run: &mut Run<'_>) -> Result<Taken, ProjectorError> {
        for chunk in chunks {
            for ready in chunk? {
                if let Taken::Unfit = self.take(&ready, run)? {
                    return Ok(Taken::Unfit);
                }
            }
        }
        Ok(Taken::Done)
    }

    fn reader<'a>(&self, vault: &'a KeyVault) -> Reader<'a> {
        let (projection, wants_personal) = (self.projection.name(), P::wants_personal);
        Reader { projection, wants_personal, vault, keys: FxHashMap::default() }
    }

    fn settle(&mut self) -> Result<(), ProjectorError> {
        let behind = self.lag();
        self.projection.settle(behind).map_err(|source| self.model(source))
    }

    /// Takes one record in, and commits when the projection is full.
    fn take(&mut self, ready: &Ready, run: &mut Run<'_>) -> Result<Taken, ProjectorError> {
        let Ready { header, chain, facts, personal } = ready;
        let taken = if self.leaves_out(header, &facts.events)? {
            self.passed(header, *chain)?
        } else {
            let (input, events, personal) = (facts.input.as_input(), facts.events.as_slice(), personal.as_ref());
            self.fold(&Recorded { header, input, events, personal }, *chain)?
        };
        if header.position.0.is_multiple_of(PROGRESS_RECORDS) {
            (run.progress)(header.position);
        }
        Ok(taken)
    }

    /// Folds the next record, and commits when the projection is full.
    fn fold(&mut self, recorded: &Recorded<'_>, chain: Chain) -> Result<Taken, ProjectorError> {
        let header = recorded.header;
        match self.projection.fold(recorded) {
            Ok(()) => self.passed(header, chain),
            Err(FoldError::Park(park)) => self.found_unfit(header, recorded.events, park),
            Err(FoldError::Model(source)) => Err(self.model(source)),
        }
    }

    /// The record has been dealt with.
    fn passed(&mut self, header: &Header, chain: Chain) -> Result<Taken, ProjectorError> {
        self.folded = Checkpoint { position: header.position, chain };
        if self.projection.is_full() {
            self.commit()?;
        }
        Ok(Taken::Done)
    }

    /// Remembers a record that doesn't fit, and forgets what was folded of it.
    fn found_unfit(&mut self, header: &Header, events: &[Event], park: Park) -> Result<Taken, ProjectorError> {
        let (position, projection) = (header.position, self.projection.name());
        // What an erasure takes out must not stay because something else went wrong.
        if header.visitor == 0 || is_erasure(events) || !self.projection.park(&self.left_out) {
            return Err(ProjectorError::Unfit { projection, position, park });
        }
        tracing::error!(
            projection,
            position = position.0,
            reason = park.reason,
            "a record doesn't fit, and is left out"
        );
        self.unfit.insert(position, park);
        self.discard();
        Ok(Taken::Unfit)
    }

    /// Whether the record is left out: it doesn't fit, or a visitor whom it names is left out since earlier. Then everybody
    /// is whom it names. An erasure is taken in any case.
    fn leaves_out(&mut self, header: &Header, events: &[Event]) -> Result<bool, ProjectorError> {
        if (self.left_out.is_empty() && self.unfit.is_empty()) || is_erasure(events) {
            return Ok(false);
        }
        let mut named: Vec<VisitorId> =
            Some(VisitorId(header.visitor)).filter(|visitor| visitor.0 > 0).into_iter().collect();
        events.iter().for_each(|event| event.each_visitor(&mut |visitor| named.push(visitor)));
        named.sort_unstable();
        named.dedup();
        let since = header.position.0;
        let like = match self.unfit.get(&header.position) {
            Some(park) => Some((since, park.reason.to_owned())),
            None => {
                named.iter().find_map(|visitor| self.left_out.stream(*visitor)).map(|it| (it.cause, it.reason.clone()))
            }
        };
        let Some((cause, reason)) = like else { return Ok(false) };
        let before = self.left_out.clone();
        for visitor in named {
            let discarded = self.earlier.stream(visitor).and_then(|stream| stream.discarded.clone());
            let (tenant, reason) = (header.tenant, reason.clone());
            self.left_out.hold(visitor, &ParkedStream { tenant, since, cause, reason, records: 0, discarded });
        }
        if self.left_out.waiting() > PARKED_MAX {
            // What led here is in the model, so that somebody can look at it.
            self.left_out = before;
            self.commit()?;
            let (projection, position) = (self.projection.name(), header.position);
            return Err(ProjectorError::TooManyParked { projection, position, reason });
        }
        Ok(true)
    }

    /// Forgets what was folded since the last commit.
    fn discard(&mut self) {
        self.projection.discard();
        // A model that was being loaded stands at its beginning again.
        self.committed = self.projection.checkpoint().unwrap_or(self.committed);
        self.folded = self.committed;
        if self.committed.position == LogPosition::START {
            self.parked = Parked::default();
        }
        self.left_out.clone_from(&self.parked);
    }

    fn commit(&mut self) -> Result<(), ProjectorError> {
        if self.folded == self.committed { Ok(()) } else { self.write() }
    }

    /// Puts what was folded, the checkpoint and the streams left out into the model.
    fn write(&mut self) -> Result<(), ProjectorError> {
        let folded = self.folded;
        if self.left_out != self.parked {
            self.projection.park(&self.left_out);
        }
        self.projection.commit(folded).map_err(|source| self.model(source))?;
        self.committed = folded;
        self.parked.clone_from(&self.left_out);
        tracing::debug!(projection = self.projection.name(), position = folded.position.0, "a batch is committed");
        Ok(())
    }

    fn model(&self, source: ModelError) -> ProjectorError {
        ProjectorError::Model { projection: self.projection.name(), source }
    }
}

/// Whether somebody is erased by it.
fn is_erasure(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::VisitorErased { .. }))
}
