//! A visitor's recorded history with its scores decided by other rules: what a policy would have given from the start.
//!
//! Everything but points, temperatures and stages stays as it was recorded. Records nothing.

use super::Desk;
use crate::book::{Book, CloseCause};
use crate::command::Input;
use crate::event::{DiscreditReason, Event};
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
    let mut desk = Desk { policy, tenant, shelf, events: stated };
    for event in record.events {
        desk.retrace_event(record, event);
    }
    desk.lapse(record.visitor, record.at);
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
    Desk { policy, tenant, shelf, events: stated }.lapse(visitor, at);
}

impl Desk<'_> {
    fn retrace_event(&mut self, record: &Retraced<'_>, event: &Event) {
        match event {
            Event::InteractionCounted { .. }
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
                self.lapse(record.visitor, record.at);
                self.shelf.evolve(self.tenant, event);
                self.advance(*lead, *at, None);
            }
            Event::InteractionAttached { lead, interaction, .. } => {
                self.lapse(record.visitor, record.at);
                let before = self.touched_before(record.visitor, record.at);
                self.shelf.evolve(self.tenant, event);
                if let Some(Input::Interaction(id, taken)) = record.interaction
                    && id == interaction
                {
                    self.score(*lead, *id, taken, before);
                }
            }
            Event::VisitorCreated { .. }
            | Event::IdentifierLearned { .. }
            | Event::IdentifierMoved { .. }
            | Event::VisitorsMerged { .. }
            | Event::VisitorsUnmerged { .. }
            | Event::DuplicateSuspected { .. }
            | Event::DuplicateSettled { .. }
            | Event::CustomerLearned { .. }
            | Event::InteractionOrphaned { .. }
            | Event::InteractionMoved { .. }
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
