//! `GET /v1/records/{position}/explain`: one record with the rule that was in force for it, and what each lead of its
//! visitor had to do with it. Nothing in it is personal.

use access::Permission;
use axum::extract::{RawQuery, State};
use engine::{Considered, Explanation, Rule, RuleOf, TimelineEntry, Verdict, explain};
use event_log::LogPosition;
use lead_domain::event::AttachReason;
use lead_domain::policy::Pick;
use lead_domain::{LeadId, Name};
use proto_events::lead_event::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::At;
use crate::caller::Caller;
use crate::parameters::{AtLeast, Id, OfTenant};
use crate::problem::{CommonProblems, Problem};
use crate::shown::{TimelineRow, pairs, refuse_rest, take, take_min_position, timeline_row};
use crate::state::Api;

/// Why a record says what it says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainedRecord {
    #[serde(flatten)]
    record: TimelineRow,
    /// Whose record it is; `null` for one of no tenant.
    tenant: Option<String>,
    /// The visitor; `null` where it is of none.
    visitor_id: Option<String>,
    /// The policy version that was in force.
    policy_version: Option<u32>,
    /// The program that says so. The log doesn't tell which one decided.
    explained_by: String,
    /// The rule that said which leads could take the interaction; `null` where there was none.
    rule: Option<ExplainedRule>,
    /// The visitor's leads as the decision found them, for an interaction.
    leads: Vec<ConsideredLead>,
    /// The lead that was asked about.
    why_not: Option<ConsideredLead>,
}

/// A rule of the policy.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedRule {
    /// Whose rule it is: `skill` or `channel`.
    of: &'static str,
    /// The skill or channel.
    name: String,
    /// The type of leads that it opens; `null` for none.
    default_lead_type: Option<String>,
    /// Which further types could take the interaction.
    also_allowed: Vec<String>,
    /// Which of several leads takes it: `most_recent` or `highest_score`.
    pick: &'static str,
}

/// What a lead had to do with an interaction.
#[derive(Debug, Serialize, ToSchema)]
struct ConsideredLead {
    /// The lead.
    lead_id: String,
    /// Its type then; `null` for one that was not there.
    lead_type: Option<String>,
    /// `took`, `not_picked`, `no_rule`, `type_not_allowed`, `other_customer`, `closed`, `opened_later`, `other_visitor`,
    /// `not_yet_opened` or `opened_for_it`.
    verdict: &'static str,
    /// The same as a sentence.
    because: String,
}

/// An explanation as it is shown.
#[must_use]
pub fn explained_record(found: &Explanation) -> ExplainedRecord {
    let entry = TimelineEntry { header: found.header, facts: found.facts.clone(), personal: None };
    let (tenant, policy_version) = found.policy.clone().unzip();
    ExplainedRecord {
        record: timeline_row(&entry),
        tenant: tenant.map(|tenant| tenant.to_string()),
        visitor_id: Some(found.header.visitor).filter(|id| *id > 0).map(|id| format!("V{id}")),
        policy_version,
        explained_by: concat!("leadfold ", env!("CARGO_PKG_VERSION")).to_owned(),
        rule: found.rule.as_ref().map(explained_rule),
        leads: found.leads.iter().map(considered_lead).collect(),
        why_not: found.why_not.as_ref().map(considered_lead),
    }
}

fn explained_rule(Rule { of, entry_point }: &Rule) -> ExplainedRule {
    ExplainedRule {
        of: match of {
            RuleOf::Skill => "skill",
            RuleOf::Channel => "channel",
        },
        name: entry_point.name.to_string(),
        default_lead_type: entry_point.default_lead_type.as_ref().map(Name::to_string),
        also_allowed: entry_point.also_allowed.iter().map(Name::to_string).collect(),
        pick: pick(entry_point.pick),
    }
}

fn considered_lead(considered: &Considered) -> ConsideredLead {
    ConsideredLead {
        lead_id: considered.id.to_string(),
        lead_type: considered.lead_type.as_ref().map(Name::to_string),
        verdict: code(&considered.verdict),
        because: because(&considered.verdict),
    }
}

const fn pick(pick: Pick) -> &'static str {
    match pick {
        Pick::MostRecent => "most_recent",
        Pick::HighestScore => "highest_score",
    }
}

const fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Took(_) => "took",
        Verdict::NotPicked { .. } => "not_picked",
        Verdict::NoRule => "no_rule",
        Verdict::TypeNotAllowed => "type_not_allowed",
        Verdict::OtherCustomer => "other_customer",
        Verdict::Closed { .. } => "closed",
        Verdict::OpenedLater { .. } => "opened_later",
        Verdict::OtherVisitor { .. } => "other_visitor",
        Verdict::NotYetOpened => "not_yet_opened",
        Verdict::OpenedForIt => "opened_for_it",
    }
}

fn because(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Took(reason) => format!("it took the interaction: {}", taken(*reason)),
        Verdict::NotPicked { taken, pick: by } => {
            format!("it could have taken it, but {taken} was picked ({})", pick(*by))
        }
        Verdict::NoRule => "the policy has no rule for the skill and the channel".to_owned(),
        Verdict::TypeNotAllowed => "the rule doesn't allow its type".to_owned(),
        Verdict::OtherCustomer => "its customer id doesn't agree with the interaction's".to_owned(),
        Verdict::Closed { cause, at } => format!("it ended at {} ({})", rfc3339(*at), cause.code()),
        Verdict::OpenedLater { at } => format!("it was opened later, at {}", rfc3339(*at)),
        Verdict::OtherVisitor { visitor } => format!("it belonged to {visitor}"),
        Verdict::NotYetOpened => "it did not exist yet".to_owned(),
        Verdict::OpenedForIt => "it was opened for it".to_owned(),
    }
}

const fn taken(reason: AttachReason) -> &'static str {
    match reason {
        AttachReason::Opened => "it was opened for it",
        AttachReason::OnlyCandidate => "no other could",
        AttachReason::MostRecent => "it had the latest interaction",
        AttachReason::HighestScore => "it had the highest score",
        AttachReason::LateReopened => "it was alive when that happened, and goes on",
        AttachReason::LateHistory => "it was alive when that happened; it stays closed",
        AttachReason::Adopted => "an operator put it there",
    }
}

/// Explain a record
///
/// What came in, by which rule of which policy version, which leads could have taken it and why one did; `why_not` asks about
/// a lead, of whomever it is. The number of an interaction is that of its record. Reads the log up to the record.
#[utoipa::path(
    get, path = "/v1/records/{position}/explain", tag = "operations",
    params(
        ("position" = String, Path, description = "A place in the log", pattern = "^[1-9][0-9]{0,18}$"),
        ("why_not" = Option<String>, Query, pattern = "^V[1-9][0-9]*-[1-9][0-9]*$",
            description = "A lead that did not take the interaction"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = ExplainedRecord), CommonProblems)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(position): Id,
    RawQuery(query): RawQuery,
) -> Result<At<ExplainedRecord>, Problem> {
    caller.must(Permission::Audit)?;
    let tenant = api.tenant(&caller)?.id;
    let unknown = || Problem::not_found("record");
    let position: u64 = position.parse().map_err(|_| unknown())?;
    let mut pairs = pairs(query.as_deref())?;
    api.reached(take_min_position(&mut pairs)?)?;
    let wrong = |_| Problem::field("why_not", "invalid_value", "why_not must be a lead, such as V42-1.");
    let why_not = take(&mut pairs, "why_not").map(|text| text.parse::<LeadId>().map_err(wrong)).transpose()?;
    refuse_rest(&pairs)?;
    if position == 0 || position > api.service.head().0 {
        return Err(unknown());
    }
    let position = LogPosition(position);
    // It reads as much of the log as a past does, so it waits for its turn with those.
    let turn = api.past.turn(api.options.past_wait).await?;
    let read = move |parts: &engine::Parts| {
        let found = engine::facts_at(&*parts.log, position)?.filter(|(header, _)| header.tenant == tenant.0);
        let explained = found.map(|_| explain(&*parts.log, position, why_not, &mut |_| {})).transpose();
        drop(turn);
        explained
    };
    let found = api.service.read_records(position, read).await??.ok_or_else(unknown)?;
    if why_not.is_some() && found.why_not.is_none() {
        let message = format!("Record {position} is no interaction; why_not asks about one.");
        return Err(Problem::field("why_not", "no_interaction", message));
    }
    Ok(At::new(api.service.head(), explained_record(&found)))
}
