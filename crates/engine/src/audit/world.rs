//! All books in memory as they stand after a record, with their state root and their deadlines.
//!
//! Folds recorded events, or decides and folds what was decided. Knows no tables and reads no log.

use lead_domain::policy::Policy;
use lead_domain::{Command, Event, Input, InteractionId, Refusal, Scalar, Shelf, TenantId, Time, VisitorId, decide};
use proto_events::stored::InputFacts;

use super::agenda::Agenda;
use super::records::Decoded;
use crate::library::concerned;
use crate::roots::{BookHash, StateRoot};

/// Whether a world can be asked for its state root, which costs a hash for each changed book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    Kept,
    Unneeded,
}

/// Books, and what is kept beside them.
pub(super) struct World {
    pub(super) shelf: Shelf,
    pub(super) agenda: Agenda,
    roots: Roots,
    root: StateRoot,
    /// What each visitor's book contributes to the root, by the visitor's number.
    hashes: Vec<BookHash>,
    /// Visitors whose books may have changed since their hashes were taken.
    changed: Vec<VisitorId>,
    scratch: Vec<u8>,
    attributes: Vec<(lead_domain::Name, Scalar)>,
}

impl World {
    pub(super) fn new(roots: Roots) -> Self {
        Self {
            shelf: Shelf::default(),
            agenda: Agenda::default(),
            roots,
            root: StateRoot::default(),
            hashes: Vec::new(),
            changed: Vec::new(),
            scratch: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Applies events that were recorded.
    pub(super) fn fold(&mut self, tenant: TenantId, visitor: VisitorId, events: &[Event]) {
        for event in events {
            self.shelf.evolve(tenant, event);
        }
        self.note(visitor, events);
    }

    /// Decides the record's input once more. `None` for a record that nobody decided about.
    pub(super) fn decide(
        &mut self,
        policy: &Policy,
        record: &Decoded,
        events: &mut Vec<Event>,
    ) -> Option<Result<VisitorId, Refusal>> {
        let mut attributes = std::mem::take(&mut self.attributes);
        let at = Time::from_millis(record.header.occurred_at);
        let input = match &record.facts.input {
            InputFacts::Interaction(facts) => {
                let id = InteractionId(record.header.position.0);
                Input::Interaction(id, facts.as_decided(at, &mut attributes))
            }
            InputFacts::Command(command) => {
                Input::Command { at, command: Command::from(&command.ask), expected_version: command.expected_version }
            }
            InputFacts::Discredit(discredit) => {
                Input::Command { at, command: Command::from(discredit), expected_version: discredit.expected_version }
            }
            InputFacts::Erasure(erasure) => {
                Input::Command { at, command: Command::from(erasure), expected_version: None }
            }
            InputFacts::Deadline => Input::Deadline { visitor: VisitorId(record.header.visitor), at },
            InputFacts::Policy(_)
            | InputFacts::Tick
            | InputFacts::Quarantined(_)
            | InputFacts::Conflict(_)
            | InputFacts::StateRoot(_)
            | InputFacts::Released(_)
            | InputFacts::Suppression(_)
            | InputFacts::Rescoring(_)
            | InputFacts::SignedHead(_) => return None,
        };
        let decided = self.decide_input(policy, TenantId(record.header.tenant), &input, events);
        drop(input);
        self.attributes = attributes;
        Some(decided)
    }

    /// Decides about an input.
    pub(super) fn decide_input(
        &mut self,
        policy: &Policy,
        tenant: TenantId,
        input: &Input<'_>,
        events: &mut Vec<Event>,
    ) -> Result<VisitorId, Refusal> {
        let visitor = decide(policy, tenant, &mut self.shelf, input, events)?;
        self.note(visitor, events);
        Ok(visitor)
    }

    /// Brings the scores of a visitor's leads to those of a history that was scored by the policy.
    pub(super) fn rescore(
        &mut self,
        policy: &Policy,
        tenant: TenantId,
        scored: &Shelf,
        (visitor, at): (VisitorId, Time),
        events: &mut Vec<Event>,
    ) {
        decide::rescore(policy, tenant, &mut self.shelf, scored, (visitor, at), events);
        self.note(visitor, events);
    }

    /// Closes whatever of the tenant is due at `until`, visitor by visitor. `each` gets what was decided.
    pub(super) fn fire(&mut self, policy: &Policy, tenant: TenantId, until: Time, mut each: impl FnMut(&[Event])) {
        let mut events = Vec::new();
        while let Some(visitor) = self.agenda.take_due(&self.shelf, tenant, until) {
            events.clear();
            let input = Input::Deadline { visitor, at: until };
            // A deadline is never refused.
            let _ = self.decide_input(policy, tenant, &input, &mut events);
            self.agenda.arm(&self.shelf, visitor);
            each(&events);
        }
    }

    /// Notes what events have changed that the shelf holds already.
    fn note(&mut self, visitor: VisitorId, events: &[Event]) {
        self.touched(visitor);
        for event in events {
            let restored = if let Event::VisitorsUnmerged { restored, .. } = event { Some(*restored) } else { None };
            let leads = event.leads();
            let others = concerned(event).into_iter().chain(leads.iter().map(|lead| lead.visitor)).chain(restored);
            // Nearly always it is the visitor again.
            others.filter(|other| *other != visitor).for_each(|other| self.touched(other));
        }
    }

    fn touched(&mut self, visitor: VisitorId) {
        if visitor == VisitorId(0) {
            return;
        }
        self.agenda.arm(&self.shelf, visitor);
        if self.roots == Roots::Unneeded {
            return;
        }
        // One that was absorbed leaves the root; whoever holds its book now has changed as well.
        let survivor = self.shelf.survivor(visitor);
        if self.changed.last() != Some(&visitor) {
            self.changed.push(visitor);
        }
        if survivor != visitor {
            self.changed.push(survivor);
        }
    }

    /// The hash over all canonical books as they stand now.
    pub(super) fn root(&mut self) -> [u8; 32] {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for visitor in &changed {
            let book = self.shelf.book(*visitor).filter(|book| book.visitor == *visitor);
            let hash = book.map(|book| BookHash::of(book, &mut self.scratch)).unwrap_or_default();
            let place = usize::try_from(visitor.0).unwrap_or(usize::MAX);
            if place >= self.hashes.len() {
                self.hashes.resize(place.saturating_add(1), BookHash::default());
            }
            if let Some(known) = self.hashes.get_mut(place) {
                self.root.replace(*known, hash);
                *known = hash;
            }
        }
        changed.clear();
        self.changed = changed;
        self.root.to_bytes()
    }
}
