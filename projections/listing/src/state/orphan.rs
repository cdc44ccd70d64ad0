//! One orphan's row: an interaction that no lead could take, whole, so that a lead that adopts it can show it.

use lead_domain::event::OrphanReason;
use lead_domain::{InteractionId, Name, Time, VisitorId};
use proto_events::InteractionFacts;
use proto_events::stored::Attribute;

use crate::state::lead::Touch;

/// Everything that an orphan's row holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrphanState {
    pub(crate) id: InteractionId,
    pub(crate) tenant: u32,
    /// Whose it was when it was recorded.
    pub(crate) visitor: VisitorId,
    pub(crate) occurred_at: Time,
    pub(crate) reason: OrphanReason,
    pub(crate) facts: InteractionFacts,
    /// Those that the facts don't hold.
    pub(crate) sealed_attributes: Vec<Attribute>,
}

impl OrphanState {
    /// What it shows.
    pub(crate) fn touch(&self) -> Touch<'_> {
        touch_of(&self.facts, &self.sealed_attributes)
    }
}

/// What an interaction shows.
pub(crate) fn touch_of<'a>(facts: &'a InteractionFacts, sealed_attributes: &'a [Attribute]) -> Touch<'a> {
    let skill: Option<&Name> = facts.skill.as_ref().map(|skill| &skill.0);
    Touch {
        channel: &facts.channel.0,
        skill,
        campaign: facts.campaign.as_ref(),
        device: facts.device.as_ref(),
        product: facts.product.as_ref(),
        attributes: &facts.attributes,
        sealed_attributes,
    }
}
