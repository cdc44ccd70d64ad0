//! One visitor's row: what they are known by, how to reach them, and who was merged into whom.

use lead_domain::{Identifier, IdentifierKey, IdentifierKind, Name, VisitorId};

use crate::state::contact::{Contact, Learnt, Said};

/// Everything that a visitor's row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisitorState {
    pub(crate) id: VisitorId,
    pub(crate) tenant: u32,
    /// Whom it was merged into, who may have been merged too.
    pub(crate) merged_into: Option<VisitorId>,
    /// Who was merged into it directly, in order of id.
    pub(crate) absorbed: Vec<VisitorId>,
    /// How many leads were opened for it: their ordinals are 1 to this.
    pub(crate) leads_opened: u32,
    /// In order of learning.
    pub(crate) identifiers: Vec<Known>,
    /// What its own interactions said, while it stood alone or others were merged into it.
    pub(crate) own: Contact,
    /// What its own and its members' interactions said; `None` when nobody was ever merged into it.
    pub(crate) joint: Option<Box<Contact>>,
    /// Whether a value that is shown, searched or indexed differs from the stored row.
    pub(crate) shown_changed: bool,
}

/// An identifier that a visitor is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) kind: IdentifierKind,
    /// Keyed hash.
    pub(crate) key: u128,
    /// Normalised.
    pub(crate) value: Name,
    /// As the channel sent it, where that differs.
    pub(crate) as_sent: Option<Name>,
}

impl VisitorState {
    /// A visitor of whom nothing is known yet.
    pub(crate) fn new(id: VisitorId, tenant: u32) -> Self {
        Self {
            id,
            tenant,
            merged_into: None,
            absorbed: Vec::new(),
            leads_opened: 0,
            identifiers: Vec::new(),
            own: Contact::default(),
            joint: None,
            shown_changed: false,
        }
    }

    /// How to reach this person.
    pub(crate) fn shown(&self) -> &Contact {
        self.joint.as_deref().unwrap_or(&self.own)
    }

    /// Takes what an interaction at `at` said. Whether anything differs now.
    pub(crate) fn learn(&mut self, said: &Said<'_>, at: i64) -> bool {
        let mut learnt = self.own.learn(said, at);
        if let Some(joint) = &mut self.joint {
            learnt = learnt.max(joint.learn(said, at));
        }
        self.shown_changed |= learnt == Learnt::Value;
        learnt != Learnt::Nothing
    }

    /// Works out anew what is shown, from its own and what its direct members show.
    pub(crate) fn join(&mut self, members: &[Contact]) {
        let mut joint = self.own.clone();
        for member in members {
            joint.take_newer(member);
        }
        self.joint = (!members.is_empty()).then(|| Box::new(joint));
        self.shown_changed = true;
    }

    /// What it calls an identifier that it is known by.
    pub(crate) fn known(&self, identifier: Identifier) -> Option<&Known> {
        self.identifiers.iter().find(|known| known.is(identifier))
    }

    /// Whether it is known by that identifier.
    pub(crate) fn holds(&self, identifier: Identifier) -> bool {
        self.known(identifier).is_some()
    }

    /// It is known by one more identifier.
    pub(crate) fn know(&mut self, known: Known) {
        if !self.holds(Identifier { kind: known.kind, key: IdentifierKey(known.key) }) {
            if self.identifiers.len() == self.identifiers.capacity() {
                // Most are known by one or two.
                self.identifiers.reserve_exact(1 + self.identifiers.len() / 2);
            }
            self.identifiers.push(known);
        }
    }

    /// It is not known by that identifier any more; returns it.
    pub(crate) fn forget(&mut self, identifier: Identifier) -> Option<Known> {
        let place = self.identifiers.iter().position(|known| known.is(identifier))?;
        Some(self.identifiers.remove(place))
    }
}

impl Known {
    fn is(&self, identifier: Identifier) -> bool {
        self.kind == identifier.kind && self.key == identifier.key.0
    }
}
