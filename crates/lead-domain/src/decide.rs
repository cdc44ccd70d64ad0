//! The decider: what follows from an input, given the books and the policy.
//!
//! [`decide`] states events one by one and applies each with [`Shelf::evolve`] as it states it, so that the next step
//! of the same decision sees it. It changes the books in no other way: folding the events over the books as they were
//! gives the books as they are. A refused input states nothing and changes nothing.

mod association;
mod command;
mod discredit;
mod identity;
mod life_cycle;
mod nurture;
mod rescore;
mod retrace;
mod scoring;

#[cfg(test)]
mod specs;

pub use rescore::{RESCORED_ROWS_MAX, Rescored, is_rescored, rescore};
pub use retrace::{Retraced, retrace, retrace_until};
use thiserror::Error;

use crate::Name;
use crate::book::CloseCause;
use crate::command::Input;
use crate::event::Event;
use crate::ids::{InteractionId, LeadId, OrderKey, TenantId, VisitorId};
use crate::policy::Policy;
use crate::shelf::Shelf;
use crate::time::Time;

/// The most leads of one visitor, all members of their book together. A book is read and written whole.
pub const LEADS_MAX: usize = 10_000;
/// The most suspected duplicates that one visitor's book keeps; further clashes are decided the same way, unrecorded.
pub const SUSPECTED_MAX: usize = 64;
/// The most visitors merged into one.
pub const MEMBERS_MAX: usize = 256;
/// The most identifiers that one visitor is known by; further ones are not learnt.
pub const IDENTIFIERS_MAX: usize = 1_024;

/// A business "no" to an operator's command. The caller may correct the command and ask again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such visitor in this tenant.
    #[error("there is no visitor {visitor}")]
    UnknownVisitor {
        /// The id asked for.
        visitor: VisitorId,
    },
    /// No such lead in this tenant.
    #[error("there is no lead {lead}")]
    UnknownLead {
        /// The id asked for.
        lead: LeadId,
    },
    /// The command needs an open lead.
    #[error("lead {lead} is closed ({}); reopen it first", cause.code())]
    LeadClosed {
        /// Which.
        lead: LeadId,
        /// How it ended.
        cause: CloseCause,
    },
    /// Only a closed lead can be reopened.
    #[error("lead {lead} is open already")]
    LeadOpen {
        /// Which.
        lead: LeadId,
    },
    /// The lead changed since the caller looked.
    #[error("lead {lead} is at version {found}, not {expected}; read it again and decide anew")]
    VersionMismatch {
        /// Which.
        lead: LeadId,
        /// What the caller saw.
        expected: u32,
        /// What it is.
        found: u32,
    },
    /// The policy has no such close reason.
    #[error("\"{reason}\" is no close reason of this tenant; see close_reasons in the policy")]
    UnknownCloseReason {
        /// The reason given.
        reason: Name,
    },
    /// The policy has no such lead type.
    #[error("there is no lead type \"{lead_type}\" in the policy")]
    UnknownLeadType {
        /// The type asked for.
        lead_type: Name,
    },
    /// The lead type takes no new leads.
    #[error("lead type \"{lead_type}\" is inactive")]
    InactiveLeadType {
        /// The type asked for.
        lead_type: Name,
    },
    /// The lead has that type already.
    #[error("lead {lead} is of type \"{lead_type}\" already")]
    SameLeadType {
        /// Which.
        lead: LeadId,
        /// Its type.
        lead_type: Name,
    },
    /// The order counts already.
    #[error("this order already counts for lead {counted_for}; an order counts once")]
    OrderCounted {
        /// The lead that it counts for.
        counted_for: LeadId,
    },
    /// There is no such sale to take back.
    #[error("lead {lead} has no such counted conversion to withdraw")]
    NoConversion {
        /// Which.
        lead: LeadId,
    },
    /// The interaction is not an orphan any more.
    #[error("interaction {interaction} is in lead {lead} already")]
    AlreadyAdopted {
        /// Which.
        interaction: InteractionId,
        /// Where it is.
        lead: LeadId,
    },
    /// It was moved or adopted while two visitors were one, and they were taken apart since.
    #[error(
        "interaction {interaction} was put into a lead of a visitor who was taken apart from this one since; merge the two \
         again first"
    )]
    InteractionElsewhere {
        /// Which.
        interaction: InteractionId,
    },
    /// An interaction can't move to where it is.
    #[error("interaction {interaction} is in lead {lead} already")]
    SameLead {
        /// Which.
        interaction: InteractionId,
        /// Where it is.
        lead: LeadId,
    },
    /// An orphan has no points.
    #[error("interaction {interaction} is an orphan and has brought no points")]
    InteractionOrphaned {
        /// Which.
        interaction: InteractionId,
    },
    /// Its points were taken away before.
    #[error("interaction {interaction} of lead {lead} is discredited already")]
    AlreadyDiscredited {
        /// Which.
        interaction: InteractionId,
        /// Where it is.
        lead: LeadId,
    },
    /// A sale hangs on the interaction.
    #[error("interaction {interaction} converted lead {lead}; withdraw the conversion before you move it")]
    InteractionConverted {
        /// Which.
        interaction: InteractionId,
        /// Where it is.
        lead: LeadId,
    },
    /// A lead takes interactions of its own visitor only.
    #[error("lead {lead} belongs to another visitor; merge the visitors first")]
    OtherVisitor {
        /// Which lead.
        lead: LeadId,
    },
    /// The two are one already.
    #[error("{one} and {other} are one visitor already")]
    SameVisitor {
        /// One.
        one: VisitorId,
        /// The other.
        other: VisitorId,
    },
    /// Two customers are never one visitor.
    #[error("{one} and {other} have different customer ids, so they are never one visitor")]
    DifferentCustomers {
        /// One.
        one: VisitorId,
        /// The other.
        other: VisitorId,
    },
    /// Only a merged visitor can be taken apart.
    #[error("{visitor} is not merged into another visitor")]
    NotMerged {
        /// Which.
        visitor: VisitorId,
    },
    /// The two were never suspected to be one.
    #[error("{one} and {other} are not suspected duplicates of each other")]
    NotSuspected {
        /// One.
        one: VisitorId,
        /// The other.
        other: VisitorId,
    },
    /// The person was erased.
    #[error("{visitor} was erased; nothing about them can be changed any more")]
    VisitorErased {
        /// Who.
        visitor: VisitorId,
    },
    /// The visitor has as many leads as one may have.
    #[error("{visitor} has {LEADS_MAX} leads, the most a visitor may have")]
    TooManyLeads {
        /// Which.
        visitor: VisitorId,
    },
    /// One visitor may not absorb any more.
    #[error("{visitor} holds {MEMBERS_MAX} merged visitors, the most there may be")]
    TooManyMembers {
        /// Which.
        visitor: VisitorId,
    },
}

impl Refusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownVisitor { .. } => "unknown_visitor",
            Self::UnknownLead { .. } => "unknown_lead",
            Self::LeadClosed { .. } => "lead_closed",
            Self::LeadOpen { .. } => "lead_open",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::UnknownCloseReason { .. } => "unknown_close_reason",
            Self::UnknownLeadType { .. } => "unknown_lead_type",
            Self::InactiveLeadType { .. } => "inactive_lead_type",
            Self::SameLeadType { .. } => "same_lead_type",
            Self::OrderCounted { .. } => "order_counted",
            Self::NoConversion { .. } => "no_conversion",
            Self::AlreadyAdopted { .. } => "already_adopted",
            Self::InteractionElsewhere { .. } => "interaction_elsewhere",
            Self::SameLead { .. } => "same_lead",
            Self::InteractionOrphaned { .. } => "interaction_orphaned",
            Self::AlreadyDiscredited { .. } => "already_discredited",
            Self::InteractionConverted { .. } => "interaction_converted",
            Self::OtherVisitor { .. } => "other_visitor",
            Self::SameVisitor { .. } => "same_visitor",
            Self::DifferentCustomers { .. } => "different_customers",
            Self::NotMerged { .. } => "not_merged",
            Self::NotSuspected { .. } => "not_suspected",
            Self::VisitorErased { .. } => "visitor_erased",
            Self::TooManyLeads { .. } => "too_many_leads",
            Self::TooManyMembers { .. } => "too_many_members",
        }
    }
}

/// Decides about one input of `tenant`: appends the events to `events`, applies them to `shelf`, and returns the visitor
/// in whose stream the record belongs.
///
/// The shelf must hold what the input can touch: for an interaction the visitors of its identifiers, their books and its
/// order; for a command the books of the leads and visitors that it names. A deadline with nothing due states no event.
///
/// # Errors
/// A [`Refusal`], for commands only. Nothing is stated or changed then.
pub fn decide(
    policy: &Policy,
    tenant: TenantId,
    shelf: &mut Shelf,
    input: &Input<'_>,
    events: &mut Vec<Event>,
) -> Result<VisitorId, Refusal> {
    let mut desk = Desk { policy, tenant, shelf, events };
    match input {
        Input::Interaction(id, interaction) => Ok(desk.take_interaction(*id, interaction)),
        Input::Command { at, command, expected_version } => {
            let first = desk.events.len();
            let visitor = desk.obey(*at, command, *expected_version)?;
            desk.nurture(visitor, *at, None, first);
            Ok(visitor)
        }
        Input::Deadline { visitor, at } => {
            let visitor = desk.shelf.survivor(*visitor);
            desk.close_timed_out(visitor, *at);
            desk.state_due_steps(visitor, *at);
            Ok(visitor)
        }
    }
}

/// One decision under way.
struct Desk<'a> {
    policy: &'a Policy,
    tenant: TenantId,
    shelf: &'a mut Shelf,
    events: &'a mut Vec<Event>,
}

impl Desk<'_> {
    /// States a fact: from here on it is true.
    fn state(&mut self, event: Event) {
        self.shelf.evolve(self.tenant, &event);
        self.events.push(event);
    }

    fn take_interaction(&mut self, id: InteractionId, interaction: &crate::Interaction<'_>) -> VisitorId {
        let visitor = self.identify(&interaction.identifiers);
        self.close_timed_out(visitor, interaction.occurred_at);
        let first = self.events.len();
        self.associate(visitor, id, interaction);
        self.nurture(visitor, interaction.occurred_at, Some((id, interaction)), first);
        visitor
    }

    /// The lead that the order counts for already.
    fn counted_order(&self, order: Option<OrderKey>) -> Option<(OrderKey, LeadId)> {
        let order = order?;
        self.shelf.order(order).map(|lead| (order, lead))
    }
}

/// The deadline that a lead would have with these anchors under the policy in force. A type that the policy doesn't know
/// keeps the deadline that there was: types are never deleted, so this is only reached by a damaged history.
fn deadline_of(policy: &Policy, lead_type: &str, anchors: crate::policy::Anchors, kept: Time) -> Time {
    policy.lead_type(lead_type).map_or(kept, |lead_type| lead_type.deadline(anchors))
}
