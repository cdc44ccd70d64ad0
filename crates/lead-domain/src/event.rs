//! The facts that decisions state. Everything that a book holds follows from these.

use smallvec::SmallVec;

use crate::Name;
use crate::book::CloseCause;
use crate::identifier::{Identifier, IdentifierKey};
use crate::ids::{InteractionId, LeadId, OrderKey, VisitorId};
use crate::money::Money;
use crate::nurture::{NurtureEnd, Suppression, Wait};
use crate::score::{Counted, Score, ScoreRow, Temperature};
use crate::time::{Period, Time};

/// The leads that could have taken an interaction, in order of id.
pub type Candidates = SmallVec<[LeadId; 2]>;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nobody was known by the identifiers; a book was begun.
    VisitorCreated {
        /// The new visitor.
        visitor: VisitorId,
    },
    /// A visitor is known by one more identifier.
    IdentifierLearned {
        /// Who.
        visitor: VisitorId,
        /// By what.
        identifier: Identifier,
    },
    /// A device followed the person last identified on it.
    IdentifierMoved {
        /// What moved.
        identifier: Identifier,
        /// Who was known by it.
        from: VisitorId,
        /// Who is known by it from now on.
        to: VisitorId,
    },
    /// Two visitors proved to be one person.
    VisitorsMerged {
        /// The older one, who holds both books now.
        survivor: VisitorId,
        /// The one whose id redirects to the survivor.
        absorbed: VisitorId,
    },
    /// A merge was undone; the absorbed visitor has its own book again.
    VisitorsUnmerged {
        /// Who had absorbed.
        survivor: VisitorId,
        /// Who stands alone again, with whoever was merged into it before.
        restored: VisitorId,
        /// Whether the two may merge again by themselves.
        afterwards: AfterUnmerge,
    },
    /// An identifier points at two visitors who can't be one, because their customer ids differ.
    DuplicateSuspected {
        /// Whose interaction it was.
        visitor: VisitorId,
        /// Who else is known by the identifier.
        other: VisitorId,
        /// What they share.
        identifier: Identifier,
    },
    /// An operator said that two visitors are different people.
    DuplicateSettled {
        /// One of them.
        visitor: VisitorId,
        /// The other.
        other: VisitorId,
    },
    /// A person was erased: nobody is known by their identifiers any more, and their keys are destroyed. Leads, counts
    /// and sales stay, without saying whose they were.
    VisitorErased {
        /// Who.
        visitor: VisitorId,
        /// The visitor and everyone who was merged into it, in order: whose keys are destroyed.
        members: Vec<VisitorId>,
    },
    /// An opportunity began.
    LeadOpened {
        /// The new lead.
        lead: LeadId,
        /// Who owns it.
        visitor: VisitorId,
        /// Its class.
        lead_type: Name,
        /// When.
        at: Time,
        /// The customer, where known.
        customer: Option<IdentifierKey>,
        /// When it closes unless something happens.
        deadline: Time,
    },
    /// A lead learnt whose it is.
    CustomerLearned {
        /// The lead.
        lead: LeadId,
        /// The customer.
        customer: IdentifierKey,
    },
    /// A lead took an interaction.
    InteractionAttached {
        /// The lead.
        lead: LeadId,
        /// The interaction.
        interaction: InteractionId,
        /// When the interaction happened.
        occurred_at: Time,
        /// Why this lead.
        because: AttachReason,
        /// The leads that could have taken it.
        candidates: Candidates,
        /// The lead's deadline from now on; for a closed lead the one it had.
        deadline: Time,
    },
    /// No lead could take an interaction.
    InteractionOrphaned {
        /// The interaction.
        interaction: InteractionId,
        /// Why.
        reason: OrphanReason,
    },
    /// An operator moved an interaction to another lead.
    InteractionMoved {
        /// The interaction.
        interaction: InteractionId,
        /// When it happened.
        occurred_at: Time,
        /// Where it was.
        from: LeadId,
        /// Where it is.
        to: LeadId,
        /// First and last interaction that `from` still has; `None` when this was its only one.
        remaining: Option<(Time, Time)>,
        /// The deadline of `from` from now on.
        from_deadline: Time,
        /// The deadline of `to` from now on.
        to_deadline: Time,
    },
    /// A sale counted for a lead.
    ConversionRecorded {
        /// The lead.
        lead: LeadId,
        /// The interaction that brought it; `None` for an operator's.
        interaction: Option<InteractionId>,
        /// When.
        at: Time,
        /// What was paid.
        value: Option<Money>,
        /// Units sold.
        rgus: u32,
        /// The order.
        order: Option<OrderKey>,
    },
    /// A sale did not count, because its order had counted already.
    ConversionRepeated {
        /// The lead whose interaction reported it again.
        lead: LeadId,
        /// The order.
        order: OrderKey,
        /// The lead that it counts for.
        counted_for: LeadId,
    },
    /// A sale was taken back.
    ConversionWithdrawn {
        /// The lead.
        lead: LeadId,
        /// When.
        at: Time,
        /// What was paid.
        value: Option<Money>,
        /// Units.
        rgus: u32,
        /// The order.
        order: Option<OrderKey>,
    },
    /// A lead ended.
    LeadClosed {
        /// The lead.
        lead: LeadId,
        /// How.
        cause: CloseCause,
        /// When: for inactivity the deadline, not the moment someone noticed.
        at: Time,
        /// The operator's reason.
        reason: Option<Name>,
    },
    /// A closed lead goes on.
    LeadReopened {
        /// The lead.
        lead: LeadId,
        /// When.
        at: Time,
        /// Why.
        because: ReopenReason,
        /// When it closes unless something happens.
        deadline: Time,
    },
    /// A lead changed its class.
    LeadTypeChanged {
        /// The lead.
        lead: LeadId,
        /// Before.
        from: Name,
        /// After.
        to: Name,
        /// The deadline by the new type, from the same anchor.
        deadline: Time,
    },
    /// A lead was given to an operator, or to nobody.
    LeadAssigned {
        /// The lead.
        lead: LeadId,
        /// The operator's account name.
        owner: Option<Name>,
    },
    /// An operator wrote a note; its text stands in the record's sealed part.
    NoteAdded {
        /// The lead.
        lead: LeadId,
    },
    /// An operator set attributes; their values stand in the record's sealed part.
    AttributesSet {
        /// The lead.
        lead: LeadId,
        /// Which, sorted.
        names: Vec<Name>,
    },
    /// Rules that ask how often something happens counted an interaction.
    InteractionCounted {
        /// The lead.
        lead: LeadId,
        /// The interaction.
        interaction: InteractionId,
        /// When it happened.
        at: Time,
        /// The rules' names.
        rules: Vec<Name>,
        /// What was paid, in minor units of the policy's currency.
        value: i64,
    },
    /// Other rules were adopted, and what they ask the frequency of was counted anew over the lead's history.
    InteractionsRecounted {
        /// The lead.
        lead: LeadId,
        /// All that is counted from now on, in the order of a ledger.
        counted: Vec<Counted>,
    },
    /// The points of an interaction were taken away for good; it stays in its lead.
    InteractionDiscredited {
        /// The lead.
        lead: LeadId,
        /// The interaction.
        interaction: InteractionId,
        /// When.
        at: Time,
        /// Why.
        because: DiscreditReason,
    },
    /// A lead's score ledger changed.
    ScoreChanged {
        /// The lead.
        lead: LeadId,
        /// The time at which the score stands from now on; for a step of decay, when it was due.
        at: Time,
        /// Why.
        because: ScoreReason,
        /// The rows that were entered; after [`ScoreReason::Rescored`] all that there are.
        rows: Vec<ScoreRow>,
        /// The score.
        score: Score,
    },
    /// A lead's score crossed a threshold.
    TemperatureChanged {
        /// The lead.
        lead: LeadId,
        /// When.
        at: Time,
        /// Before.
        from: Temperature,
        /// After.
        to: Temperature,
        /// The score that crossed.
        score: i32,
    },
    /// A lead entered a stage of the funnel.
    StageEntered {
        /// The lead.
        lead: LeadId,
        /// When.
        at: Time,
        /// The stage.
        stage: Name,
        /// The stage before; `None` for the first one.
        from: Option<Name>,
        /// How long it was in the stage before.
        stayed: Option<Period>,
    },
    /// A visitor said whether they want to hear from us.
    ConsentChanged {
        /// Who.
        visitor: VisitorId,
        /// By which medium; `None` for all.
        medium: Option<Name>,
        /// Whether they do.
        given: bool,
        /// When.
        at: Time,
    },
    /// A nurture programme began.
    NurtureStarted {
        /// The lead that it is about.
        lead: LeadId,
        /// Which.
        programme: Name,
        /// When.
        at: Time,
        /// The interaction that began it; `None` for the passing of time and for commands.
        interaction: Option<InteractionId>,
        /// When its first step is due.
        wait: Wait,
    },
    /// A message of a nurture programme should be sent now, by somebody else.
    NurtureStepDue {
        /// The lead that it is about.
        lead: LeadId,
        /// Which programme.
        programme: Name,
        /// The step's number, from 1.
        step: u16,
        /// What to send.
        template: Name,
        /// By which medium, where the policy says.
        medium: Option<Name>,
        /// The tenant's clock.
        at: Time,
        /// When the step was due.
        due_at: Time,
        /// After this time the message would come out of the blue.
        expires_at: Time,
        /// How many steps before it time has passed over: of several that are due at once only the last one is stated.
        passed_over: u16,
        /// When the next step is due; `None` for the last one.
        wait: Option<Wait>,
    },
    /// A step of a nurture programme was due, but nothing should be sent.
    NurtureStepSuppressed {
        /// The lead that it is about.
        lead: LeadId,
        /// Which programme.
        programme: Name,
        /// The step's number, from 1.
        step: u16,
        /// What would have been sent.
        template: Name,
        /// By which medium, where the policy says.
        medium: Option<Name>,
        /// The tenant's clock.
        at: Time,
        /// When the step was due.
        due_at: Time,
        /// Why not.
        because: Suppression,
        /// When the next step is due; `None` for the last one.
        wait: Option<Wait>,
    },
    /// A nurture programme ended.
    NurtureStopped {
        /// The lead that it was about.
        lead: LeadId,
        /// Which.
        programme: Name,
        /// When.
        at: Time,
        /// Why.
        because: NurtureEnd,
    },
}

/// Whether two visitors that were taken apart may merge again by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterUnmerge {
    /// As if they had never merged.
    MayMergeAgain,
    /// Shared identifiers don't merge them any more.
    KeepApart,
}

/// Why a lead took an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachReason {
    /// It was opened for it.
    Opened,
    /// It was the only candidate.
    OnlyCandidate,
    /// It had the latest interaction of several candidates.
    MostRecent,
    /// It had the highest score of several candidates.
    HighestScore,
    /// The interaction came late for a lead that had timed out, and reopened it.
    LateReopened,
    /// The interaction came late for a lead that is closed, and belongs to its history.
    LateHistory,
    /// An operator adopted the orphan.
    Adopted,
}

/// Why no lead took an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrphanReason {
    /// Neither its skill nor its channel is configured.
    UnknownEntryPoint,
    /// No open lead of an allowed type, and the entry point opens none.
    NoDefaultLeadType,
    /// No open lead of an allowed type, and the default type is inactive.
    InactiveLeadType,
    /// The visitor has as many leads as one may have.
    TooManyLeads,
}

/// Why a closed lead goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReopenReason {
    /// An operator's decision.
    Operator,
    /// Its conversion was withdrawn.
    ConversionWithdrawn,
    /// An interaction from before its deadline arrived late.
    LateInteraction,
}

/// Why a score changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreReason {
    /// An interaction fired rules.
    Interaction,
    /// Points lapsed by a step.
    Decay,
    /// An interaction was moved to or from the lead.
    Moved,
    /// An interaction's points were taken away.
    Discredited,
    /// Other rules were adopted, and the lead's history was scored by them.
    Rescored,
}

/// Why the points of an interaction were taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscreditReason {
    /// An operator's decision.
    Operator,
    /// The policy's rule of this name took it for that of a bot.
    BotRule(Name),
}

impl DiscreditReason {
    /// The word in APIs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::BotRule(_) => "bot_rule",
        }
    }

    /// The policy's rule; `None` for an operator.
    #[must_use]
    pub const fn bot_rule(&self) -> Option<&Name> {
        match self {
            Self::Operator => None,
            Self::BotRule(rule) => Some(rule),
        }
    }
}

impl ScoreReason {
    /// The word in APIs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Interaction => "interaction",
            Self::Decay => "decay",
            Self::Moved => "moved",
            Self::Discredited => "discredited",
            Self::Rescored => "rescored",
        }
    }
}

impl OrphanReason {
    /// The word in APIs and listings.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownEntryPoint => "unknown_entry_point",
            Self::NoDefaultLeadType => "no_default_lead_type",
            Self::InactiveLeadType => "inactive_lead_type",
            Self::TooManyLeads => "too_many_leads",
        }
    }
}

impl Event {
    /// The leads that the event is about, at most two.
    #[must_use]
    pub fn leads(&self) -> Candidates {
        match self {
            Self::LeadOpened { lead, .. }
            | Self::CustomerLearned { lead, .. }
            | Self::InteractionAttached { lead, .. }
            | Self::ConversionRecorded { lead, .. }
            | Self::ConversionRepeated { lead, .. }
            | Self::ConversionWithdrawn { lead, .. }
            | Self::LeadClosed { lead, .. }
            | Self::LeadReopened { lead, .. }
            | Self::LeadTypeChanged { lead, .. }
            | Self::LeadAssigned { lead, .. }
            | Self::NoteAdded { lead }
            | Self::AttributesSet { lead, .. }
            | Self::InteractionCounted { lead, .. }
            | Self::InteractionsRecounted { lead, .. }
            | Self::InteractionDiscredited { lead, .. }
            | Self::ScoreChanged { lead, .. }
            | Self::TemperatureChanged { lead, .. }
            | Self::StageEntered { lead, .. }
            | Self::NurtureStarted { lead, .. }
            | Self::NurtureStepDue { lead, .. }
            | Self::NurtureStepSuppressed { lead, .. }
            | Self::NurtureStopped { lead, .. } => Candidates::from_slice(&[*lead]),
            Self::InteractionMoved { from, to, .. } => Candidates::from_slice(&[*from, *to]),
            Self::VisitorCreated { .. }
            | Self::IdentifierLearned { .. }
            | Self::IdentifierMoved { .. }
            | Self::VisitorsMerged { .. }
            | Self::VisitorsUnmerged { .. }
            | Self::DuplicateSuspected { .. }
            | Self::DuplicateSettled { .. }
            | Self::ConsentChanged { .. }
            | Self::VisitorErased { .. }
            | Self::InteractionOrphaned { .. } => Candidates::new(),
        }
    }

    /// Shows every visitor that the event names, also as the first owner of a lead that it is about; some more than once.
    /// What a fold of the event may read or change is theirs.
    pub fn each_visitor(&self, see: &mut dyn FnMut(VisitorId)) {
        for lead in self.leads() {
            see(lead.visitor);
        }
        match self {
            Self::VisitorCreated { visitor }
            | Self::IdentifierLearned { visitor, .. }
            | Self::LeadOpened { visitor, .. }
            | Self::ConsentChanged { visitor, .. } => see(*visitor),
            Self::IdentifierMoved { from: one, to: other, .. }
            | Self::VisitorsMerged { survivor: one, absorbed: other }
            | Self::VisitorsUnmerged { survivor: one, restored: other, .. }
            | Self::DuplicateSuspected { visitor: one, other, .. }
            | Self::DuplicateSettled { visitor: one, other } => [*one, *other].into_iter().for_each(see),
            Self::VisitorErased { visitor, members } => {
                std::iter::once(*visitor).chain(members.iter().copied()).for_each(see)
            }
            Self::ConversionRepeated { counted_for, .. } => see(counted_for.visitor),
            Self::CustomerLearned { .. }
            | Self::InteractionAttached { .. }
            | Self::InteractionOrphaned { .. }
            | Self::InteractionMoved { .. }
            | Self::ConversionRecorded { .. }
            | Self::ConversionWithdrawn { .. }
            | Self::LeadClosed { .. }
            | Self::LeadReopened { .. }
            | Self::LeadTypeChanged { .. }
            | Self::LeadAssigned { .. }
            | Self::NoteAdded { .. }
            | Self::AttributesSet { .. }
            | Self::InteractionCounted { .. }
            | Self::InteractionsRecounted { .. }
            | Self::InteractionDiscredited { .. }
            | Self::ScoreChanged { .. }
            | Self::TemperatureChanged { .. }
            | Self::StageEntered { .. }
            | Self::NurtureStarted { .. }
            | Self::NurtureStepDue { .. }
            | Self::NurtureStepSuppressed { .. }
            | Self::NurtureStopped { .. } => {}
        }
    }
}
