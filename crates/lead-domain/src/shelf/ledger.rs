//! How events change a lead's score ledger and what follows from it.

use super::Shelf;
use crate::event::{Event, ScoreReason};
use crate::ids::{InteractionId, LeadId};
use crate::score::Counted;

impl Shelf {
    /// Events about a score, a temperature or a stage.
    pub(super) fn change_score(&mut self, event: &Event) {
        let Some(id) = event.leads().first().copied() else { return };
        let Some(lead) = self.lead_mut(id) else { return };
        lead.version = lead.version.saturating_add(1);
        if let Event::ScoreChanged { score, .. } = event {
            lead.score = score.total;
        }
        let ledger = lead.ledger_mut();
        if let Event::InteractionCounted { interaction, at, rules, value, .. } = event {
            for rule in rules {
                ledger.count(Counted { interaction: *interaction, at: *at, rule: rule.clone(), value: *value });
            }
        } else if let Event::InteractionsRecounted { counted, .. } = event {
            ledger.counted.clone_from(counted);
        } else if let Event::InteractionDiscredited { interaction, .. } = event {
            ledger.discredit(*interaction);
        } else if let Event::ScoreChanged { at, because, rows, score, .. } = event {
            if *because == ScoreReason::Rescored {
                ledger.rows.clear();
            }
            ledger.enter(rows, *at, score.clone());
        } else if let Event::TemperatureChanged { to, .. } = event {
            ledger.temperature = *to;
        } else if let Event::StageEntered { at, stage, .. } = event {
            ledger.stage = Some((stage.clone(), *at));
        }
    }

    /// A moved interaction takes its rows along, or that it was discredited. The sums follow with the next event.
    pub(super) fn move_points(&mut self, interaction: InteractionId, from: LeadId, to: LeadId) {
        let Some(ledger) = self.lead_mut(from).and_then(|lead| lead.ledger.as_mut()) else { return };
        let discredited = ledger.take_discredit(interaction);
        let (rows, counted) = ledger.take(interaction);
        if rows.is_empty() && counted.is_empty() && !discredited {
            return;
        }
        let Some(ledger) = self.lead_mut(to).map(|lead| lead.ledger_mut()) else { return };
        let (at, score) = (ledger.at, ledger.score.clone());
        ledger.enter(&rows, at, score);
        for counted in counted {
            ledger.count(counted);
        }
        if discredited || ledger.is_discredited(interaction) {
            ledger.discredit(interaction);
        }
    }
}
