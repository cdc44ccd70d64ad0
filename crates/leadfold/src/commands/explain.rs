//! `leadfold explain POSITION`

use anyhow::bail;
use engine::{Considered, Explanation, Rule, RuleOf, TimelineEntry, Verdict, explain};
use event_log::{EventLog, LogPosition};
use lead_domain::event::AttachReason;
use lead_domain::policy::Pick;
use serde_json::{Value, json};

use crate::cli::ExplainArgs;
use crate::commands::timeline;
use crate::failure::UsageError;
use crate::folder;
use crate::output::{json_line, line, progress_bar, rfc3339, short_time};
use crate::settings::Settings;

pub(crate) fn run(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<()> {
    let log = folder::log_to_read(settings)?;
    let (position, head) = (LogPosition(args.position), log.head().position);
    let missing = || UsageError(format!("there is no record {position}; the log has the records 1 to {head}"));
    if position > head {
        bail!(missing());
    }
    let bar = progress_bar(position.0, "reading up to the record");
    let found = explain(&log, position, args.why_not, &mut |position| bar.set_position(position.0));
    bar.finish_and_clear();
    let found = found?;
    let is_anothers = |name: &String| found.policy.as_ref().is_some_and(|(tenant, _)| tenant != name);
    if settings.tenant.as_ref().is_some_and(is_anothers) {
        bail!(missing());
    }
    if args.why_not.is_some() && found.why_not.is_none() {
        bail!(UsageError(format!("record {position} is no interaction; --why-not asks about one")));
    }
    if settings.json { json_line(&shown(&found)) } else { print(&found) }
}

/// The record as timelines show it, without its personal part.
fn row(found: &Explanation) -> Value {
    let entry = TimelineEntry { header: found.header, facts: found.facts.clone(), personal: None };
    serde_json::to_value(http_api::timeline_row(&entry)).unwrap_or_default()
}

fn shown(found: &Explanation) -> Value {
    let (tenant, version) = found.policy.clone().unzip();
    let visitor = Some(found.header.visitor).filter(|id| *id > 0).map(|id| format!("V{id}"));
    let more = json!({
        "tenant": tenant.map(|tenant| tenant.to_string()),
        "visitor_id": visitor,
        "policy_version": version,
        "explained_by": concat!("leadfold ", env!("CARGO_PKG_VERSION")),
        "rule": found.rule.as_ref().map(rule_shown),
        "leads": found.leads.iter().map(considered_shown).collect::<Vec<_>>(),
        "why_not": found.why_not.as_ref().map(considered_shown),
    });
    match (row(found), more) {
        (Value::Object(mut shown), Value::Object(more)) => {
            shown.extend(more);
            shown.into()
        }
        (shown, _) => shown,
    }
}

fn rule_shown(Rule { of, entry_point }: &Rule) -> Value {
    json!({
        "of": match of { RuleOf::Skill => "skill", RuleOf::Channel => "channel" },
        "name": entry_point.name.as_str(),
        "default_lead_type": entry_point.default_lead_type.as_ref().map(|name| name.as_str()),
        "also_allowed": entry_point.also_allowed.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "pick": pick(entry_point.pick),
    })
}

fn considered_shown(considered: &Considered) -> Value {
    json!({
        "lead_id": considered.id.to_string(),
        "lead_type": considered.lead_type.as_ref().map(|name| name.as_str()),
        "verdict": code(&considered.verdict),
        "because": because(&considered.verdict),
    })
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

/// The verdict as a sentence.
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

fn print(found: &Explanation) -> anyhow::Result<()> {
    timeline::print_row(&row(found))?;
    if let Some((tenant, version)) = &found.policy {
        line(format_args!("policy   version {version} of {tenant}"))?;
    }
    if found.header.visitor > 0 {
        line(format_args!("visitor  V{}", found.header.visitor))?;
    }
    if let Some(Rule { of, entry_point }) = &found.rule {
        let of = match of {
            RuleOf::Skill => "skill",
            RuleOf::Channel => "channel",
        };
        let default = entry_point.default_lead_type.as_ref().map_or("nothing", |name| name.as_str());
        let also: Vec<&str> = entry_point.also_allowed.iter().map(|name| name.as_str()).collect();
        let also = if also.is_empty() { String::new() } else { format!(", takes {} too", also.join(", ")) };
        line(format_args!("rule     {of} {}: opens {default}{also}; {}", entry_point.name, pick(entry_point.pick)))?;
    }
    for considered in found.leads.iter().chain(&found.why_not) {
        let lead_type = considered.lead_type.as_ref().map_or("", |name| name.as_str());
        line(format_args!("lead     {} {lead_type}: {}", considered.id, because(&considered.verdict)))?;
    }
    let recorded = lead_domain::Time::from_millis(found.header.recorded_at);
    line(format_args!("recorded {}", short_time(recorded)))
}
