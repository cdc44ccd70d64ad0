//! The scores of a visitor's leads brought to what other rules make of their history.
//!
//! Compares books and states the differences. Knows no rules: the history was scored before, by retracing it.

use super::Desk;
use crate::book::{Book, Lead};
use crate::event::{Event, ScoreReason};
use crate::ids::{LeadId, TenantId, VisitorId};
use crate::policy::Policy;
use crate::score::Ledger;
use crate::shelf::Shelf;
use crate::time::Time;

/// Rows and counts that one decision states before it leaves the rest to the next one: some MiB of a record.
pub const RESCORED_ROWS_MAX: usize = 16_384;

/// What scoring a visitor's leads anew came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rescored {
    /// Open leads looked at.
    pub leads: u64,
    /// Those whose score is another one now.
    pub changed: u64,
    /// Whether leads are left for the next decision, because this one has stated enough.
    pub goes_on: bool,
}

/// States what makes the scores of a visitor's open leads those that stand on `scored`, where the history of the book that
/// they are in was retraced under the policy, and what frequency rules count on all of them. Closed leads keep the scores
/// of their ends. Leads of others who were merged into one book with the visitor are left to their turns.
///
/// Programmes whose stop condition holds then end at `at`; a changed score begins none.
pub fn rescore(
    policy: &Policy,
    tenant: TenantId,
    shelf: &mut Shelf,
    scored: &Shelf,
    (visitor, at): (VisitorId, Time),
    events: &mut Vec<Event>,
) -> Rescored {
    let leads = shelf.book(visitor).into_iter().flat_map(|book| &book.leads);
    let ids: Vec<LeadId> = leads.map(|lead| lead.id).filter(|lead| lead.visitor == visitor).collect();
    let first = events.len();
    let mut desk = Desk { policy, tenant, shelf, events };
    let (mut rescored, mut stated) = (Rescored::default(), 0);
    for id in ids {
        if stated >= RESCORED_ROWS_MAX {
            rescored.goes_on = true;
            break;
        }
        let Some(then) = scored.book(id.visitor).and_then(|book| book.lead(id)) else { continue };
        stated += desk.recount(then);
        stated += desk.rescore_open(then, &mut rescored);
    }
    if desk.events.len() > first {
        desk.nurture_rescored(visitor, at);
    }
    rescored
}

/// Whether scoring the visitor's leads in this book anew can change anything: an open lead, or what a frequency rule counts.
#[must_use]
pub fn is_rescored(policy: &Policy, book: &Book, visitor: VisitorId) -> bool {
    let counts = policy.scoring.rules.iter().any(|rule| rule.when.frequency.is_some());
    book.leads.iter().any(|lead| lead.id.visitor == visitor && (counts || lead.is_open()))
}

impl Desk<'_> {
    fn ledger_of(&self, lead: LeadId) -> Option<(&Lead, Ledger)> {
        let found = self.shelf.book(lead.visitor)?.lead(lead)?;
        Some((found, found.ledger.as_deref().cloned().unwrap_or_default()))
    }

    /// Returns how many counts were stated.
    fn recount(&mut self, then: &Lead) -> usize {
        let Some((_, now)) = self.ledger_of(then.id) else { return 0 };
        let counted = then.ledger.as_ref().map(|ledger| ledger.counted.clone()).unwrap_or_default();
        if now.counted == counted {
            return 0;
        }
        let stated = counted.len().saturating_add(1);
        self.state(Event::InteractionsRecounted { lead: then.id, counted });
        stated
    }

    /// Returns how many rows were stated.
    fn rescore_open(&mut self, then: &Lead, rescored: &mut Rescored) -> usize {
        let Some((found, now)) = self.ledger_of(then.id).filter(|(found, _)| found.is_open()) else { return 0 };
        rescored.leads = rescored.leads.saturating_add(1);
        rescored.changed = rescored.changed.saturating_add(u64::from(found.score != then.score));
        let lead = then.id;
        let scored = then.ledger.as_deref().cloned().unwrap_or_default();
        let at = if then.ledger.is_some() { scored.at } else { now.at };
        let Ledger { rows, score, temperature, stage, .. } = scored;
        let total = score.total;
        let mut stated = 0;
        if now.rows != rows || now.score != score || (now.at != at && !rows.is_empty()) {
            stated = rows.len().saturating_add(1);
            self.state(Event::ScoreChanged { lead, at, because: ScoreReason::Rescored, rows, score });
        }
        if now.temperature != temperature {
            let (from, to) = (now.temperature, temperature);
            self.state(Event::TemperatureChanged { lead, at, from, to, score: total });
        }
        let from = now.stage.map(|(name, _)| name);
        if let Some((stage, since)) = stage.filter(|(name, _)| from.as_ref() != Some(name)) {
            // How long it was in a stage that other rules speak of says nothing.
            self.state(Event::StageEntered { lead, at: since, stage, from, stayed: None });
        }
        stated
    }
}
