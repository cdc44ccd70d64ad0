//! `leadfold funnel`: how far leads got, as a table or as JSON.

use std::sync::Arc;

use analytics::{Fault, Funnel, Session, Setting, Snapshot};
use anyhow::Context;
use proto_events::policy_document::PolicyDocument;
use serde_json::Value;

use crate::cli::FunnelArgs;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, table};
use crate::remote::{Call, UNREADABLE};
use crate::serve::query_limits;
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &FunnelArgs, settings: &Settings) -> anyhow::Result<()> {
    let parameters = parameters(args)?;
    let source = Source::open(settings)?;
    let report = match &source {
        Source::Folder(folder) => ask_folder(folder, &parameters)?,
        Source::Server(server) => {
            let mut call = Call::get("/v1/analytics/funnel".to_owned());
            for (name, value) in &parameters {
                call = call.query(name, value);
            }
            serde_json::from_slice(&server.listed(call)?.body).context(UNREADABLE)?
        }
    };
    show(&report, settings)?;
    source.close()
}

/// Shows a funnel to people or programs.
pub(crate) fn show(report: &Value, settings: &Settings) -> anyhow::Result<()> {
    if settings.json { json_line(report) } else { print(report) }
}

/// The arguments as the parameters of a request.
pub(crate) fn parameters(args: &FunnelArgs) -> anyhow::Result<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    if !args.by.is_empty() {
        parameters.push(("by".to_owned(), args.by.join(",")));
    }
    let plain = [("from", &args.from), ("to", &args.to), ("date_origin", &args.date_origin), ("zone", &args.zone)];
    let plain = plain.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    parameters.extend(plain);
    for only in &args.only {
        let (field, values) = only
            .split_once('=')
            .ok_or_else(|| UsageError(format!("--where \"{only}\" must be FIELD=VALUE, such as channel=web,chat")))?;
        parameters.push((field.to_owned(), values.to_owned()));
    }
    Ok(parameters)
}

fn ask_folder(folder: &Folder, parameters: &[(String, String)]) -> anyhow::Result<Value> {
    let tenant = folder.whole_tenant()?;
    let now = folder.settings.clock.now().as_millis();
    let setting = Setting { now, zone: tenant.document.time_zone.clone() };
    let funnel = read(parameters, &tenant.document, &setting)?;
    let tables = folder.analytics()?;
    ask_tables(tables.reader().snapshot(), &tenant.name, &funnel, &folder.settings)
}

/// Reads what is asked.
pub(crate) fn read(
    parameters: &[(String, String)],
    policy: &PolicyDocument,
    setting: &Setting,
) -> anyhow::Result<Funnel> {
    let stages = policy.policy.scoring.stages.iter().map(|stage| stage.name.to_string());
    Ok(Funnel::read(parameters, stages, setting).map_err(|faults| wrong(&faults))?)
}

/// Asks tables for a funnel.
pub(crate) fn ask_tables(
    tables: Arc<Snapshot>,
    tenant: &str,
    funnel: &Funnel,
    settings: &Settings,
) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the query")?;
    let session = Session::new(tables, tenant, query_limits(&settings.data))?;
    Ok(serde_json::to_value(runtime.block_on(session.funnel(funnel))?)?)
}

fn wrong(faults: &[Fault]) -> UsageError {
    let faults: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    UsageError(format!("the funnel can't be shown as asked:{}", faults.concat()))
}

fn print(report: &Value) -> anyhow::Result<()> {
    let list = |value: &Value, key: &str| -> Vec<Value> {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for group in list(report, "groups") {
        let common = group.get("group").and_then(Value::as_object).into_iter().flatten();
        let common: Vec<String> = common.map(|(name, value)| format!("{name} {}", text(Some(value)))).collect();
        let counted = |key: &str| group.get(key).and_then(Value::as_u64).unwrap_or_default();
        let (leads, converted) = (counted("leads"), counted("converted"));
        let whose = if common.is_empty() { "all leads".to_owned() } else { common.join(", ") };
        line(format_args!("{whose}: {leads} leads, {converted} converted"))?;
        let rows = list(&group, "stages").iter().map(row).collect();
        table(&["STAGE", "REACHED", "OF ALL", "OF BEFORE", "DROPPED OFF", "MEDIAN TIME", "HERE"], rows)?;
        if counted("in_no_stage") > 0 {
            line(format_args!("{} in no stage of the policy in force", counted("in_no_stage")))?;
        }
    }
    if report.get("truncated").and_then(Value::as_bool) == Some(true) {
        line("there are more groups; narrow them down with --where, --from and --to")?;
    }
    Ok(())
}

fn row(stage: &Value) -> Vec<String> {
    let percent = |key: &str| stage.get(key).and_then(Value::as_f64).map_or(String::new(), |it| format!("{it:.1} %"));
    let median = stage.get("median_seconds_from_before").and_then(Value::as_f64);
    vec![
        text(stage.get("stage")),
        text(stage.get("reached")),
        percent("reached_percent"),
        percent("from_previous_percent"),
        text(stage.get("dropped_off")),
        median.map_or(String::new(), duration),
        text(stage.get("here")),
    ]
}

/// Seconds in the largest unit that gives a number of at least 1.
fn duration(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1.0, "s"));
    format!("{:.1} {}", seconds / unit.0, unit.1)
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
