//! `leadfold analytics`: figures over the analytics tables, asked for with a document, as a table or as JSON.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use analytics::{Fault, QueryLimits, Question, Session, Setting, Snapshot};
use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::AnalyticsArgs;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, table};
use crate::remote::{Call, Server, UNREADABLE};
use crate::serve::query_limits;
use crate::settings::Settings;
use crate::source::Source;

/// As long as no document is.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn run(args: &AnalyticsArgs, settings: &Settings) -> anyhow::Result<()> {
    let document = document(&args.query)?;
    let source = Source::open(settings)?;
    let report = match &source {
        Source::Folder(folder) => ask_folder(folder, args, &document)?,
        Source::Server(_) if args.timeout.is_some() => {
            bail!(UsageError("a running service has limits of its own; leave --timeout out".to_owned()))
        }
        Source::Server(server) => ask_server(server, document)?,
    };
    show(&report, settings)?;
    source.close()
}

/// Shows a report to people or programs.
pub(crate) fn show(report: &Value, settings: &Settings) -> anyhow::Result<()> {
    if settings.json { json_line(report) } else { print(report) }
}

/// The document itself, or what a file or standard input says.
pub(crate) fn document(query: &str) -> anyhow::Result<Vec<u8>> {
    if query.trim_start().starts_with('{') {
        return Ok(query.as_bytes().to_vec());
    }
    let mut text = Vec::new();
    let read = if query == "-" {
        std::io::stdin().lock().take(DOCUMENT_BYTES_MAX).read_to_end(&mut text)
    } else {
        let file = std::fs::File::open(query);
        let file = file.with_context(|| format!("cannot read {query}; name a file, or give the query itself"))?;
        file.take(DOCUMENT_BYTES_MAX).read_to_end(&mut text)
    };
    read.with_context(|| format!("cannot read {query}"))?;
    Ok(text)
}

fn ask_folder(folder: &Folder, args: &AnalyticsArgs, document: &[u8]) -> anyhow::Result<Value> {
    let tenant = folder.whole_tenant()?;
    let now = folder.settings.clock.now().as_millis();
    let setting = Setting { now, zone: tenant.document.time_zone.clone() };
    let question = question(document, &setting)?;
    let tables = folder.analytics()?;
    ask_tables(tables.reader().snapshot(), &tenant.name, &question, limits(args, &folder.settings))
}

/// Reads what is asked.
pub(crate) fn question(document: &[u8], setting: &Setting) -> anyhow::Result<Question> {
    Ok(Question::read(document, setting).map_err(|faults| wrong_document(&faults))?)
}

/// What a query may take here.
pub(crate) fn limits(args: &AnalyticsArgs, settings: &Settings) -> QueryLimits {
    let time = args.timeout.map_or(Duration::from_secs(600), Duration::from_secs);
    QueryLimits { time, ..query_limits(&settings.data) }
}

/// Asks tables for a report.
pub(crate) fn ask_tables(
    tables: Arc<Snapshot>,
    tenant: &str,
    question: &Question,
    limits: QueryLimits,
) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the query")?;
    let session = Session::new(tables, tenant, limits)?;
    let report = runtime.block_on(session.report(question))?;
    Ok(serde_json::to_value(report)?)
}

fn ask_server(server: &Server, document: Vec<u8>) -> anyhow::Result<Value> {
    let answer = server.listed(Call::report(document))?;
    serde_json::from_slice(&answer.body).context(UNREADABLE)
}

fn wrong_document(faults: &[Fault]) -> UsageError {
    let faults: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    UsageError(format!("the query can't be answered as it is:{}", faults.concat()))
}

fn print(report: &Value) -> anyhow::Result<()> {
    let list = |key: &str| report.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> =
        list("columns").iter().filter_map(|column| column.get("name").and_then(Value::as_str)).collect();
    let row = |item: &Value| names.iter().map(|name| cell(item.get(*name))).collect();
    table(&names, list("items").iter().map(row).collect())?;
    if report.get("truncated").and_then(Value::as_bool) == Some(true) {
        line(format_args!("there are more rows; \"limit\" in the query says how many are shown"))?;
    }
    for note in list("notes") {
        let text = |key: &str| note.get(key).and_then(Value::as_str).unwrap_or_default();
        let rows = note.get("rows").and_then(Value::as_u64).unwrap_or_default();
        line(format_args!("{}: {} ({rows} rows)", text("column"), text("message")))?;
    }
    Ok(())
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_f64() {
            // Whole ones as they are; of others people need no more digits.
            Some(real) if number.is_f64() => format!("{real:.2}"),
            Some(_) | None => number.to_string(),
        },
        Some(other @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
    }
}
