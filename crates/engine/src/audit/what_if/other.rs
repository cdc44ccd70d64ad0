//! The world of the other policy: recorded inputs decided anew, and operators' acts carried over to its leads.

use lead_domain::command::{Adoption, Command};
use lead_domain::{Event, Input, InteractionId, LeadId, Policy, TenantId, Time, VisitorId};
use rustc_hash::FxHashMap;

use super::Side;
use crate::audit::records::Decoded;

/// The other world, and how it is tied to the recorded one.
pub(super) struct Other {
    side: Side,
    /// For a recorded lead the one here that took its latest interaction.
    counterparts: FxHashMap<LeadId, LeadId>,
    /// Interactions that another lead took than the recorded one.
    elsewhere: FxHashMap<InteractionId, LeadId>,
    acts_dropped: u64,
    events: Vec<Event>,
}

impl Other {
    pub(super) fn new() -> Self {
        Self {
            side: Side::new(),
            counterparts: FxHashMap::default(),
            elsewhere: FxHashMap::default(),
            acts_dropped: 0,
            events: Vec::new(),
        }
    }

    /// What it has come to, and how many acts were dropped.
    pub(super) fn into_side(self) -> (Side, u64) {
        (self.side, self.acts_dropped)
    }

    /// Decides about a recorded interaction. `last_visitor` is the youngest visitor in front of it.
    pub(super) fn take_interaction(&mut self, policy: &Policy, record: &Decoded, last_visitor: VisitorId) {
        self.events.clear();
        self.side.world.shelf.set_last_visitor(last_visitor);
        // Interactions are never refused.
        let _ = self.side.world.decide(policy, record, &mut self.events);
        self.side.note(record.header.position, &self.events);
        self.tie(&record.facts.events);
    }

    /// Carries out what an operator asked for, on the leads that correspond.
    pub(super) fn take_command(&mut self, policy: &Policy, record: &Decoded, command: Command) {
        self.events.clear();
        let at = Time::from_millis(record.header.occurred_at);
        let done = self.carried_over(command).is_some_and(|command| {
            let input = Input::Command { at, command, expected_version: None };
            let tenant = TenantId(record.header.tenant);
            self.side.world.decide_input(policy, tenant, &input, &mut self.events).is_ok()
        });
        if done {
            self.side.note(record.header.position, &self.events);
            self.tie(&record.facts.events);
        } else {
            self.acts_dropped += 1;
        }
    }

    /// Takes what was recorded as it is.
    pub(super) fn fold(&mut self, tenant: TenantId, visitor: VisitorId, events: &[Event]) {
        self.side.world.fold(tenant, visitor, events);
    }

    /// Closes whatever is due at `until`.
    pub(super) fn fire(&mut self, policy: &Policy, tenant: TenantId, until: Time) {
        self.side.fire(policy, tenant, until);
    }

    /// Remembers which leads correspond by what one record led to on both sides.
    fn tie(&mut self, recorded: &[Event]) {
        if let (Some((there, interaction)), Some((here, _))) = (taken(recorded), taken(&self.events)) {
            self.counterparts.insert(there, here);
            if there != here {
                self.elsewhere.insert(interaction, here);
            }
        }
        if let (Some(there), Some(here)) = (opened(recorded), opened(&self.events)) {
            self.counterparts.insert(there, here);
        }
    }

    /// The same act on what corresponds here; `None` where nothing does.
    fn carried_over(&self, command: Command) -> Option<Command> {
        let counterpart = |lead: LeadId| self.counterparts.get(&lead).copied();
        Some(match command {
            Command::CloseLead { lead, reason } => Command::CloseLead { lead: counterpart(lead)?, reason },
            Command::ConvertLead { lead, sale } => Command::ConvertLead { lead: counterpart(lead)?, sale },
            Command::WithdrawConversion { lead, order } => {
                Command::WithdrawConversion { lead: counterpart(lead)?, order }
            }
            Command::ReopenLead { lead } => Command::ReopenLead { lead: counterpart(lead)? },
            Command::ChangeLeadType { lead, lead_type } => {
                Command::ChangeLeadType { lead: counterpart(lead)?, lead_type }
            }
            Command::AssignLead { lead, owner } => Command::AssignLead { lead: counterpart(lead)?, owner },
            Command::AddNote { lead } => Command::AddNote { lead: counterpart(lead)? },
            Command::SetAttributes { lead, names } => Command::SetAttributes { lead: counterpart(lead)?, names },
            Command::AdoptOrphan { orphan, into } => {
                self.side.orphans.get(&orphan.id)?;
                let into = match into {
                    Adoption::Lead(lead) => Adoption::Lead(counterpart(lead)?),
                    Adoption::NewLead(lead_type) => Adoption::NewLead(lead_type),
                };
                Command::AdoptOrphan { orphan, into }
            }
            Command::MoveInteraction { interaction, recorded_in, to, remaining } => {
                if self.side.orphans.contains(&interaction.id) {
                    return None;
                }
                let recorded_in = self.elsewhere.get(&interaction.id).copied().unwrap_or(recorded_in);
                Command::MoveInteraction { interaction, recorded_in, to: counterpart(to)?, remaining }
            }
            Command::DiscreditInteraction { interaction, recorded_in } => {
                if self.side.orphans.contains(&interaction.id) {
                    return None;
                }
                let recorded_in = self.elsewhere.get(&interaction.id).copied().or(recorded_in);
                Command::DiscreditInteraction { interaction, recorded_in }
            }
            Command::OpenLead { .. }
            | Command::MergeVisitors { .. }
            | Command::UnmergeVisitor { .. }
            | Command::SettleDuplicate { .. }
            | Command::EraseVisitor { .. } => command,
        })
    }
}

/// The lead that took an interaction, and which.
fn taken(events: &[Event]) -> Option<(LeadId, InteractionId)> {
    events.iter().find_map(|event| {
        let Event::InteractionAttached { lead, interaction, .. } = event else { return None };
        Some((*lead, *interaction))
    })
}

/// The lead that was opened.
fn opened(events: &[Event]) -> Option<LeadId> {
    events.iter().find_map(|event| {
        let Event::LeadOpened { lead, .. } = event else { return None };
        Some(*lead)
    })
}
