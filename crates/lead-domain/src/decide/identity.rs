//! Who is it? Finds, creates and merges visitors by their identifiers. Domain section 3.

use smallvec::SmallVec;

use super::{Desk, IDENTIFIERS_MAX, MEMBERS_MAX, SUSPECTED_MAX};
use crate::event::Event;
use crate::identifier::{Identifier, IdentifierKey, IdentifierKind, Identifiers};
use crate::ids::VisitorId;

/// Visitors who are known by an interaction's identifiers, strongest identifier first.
type Matches = SmallVec<[(Identifier, VisitorId); 4]>;

impl Desk<'_> {
    /// The visitor whose interaction it is, after everything that the identifiers teach was stated.
    pub(super) fn identify(&mut self, identifiers: &Identifiers) -> VisitorId {
        let matches: Matches = identifiers
            .strongest_first()
            .filter_map(|identifier| Some((identifier, self.shelf.visitor_of(identifier)?)))
            .collect();
        let mut subject = match self.subject(identifiers.customer_id, &matches) {
            Some(visitor) => visitor,
            None => self.create_visitor(),
        };
        self.learn(subject, identifiers.customer_id.map(customer));
        for (identifier, found) in &matches {
            subject = self.reconcile(subject, *identifier, *found);
        }
        for identifier in identifiers.strongest_first() {
            self.learn(subject, Some(identifier));
        }
        subject
    }

    /// Who the strongest identifier says it is.
    ///
    /// A customer id that nobody has yet belongs to the strongest match that has none; if all matches are other
    /// customers, it is somebody new.
    fn subject(&self, customer_id: Option<IdentifierKey>, matches: &Matches) -> Option<VisitorId> {
        let (strongest, visitor) = matches.first()?;
        if customer_id.is_none() || strongest.kind == IdentifierKind::CustomerId {
            return Some(*visitor);
        }
        let mut visitors = matches.iter().map(|(_, visitor)| *visitor);
        visitors.find(|visitor| self.customer_of(*visitor).is_none())
    }

    fn customer_of(&self, visitor: VisitorId) -> Option<IdentifierKey> {
        self.shelf.book(visitor)?.customer()
    }

    fn create_visitor(&mut self) -> VisitorId {
        let visitor = VisitorId(self.shelf.last_visitor().0.saturating_add(1));
        self.state(Event::VisitorCreated { visitor });
        visitor
    }

    /// Learns an identifier that nobody is known by.
    fn learn(&mut self, visitor: VisitorId, identifier: Option<Identifier>) {
        let Some(identifier) = identifier else { return };
        let known = self.shelf.visitor_of(identifier).is_some();
        let room = self.shelf.book(visitor).is_some_and(|book| book.identifiers.len() < IDENTIFIERS_MAX);
        if !known && room {
            self.state(Event::IdentifierLearned { visitor, identifier });
        }
    }

    /// Makes one visitor of two where that can be, and says who it is now.
    fn reconcile(&mut self, subject: VisitorId, identifier: Identifier, found: VisitorId) -> VisitorId {
        // An earlier match may have merged either of them.
        let found = self.shelf.survivor(found);
        if found == subject {
            return subject;
        }
        if self.may_merge(subject, found) {
            let (survivor, absorbed) = (subject.min(found), subject.max(found));
            self.state(Event::VisitorsMerged { survivor, absorbed });
            return survivor;
        }
        self.suspect(subject, found, identifier);
        // A device follows the person last identified on it; an address or a number stays with who had it first.
        if identifier.kind == IdentifierKind::VisitorId {
            self.state(Event::IdentifierMoved { identifier, from: found, to: subject });
        }
        subject
    }

    fn may_merge(&self, one: VisitorId, other: VisitorId) -> bool {
        let (Some(book), Some(other_book)) = (self.shelf.book(one), self.shelf.book(other)) else { return false };
        let same_customer = match (book.customer(), other_book.customer()) {
            (Some(a), Some(b)) => a == b,
            (None, _) | (_, None) => true,
        };
        let room = book.members.len() + other_book.members.len() <= MEMBERS_MAX
            && book.leads.len() + other_book.leads.len() <= super::LEADS_MAX
            && book.identifiers.len() + other_book.identifiers.len() <= IDENTIFIERS_MAX;
        same_customer && room && !self.kept_apart(one, other)
    }

    /// Whether an operator said that the two are different people.
    fn kept_apart(&self, one: VisitorId, other: VisitorId) -> bool {
        self.suspicion(one, other).is_some_and(|settled| settled)
    }

    /// Whether a suspicion between the two is known, and then whether it is settled.
    pub(super) fn suspicion(&self, one: VisitorId, other: VisitorId) -> Option<bool> {
        let other = self.shelf.survivor(other);
        let suspected = &self.shelf.book(one)?.suspected;
        let mut between = suspected.iter().filter(|known| self.shelf.survivor(known.other) == other).peekable();
        between.peek()?;
        Some(between.any(|known| known.settled))
    }

    fn suspect(&mut self, visitor: VisitorId, other: VisitorId, identifier: Identifier) {
        let full = |visitor| self.shelf.book(visitor).is_none_or(|book| book.suspected.len() >= SUSPECTED_MAX);
        if self.suspicion(visitor, other).is_none() && !full(visitor) && !full(other) {
            self.state(Event::DuplicateSuspected { visitor, other, identifier });
        }
    }
}

const fn customer(key: IdentifierKey) -> Identifier {
    Identifier { kind: IdentifierKind::CustomerId, key }
}
