//! `leadfold explain POSITION`

use anyhow::bail;
use engine::explain;
use event_log::{EventLog, LogPosition};
use serde_json::Value;

use crate::cli::ExplainArgs;
use crate::commands::timeline;
use crate::failure::UsageError;
use crate::folder;
use crate::output::{json_line, line, progress_bar, shown_time};
use crate::remote::{Call, Server, missing};
use crate::settings::Settings;

pub(crate) fn run(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<()> {
    let found = match &settings.server {
        Some(url) => ask(&Server::named(url, settings)?, args)?,
        // The log can be read beside a service that holds the folder.
        None => read(args, settings)?,
    };
    if settings.json { json_line(&found) } else { print(&found) }
}

fn unknown(position: u64, head: u64) -> UsageError {
    UsageError(format!("there is no record {position}; the log has the records 1 to {head}"))
}

fn ask(server: &Server, args: &ExplainArgs) -> anyhow::Result<Value> {
    let head = server.head()?;
    let mut call = Call::get(format!("/v1/records/{}/explain", args.position));
    if let Some(lead) = args.why_not {
        call = call.query("why_not", lead.to_string());
    }
    let answer = server.send(&call).map_err(|error| missing(error, || unknown(args.position, head).into()))?;
    answer.json()
}

fn read(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<Value> {
    let log = folder::log_to_read(settings)?;
    let (position, head) = (LogPosition(args.position), log.head().position);
    if position > head {
        bail!(unknown(position.0, head.0));
    }
    let bar = progress_bar(position.0, "reading up to the record");
    let found = explain(&log, position, args.why_not, &mut |position| bar.set_position(position.0));
    bar.finish_and_clear();
    let found = found?;
    let is_anothers = |name: &String| found.policy.as_ref().is_some_and(|(tenant, _)| tenant != name);
    if settings.tenant.as_ref().is_some_and(is_anothers) {
        bail!(unknown(position.0, head.0));
    }
    if args.why_not.is_some() && found.why_not.is_none() {
        bail!(UsageError(format!("record {position} is no interaction; --why-not asks about one")));
    }
    Ok(serde_json::to_value(http_api::explained_record(&found))?)
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn print(found: &Value) -> anyhow::Result<()> {
    timeline::print_row(found)?;
    if let Some(version) = found.get("policy_version").and_then(Value::as_u64) {
        line(format_args!("policy   version {version} of {}", text(found, "tenant")))?;
    }
    if !text(found, "visitor_id").is_empty() {
        line(format_args!("visitor  {}", text(found, "visitor_id")))?;
    }
    if let Some(rule) = found.get("rule").filter(|rule| rule.is_object()) {
        let default = rule.get("default_lead_type").and_then(Value::as_str).unwrap_or("nothing");
        let also: Vec<&str> = list(rule, "also_allowed").filter_map(Value::as_str).collect();
        let also = if also.is_empty() { String::new() } else { format!(", takes {} too", also.join(", ")) };
        let (of, name, pick) = (text(rule, "of"), text(rule, "name"), text(rule, "pick"));
        line(format_args!("rule     {of} {name}: opens {default}{also}; {pick}"))?;
    }
    let why_not = found.get("why_not").filter(|lead| lead.is_object());
    for lead in list(found, "leads").chain(why_not) {
        let (id, lead_type, because) = (text(lead, "lead_id"), text(lead, "lead_type"), text(lead, "because"));
        line(format_args!("lead     {id} {lead_type}: {because}"))?;
    }
    line(format_args!("recorded {}", shown_time(text(found, "recorded_at"))))
}
