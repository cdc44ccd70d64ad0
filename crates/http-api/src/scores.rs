//! A lead's score ledger: its rows, their sums at any time, and why a rule did or did not fire.

use std::collections::BTreeMap;

use access::Permission;
use axum::extract::{RawQuery, State};
use engine::{ScoreAccount, ScoreQuery};
use lead_domain::{LeadId, Name};
use proto_events::lead_event::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::At;
use crate::caller::Caller;
use crate::leads::lead_id;
use crate::parameters::{AtLeast, Id, OfTenant};
use crate::past;
use crate::problem::{CommonProblems, PastProblems, Problem};
use crate::shown::{pairs, refuse_rest, take, take_min_position};
use crate::state::Api;

/// A lead's score ledger at a time. `total` is the sum of `points_now` over all rows, and of `fit` and `engagement`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreLedger {
    /// The lead.
    pub lead_id: String,
    /// When; of a closed lead not after its end.
    #[schema(format = DateTime)]
    pub at: String,
    /// All points.
    pub total: i32,
    /// Who they are.
    pub fit: i32,
    /// What they do.
    pub engagement: i32,
    /// Points that also count for a product category.
    pub by_category: BTreeMap<String, i32>,
    /// What fit and engagement say together, `A1` to `C3`; `null` where the policy has no grid.
    pub grade: Option<String>,
    /// The policy version whose caps and floors count; 0 where no points were ever given.
    pub policy_version: u32,
    /// How warm the lead is: `cold`, `warm` or `hot`; as of now for a time that is still to come.
    pub temperature: String,
    /// The stage of the funnel that it is in; as of now for a time that is still to come.
    pub stage: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    pub stage_since: Option<String>,
    /// When points next lapse by a step; `null` for never.
    #[schema(format = DateTime)]
    pub next_step_at: Option<String>,
    /// Every row up to then, in order of time.
    pub rows: Vec<ScoreLedgerRow>,
    /// Rows that count for nothing because the points of their interaction were taken away by then.
    pub taken_away: Vec<ScoreTakenAway>,
    /// What `why` asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<ScoreRuleAccount>,
}

/// Points that an interaction brought by a rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreLedgerRow {
    /// The interaction.
    pub interaction_id: String,
    /// The rule.
    pub rule: String,
    /// The policy version that the rule is of.
    pub policy_version: u32,
    /// The rule's group.
    pub group: String,
    /// What the points say: `fit` or `engagement`.
    pub kind: String,
    /// The product category in whose score they count too.
    pub category: Option<String>,
    /// When the interaction happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// Points at first.
    pub points: i32,
    /// What is left of them, after decay and caps.
    pub points_now: i32,
    /// When nothing is left; `null` for never.
    #[schema(format = DateTime)]
    pub lapses_at: Option<String>,
    /// The bound that took points off: `group` or `total`; `null` for none.
    pub cut_by: Option<String>,
}

/// Points that an interaction brought by a rule, and that were taken away.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreTakenAway {
    /// The interaction.
    pub interaction_id: String,
    /// The rule.
    pub rule: String,
    /// The rule's group.
    pub group: String,
    /// When the interaction happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// Points at first.
    pub points: i32,
    /// When they were taken away.
    #[schema(format = DateTime)]
    pub taken_at: String,
    /// Why: `operator` or `bot_rule`.
    pub because: String,
    /// The operator who took them away.
    pub operator: Option<String>,
    /// The policy's rule against bots that did.
    pub bot_rule: Option<String>,
}

/// What a rule of the policy in force did about the lead.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreRuleAccount {
    /// The rule.
    pub rule: String,
    /// How many interactions it gave points for.
    pub fired: u32,
    /// How many had an action that it does not ask about.
    pub other_actions: u32,
    /// The others one by one, the latest first; at most a hundred.
    pub interactions: Vec<ScoreRuleVerdict>,
}

/// What a rule did about an interaction.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreRuleVerdict {
    /// The interaction.
    pub interaction_id: String,
    /// When it happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// `fired`, `condition`, `too_few`, `too_little`, `limit`, `not_in_force`, `ledger_full`, `discredited` or `rescored`.
    pub verdict: String,
    /// What was missing; empty when it fired.
    pub detail: String,
}

/// A ledger as it is shown.
#[must_use]
pub fn score_ledger(lead: LeadId, account: &ScoreAccount) -> ScoreLedger {
    let score = &account.score;
    let stage = account.stage.as_ref();
    ScoreLedger {
        lead_id: lead.to_string(),
        at: rfc3339(account.at),
        total: score.total,
        fit: score.fit,
        engagement: score.engagement,
        by_category: score.by_category.iter().map(|(name, points)| (name.to_string(), *points)).collect(),
        grade: account.grade.map(|grade| grade.code().to_owned()),
        policy_version: account.policy_version,
        temperature: account.temperature.code().to_owned(),
        stage: stage.map(|(stage, _)| stage.to_string()),
        stage_since: stage.map(|(_, since)| rfc3339(*since)),
        next_step_at: account.next_step.map(rfc3339),
        rows: account.rows.iter().map(|(row, share)| ledger_row(row, *share)).collect(),
        taken_away: account.taken_away.iter().map(taken_away).collect(),
        why: account.why.as_ref().map(rule_account),
    }
}

fn ledger_row(row: &lead_domain::ScoreRow, share: lead_domain::score::Share) -> ScoreLedgerRow {
    ScoreLedgerRow {
        interaction_id: row.interaction.to_string(),
        rule: row.rule.to_string(),
        policy_version: row.policy_version,
        group: row.group.to_string(),
        kind: row.kind.code().to_owned(),
        category: row.category.as_ref().map(Name::to_string),
        at: rfc3339(row.at),
        points: row.points,
        points_now: share.points,
        lapses_at: row.lapses_at().map(rfc3339),
        cut_by: share.cut_by.map(|by| by.code().to_owned()),
    }
}

fn taken_away(taken: &engine::TakenAway) -> ScoreTakenAway {
    let engine::TakenAway { row, by } = taken;
    ScoreTakenAway {
        interaction_id: row.interaction.to_string(),
        rule: row.rule.to_string(),
        group: row.group.to_string(),
        at: rfc3339(row.at),
        points: row.points,
        taken_at: rfc3339(by.at),
        because: by.because.code().to_owned(),
        operator: by.operator.as_ref().map(Name::to_string),
        bot_rule: by.because.bot_rule().map(Name::to_string),
    }
}

fn rule_account(account: &engine::RuleAccount) -> ScoreRuleAccount {
    let verdict = |told: &engine::RuleVerdict| ScoreRuleVerdict {
        interaction_id: told.interaction.to_string(),
        at: rfc3339(told.at),
        verdict: told.verdict.to_owned(),
        detail: told.detail.clone(),
    };
    ScoreRuleAccount {
        rule: account.rule.to_string(),
        fired: account.fired,
        other_actions: account.other_actions,
        interactions: account.told.iter().map(verdict).collect(),
    }
}

/// Show a lead's score ledger
///
/// Every row with what it counts for: `total` is their sum. `as_of` shows another time, also one that is still to come: then
/// what will be left. `known_at` leaves out what was recorded later. `why` tells what a rule did about each of the lead's interactions.
#[utoipa::path(
    get, path = "/v1/leads/{id}/score", tag = "leads",
    params(
        ("id" = String, Path, description = "Such as V42-1", pattern = "^V[1-9][0-9]*-[1-9][0-9]*$"),
        ("as_of" = Option<String>, Query, format = DateTime, description = "When (RFC 3339, or a day); the time at which the score stands where absent"),
        ("known_at" = Option<String>, Query, format = DateTime, description = "What was recorded by then (RFC 3339); not in the future"),
        ("why" = Option<String>, Query, pattern = r"^\S", description = "The name of a rule of the policy in force"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = ScoreLedger), CommonProblems, PastProblems)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<ScoreLedger>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?.id;
    let lead = lead_id(&id)?;
    let mut pairs = pairs(query.as_deref())?;
    api.reached(take_min_position(&mut pairs)?)?;
    let as_of = take(&mut pairs, "as_of").map(|text| listing::parse_time("as_of", &text)).transpose()?;
    let known_at = take(&mut pairs, "known_at").map(|text| past::read(&api, "known_at", &text)).transpose()?;
    let why = take(&mut pairs, "why").map(Name::from);
    refuse_rest(&pairs)?;
    let asked_why = why.is_some();
    let query = ScoreQuery { tenant, lead, as_of, known_at, now: api.service.now(), why };
    let find = move |engine: &mut engine::Engine| {
        let known = engine.book(tenant, lead.visitor).is_ok_and(|book| book.lead(lead).is_some());
        known.then(|| {
            Ok::<_, engine::EngineError>((engine.stream_heads(lead.visitor)?, engine.scoring_history(tenant)?))
        })
    };
    let unknown = || Problem::not_found("lead");
    let (heads, history) = api.service.with_engine(find).await?.ok_or_else(unknown)??;
    let last = heads.iter().copied().max().unwrap_or_default();
    let account = api.service.read_records(last, move |parts| parts.score(heads, &query, &history)).await??;
    let account = account.ok_or_else(unknown)?;
    if asked_why && account.why.is_none() {
        return Err(Problem::unknown_rule("why"));
    }
    Ok(At::new(api.service.head(), score_ledger(lead, &account)))
}
