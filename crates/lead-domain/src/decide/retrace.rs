//! A visitor's recorded history with its scores decided by other rules: what a policy would have given from the start.
//!
//! Everything but points, temperatures and stages stays as it was recorded. Records nothing.

use super::Desk;
use crate::book::{Book, CloseCause};
use crate::command::Input;
use crate::event::{AfterUnmerge, DiscreditReason, Event, ScoreReason};
use crate::ids::{TenantId, VisitorId};
use crate::policy::Policy;
use crate::shelf::Shelf;
use crate::time::Time;

/// A record as it is retraced.
#[derive(Clone, Copy, Debug)]
pub struct Retraced<'a> {
    /// In whose stream it stands.
    pub visitor: VisitorId,
    /// When its input happened, or counts as given.
    pub at: Time,
    /// The interaction, for a record of one.
    pub interaction: Option<&'a Input<'a>>,
    /// What was decided.
    pub events: &'a [Event],
}

/// Takes one record of a history to a shelf on which scores follow from `policy`. The scores that were recorded are passed
/// over; those that `policy` states are appended to `stated`. Records must come in their order.
pub fn retrace(policy: &Policy, tenant: TenantId, shelf: &mut Shelf, record: &Retraced<'_>, stated: &mut Vec<Event>) {
    part(tenant, shelf, record.visitor);
    let mut desk = Desk { policy, tenant, shelf, events: stated };
    let mut lapsed = takes_books_as_they_are(record);
    for event in record.events {
        if !lapsed && !comes_before_time(event) {
            desk.lapse(record.visitor, record.at);
            lapsed = true;
        }
        desk.retrace_event(record, event);
    }
    if !lapsed {
        desk.lapse(record.visitor, record.at);
    }
}

/// Whether deciding the record let no time pass: merges and moves by hand.
fn takes_books_as_they_are(record: &Retraced<'_>) -> bool {
    let by_hand = |event: &Event| {
        matches!(
            event,
            Event::VisitorsMerged { .. }
                | Event::VisitorsUnmerged { .. }
                | Event::DuplicateSettled { .. }
                | Event::InteractionMoved { .. }
        )
    };
    record.interaction.is_none() && record.events.first().is_some_and(by_hand)
}

/// Whether a decision states such an event before it has done all that is due: about who the visitor is, and what is due.
const fn comes_before_time(event: &Event) -> bool {
    matches!(
        event,
        Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::VisitorsMerged { .. }
            | Event::DuplicateSuspected { .. }
            | Event::LeadClosed { cause: CloseCause::Inactivity, .. }
            | Event::ConsentChanged { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. }
            | Event::InteractionCounted { .. }
            | Event::InteractionsRecounted { .. }
            | Event::ScoreChanged { .. }
            | Event::TemperatureChanged { .. }
            | Event::StageEntered { .. }
    )
}

/// Lets points lapse up to a time: what ticks since the last record would have done.
pub fn retrace_until(
    policy: &Policy,
    tenant: TenantId,
    shelf: &mut Shelf,
    visitor: VisitorId,
    at: Time,
    stated: &mut Vec<Event>,
) {
    part(tenant, shelf, visitor);
    Desk { policy, tenant, shelf, events: stated }.lapse(visitor, at);
}

/// Undoes a merge that is known to be undone: its end stands in the survivor's stream only, and an absorbed visitor gets no
/// record of its own.
fn part(tenant: TenantId, shelf: &mut Shelf, restored: VisitorId) {
    if shelf.is_absorbed(restored) {
        let (survivor, afterwards) = (shelf.survivor(restored), AfterUnmerge::MayMergeAgain);
        shelf.evolve(tenant, &Event::VisitorsUnmerged { survivor, restored, afterwards });
    }
}

impl Desk<'_> {
    fn retrace_event(&mut self, record: &Retraced<'_>, event: &Event) {
        match event {
            Event::InteractionCounted { .. }
            | Event::InteractionsRecounted { .. }
            | Event::ScoreChanged { .. }
            | Event::TemperatureChanged { .. }
            | Event::StageEntered { .. } => {}
            // What a policy's rules take for bots is decided anew; what an operator said stays.
            Event::InteractionDiscredited { because: DiscreditReason::BotRule(_), .. } => {}
            Event::InteractionDiscredited { lead, interaction, at, because } => {
                if !self.is_discredited(*lead, *interaction) {
                    self.lapse(record.visitor, record.at);
                    self.discredit(*lead, *interaction, *at, because.clone());
                }
            }
            Event::LeadClosed { cause: CloseCause::Inactivity, at, .. } => {
                self.lapse(record.visitor, at.before(crate::Period::from_millis(1)));
                self.shelf.evolve(self.tenant, event);
            }
            Event::LeadOpened { lead, at, .. } => {
                self.shelf.evolve(self.tenant, event);
                self.advance(*lead, *at, None);
            }
            Event::InteractionAttached { lead, interaction, .. } => {
                let before = self.touched_before(record.visitor, record.at);
                self.shelf.evolve(self.tenant, event);
                if let Some(Input::Interaction(id, taken)) = record.interaction
                    && id == interaction
                {
                    self.note_repeated_order(record.events);
                    self.score(*lead, *id, taken, before);
                }
            }
            Event::InteractionMoved { interaction, occurred_at, from, to, .. } => {
                let source = self.shelf.book(from.visitor).and_then(|book| book.lead(*from));
                let scored =
                    source.and_then(|lead| lead.ledger.as_ref()).is_some_and(|ledger| ledger.has(*interaction));
                self.shelf.evolve(self.tenant, event);
                for lead in [from, to].into_iter().filter(|_| scored) {
                    self.state_score(*lead, *occurred_at, ScoreReason::Moved, Vec::new());
                }
            }
            Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::VisitorsMerged { .. }
            | Event::VisitorsUnmerged { .. }
            | Event::DuplicateSuspected { .. }
            | Event::DuplicateSettled { .. }
            | Event::VisitorErased { .. }
            | Event::CustomerLearned { .. }
            | Event::InteractionOrphaned { .. }
            | Event::ConversionRecorded { .. }
            | Event::ConversionRepeated { .. }
            | Event::ConversionWithdrawn { .. }
            | Event::LeadClosed { .. }
            | Event::LeadReopened { .. }
            | Event::LeadTypeChanged { .. }
            | Event::LeadAssigned { .. }
            | Event::NoteAdded { .. }
            | Event::AttributesSet { .. }
            | Event::ConsentChanged { .. }
            | Event::NurtureStarted { .. }
            | Event::NurtureStepDue { .. }
            | Event::NurtureStepSuppressed { .. }
            | Event::NurtureStopped { .. } => self.shelf.evolve(self.tenant, event),
        }
    }

    /// What a repeated sale was counted for may be another visitor's lead, which this shelf doesn't hold.
    fn note_repeated_order(&mut self, events: &[Event]) {
        for event in events {
            if let Event::ConversionRepeated { order, counted_for, .. } = event {
                self.shelf.load_order(*order, *counted_for);
            }
        }
    }

    /// Lets the points of the visitor's open leads lapse by every step up to `until`, in order of time.
    fn lapse(&mut self, visitor: VisitorId, until: Time) {
        let mut before = None;
        loop {
            let leads = self.shelf.book(visitor).into_iter().flat_map(Book::open_leads);
            let steps = leads.filter_map(|lead| {
                let step = lead.ledger.as_ref()?.next_step?;
                (step <= until && step < lead.deadline).then_some((step, lead.id))
            });
            let Some(next) = steps.min().filter(|next| before != Some(*next)) else { return };
            before = Some(next);
            self.step(next.1, next.0);
        }
    }
}
