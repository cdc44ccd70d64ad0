//! Between the frozen shapes and the domain's types, in both directions.

use lead_domain::command::{Adoption, Command, RecordedInteraction};
use lead_domain::event::{AfterUnmerge, Candidates, Event};
use lead_domain::interaction::{Sale, Scalar};
use lead_domain::{Currency, Identifier, IdentifierKey, InteractionId, LeadId, Money, OrderKey, Time, VisitorId};

use super::v1::{AskV1, EventV1, IdentifierV1, LeadV1, RecordedV1, SaleV1, ValueV1};
use crate::text::Text;

pub(super) fn stored_lead(lead: LeadId) -> LeadV1 {
    (lead.visitor.0, lead.ordinal)
}

pub(super) fn lead((visitor, ordinal): LeadV1) -> LeadId {
    LeadId { visitor: VisitorId(visitor), ordinal }
}

pub(super) fn stored_identifier(identifier: Identifier) -> IdentifierV1 {
    IdentifierV1 { kind: identifier.kind.into(), key: identifier.key.0 }
}

pub(super) fn identifier(identifier: IdentifierV1) -> Identifier {
    Identifier { kind: identifier.kind.into(), key: IdentifierKey(identifier.key) }
}

fn time(millis: i64) -> Time {
    Time::from_millis(millis)
}

fn stored_span(span: Option<(Time, Time)>) -> Option<(i64, i64)> {
    span.map(|(first, last)| (first.as_millis(), last.as_millis()))
}

fn span(span: Option<(i64, i64)>) -> Option<(Time, Time)> {
    span.map(|(first, last)| (time(first), time(last)))
}

/// Minor units and code of an amount.
fn stored_money(money: Money) -> (i64, [u8; 3]) {
    let mut code = [0; 3];
    code.copy_from_slice(money.currency.code().as_bytes());
    (money.amount, code)
}

/// An amount whose stored code is no currency has none: such bytes are never written.
fn money((amount, code): (i64, [u8; 3])) -> Option<Money> {
    let currency = Currency::new(std::str::from_utf8(&code).ok()?)?;
    Some(Money { amount, currency })
}

impl From<&Sale> for SaleV1 {
    fn from(sale: &Sale) -> Self {
        Self { value: sale.value.map(stored_money), rgus: sale.rgus, order: sale.order.map(|order| order.0) }
    }
}

impl From<&SaleV1> for Sale {
    fn from(sale: &SaleV1) -> Self {
        Self { value: sale.value.and_then(money), rgus: sale.rgus, order: sale.order.map(OrderKey) }
    }
}

impl From<&ValueV1> for Scalar {
    fn from(value: &ValueV1) -> Self {
        match value {
            ValueV1::Bool(value) => Self::Bool(*value),
            ValueV1::Integer(value) => Self::Integer(*value),
            ValueV1::Decimal(text) | ValueV1::Text(text) => Self::Text(text.0.clone()),
        }
    }
}

impl From<&Event> for EventV1 {
    fn from(event: &Event) -> Self {
        visitor_event(event).unwrap_or_else(|| lead_event(event))
    }
}

/// Events about who somebody is; `None` for those about leads.
fn visitor_event(event: &Event) -> Option<EventV1> {
    Some(match event {
        Event::VisitorCreated { visitor } => EventV1::VisitorCreated { visitor: visitor.0 },
        Event::IdentifierLearned { visitor, identifier } => {
            EventV1::IdentifierLearned { visitor: visitor.0, identifier: stored_identifier(*identifier) }
        }
        Event::IdentifierMoved { identifier, from, to } => {
            EventV1::IdentifierMoved { identifier: stored_identifier(*identifier), from: from.0, to: to.0 }
        }
        Event::VisitorsMerged { survivor, absorbed } => {
            EventV1::VisitorsMerged { survivor: survivor.0, absorbed: absorbed.0 }
        }
        Event::VisitorsUnmerged { survivor, restored, afterwards } => EventV1::VisitorsUnmerged {
            survivor: survivor.0,
            restored: restored.0,
            keep_apart: *afterwards == AfterUnmerge::KeepApart,
        },
        Event::DuplicateSuspected { visitor, other, identifier } => EventV1::DuplicateSuspected {
            visitor: visitor.0,
            other: other.0,
            identifier: stored_identifier(*identifier),
        },
        Event::DuplicateSettled { visitor, other } => EventV1::DuplicateSettled { visitor: visitor.0, other: other.0 },
        Event::LeadOpened { .. }
        | Event::CustomerLearned { .. }
        | Event::InteractionAttached { .. }
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
        | Event::InteractionCounted { .. }
        | Event::InteractionsRecounted { .. }
        | Event::ScoreChanged { .. }
        | Event::TemperatureChanged { .. }
        | Event::StageEntered { .. }
        | Event::InteractionDiscredited { .. }
        | Event::ConsentChanged { .. }
        | Event::NurtureStarted { .. }
        | Event::NurtureStepDue { .. }
        | Event::NurtureStepSuppressed { .. }
        | Event::NurtureStopped { .. }
        | Event::VisitorErased { .. } => return None,
    })
}

#[expect(clippy::too_many_lines, reason = "one arm an event; splitting it would hide that all are there")]
fn lead_event(event: &Event) -> EventV1 {
    match event {
        Event::LeadOpened { lead, visitor, lead_type, at, customer, deadline } => EventV1::LeadOpened {
            lead: stored_lead(*lead),
            visitor: visitor.0,
            lead_type: Text(lead_type.clone()),
            at: at.as_millis(),
            customer: customer.map(|key| key.0),
            deadline: deadline.as_millis(),
        },
        Event::CustomerLearned { lead, customer } => {
            EventV1::CustomerLearned { lead: stored_lead(*lead), customer: customer.0 }
        }
        Event::InteractionAttached { lead, interaction, occurred_at, because, candidates, deadline } => {
            EventV1::InteractionAttached {
                lead: stored_lead(*lead),
                interaction: interaction.0,
                occurred_at: occurred_at.as_millis(),
                because: (*because).into(),
                candidates: candidates.iter().copied().map(stored_lead).collect(),
                deadline: deadline.as_millis(),
            }
        }
        Event::InteractionOrphaned { interaction, reason } => {
            EventV1::InteractionOrphaned { interaction: interaction.0, reason: (*reason).into() }
        }
        Event::InteractionMoved { interaction, occurred_at, from, to, remaining, from_deadline, to_deadline } => {
            EventV1::InteractionMoved {
                interaction: interaction.0,
                occurred_at: occurred_at.as_millis(),
                from: stored_lead(*from),
                to: stored_lead(*to),
                remaining: stored_span(*remaining),
                from_deadline: from_deadline.as_millis(),
                to_deadline: to_deadline.as_millis(),
            }
        }
        Event::ConversionRecorded { lead, interaction, at, value, rgus, order } => EventV1::ConversionRecorded {
            lead: stored_lead(*lead),
            interaction: interaction.map(|id| id.0),
            at: at.as_millis(),
            sale: SaleV1::from(&Sale { value: *value, rgus: *rgus, order: *order }),
        },
        Event::ConversionRepeated { lead, order, counted_for } => EventV1::ConversionRepeated {
            lead: stored_lead(*lead),
            order: order.0,
            counted_for: stored_lead(*counted_for),
        },
        Event::ConversionWithdrawn { lead, at, value, rgus, order } => EventV1::ConversionWithdrawn {
            lead: stored_lead(*lead),
            at: at.as_millis(),
            sale: SaleV1::from(&Sale { value: *value, rgus: *rgus, order: *order }),
        },
        Event::LeadClosed { lead, cause, at, reason } => EventV1::LeadClosed {
            lead: stored_lead(*lead),
            cause: (*cause).into(),
            at: at.as_millis(),
            reason: reason.clone().map(Text),
        },
        Event::LeadReopened { lead, at, because, deadline } => EventV1::LeadReopened {
            lead: stored_lead(*lead),
            at: at.as_millis(),
            because: (*because).into(),
            deadline: deadline.as_millis(),
        },
        Event::LeadTypeChanged { lead, from, to, deadline } => EventV1::LeadTypeChanged {
            lead: stored_lead(*lead),
            from: Text(from.clone()),
            to: Text(to.clone()),
            deadline: deadline.as_millis(),
        },
        Event::LeadAssigned { lead, owner } => {
            EventV1::LeadAssigned { lead: stored_lead(*lead), owner: owner.clone().map(Text) }
        }
        Event::NoteAdded { lead } => EventV1::NoteAdded { lead: stored_lead(*lead) },
        Event::AttributesSet { lead, names } => {
            EventV1::AttributesSet { lead: stored_lead(*lead), names: names.iter().cloned().map(Text).collect() }
        }
        Event::VisitorCreated { .. }
        | Event::IdentifierLearned { .. }
        | Event::IdentifierMoved { .. }
        | Event::VisitorsMerged { .. }
        | Event::VisitorsUnmerged { .. }
        | Event::DuplicateSuspected { .. }
        | Event::DuplicateSettled { .. } => unreachable!("visitor_event takes these"),
        Event::InteractionCounted { .. }
        | Event::InteractionsRecounted { .. }
        | Event::ScoreChanged { .. }
        | Event::TemperatureChanged { .. }
        | Event::StageEntered { .. }
        | Event::InteractionDiscredited { .. }
        | Event::ConsentChanged { .. }
        | Event::NurtureStarted { .. }
        | Event::NurtureStepDue { .. }
        | Event::NurtureStepSuppressed { .. }
        | Event::NurtureStopped { .. }
        | Event::VisitorErased { .. } => {
            unreachable!("later versions take these")
        }
    }
}

impl From<EventV1> for Event {
    #[expect(clippy::too_many_lines, reason = "one arm an event; splitting it would hide that all are there")]
    fn from(event: EventV1) -> Self {
        match event {
            EventV1::VisitorCreated { visitor } => Self::VisitorCreated { visitor: VisitorId(visitor) },
            EventV1::IdentifierLearned { visitor, identifier: learned } => {
                Self::IdentifierLearned { visitor: VisitorId(visitor), identifier: identifier(learned) }
            }
            EventV1::IdentifierMoved { identifier: moved, from, to } => {
                Self::IdentifierMoved { identifier: identifier(moved), from: VisitorId(from), to: VisitorId(to) }
            }
            EventV1::VisitorsMerged { survivor, absorbed } => {
                Self::VisitorsMerged { survivor: VisitorId(survivor), absorbed: VisitorId(absorbed) }
            }
            EventV1::VisitorsUnmerged { survivor, restored, keep_apart } => Self::VisitorsUnmerged {
                survivor: VisitorId(survivor),
                restored: VisitorId(restored),
                afterwards: if keep_apart { AfterUnmerge::KeepApart } else { AfterUnmerge::MayMergeAgain },
            },
            EventV1::DuplicateSuspected { visitor, other, identifier: shared } => Self::DuplicateSuspected {
                visitor: VisitorId(visitor),
                other: VisitorId(other),
                identifier: identifier(shared),
            },
            EventV1::DuplicateSettled { visitor, other } => {
                Self::DuplicateSettled { visitor: VisitorId(visitor), other: VisitorId(other) }
            }
            EventV1::LeadOpened { lead: id, visitor, lead_type, at, customer, deadline } => Self::LeadOpened {
                lead: lead(id),
                visitor: VisitorId(visitor),
                lead_type: lead_type.0,
                at: time(at),
                customer: customer.map(IdentifierKey),
                deadline: time(deadline),
            },
            EventV1::CustomerLearned { lead: id, customer } => {
                Self::CustomerLearned { lead: lead(id), customer: IdentifierKey(customer) }
            }
            EventV1::InteractionAttached { lead: id, interaction, occurred_at, because, candidates, deadline } => {
                Self::InteractionAttached {
                    lead: lead(id),
                    interaction: InteractionId(interaction),
                    occurred_at: time(occurred_at),
                    because: because.into(),
                    candidates: candidates.into_iter().map(lead).collect::<Candidates>(),
                    deadline: time(deadline),
                }
            }
            EventV1::InteractionOrphaned { interaction, reason } => {
                Self::InteractionOrphaned { interaction: InteractionId(interaction), reason: reason.into() }
            }
            EventV1::InteractionMoved { interaction, occurred_at, from, to, remaining, from_deadline, to_deadline } => {
                Self::InteractionMoved {
                    interaction: InteractionId(interaction),
                    occurred_at: time(occurred_at),
                    from: lead(from),
                    to: lead(to),
                    remaining: span(remaining),
                    from_deadline: time(from_deadline),
                    to_deadline: time(to_deadline),
                }
            }
            EventV1::ConversionRecorded { lead: id, interaction, at, sale } => {
                let Sale { value, rgus, order } = Sale::from(&sale);
                let interaction = interaction.map(InteractionId);
                Self::ConversionRecorded { lead: lead(id), interaction, at: time(at), value, rgus, order }
            }
            EventV1::ConversionRepeated { lead: id, order, counted_for } => {
                Self::ConversionRepeated { lead: lead(id), order: OrderKey(order), counted_for: lead(counted_for) }
            }
            EventV1::ConversionWithdrawn { lead: id, at, sale } => {
                let Sale { value, rgus, order } = Sale::from(&sale);
                Self::ConversionWithdrawn { lead: lead(id), at: time(at), value, rgus, order }
            }
            EventV1::LeadClosed { lead: id, cause, at, reason } => Self::LeadClosed {
                lead: lead(id),
                cause: cause.into(),
                at: time(at),
                reason: reason.map(|reason| reason.0),
            },
            EventV1::LeadReopened { lead: id, at, because, deadline } => {
                Self::LeadReopened { lead: lead(id), at: time(at), because: because.into(), deadline: time(deadline) }
            }
            EventV1::LeadTypeChanged { lead: id, from, to, deadline } => {
                Self::LeadTypeChanged { lead: lead(id), from: from.0, to: to.0, deadline: time(deadline) }
            }
            EventV1::LeadAssigned { lead: id, owner } => {
                Self::LeadAssigned { lead: lead(id), owner: owner.map(|owner| owner.0) }
            }
            EventV1::NoteAdded { lead: id } => Self::NoteAdded { lead: lead(id) },
            EventV1::AttributesSet { lead: id, names } => {
                Self::AttributesSet { lead: lead(id), names: names.into_iter().map(|name| name.0).collect() }
            }
        }
    }
}

pub(super) fn stored_recorded(recorded: RecordedInteraction) -> RecordedV1 {
    (recorded.id.0, recorded.occurred_at.as_millis(), recorded.visitor.0)
}

pub(super) fn recorded((id, occurred_at, visitor): RecordedV1) -> RecordedInteraction {
    RecordedInteraction { id: InteractionId(id), occurred_at: time(occurred_at), visitor: VisitorId(visitor) }
}

/// How a command is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// As one of the asks of version 1.
    Ask(AskV1),
    /// As an erasure: whom, and why.
    Erasure(VisitorId, Text),
}

impl Recorded {
    /// How this command is.
    #[must_use]
    pub(super) fn of(command: &Command) -> Self {
        Self::Ask(match command {
            Command::OpenLead { visitor, lead_type } => AskV1::OpenLead(visitor.0, Text(lead_type.clone())),
            Command::CloseLead { lead, reason } => AskV1::CloseLead(stored_lead(*lead), Text(reason.clone())),
            Command::ConvertLead { lead, sale } => AskV1::ConvertLead(stored_lead(*lead), sale.into()),
            Command::WithdrawConversion { lead, order } => {
                AskV1::WithdrawConversion(stored_lead(*lead), order.map(|order| order.0))
            }
            Command::ReopenLead { lead } => AskV1::ReopenLead(stored_lead(*lead)),
            Command::ChangeLeadType { lead, lead_type } => {
                AskV1::ChangeLeadType(stored_lead(*lead), Text(lead_type.clone()))
            }
            Command::AssignLead { lead, owner } => AskV1::AssignLead(stored_lead(*lead), owner.clone().map(Text)),
            Command::AddNote { lead } => AskV1::AddNote(stored_lead(*lead)),
            Command::SetAttributes { lead, names } => {
                AskV1::SetAttributes(stored_lead(*lead), names.iter().cloned().map(Text).collect())
            }
            Command::AdoptOrphan { orphan, into } => {
                let (target, lead_type) = match into {
                    Adoption::Lead(lead) => (Some(stored_lead(*lead)), None),
                    Adoption::NewLead(lead_type) => (None, Some(Text(lead_type.clone()))),
                };
                AskV1::AdoptOrphan(stored_recorded(*orphan), target, lead_type)
            }
            Command::MoveInteraction { interaction, recorded_in, to, remaining } => AskV1::MoveInteraction(
                stored_recorded(*interaction),
                stored_lead(*recorded_in),
                stored_lead(*to),
                stored_span(*remaining),
            ),
            Command::DiscreditInteraction { .. } => unreachable!("version 5 takes it"),
            Command::MergeVisitors { one, other } => AskV1::MergeVisitors(one.0, other.0),
            Command::UnmergeVisitor { visitor, afterwards } => {
                AskV1::UnmergeVisitor(visitor.0, *afterwards == AfterUnmerge::KeepApart)
            }
            Command::SettleDuplicate { one, other } => AskV1::SettleDuplicate(one.0, other.0),
            Command::EraseVisitor { visitor, reason } => return Self::Erasure(*visitor, Text(reason.clone())),
        })
    }
}

impl From<&AskV1> for Command {
    fn from(ask: &AskV1) -> Self {
        match ask {
            AskV1::OpenLead(visitor, lead_type) => {
                Self::OpenLead { visitor: VisitorId(*visitor), lead_type: lead_type.0.clone() }
            }
            AskV1::CloseLead(id, reason) => Self::CloseLead { lead: lead(*id), reason: reason.0.clone() },
            AskV1::ConvertLead(id, sale) => Self::ConvertLead { lead: lead(*id), sale: sale.into() },
            AskV1::WithdrawConversion(id, order) => {
                Self::WithdrawConversion { lead: lead(*id), order: order.map(OrderKey) }
            }
            AskV1::ReopenLead(id) => Self::ReopenLead { lead: lead(*id) },
            AskV1::ChangeLeadType(id, lead_type) => {
                Self::ChangeLeadType { lead: lead(*id), lead_type: lead_type.0.clone() }
            }
            AskV1::AssignLead(id, owner) => {
                Self::AssignLead { lead: lead(*id), owner: owner.as_ref().map(|owner| owner.0.clone()) }
            }
            AskV1::AddNote(id) => Self::AddNote { lead: lead(*id) },
            AskV1::SetAttributes(id, names) => {
                Self::SetAttributes { lead: lead(*id), names: names.iter().map(|name| name.0.clone()).collect() }
            }
            AskV1::AdoptOrphan(orphan, target, lead_type) => Self::AdoptOrphan {
                orphan: recorded(*orphan),
                into: match (target, lead_type) {
                    (Some(target), _) => Adoption::Lead(lead(*target)),
                    (None, lead_type) => {
                        Adoption::NewLead(lead_type.as_ref().map(|name| name.0.clone()).unwrap_or_default())
                    }
                },
            },
            AskV1::MoveInteraction(interaction, recorded_in, to, remaining) => Self::MoveInteraction {
                interaction: recorded(*interaction),
                recorded_in: lead(*recorded_in),
                to: lead(*to),
                remaining: span(*remaining),
            },
            AskV1::MergeVisitors(one, other) => Self::MergeVisitors { one: VisitorId(*one), other: VisitorId(*other) },
            AskV1::UnmergeVisitor(visitor, keep_apart) => Self::UnmergeVisitor {
                visitor: VisitorId(*visitor),
                afterwards: if *keep_apart { AfterUnmerge::KeepApart } else { AfterUnmerge::MayMergeAgain },
            },
            AskV1::SettleDuplicate(one, other) => {
                Self::SettleDuplicate { one: VisitorId(*one), other: VisitorId(*other) }
            }
        }
    }
}
