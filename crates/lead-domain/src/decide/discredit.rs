//! Taking the points of interactions away: by an operator, or by a rule against bots. Domain section 8.

use smallvec::SmallVec;

use super::{Desk, Refusal};
use crate::book::Place;
use crate::command::RecordedInteraction;
use crate::event::{DiscreditReason, Event, ScoreReason};
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::interaction::Interaction;
use crate::policy::bots::BotRule;
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
        let interaction = recorded.id;
        let lead = match (own.place_of(interaction), other.map_or(Place::AsRecorded, |book| book.place_of(interaction)))
        {
            (Place::Lead(lead), _) | (_, Place::Lead(lead)) => lead,
            (Place::Elsewhere, _) | (_, Place::Elsewhere) => return Err(Refusal::InteractionElsewhere { interaction }),
            (Place::AsRecorded, Place::AsRecorded) => {
                recorded_in.ok_or(Refusal::InteractionOrphaned { interaction })?
            }
        };
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

    /// When the visitor's interaction before `at` happened, as far as the leads know; `None` where no rule asks.
    pub(super) fn touched_before(&self, visitor: VisitorId, at: Time) -> Option<Time> {
        let asks = self.policy.scoring.bot_rules.iter().any(|rule| rule.faster_than.is_some());
        let book = self.shelf.book(visitor).filter(|_| asks)?;
        let touched = book.leads.iter().filter(|lead| lead.interactions > 0);
        let times = touched.flat_map(|lead| [lead.first_interaction_at, lead.last_interaction_at]);
        times.filter(|time| *time <= at).max()
    }

    /// Whether a rule against bots takes an interaction that the lead has just taken for that of a bot. It is discredited
    /// then, and with it the others of a burst.
    pub(super) fn is_of_bot(
        &mut self,
        lead: LeadId,
        id: InteractionId,
        interaction: &Interaction<'_>,
        before: Option<Time>,
    ) -> bool {
        let policy = self.policy;
        let rules = policy.scoring.bot_rules.iter();
        let fitting: SmallVec<[&BotRule; 4]> = rules.filter(|rule| rule.fits(interaction, before)).collect();
        let at = interaction.occurred_at;
        let counting = fitting.iter().filter(|rule| rule.burst.is_some());
        let counting: Vec<_> = counting.map(|rule| rule.counted_as()).collect();
        if !counting.is_empty() {
            self.state(Event::InteractionCounted { lead, interaction: id, at, rules: counting, value: 0 });
        }
        for rule in fitting {
            let found = match rule.burst {
                None => vec![(lead, id)],
                Some(burst) => {
                    let found = self.lately(lead.visitor, rule, at);
                    let reached = u32::try_from(found.len()).is_ok_and(|found| found >= burst.at_least);
                    if reached { found } else { continue }
                }
            };
            for (lead, interaction) in found {
                if !self.is_discredited(lead, interaction) {
                    self.discredit(lead, interaction, at, DiscreditReason::BotRule(rule.name.clone()));
                }
            }
        }
        self.is_discredited(lead, id)
    }

    /// What the rule has counted of the visitor in the time of its burst, with the leads that have it.
    fn lately(&self, visitor: VisitorId, rule: &BotRule, at: Time) -> Vec<(LeadId, InteractionId)> {
        let leads = self.shelf.book(visitor).into_iter().flat_map(|book| &book.leads);
        let counted = leads.filter_map(|lead| Some((lead.id, lead.ledger.as_deref()?)));
        let counted = counted.flat_map(|(lead, ledger)| ledger.counted.iter().map(move |counted| (lead, counted)));
        rule.lately(counted, at).map(|(lead, counted)| (lead, counted.interaction)).collect()
    }
}
