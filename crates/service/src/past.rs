//! The listing as it was: built from some of the log's records in a place of its own, asked, and thrown away.
//!
//! Two times may be named. What was *known* at a time is what was recorded by then: exactly what the listing showed. What was
//! *true* at a time is what had happened by then, by all that is known: events of records that happened later are left out,
//! also those of earlier ones that speak of them, and what was due by then is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use engine::{Engine, EngineError, Parts, TimelineQuery};
use event_log::{Chain, Header, LogPosition, RecordKind};
use lead_domain::event::AttachReason;
use lead_domain::{Event, Input, InteractionId, LeadId, Name, Policy, Shelf, TenantId, Time, VisitorId, decide};
use listing::{Listing, ListingError, ListingReader};
use projector::{Checkpoint, FoldError, ModelError, Projection, Recorded};
use proto_events::policy_document;
use proto_events::stored::{self, Facts, InputFacts, Personal, kind};
use tempfile::TempDir;
use thiserror::Error;

/// How often progress is told.
const PROGRESS_RECORDS: u64 = 1 << 13;

/// Which past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// What had happened by then; everything where absent.
    pub as_of: Option<Time>,
    /// What was recorded by then; everything where absent.
    pub known_at: Option<Time>,
}

/// The streams of one visitor.
#[derive(Debug)]
pub struct Streams {
    /// Whose they are.
    pub visitor: VisitorId,
    /// Their last records.
    pub heads: Vec<LogPosition>,
    /// Whose visitor that is.
    pub tenant: TenantId,
    /// The tenant's policy, by which points lapse.
    pub policy: Policy,
}

impl Streams {
    /// Finds them, with the policy that was adopted last by then. `None` for a visitor of no or another tenant.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn find(
        engine: &mut Engine,
        tenant: TenantId,
        visitor: VisitorId,
        when: When,
    ) -> Result<Option<Self>, EngineError> {
        let Some(found) = engine.tenants().iter().find(|found| found.id == tenant) else { return Ok(None) };
        let (in_force, mut version) = (found.policy().clone(), found.version);
        if engine.book(tenant, visitor).is_err() {
            return Ok(None);
        }
        let mut stored = engine.policy_version(tenant, version)?;
        while let (Some(later), Some(as_of)) = (&stored, when.as_of)
            && later.adopted_at > as_of
            && version > 1
        {
            version -= 1;
            let Some(earlier) = engine.policy_version(tenant, version)? else { break };
            stored = Some(earlier);
        }
        // What stands in the log was checked when it was adopted.
        let read = stored.and_then(|stored| policy_document::read(&stored.document, None).ok());
        let policy = read.map_or(in_force, |document| document.policy);
        let heads = engine.stream_heads(visitor)?;
        Ok(Some(Self { visitor, heads, tenant, policy }))
    }
}

/// Why a past could not be built.
#[derive(Debug, Error)]
pub enum PastError {
    /// The log or its keys.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// A record doesn't fit into the model.
    #[error("take the record at position {position} into a listing of the past")]
    Fold {
        /// Which one.
        position: LogPosition,
        /// What doesn't fit.
        #[source]
        source: FoldError,
    },
    /// The model's store.
    #[error("build a listing of the past")]
    Model(#[from] ModelError),
    /// The place for it.
    #[error("make a folder for a listing of the past")]
    Folder(#[source] std::io::Error),
}

/// A listing of the past. Its files go when it does.
pub struct Past {
    listing: Listing,
    tenants: Vec<(TenantId, Name)>,
    position: LogPosition,
    _folder: TempDir,
}

impl Past {
    /// Builds it from the whole log, in a new folder inside of `scratch`. `progress` is told the position, now and then.
    ///
    /// # Errors
    /// When the log can't be read or the model can't be written.
    pub fn of_all(
        parts: &Parts,
        when: When,
        scratch: &Path,
        progress: &mut dyn FnMut(LogPosition),
    ) -> Result<Self, PastError> {
        let mut building = Building::begin(when, scratch)?;
        building.listing.prepare(parts.log.head().position.0)?;
        let mut failed = None;
        let read = parts.log.read(LogPosition(1), &mut |record| {
            let position = record.header.position;
            if position.0.is_multiple_of(PROGRESS_RECORDS) {
                progress(position);
            }
            if when.known_at.is_some_and(|known_at| Time::from_millis(record.header.recorded_at) > known_at) {
                return ControlFlow::Break(());
            }
            let taken = decode(&record).and_then(|facts| {
                let wanted = building.wants(&record.header, &facts);
                let personal = if wanted { parts.open_personal(&record)? } else { None };
                building.take(&record.header, &facts, personal.as_ref())
            });
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        read.map_err(EngineError::from)?;
        failed.map_or_else(|| building.end(), Err)
    }

    /// Builds it from a visitor's own records alone, whose streams end at `heads`: enough for that visitor's leads.
    ///
    /// # Errors
    /// As [`Past::of_all`].
    pub fn of_streams(
        parts: &Parts,
        Streams { visitor, heads, tenant, policy }: Streams,
        when: When,
        scratch: &Path,
    ) -> Result<Self, PastError> {
        let mut building = Building::begin(when, scratch)?;
        building.policies.insert(tenant, policy);
        let query = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
        for entry in parts.timeline(heads, &query)?.iter().rev() {
            let known = |known_at| Time::from_millis(entry.header.recorded_at) <= known_at;
            if when.known_at.is_none_or(known) {
                building.take(&entry.header, &entry.facts, entry.personal.as_ref())?;
            }
        }
        building.end()
    }

    /// Who had a policy.
    #[must_use]
    pub fn tenants(&self) -> &[(TenantId, Name)] {
        &self.tenants
    }

    /// The last record that is in it.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        self.position
    }

    /// A reader of it.
    ///
    /// # Errors
    /// When the model can't be opened.
    pub fn reader(&self) -> Result<ListingReader, ListingError> {
        self.listing.reader()
    }
}

fn decode(record: &event_log::Record<'_>) -> Result<Facts, PastError> {
    let position = record.header.position;
    let facts = stored::decode_facts(record.header.codec, record.facts);
    Ok(facts.map_err(|source| EngineError::Record { position, source })?)
}

struct Building {
    when: When,
    /// The policy of each tenant, by which points lapse: the last one that was adopted by then, or else the first.
    policies: BTreeMap<TenantId, Policy>,
    listing: Listing,
    /// The books, to know what a record may speak of.
    shelf: Shelf,
    orphans: BTreeSet<InteractionId>,
    tenants: Vec<(TenantId, Name)>,
    position: LogPosition,
    folder: TempDir,
}

impl Building {
    fn begin(when: When, scratch: &Path) -> Result<Self, PastError> {
        std::fs::create_dir_all(scratch).map_err(PastError::Folder)?;
        let folder = TempDir::new_in(scratch).map_err(PastError::Folder)?;
        Ok(Self {
            when,
            policies: BTreeMap::new(),
            listing: Listing::open(folder.path())?,
            shelf: Shelf::default(),
            orphans: BTreeSet::new(),
            tenants: Vec::new(),
            position: LogPosition::START,
            folder,
        })
    }

    /// Whether the record had happened.
    fn wants(&self, header: &Header, facts: &Facts) -> bool {
        // A policy is adopted when it is, also for a history that happened before.
        matches!(facts.input, InputFacts::Policy(_))
            || self.when.as_of.is_none_or(|as_of| Time::from_millis(header.occurred_at) <= as_of)
    }

    fn take(&mut self, header: &Header, facts: &Facts, personal: Option<&Personal>) -> Result<(), PastError> {
        if !self.wants(header, facts) {
            return Ok(());
        }
        let tenant = TenantId(header.tenant);
        if let InputFacts::Policy(policy) = &facts.input {
            if !self.tenants.iter().any(|(known, _)| *known == tenant) {
                self.tenants.push((tenant, policy.tenant.0.clone()));
            }
            let by_then = self.when.as_of.is_none_or(|as_of| Time::from_millis(header.occurred_at) <= as_of);
            if by_then || !self.policies.contains_key(&tenant) {
                // What stands in the log was checked when it was adopted.
                let document = policy_document::read(&policy.document, None);
                self.policies.extend(document.ok().map(|document| (tenant, document.policy)));
            }
        }
        let mut events = Vec::with_capacity(facts.events.len());
        for event in &facts.events {
            if self.is_about_something(event) {
                self.shelf.evolve(tenant, event);
                self.note(event);
                events.push(self.about_known(event));
            }
        }
        if header.visitor > 0 && self.shelf.book(VisitorId(header.visitor)).is_none() {
            return Ok(());
        }
        let recorded = Recorded { header, input: facts.input.as_input(), events: &events, personal };
        self.fold(&recorded)
    }

    fn fold(&mut self, recorded: &Recorded<'_>) -> Result<(), PastError> {
        let position = recorded.header.position;
        self.listing.fold(recorded).map_err(|source| PastError::Fold { position, source })?;
        self.position = position;
        if self.listing.is_full() { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), PastError> {
        // Nobody goes on from here, so no chain value is needed.
        Ok(self.listing.commit(Checkpoint { position: self.position, chain: Chain::default() })?)
    }

    fn knows(&self, visitor: VisitorId) -> bool {
        self.shelf.book(visitor).is_some()
    }

    fn knows_lead(&self, lead: LeadId) -> bool {
        self.shelf.book(lead.visitor).is_some_and(|book| book.lead(lead).is_some())
    }

    /// Whether everything that the event speaks of was there.
    fn is_about_something(&self, event: &Event) -> bool {
        if let Event::LeadOpened { visitor, .. } | Event::IdentifierLearned { visitor, .. } = event {
            return self.knows(*visitor);
        }
        if let Event::IdentifierMoved { from, to, .. } = event {
            return self.knows(*from) && self.knows(*to);
        }
        if let Event::DuplicateSuspected { visitor, other, .. } | Event::DuplicateSettled { visitor, other } = event {
            return self.knows(*visitor) && self.knows(*other);
        }
        if let Event::VisitorErased { visitor, .. } = event {
            return self.knows(*visitor);
        }
        if let Event::VisitorsMerged { survivor, absorbed } = event {
            return self.shelf.holds(*survivor) && self.shelf.holds(*absorbed);
        }
        if let Event::VisitorsUnmerged { survivor, restored, .. } = event {
            return self.shelf.holds(*survivor) && self.shelf.is_absorbed(*restored);
        }
        if let Event::InteractionAttached { interaction, because: AttachReason::Adopted, .. } = event
            && !self.orphans.contains(interaction)
        {
            return false;
        }
        event.leads().iter().all(|lead| self.knows_lead(*lead))
    }

    /// The event without those whom nobody knew yet.
    fn about_known(&self, event: &Event) -> Event {
        let Event::VisitorErased { visitor, members } = event else { return event.clone() };
        let members = members.iter().copied().filter(|member| self.knows(*member)).collect();
        Event::VisitorErased { visitor: *visitor, members }
    }

    fn note(&mut self, event: &Event) {
        if let Event::InteractionOrphaned { interaction, .. } = event {
            self.orphans.insert(*interaction);
        }
        if let Event::InteractionAttached { interaction, because: AttachReason::Adopted, .. } = event {
            self.orphans.remove(interaction);
        }
    }

    /// Closes what was due by then, and makes the model ready to be read.
    fn end(mut self) -> Result<Past, PastError> {
        if let Some(as_of) = self.when.as_of {
            self.close_due(as_of)?;
        }
        self.commit()?;
        self.listing.settle(0)?;
        let Self { listing, tenants, position, folder, .. } = self;
        Ok(Past { listing, tenants, position, _folder: folder })
    }

    fn close_due(&mut self, as_of: Time) -> Result<(), PastError> {
        let mut events = Vec::new();
        for visitor in self.shelf.visitors() {
            let Some(tenant) = self.shelf.book(visitor).map(|book| book.tenant) else { continue };
            let Some(policy) = self.policies.get(&tenant) else { continue };
            events.clear();
            let input = Input::Deadline { visitor, at: as_of };
            // A deadline is never refused.
            let _ = decide(policy, tenant, &mut self.shelf, &input, &mut events);
            if !events.is_empty() {
                let header = deadline_header(tenant, visitor, as_of, self.position);
                let input = InputFacts::Deadline;
                self.fold(&Recorded { header: &header, input: input.as_input(), events: &events, personal: None })?;
            }
        }
        Ok(())
    }
}

/// The header of a deadline that a tick at `at` would have met.
fn deadline_header(tenant: TenantId, visitor: VisitorId, at: Time, position: LogPosition) -> Header {
    Header {
        codec: proto_events::CODEC,
        kind: RecordKind(kind::DEADLINE),
        tenant: tenant.0,
        position,
        visitor: visitor.0,
        feed_sequence: 0,
        occurred_at: at.as_millis(),
        received_at: at.as_millis(),
        recorded_at: at.as_millis(),
        previous: LogPosition::START,
        key: 0,
        facts_len: 0,
        personal_len: 0,
    }
}
