//! Events about who somebody is.

use lead_domain::event::AfterUnmerge;
use lead_domain::{Identifier, IdentifierKey, IdentifierKind, Name, VisitorId};
use projector::FoldError;
use proto_events::text::Text;

use super::Setting;
use crate::listing::{Listing, PendingDuplicate};
use crate::state::contact::{Contact, Said};
use crate::state::visitor::{Known, VisitorState};

impl Listing {
    pub(super) fn create_visitor(&mut self, setting: &Setting<'_>, visitor: VisitorId) {
        self.visitors.begin(visitor.0, VisitorState::new(visitor, setting.header.tenant));
    }

    pub(super) fn learn_identifier(
        &mut self,
        setting: &Setting<'_>,
        visitor: VisitorId,
        identifier: Identifier,
    ) -> Result<(), FoldError> {
        let known = known_from(setting, identifier);
        let learner = self.visitor_mut(visitor)?;
        if let Some(known) = known {
            learner.know(known);
        }
        Ok(())
    }

    pub(super) fn move_identifier(
        &mut self,
        setting: &Setting<'_>,
        identifier: Identifier,
        from: VisitorId,
        to: VisitorId,
    ) -> Result<(), FoldError> {
        let mut known = known_from(setting, identifier);
        for member in self.members(from)? {
            if self.visitor(member)?.holds(identifier) {
                let forgotten = self.visitor_mut(member)?.forget(identifier);
                known = known.or(forgotten);
            }
        }
        if let Some(known) = known {
            self.visitor_mut(to)?.know(known);
        }
        Ok(())
    }

    /// A visitor and everyone who was merged into it, directly or not, from old to young.
    pub(super) fn members(&mut self, visitor: VisitorId) -> Result<Vec<VisitorId>, FoldError> {
        let mut members = vec![visitor];
        let mut place = 0;
        while let Some(member) = members.get(place).copied() {
            let absorbed = self.visitor(member)?.absorbed.clone();
            members.extend(absorbed);
            place += 1;
        }
        members.sort_unstable();
        Ok(members)
    }

    pub(super) fn merge(
        &mut self,
        setting: &Setting<'_>,
        survivor: VisitorId,
        absorbed: VisitorId,
    ) -> Result<(), FoldError> {
        let leaving = self.members(absorbed)?;
        let other = self.visitor_mut(absorbed)?;
        other.merged_into = Some(survivor);
        other.shown_changed = true;
        let absorbing = self.visitor_mut(survivor)?;
        if let Err(place) = absorbing.absorbed.binary_search(&absorbed) {
            absorbing.absorbed.insert(place, absorbed);
        }
        self.join(survivor)?;
        self.hand_over(setting, &leaving, survivor)
    }

    /// Undoes a merge: the visitor and who was merged into it before stand alone again, with the leads opened for them.
    pub(super) fn unmerge(&mut self, setting: &Setting<'_>, restored: VisitorId) -> Result<(), FoldError> {
        let leaving = self.members(restored)?;
        let own = self.visitor_mut(restored)?;
        own.shown_changed = true;
        let mut above = own.merged_into.take();
        if let Some(survivor) = above {
            self.visitor_mut(survivor)?.absorbed.retain(|member| *member != restored);
        }
        while let Some(survivor) = above {
            self.join(survivor)?;
            above = self.visitor(survivor)?.merged_into;
        }
        self.hand_over(setting, &leaving, restored)
    }

    /// Works out anew what a visitor shows, from what its direct members show.
    fn join(&mut self, visitor: VisitorId) -> Result<(), FoldError> {
        let absorbed = self.visitor(visitor)?.absorbed.clone();
        let mut contacts: Vec<Contact> = Vec::with_capacity(absorbed.len());
        for member in absorbed {
            contacts.push(self.visitor(member)?.shown().clone());
        }
        self.visitor_mut(visitor)?.join(&contacts);
        Ok(())
    }

    /// Gives the leads that were opened for these members to an owner.
    fn hand_over(&mut self, setting: &Setting<'_>, members: &[VisitorId], owner: VisitorId) -> Result<(), FoldError> {
        for member in members {
            for ordinal in 1..=self.visitor(*member)?.leads_opened {
                let lead = self.lead_mut(lead_domain::LeadId { visitor: *member, ordinal })?;
                lead.visitor = owner;
                lead.index_changed = true;
                lead.changed_at = setting.header.position;
            }
        }
        Ok(())
    }

    pub(super) fn suspect(&mut self, setting: &Setting<'_>, one: VisitorId, other: VisitorId, kind: IdentifierKind) {
        let tenant = setting.header.tenant;
        self.duplicates.push(PendingDuplicate { tenant, one, other, kind: Some(kind.name()), settled: false });
    }

    pub(super) fn settle_duplicate(&mut self, setting: &Setting<'_>, one: VisitorId, other: VisitorId) {
        let tenant = setting.header.tenant;
        self.duplicates.push(PendingDuplicate { tenant, one, other, kind: None, settled: true });
    }

    pub(super) fn keep_apart(
        &mut self,
        setting: &Setting<'_>,
        survivor: VisitorId,
        restored: VisitorId,
        afterwards: AfterUnmerge,
    ) {
        match afterwards {
            AfterUnmerge::KeepApart => self.settle_duplicate(setting, survivor, restored),
            AfterUnmerge::MayMergeAgain => {}
        }
    }

    /// Learns what the interaction says about its visitor.
    pub(super) fn learn_contact(&mut self, setting: &Setting<'_>) -> Result<(), FoldError> {
        let Some(facts) = setting.interaction else { return Ok(()) };
        let said = said_in(setting, facts);
        if said.is_empty() {
            return Ok(());
        }
        let visitor = self.visitor_mut(VisitorId(setting.header.visitor))?;
        visitor.learn(&said, setting.header.occurred_at);
        Ok(())
    }

    /// The customer id behind a key, as the channel sent it: from this record, or from when the visitor was known by it.
    pub(super) fn customer_text(
        &mut self,
        setting: &Setting<'_>,
        visitor: VisitorId,
        customer: IdentifierKey,
    ) -> Result<Option<Name>, FoldError> {
        let identifier = Identifier { kind: IdentifierKind::CustomerId, key: customer };
        if let Some(known) = known_from(setting, identifier) {
            return Ok(Some(known.value));
        }
        for member in self.members(visitor)? {
            if let Some(known) = self.visitor(member)?.known(identifier) {
                return Ok(Some(known.value.clone()));
            }
        }
        Ok(None)
    }
}

/// What the record's personal part calls an identifier of its facts.
fn known_from(setting: &Setting<'_>, identifier: Identifier) -> Option<Known> {
    let (facts, personal) = (setting.interaction?, setting.personal?);
    let (key, value, as_sent) = match identifier.kind {
        IdentifierKind::CustomerId => (facts.customer_id, &personal.customer_id, None),
        IdentifierKind::Email => (facts.email, &personal.email, personal.email_raw.as_ref()),
        IdentifierKind::Phone => (facts.phone, &personal.phone, personal.phone_raw.as_ref()),
        IdentifierKind::VisitorId => (facts.visitor_id, &personal.visitor_id, None),
    };
    let value = value.as_ref().filter(|_| key == Some(identifier.key.0))?.0.clone();
    Some(Known { kind: identifier.kind, key: identifier.key.0, value, as_sent: as_sent.map(|text| text.0.clone()) })
}

/// What an interaction says about the person. A blocked value has no hash in the facts: it says nothing.
fn said_in<'a>(setting: &Setting<'a>, facts: &'a proto_events::InteractionFacts) -> Said<'a> {
    let text = |text: &'a Option<Text>| text.as_ref().map(|text| &text.0);
    let identified = |key: Option<u128>, value: &'a Option<Text>| key.and_then(|_| text(value));
    let mut said = Said { country: text(&facts.country), locale: text(&facts.locale), ..Said::default() };
    if let Some(personal) = setting.personal {
        said.name = text(&personal.name);
        said.email = identified(facts.email, &personal.email);
        said.phone = identified(facts.phone, &personal.phone);
        said.customer_id = identified(facts.customer_id, &personal.customer_id);
    }
    said
}
