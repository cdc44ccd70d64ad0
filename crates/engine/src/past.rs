//! What had happened by a time, or was known then: which records, and which of their events, a model of the past is
//! folded from. Reads no log and knows no model.
//!
//! What was *known* at a time is what was recorded by then: exactly what was shown. What was *true* at a time is what had
//! happened by then, by all that is known: events of records that happened later are left out, also those of earlier ones
//! that speak of them, and what was due by then is met.

use std::collections::{BTreeMap, BTreeSet};

use event_log::{Header, LogPosition, RecordKind};
use lead_domain::event::AttachReason;
use lead_domain::{Event, Input, InteractionId, LeadId, Shelf, TenantId, Time, VisitorId, decide};
use proto_events::policy_document::{self, PolicyDocument};
use proto_events::stored::{Facts, InputFacts, kind};

/// Which past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// What had happened by then; everything where absent.
    pub as_of: Option<Time>,
    /// What was recorded by then; everything where absent.
    pub known_at: Option<Time>,
}

impl When {
    /// Whether the record was there by then; later ones were not there either.
    #[must_use]
    pub fn was_recorded(&self, header: &Header) -> bool {
        self.known_at.is_none_or(|known_at| Time::from_millis(header.recorded_at) <= known_at)
    }

    /// Whether what the record tells of had happened by then.
    #[must_use]
    pub fn had_happened(&self, header: &Header) -> bool {
        self.as_of.is_none_or(|as_of| Time::from_millis(header.occurred_at) <= as_of)
    }

    /// The time at which this past stands; `None` for the present.
    #[must_use]
    pub const fn time(&self) -> Option<Time> {
        match self.as_of {
            Some(as_of) => Some(as_of),
            None => self.known_at,
        }
    }
}

/// Lets those records and events through that had happened. It must see the records in the order of the log.
#[derive(Clone, Debug)]
pub struct Sieve {
    when: When,
    /// The policy of each tenant: the last one that was adopted by then, or else the first.
    policies: BTreeMap<TenantId, PolicyDocument>,
    /// The books, to know what a record may speak of.
    shelf: Shelf,
    orphans: BTreeSet<InteractionId>,
    is_complete: bool,
}

impl Sieve {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(when: When) -> Self {
        let shelf = Shelf::default();
        Self { when, policies: BTreeMap::new(), shelf, orphans: BTreeSet::new(), is_complete: true }
    }

    /// Takes note of a policy that is known without its record.
    pub fn note_policy(&mut self, tenant: TenantId, policy: PolicyDocument) {
        self.policies.insert(tenant, policy);
    }

    /// The policy of each tenant: the last one that was adopted by then, or else the first.
    #[must_use]
    pub const fn policies(&self) -> &BTreeMap<TenantId, PolicyDocument> {
        &self.policies
    }

    /// Whether everything that it has seen went through it.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether a record with this header goes through. A policy always does, also for a history that happened before it was
    /// adopted.
    #[must_use]
    pub fn wants(&self, header: &Header) -> bool {
        is_policy(header.kind) || self.when.had_happened(header)
    }

    /// Takes note that a record was left out.
    pub const fn leave_out(&mut self) {
        self.is_complete = false;
    }

    /// The events of a record that may be folded; `None` for a record that is left out.
    pub fn pass(&mut self, header: &Header, facts: &Facts) -> Option<Vec<Event>> {
        if !self.wants(header) {
            self.is_complete = false;
            return None;
        }
        let tenant = TenantId(header.tenant);
        if let InputFacts::Policy(policy) = &facts.input
            && (self.when.had_happened(header) || !self.policies.contains_key(&tenant))
        {
            // What stands in the log was checked when it was adopted.
            let document = policy_document::read(&policy.document, None);
            self.policies.extend(document.ok().map(|document| (tenant, document)));
        }
        let mut events = Vec::with_capacity(facts.events.len());
        for event in &facts.events {
            if self.is_about_something(event) {
                self.shelf.evolve(tenant, event);
                self.note(event);
                events.push(self.about_known(event));
            }
        }
        self.is_complete &= events.len() == facts.events.len();
        let is_known = header.visitor == 0 || self.shelf.book(VisitorId(header.visitor)).is_some();
        self.is_complete &= is_known;
        is_known.then_some(events)
    }

    /// Meets what was due by the time of this past: `take` gets the record that a tick at that time would have led to, behind
    /// `position`, for each visitor that anything was due for.
    ///
    /// # Errors
    /// What `take` says.
    pub fn meet_deadlines<E>(
        &mut self,
        position: LogPosition,
        mut take: impl FnMut(&Header, &[Event]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(as_of) = self.when.as_of else { return Ok(()) };
        let mut events = Vec::new();
        for visitor in self.shelf.visitors() {
            let Some(tenant) = self.shelf.book(visitor).map(|book| book.tenant) else { continue };
            let Some(document) = self.policies.get(&tenant) else { continue };
            events.clear();
            let input = Input::Deadline { visitor, at: as_of };
            // A deadline is never refused.
            let _ = decide(&document.policy, tenant, &mut self.shelf, &input, &mut events);
            if !events.is_empty() {
                take(&deadline_header(tenant, visitor, as_of, position), &events)?;
            }
        }
        Ok(())
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
}

/// Whether records of that kind put a policy in force.
const fn is_policy(record: RecordKind) -> bool {
    matches!(record.0, kind::POLICY | kind::KEYED_POLICY)
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
