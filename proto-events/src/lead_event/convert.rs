//! From the domain's events to their published form.

use std::collections::BTreeSet;
use std::fmt::Display;

use lead_domain::event::{AfterUnmerge, Event};
use lead_domain::nurture::Wait;
use lead_domain::score::Counted;

use super::{LeadEvent, Money, NextStep, Score, ScoreRow, attach_reason, reopen_reason, rfc3339};

/// An id as it is shown.
fn shown(id: impl Display) -> String {
    id.to_string()
}

fn money(value: Option<lead_domain::Money>) -> Option<Money> {
    value.map(|money| Money { amount: money.amount, currency: money.currency.code().to_owned() })
}

impl From<&lead_domain::Score> for Score {
    fn from(score: &lead_domain::Score) -> Self {
        let by_category = score.by_category.iter().map(|(name, points)| (shown(name), *points)).collect();
        Self { total: score.total, fit: score.fit, engagement: score.engagement, by_category }
    }
}

impl From<&lead_domain::ScoreRow> for ScoreRow {
    fn from(row: &lead_domain::ScoreRow) -> Self {
        Self {
            interaction_id: shown(row.interaction),
            rule: shown(&row.rule),
            policy_version: row.policy_version,
            group: shown(&row.group),
            category: row.category.as_ref().map(shown),
            at: rfc3339(row.at),
            points: row.points,
            lapses_at: row.lapses_at().map(rfc3339),
        }
    }
}

impl From<Wait> for NextStep {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Until(at) => Self::DueAt(rfc3339(at)),
            Wait::Quiet(period) => Self::AfterQuietMs(period.as_millis()),
        }
    }
}

/// The rules that count, sorted, and how many interactions they do.
fn recounted(counted: &[Counted]) -> (Vec<String>, usize) {
    let rules: BTreeSet<&str> = counted.iter().map(|counted| counted.rule.as_str()).collect();
    let interactions: BTreeSet<_> = counted.iter().map(|counted| counted.interaction).collect();
    (rules.into_iter().map(str::to_owned).collect(), interactions.len())
}

impl From<&Event> for LeadEvent {
    #[expect(clippy::too_many_lines, reason = "one arm an event; splitting it would hide that all are there")]
    fn from(event: &Event) -> Self {
        match event {
            Event::VisitorCreated { visitor } => Self::VisitorCreated { visitor_id: shown(visitor) },
            Event::IdentifierLearned { visitor, identifier } => {
                Self::IdentifierLearned { visitor_id: shown(visitor), identifier: identifier.kind.name() }
            }
            Event::IdentifierMoved { identifier, from, to } => Self::IdentifierMoved {
                identifier: identifier.kind.name(),
                from_visitor_id: shown(from),
                to_visitor_id: shown(to),
            },
            Event::VisitorsMerged { survivor, absorbed } => {
                Self::VisitorsMerged { visitor_id: shown(survivor), absorbed_visitor_id: shown(absorbed) }
            }
            Event::VisitorsUnmerged { survivor, restored, afterwards } => Self::VisitorsUnmerged {
                visitor_id: shown(survivor),
                restored_visitor_id: shown(restored),
                kept_apart: *afterwards == AfterUnmerge::KeepApart,
            },
            Event::DuplicateSuspected { visitor, other, identifier } => Self::DuplicateSuspected {
                visitor_id: shown(visitor),
                other_visitor_id: shown(other),
                identifier: identifier.kind.name(),
            },
            Event::DuplicateSettled { visitor, other } => {
                Self::DuplicateSettled { visitor_id: shown(visitor), other_visitor_id: shown(other) }
            }
            Event::VisitorErased { visitor, members } => {
                Self::VisitorErased { visitor_id: shown(visitor), member_ids: members.iter().map(shown).collect() }
            }
            Event::LeadOpened { lead, visitor, lead_type, at, customer, deadline } => Self::LeadOpened {
                lead_id: shown(lead),
                visitor_id: shown(visitor),
                lead_type: lead_type.to_string(),
                at: rfc3339(*at),
                customer_known: customer.is_some(),
                deadline: rfc3339(*deadline),
            },
            Event::CustomerLearned { lead, customer: _ } => Self::CustomerLearned { lead_id: shown(lead) },
            Event::InteractionAttached { lead, interaction, occurred_at, because, candidates, deadline } => {
                Self::InteractionAttached {
                    lead_id: shown(lead),
                    interaction_id: shown(interaction),
                    occurred_at: rfc3339(*occurred_at),
                    because: attach_reason(*because),
                    candidates: candidates.iter().map(shown).collect(),
                    deadline: rfc3339(*deadline),
                }
            }
            Event::InteractionOrphaned { interaction, reason } => {
                Self::InteractionOrphaned { interaction_id: shown(interaction), reason: reason.code() }
            }
            Event::InteractionMoved {
                interaction,
                occurred_at,
                from,
                to,
                remaining: _,
                from_deadline,
                to_deadline,
            } => Self::InteractionMoved {
                interaction_id: shown(interaction),
                occurred_at: rfc3339(*occurred_at),
                from_lead_id: shown(from),
                to_lead_id: shown(to),
                from_deadline: rfc3339(*from_deadline),
                to_deadline: rfc3339(*to_deadline),
            },
            Event::ConversionRecorded { lead, interaction, at, value, rgus, order: _ } => Self::ConversionRecorded {
                lead_id: shown(lead),
                interaction_id: interaction.map(shown),
                at: rfc3339(*at),
                value: money(*value),
                rgus: *rgus,
            },
            Event::ConversionRepeated { lead, order: _, counted_for } => {
                Self::ConversionRepeated { lead_id: shown(lead), counted_for_lead_id: shown(counted_for) }
            }
            Event::ConversionWithdrawn { lead, at, value, rgus, order: _ } => {
                Self::ConversionWithdrawn { lead_id: shown(lead), at: rfc3339(*at), value: money(*value), rgus: *rgus }
            }
            Event::LeadClosed { lead, cause, at, reason } => Self::LeadClosed {
                lead_id: shown(lead),
                cause: cause.code(),
                at: rfc3339(*at),
                reason: reason.as_ref().map(shown),
            },
            Event::LeadReopened { lead, at, because, deadline } => Self::LeadReopened {
                lead_id: shown(lead),
                at: rfc3339(*at),
                because: reopen_reason(*because),
                deadline: rfc3339(*deadline),
            },
            Event::LeadTypeChanged { lead, from, to, deadline } => Self::LeadTypeChanged {
                lead_id: shown(lead),
                from_lead_type: shown(from),
                to_lead_type: shown(to),
                deadline: rfc3339(*deadline),
            },
            Event::LeadAssigned { lead, owner } => {
                Self::LeadAssigned { lead_id: shown(lead), owner: owner.as_ref().map(shown) }
            }
            Event::NoteAdded { lead } => Self::NoteAdded { lead_id: shown(lead) },
            Event::AttributesSet { lead, names } => {
                Self::AttributesSet { lead_id: shown(lead), names: names.iter().map(shown).collect() }
            }
            Event::InteractionCounted { lead, interaction, at, rules, value: _ } => Self::InteractionCounted {
                lead_id: shown(lead),
                interaction_id: shown(interaction),
                at: rfc3339(*at),
                rules: rules.iter().map(shown).collect(),
            },
            Event::InteractionsRecounted { lead, counted } => {
                let (rules, interactions) = recounted(counted);
                Self::InteractionsRecounted { lead_id: shown(lead), rules, interactions }
            }
            Event::InteractionDiscredited { lead, interaction, at, because } => Self::InteractionDiscredited {
                lead_id: shown(lead),
                interaction_id: shown(interaction),
                at: rfc3339(*at),
                because: because.code(),
                bot_rule: because.bot_rule().map(shown),
            },
            Event::ScoreChanged { lead, at, because, rows, score } => Self::ScoreChanged {
                lead_id: shown(lead),
                at: rfc3339(*at),
                because: because.code(),
                rows: rows.iter().map(ScoreRow::from).collect(),
                score: Score::from(score),
            },
            Event::TemperatureChanged { lead, at, from, to, score } => Self::TemperatureChanged {
                lead_id: shown(lead),
                at: rfc3339(*at),
                from: from.code(),
                to: to.code(),
                score: *score,
            },
            Event::StageEntered { lead, at, stage, from, stayed } => Self::StageEntered {
                lead_id: shown(lead),
                at: rfc3339(*at),
                stage: shown(stage),
                from_stage: from.as_ref().map(shown),
                stayed_ms: stayed.map(lead_domain::Period::as_millis),
            },
            Event::ConsentChanged { visitor, medium, given, at } => Self::ConsentChanged {
                visitor_id: shown(visitor),
                medium: medium.as_ref().map(shown),
                given: *given,
                at: rfc3339(*at),
            },
            Event::NurtureStarted { lead, programme, at, interaction, wait } => Self::NurtureStarted {
                lead_id: shown(lead),
                programme: shown(programme),
                at: rfc3339(*at),
                interaction_id: interaction.map(shown),
                next: (*wait).into(),
            },
            Event::NurtureStepDue {
                lead,
                programme,
                step,
                template,
                medium,
                at,
                due_at,
                expires_at,
                passed_over,
                wait,
            } => Self::NurtureStepDue {
                lead_id: shown(lead),
                programme: shown(programme),
                step: *step,
                template: shown(template),
                medium: medium.as_ref().map(shown),
                at: rfc3339(*at),
                due_at: rfc3339(*due_at),
                expires_at: rfc3339(*expires_at),
                passed_over: *passed_over,
                next: wait.map(NextStep::from),
                person: None,
            },
            Event::NurtureStepSuppressed { lead, programme, step, template, medium, at, due_at, because, wait } => {
                Self::NurtureStepSuppressed {
                    lead_id: shown(lead),
                    programme: shown(programme),
                    step: *step,
                    template: shown(template),
                    medium: medium.as_ref().map(shown),
                    at: rfc3339(*at),
                    due_at: rfc3339(*due_at),
                    because: because.code(),
                    next: wait.map(NextStep::from),
                }
            }
            Event::NurtureStopped { lead, programme, at, because } => Self::NurtureStopped {
                lead_id: shown(lead),
                programme: shown(programme),
                at: rfc3339(*at),
                because: because.code(),
            },
        }
    }
}
