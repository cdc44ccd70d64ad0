//! What operators ask for, and the other inputs of the decider.

use crate::Name;
use crate::event::AfterUnmerge;
use crate::ids::{InteractionId, LeadId, VisitorId};
use crate::interaction::{Interaction, Sale};
use crate::time::Time;

/// One thing that the decider is asked to decide about. Policies are inputs of the log too, but concern no visitor.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "stands on the stack while it is decided about; nothing keeps many of them"
)]
pub enum Input<'a> {
    /// A touch of a visitor; its id is the position that its record will have.
    Interaction(InteractionId, Interaction<'a>),
    /// An operator's request.
    Command {
        /// When it counts as given.
        at: Time,
        /// What is asked.
        command: Command,
        /// The version that the lead must have, if the caller cares.
        expected_version: Option<u32>,
    },
    /// The tenant's clock has reached `at`; leads of `visitor` may have timed out.
    Deadline {
        /// Whose leads.
        visitor: VisitorId,
        /// The tenant's clock.
        at: Time,
    },
}

/// An operator's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a lead by hand.
    OpenLead {
        /// For whom.
        visitor: VisitorId,
        /// Of which type; must be active.
        lead_type: Name,
    },
    /// Close an open lead.
    CloseLead {
        /// Which.
        lead: LeadId,
        /// Why: one of the policy's `close_reasons`.
        reason: Name,
    },
    /// Record a sale on an open lead.
    ConvertLead {
        /// Which.
        lead: LeadId,
        /// What was sold.
        sale: Sale,
    },
    /// Take the latest counted sale back, or the one of an order.
    WithdrawConversion {
        /// Which lead.
        lead: LeadId,
        /// Which order; the latest counted sale where absent.
        order: Option<crate::ids::OrderKey>,
    },
    /// Let a closed lead go on.
    ReopenLead {
        /// Which.
        lead: LeadId,
    },
    /// Give an open lead another type.
    ChangeLeadType {
        /// Which.
        lead: LeadId,
        /// To what; must be active.
        lead_type: Name,
    },
    /// Give a lead to an operator, or to nobody.
    AssignLead {
        /// Which.
        lead: LeadId,
        /// The operator's account name.
        owner: Option<Name>,
    },
    /// Write a note; the text travels sealed.
    AddNote {
        /// On which lead.
        lead: LeadId,
    },
    /// Set attributes; the values travel sealed.
    SetAttributes {
        /// Of which lead.
        lead: LeadId,
        /// Which.
        names: Vec<Name>,
    },
    /// Put an orphan into a lead of its visitor.
    AdoptOrphan {
        /// The orphan, as recorded.
        orphan: RecordedInteraction,
        /// Where to.
        into: Adoption,
    },
    /// Put an attached interaction into another lead of the same visitor.
    MoveInteraction {
        /// The interaction, as recorded.
        interaction: RecordedInteraction,
        /// Where it is, before any earlier move.
        recorded_in: LeadId,
        /// Where to.
        to: LeadId,
        /// First and last of the other interactions of the lead it leaves, read from the log.
        remaining: Option<(Time, Time)>,
    },
    /// Take the points of an interaction away; it stays where it is.
    DiscreditInteraction {
        /// The interaction, as recorded.
        interaction: RecordedInteraction,
        /// Where it was attached then; `None` for one that was an orphan.
        recorded_in: Option<LeadId>,
    },
    /// Two visitors are one person.
    MergeVisitors {
        /// One.
        one: VisitorId,
        /// The other.
        other: VisitorId,
    },
    /// A merged visitor is somebody else after all.
    UnmergeVisitor {
        /// The one that was absorbed.
        visitor: VisitorId,
        /// Whether the two may merge again by themselves.
        afterwards: AfterUnmerge,
    },
    /// Two suspected duplicates are different people.
    SettleDuplicate {
        /// One.
        one: VisitorId,
        /// The other.
        other: VisitorId,
    },
    /// Forget who a visitor is, for good.
    EraseVisitor {
        /// Who, or somebody who was merged into them.
        visitor: VisitorId,
        /// Why, as an operator says it; stands in the log in clear.
        reason: Name,
    },
}

/// An interaction that stands in the log, as far as a command about it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedInteraction {
    /// Its id.
    pub id: InteractionId,
    /// When it happened.
    pub occurred_at: Time,
    /// Whose it was when it was recorded.
    pub visitor: VisitorId,
}

/// Where an adopted orphan goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Into this open lead.
    Lead(LeadId),
    /// Into a new lead of this type.
    NewLead(Name),
}
