//! What an interaction is worth, and what follows from a score. Domain section 8.

use smallvec::SmallVec;

use super::Desk;
use crate::Name;
use crate::book::{Lead, Status};
use crate::event::{Event, ScoreReason};
use crate::ids::{InteractionId, LeadId};
use crate::interaction::Interaction;
use crate::policy::scoring::{Before, ScoringRule, Verdict};
use crate::score::{Ledger, ROWS_MAX, ScoreRow};
use crate::time::{Period, Time};

impl Desk<'_> {
    /// Scores an interaction that the lead has taken, and lets the lead advance in the funnel; unless it is a bot's.
    ///
    /// `before` is when the visitor's interaction before it happened, where rules ask.
    pub(super) fn score(
        &mut self,
        lead: LeadId,
        id: InteractionId,
        interaction: &Interaction<'_>,
        before: Option<Time>,
    ) {
        if self.is_discredited(lead, id) || self.is_of_bot(lead, id, interaction, before) {
            return;
        }
        let policy = self.policy;
        let places = policy.scoring.rules_for(interaction.action);
        if !places.is_empty() {
            let rules = places.iter().filter_map(|place| policy.scoring.rules.get(usize::from(*place)));
            let rules: SmallVec<[&ScoringRule; 16]> =
                rules.filter(|rule| rule.when.missed(interaction).is_none()).collect();
            if !rules.is_empty() {
                self.score_by(lead, id, interaction, &rules);
            }
        }
        self.advance(lead, interaction.occurred_at, Some(interaction));
    }

    fn score_by(&mut self, lead: LeadId, id: InteractionId, interaction: &Interaction<'_>, rules: &[&ScoringRule]) {
        let counting = rules.iter().filter(|rule| rule.when.frequency.is_some());
        let counting: Vec<Name> = counting.map(|rule| rule.name.clone()).collect();
        if !counting.is_empty() {
            let (at, value) = (interaction.occurred_at, self.spent_by(interaction));
            self.state(Event::InteractionCounted { lead, interaction: id, at, rules: counting, value });
        }
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let known = found.ledger.as_ref().map_or([].as_slice(), |ledger| ledger.rows.as_slice());
        let mut rows: Vec<ScoreRow> = Vec::new();
        for rule in rules {
            let room = known.len().saturating_add(rows.len()) < ROWS_MAX;
            if room && self.verdict(lead, rule, interaction, known) == Verdict::Fires {
                rows.push(self.row(id, rule, interaction));
            }
        }
        if !rows.is_empty() {
            rows.sort_by(|a, b| a.rule.cmp(&b.rule));
            self.state_score(lead, interaction.occurred_at, ScoreReason::Interaction, rows);
        }
    }

    fn verdict<'r>(
        &self,
        lead: LeadId,
        rule: &'r ScoringRule,
        interaction: &Interaction<'_>,
        rows: &[ScoreRow],
    ) -> Verdict<'r> {
        let (counted, spent) = match &rule.when.frequency {
            None => (0, 0),
            Some(_) => {
                let leads = self.shelf.book(lead.visitor).into_iter().flat_map(|book| &book.leads);
                let counted = leads.filter_map(|lead| lead.ledger.as_ref()).flat_map(|ledger| &ledger.counted);
                rule.lately(counted, interaction.occurred_at)
            }
        };
        rule.verdict(interaction, Before { rows, counted, spent })
    }

    /// What was paid with an interaction, in the policy's currency. An order that counts already is not paid twice.
    fn spent_by(&self, interaction: &Interaction<'_>) -> i64 {
        let Some(sale) = interaction.conversion else { return 0 };
        let repeated = self.counted_order(sale.order).is_some();
        let value = sale.value.filter(|money| money.currency == self.policy.currency && !repeated);
        value.map_or(0, |money| money.amount)
    }

    fn row(&self, id: InteractionId, rule: &ScoringRule, interaction: &Interaction<'_>) -> ScoreRow {
        let kind = self.policy.scoring.group(&rule.group).map(|group| group.kind);
        let category = interaction.details.product_category.filter(|_| rule.by_category);
        ScoreRow {
            interaction: id,
            at: interaction.occurred_at,
            rule: rule.name.clone(),
            policy_version: self.policy.version,
            group: rule.group.clone(),
            kind: kind.unwrap_or(crate::score::ScoreKind::Engagement),
            points: rule.points,
            decay: rule.decay,
            category: category.map(Name::from),
            limit_key: rule.limit.and_then(|limit| limit.key_of(interaction)),
            limited: rule.limit.is_some(),
        }
    }

    /// Lets points of a lead lapse by the step that is due at `at`.
    pub(super) fn step(&mut self, lead: LeadId, at: Time) {
        self.state_score(lead, at, ScoreReason::Decay, Vec::new());
    }

    /// States the score of a lead with these rows added, and what follows from it.
    ///
    /// The score of an open lead stands at the latest time that its ledger knows, that of a closed one at its end.
    pub(super) fn state_score(&mut self, lead: LeadId, at: Time, because: ScoreReason, rows: Vec<ScoreRow>) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let at = standing_at(found, at);
        let known = found.ledger.as_ref().map_or([].as_slice(), |ledger| ledger.rows.as_slice());
        let mut all: Vec<&ScoreRow> = known.iter().chain(&rows).collect();
        all.sort_by(|a, b| a.place().cmp(&b.place()));
        let score = self.policy.scoring.score(&all, at);
        self.state(Event::ScoreChanged { lead, at, because, rows, score });
        self.warm(lead, at);
    }

    fn warm(&mut self, lead: LeadId, at: Time) {
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let (score, from) = (found.score, found.ledger.as_ref().map(|ledger| ledger.temperature).unwrap_or_default());
        let to = self.policy.scoring.temperature(from, score);
        if from != to {
            self.state(Event::TemperatureChanged { lead, at, from, to, score });
        }
    }

    /// Enters the furthest stage whose condition holds, if the lead is not there yet. Nothing ever goes back.
    pub(super) fn advance(&mut self, lead: LeadId, at: Time, interaction: Option<&Interaction<'_>>) {
        let policy = self.policy;
        let stages = &policy.scoring.stages;
        let Some(found) = self.shelf.book(lead.visitor).and_then(|book| book.lead(lead)) else { return };
        let now = found.ledger.as_ref().and_then(|ledger| ledger.stage.as_ref());
        let place = now.and_then(|(name, _)| stages.iter().position(|stage| stage.name == *name));
        let ahead = place.map_or(0, |place| place.saturating_add(1));
        let mut further = stages.iter().skip(ahead).rev();
        let entered = further.find(|stage| match &stage.enter_when {
            // The first stage is where leads begin.
            None => now.is_none(),
            Some(when) => self.enters(lead, when, interaction),
        });
        let Some(entered) = entered else { return };
        let stayed = now.map(|(_, since)| Period::from_millis(at.as_millis().saturating_sub(since.as_millis())));
        let from = now.map(|(name, _)| name.clone());
        self.state(Event::StageEntered { lead, at, stage: entered.name.clone(), from, stayed });
    }

    fn enters(
        &self,
        lead: LeadId,
        when: &crate::policy::condition::Condition,
        interaction: Option<&Interaction<'_>>,
    ) -> bool {
        if !when.any.is_empty() && !when.any.iter().any(|one| self.enters(lead, one, interaction)) {
            return false;
        }
        if let Some(wanted) = when.returning_customer
            && wanted != self.is_returning(lead)
        {
            return false;
        }
        match interaction {
            Some(interaction) => when.missed(interaction).is_none(),
            None => !when.asks_interaction(),
        }
    }

    /// Whether the visitor has converted on another lead.
    pub(super) fn is_returning(&self, lead: LeadId) -> bool {
        let leads = self.shelf.book(lead.visitor).into_iter().flat_map(|book| &book.leads);
        leads.filter(|other| other.id != lead).any(|other| other.counted_conversions().next().is_some())
    }
}

/// The time at which the score of a lead stands once something of `at` is in it.
fn standing_at(lead: &Lead, at: Time) -> Time {
    let known = lead.ledger.as_deref().map_or(at, |ledger: &Ledger| latest(ledger));
    match lead.status {
        Status::Open => known.max(at),
        Status::Closed { at: end, .. } => known.max(end),
    }
}

fn latest(ledger: &Ledger) -> Time {
    let rows = ledger.rows.iter().map(|row| row.at).max();
    rows.map_or(ledger.at, |row| ledger.at.max(row))
}
