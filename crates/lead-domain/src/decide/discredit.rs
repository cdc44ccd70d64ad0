//! Taking the points of interactions away. Domain section 8.

use super::{Desk, Refusal};
use crate::command::RecordedInteraction;
use crate::event::{DiscreditReason, Event, ScoreReason};
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::score::Ledger;
use crate::time::Time;

impl Desk<'_> {
    /// Takes the points of an interaction away, wherever it is now.
    pub(super) fn discredit_by_hand(
        &mut self,
        recorded: RecordedInteraction,
        recorded_in: Option<LeadId>,
        at: Time,
    ) -> Result<VisitorId, Refusal> {
        let interaction = recorded.id;
        let lead = self.place_of(recorded, recorded_in)?;
        if self.is_discredited(lead, interaction) {
            return Err(Refusal::AlreadyDiscredited { interaction, lead });
        }
        // Points that had lapsed by then go first, as they would have if somebody had woken up in time.
        let survivor = self.settle_time(lead.visitor, at);
        self.discredit(lead, interaction, at, DiscreditReason::Operator);
        Ok(survivor)
    }

    /// The lead that has a recorded interaction now.
    fn place_of(&self, recorded: RecordedInteraction, recorded_in: Option<LeadId>) -> Result<LeadId, Refusal> {
        let own = self.book_of(recorded.visitor)?;
        // Visitors may have been taken apart since: the lead then stands in another book than the record.
        let other = recorded_in.map(|lead| self.book_of(lead.visitor)).transpose()?;
        let moved = own.moved.iter().chain(other.into_iter().flat_map(|book| &book.moved));
        let moved = moved.filter(|moved| moved.interaction == recorded.id).map(|moved| moved.lead).min();
        let lead = moved.or(recorded_in).ok_or(Refusal::InteractionOrphaned { interaction: recorded.id })?;
        self.find(lead).map(|lead| lead.id)
    }

    fn ledger(&self, lead: LeadId) -> Option<&Ledger> {
        self.shelf.book(lead.visitor)?.lead(lead)?.ledger.as_deref()
    }

    /// Whether the points of an interaction of the lead were taken away.
    pub(super) fn is_discredited(&self, lead: LeadId, interaction: InteractionId) -> bool {
        self.ledger(lead).is_some_and(|ledger| ledger.is_discredited(interaction))
    }

    /// States that an interaction of the lead brings no points, and what follows from it.
    pub(super) fn discredit(&mut self, lead: LeadId, interaction: InteractionId, at: Time, because: DiscreditReason) {
        let scored = self.ledger(lead).is_some_and(|ledger| ledger.has(interaction));
        self.state(Event::InteractionDiscredited { lead, interaction, at, because });
        if scored {
            self.state_score(lead, at, ScoreReason::Discredited, Vec::new());
        }
    }
}
