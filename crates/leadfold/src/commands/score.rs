//! A lead's score ledger for people and programs.

use engine::{ScoreQuery, When};
use lead_domain::{LeadId, Name};
use serde_json::Value;

use crate::commands::as_of::{parameters, refuse_future};
use crate::commands::lead;
use crate::commands::rows::Row;
use crate::failure::UsageError;
use crate::output::{line, shown_time, table};
use crate::remote::{Call, missing};
use crate::settings::Settings;
use crate::source::Source;

/// Which ledger, and what about it.
pub(crate) struct Asked<'a> {
    pub(crate) id: LeadId,
    pub(crate) when: When,
    /// A rule to tell about.
    pub(crate) why: Option<&'a str>,
}

/// Prints the ledger of a lead.
pub(crate) fn of_lead(source: &mut Source, asked: &Asked<'_>, settings: &Settings) -> anyhow::Result<()> {
    let row = find(source, asked, settings)?;
    if settings.json {
        return row.print_json();
    }
    print(&row.into_inner()?)
}

fn find(source: &mut Source, asked: &Asked<'_>, settings: &Settings) -> anyhow::Result<Row<Value>> {
    let Asked { id, when: When { as_of, known_at }, why } = *asked;
    match source {
        Source::Folder(folder) => {
            refuse_future(When { as_of: None, known_at }, settings)?;
            let (tenant, now) = (folder.tenant()?, settings.clock.now());
            let query = ScoreQuery { tenant, lead: id, as_of, known_at, now, why: why.map(Name::from) };
            let account = folder.engine.score(&query)?.ok_or_else(|| lead::unknown(id))?;
            if let (Some(rule), None) = (why, &account.why) {
                return Err(unknown_rule(rule));
            }
            Ok(Row::sent(serde_json::value::to_raw_value(&http_api::score_ledger(id, &account))?))
        }
        Source::Server(server) => {
            let mut call = Call::get(format!("/v1/leads/{id}/score"));
            for (name, time) in parameters(asked.when) {
                call = call.query(name, time);
            }
            if let Some(rule) = why {
                call = call.query("why", rule);
            }
            let answer = server.listed(call).map_err(|error| missing(error, || lead::unknown(id)))?;
            Row::only(&answer.body)
        }
    }
}

fn unknown_rule(rule: &str) -> anyhow::Error {
    UsageError(format!("--why must be the name of a rule of the policy in force; there is none named \"{rule}\""))
        .into()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, field: &str) -> i64 {
    object.get(field).and_then(Value::as_i64).unwrap_or_default()
}

fn time(object: &Value, field: &str) -> String {
    let text = text(object, field);
    if text.is_empty() { String::new() } else { shown_time(text) }
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// Prints a ledger for people.
pub(super) fn print(ledger: &Value) -> anyhow::Result<()> {
    let lead: LeadId = text(ledger, "lead_id").parse().unwrap_or_default();
    let grade = text(ledger, "grade");
    line(format_args!(
        "{lead} has {} points at {}: fit {}, engagement {}; {}{}",
        number(ledger, "total"),
        time(ledger, "at"),
        number(ledger, "fit"),
        number(ledger, "engagement"),
        text(ledger, "temperature"),
        if grade.is_empty() { String::new() } else { format!(", grade {grade}") },
    ))?;
    for (category, points) in ledger.get("by_category").and_then(Value::as_object).into_iter().flatten() {
        line(format_args!("for {category}: {points}"))?;
    }
    if !text(ledger, "stage").is_empty() {
        line(format_args!("in stage {} since {}", text(ledger, "stage"), time(ledger, "stage_since")))?;
    }
    let rows: Vec<Vec<String>> = list(ledger, "rows").map(row).collect();
    if rows.is_empty() {
        line("no rule gave points")?;
    } else {
        table(&["AT", "RULE", "GROUP", "POINTS", "NOW", "CUT BY", "LAPSES", "INTERACTION"], rows)?;
    }
    for taken in list(ledger, "taken_away") {
        let (points, rule, id) = (number(taken, "points"), text(taken, "rule"), text(taken, "interaction_id"));
        let by = match (text(taken, "operator"), text(taken, "bot_rule")) {
            ("", "") => "an operator".to_owned(),
            ("", rule) => format!("bot rule \"{rule}\""),
            (operator, _) => operator.to_owned(),
        };
        line(format_args!("taken away by {by} at {}: {points} of \"{rule}\" for {id}", time(taken, "taken_at")))?;
    }
    if !text(ledger, "next_step_at").is_empty() {
        line(format_args!("points next lapse at {}", time(ledger, "next_step_at")))?;
    }
    ledger.get("why").map_or(Ok(()), print_why)
}

fn row(row: &Value) -> Vec<String> {
    vec![
        time(row, "at"),
        text(row, "rule").to_owned(),
        text(row, "group").to_owned(),
        number(row, "points").to_string(),
        number(row, "points_now").to_string(),
        text(row, "cut_by").to_owned(),
        time(row, "lapses_at"),
        text(row, "interaction_id").to_owned(),
    ]
}

fn print_why(why: &Value) -> anyhow::Result<()> {
    line(format_args!(
        "rule \"{}\" gave points {} time(s); {} interaction(s) had another action",
        text(why, "rule"),
        number(why, "fired"),
        number(why, "other_actions")
    ))?;
    for told in list(why, "interactions") {
        let detail = text(told, "detail");
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let (at, id, verdict) = (time(told, "at"), text(told, "interaction_id"), text(told, "verdict"));
        line(format_args!("  {at}  {id}  {}{detail}", verdict.replace('_', " ")))?;
    }
    Ok(())
}
