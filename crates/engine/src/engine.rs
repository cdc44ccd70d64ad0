//! The engine itself: its state, and the life of a batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;

use event_log::{Head, LogPosition, Message, Table};
use lead_domain::book::CloseCause;
use lead_domain::{Event, Scalar, TenantId, Time};
use proto_events::stored::InputFacts;

use crate::batch::{FreshBatch, Pending, PendingBatch};
use crate::error::EngineError;
use crate::library::Library;
use crate::options::{EngineOptions, Parts};
use crate::registry::{Registry, Tenant, clock_key};
use crate::rescoring::UnderWay;
use crate::roots::is_root_position;
use crate::suppression::Suppressed;
use crate::writer::{FreshRecords, Writer};

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the log.
    Recorded(LogPosition),
    /// It stands in the log already, there; nothing changed.
    Duplicate(LogPosition),
    /// An interaction of the same source and id but other content stands there; nothing changed but this being noted.
    Conflict(LogPosition),
    /// It could not be taken and is kept there.
    Quarantined(LogPosition),
    /// It carries an identifier that is suppressed; nothing of it is kept.
    Suppressed,
}

impl Outcome {
    /// Where its record stands, or that of the one that it repeats; `None` where nothing is recorded.
    #[must_use]
    pub const fn position(self) -> Option<LogPosition> {
        match self {
            Self::Recorded(at) | Self::Duplicate(at) | Self::Conflict(at) | Self::Quarantined(at) => Some(at),
            Self::Suppressed => None,
        }
    }
}

/// What an engine has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inputs given by feeds.
    pub read: u64,
    /// Interactions recorded.
    pub recorded: u64,
    /// Interactions and quarantined inputs that stood in the log already.
    pub duplicates: u64,
    /// Interactions that conflict with a recorded one.
    pub conflicting: u64,
    /// Inputs that could not be taken.
    pub quarantined: u64,
    /// Interactions that were not collected, because an identifier is suppressed.
    pub suppressed: u64,
    /// Leads opened.
    pub opened: u64,
    /// Leads closed by a conversion.
    pub converted: u64,
    /// Leads closed by an operator or their deadline.
    pub closed: u64,
    /// Leads reopened.
    pub reopened: u64,
    /// Interactions left without a lead.
    pub orphans: u64,
    /// Visitors met for the first time.
    pub visitors: u64,
    /// Visitors merged.
    pub merged: u64,
    /// Visitors erased whose keys are gone.
    pub erased: u64,
}

impl Counts {
    pub(crate) fn add_events(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::LeadOpened { .. } => self.opened += 1,
                Event::LeadClosed { cause: CloseCause::Conversion, .. } => self.converted += 1,
                Event::LeadClosed { .. } => self.closed += 1,
                Event::LeadReopened { .. } => self.reopened += 1,
                Event::InteractionOrphaned { .. } => self.orphans += 1,
                Event::VisitorCreated { .. } => self.visitors += 1,
                Event::VisitorsMerged { .. } => self.merged += 1,
                Event::IdentifierLearned { .. }
                | Event::IdentifierMoved { .. }
                | Event::VisitorsUnmerged { .. }
                | Event::DuplicateSuspected { .. }
                | Event::DuplicateSettled { .. }
                | Event::VisitorErased { .. }
                | Event::CustomerLearned { .. }
                | Event::InteractionAttached { .. }
                | Event::InteractionMoved { .. }
                | Event::ConversionRecorded { .. }
                | Event::ConversionRepeated { .. }
                | Event::ConversionWithdrawn { .. }
                | Event::LeadTypeChanged { .. }
                | Event::LeadAssigned { .. }
                | Event::NoteAdded { .. }
                | Event::AttributesSet { .. }
                | Event::InteractionCounted { .. }
                | Event::InteractionsRecounted { .. }
                | Event::InteractionDiscredited { .. }
                | Event::ScoreChanged { .. }
                | Event::TemperatureChanged { .. }
                | Event::StageEntered { .. }
                | Event::ConsentChanged { .. }
                | Event::NurtureStarted { .. }
                | Event::NurtureStepDue { .. }
                | Event::NurtureStepSuppressed { .. }
                | Event::NurtureStopped { .. } => {}
            }
        }
    }
}

/// One log's decider. See the crate's documentation.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) options: EngineOptions,
    pub(crate) library: Library,
    pub(crate) registry: Registry,
    pub(crate) writer: Writer,
    /// The last position that was decided; the log may not hold it yet.
    pub(crate) decided: LogPosition,
    /// How many keys for inputs that were not taken exist.
    pub(crate) untaken: u64,
    /// Records decided since the last write-back.
    pub(crate) unwritten: u64,
    pub(crate) batch: PendingBatch,
    pub(crate) counts: Counts,
    /// Tenants whose open leads are being scored anew.
    pub(crate) rescoring: BTreeMap<TenantId, UnderWay>,
    /// Identifiers that nothing is collected of.
    pub(crate) suppressed: Suppressed,
    /// Room for the attributes of the interaction that is decided.
    pub(crate) attributes: Vec<(lead_domain::Name, Scalar)>,
}

impl Engine {
    /// What was done since opening.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The end of the log, as far as it is durable.
    #[must_use]
    pub fn head(&self) -> Head {
        self.parts.log.head()
    }

    /// The parts that the engine was opened with, for readers.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// All tenants, in order of their first policies.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        self.registry.all()
    }

    /// The tenant of that name.
    ///
    /// # Errors
    /// [`EngineError::UnknownTenant`].
    pub fn tenant(&self, name: &str) -> Result<&Tenant, EngineError> {
        self.registry.by_name(name).ok_or_else(|| EngineError::UnknownTenant { name: name.to_owned() })
    }

    /// The key that identifiers, orders and message ids are hashed with.
    #[must_use]
    pub fn hash_key(&self) -> [u8; 32] {
        self.parts.vault.identifier_key()
    }

    /// Returns once everything decided so far is durable.
    ///
    /// # Errors
    /// When writing failed; the process must stop then.
    pub fn flush(&mut self) -> Result<(), EngineError> {
        self.hand_over()?;
        self.writer.flush()
    }

    /// Turns true when writing has failed. Nothing that was decided since becomes durable then; [`Engine::flush`] has the
    /// reason, once.
    #[must_use]
    pub fn failed(&self) -> Arc<AtomicBool> {
        self.writer.failed()
    }

    /// Hands over every record from here on, once it is durable, so that a projection need not read it from the log. At
    /// most `appends_queued_max` appends, of up to 4 MiB each, wait for the follower; then the writer does.
    ///
    /// # Errors
    /// When writing has failed.
    pub fn follow(&self, appends_queued_max: usize) -> Result<Receiver<Vec<FreshBatch>>, EngineError> {
        self.writer.follow(appends_queued_max)
    }

    /// Hands over records as [`Engine::follow`] does, but waits for nobody: a follower with `waiting_max` records that it
    /// has not taken yet misses appends, and finds them in the log.
    ///
    /// # Errors
    /// When writing has failed.
    pub fn follow_loosely(&self, waiting_max: usize) -> Result<FreshRecords, EngineError> {
        self.writer.follow_loosely(waiting_max)
    }

    /// Ends [`Engine::follow`]: the follower gets what is left, and then nothing more.
    ///
    /// # Errors
    /// When writing has failed.
    pub fn unfollow(&self) -> Result<(), EngineError> {
        self.writer.unfollow()
    }

    /// Gives what was decided to the writer.
    pub(crate) fn hand_over(&mut self) -> Result<(), EngineError> {
        let next = PendingBatch::like(&self.batch);
        let batch = std::mem::replace(&mut self.batch, next);
        self.writer.write(batch)
    }

    /// Brings the tables to the end of the log, once the log is durable.
    ///
    /// # Errors
    /// When the log or the tables fail; the process must stop then.
    pub fn write_back(&mut self) -> Result<(), EngineError> {
        self.flush()?;
        let state = crate::recovery::engine_row(&mut self.library, self.untaken);
        self.library.put_row(Table::Facts, crate::recovery::ENGINE.to_vec(), Some(state));
        self.library.write_back(self.decided, self.options.books_max)?;
        self.unwritten = 0;
        Ok(())
    }

    /// Writes back when it is time to.
    pub(crate) fn maybe_write_back(&mut self) -> Result<(), EngineError> {
        let full = self.library.len() > self.options.books_max.saturating_add(self.options.books_max / 4);
        if self.unwritten >= self.options.write_back_records || full { self.write_back() } else { Ok(()) }
    }

    /// Brings the tables to the end of the log and makes them durable, so that the next opening replays nothing.
    ///
    /// # Errors
    /// When something fails; what is recorded stays recorded.
    pub fn close(mut self) -> Result<(), EngineError> {
        self.settle()
    }

    /// What [`Engine::close`] does, without closing.
    ///
    /// # Errors
    /// As there.
    pub fn settle(&mut self) -> Result<(), EngineError> {
        if self.unwritten > 0 {
            self.write_back()?;
        }
        self.parts.tables.flush()?;
        Ok(())
    }

    /// The position for the next record; puts a state root in front of it where one is due.
    pub(crate) fn next_position(&mut self) -> LogPosition {
        let mut position = self.decided.next();
        if is_root_position(position) {
            let root = InputFacts::StateRoot(self.library.root().to_bytes());
            let now = Time::from_millis(0);
            self.push(position, Pending::bare(&root, TenantId(0), now, now));
            position = position.next();
        }
        position
    }

    /// Adds a decided record, which must stand at `position`, to the batch.
    pub(crate) fn push(&mut self, position: LogPosition, record: Pending) {
        debug_assert_eq!(position, self.decided.next(), "records are pushed in order");
        self.decided = position;
        self.unwritten += 1;
        self.batch.records.push(record);
    }

    /// Remembers a message, so that a second one is known as a duplicate.
    pub(crate) fn remember(&mut self, key: u128, position: LogPosition, fingerprint: u64) {
        self.library.add_message(key, Message { position, fingerprint });
    }

    /// Sets a tenant's clock, in memory and at the next write-back.
    pub(crate) fn set_clock(&mut self, tenant: TenantId, clock: Time) {
        self.registry.set_clock(tenant, clock);
        self.library.put_row(Table::Facts, clock_key(tenant), Some(clock.as_millis().to_be_bytes().to_vec()));
    }
}
