//! A visitor's nurture programmes for people and programs.

use engine::EngineError;
use lead_domain::VisitorId;
use serde_json::Value;

use crate::commands::rows::Row;
use crate::output::{line, shown_time, table};
use crate::remote::{Call, missing};
use crate::settings::Settings;
use crate::source::Source;

/// Prints what runs for a visitor, and what they said about messages.
pub(crate) fn of_visitor(source: &mut Source, visitor: VisitorId, settings: &Settings) -> anyhow::Result<()> {
    let row = find(source, visitor)?;
    if settings.json {
        return row.print_json();
    }
    print(&row.into_inner()?)
}

fn find(source: &mut Source, visitor: VisitorId) -> anyhow::Result<Row<Value>> {
    match source {
        Source::Folder(folder) => {
            let tenant = folder.tenant()?;
            let shown = http_api::visitor_nurture(folder.engine.book(tenant, visitor)?);
            Ok(Row::sent(serde_json::value::to_raw_value(&shown)?))
        }
        Source::Server(server) => {
            let answer = server.listed(Call::get(format!("/v1/visitors/{visitor}/nurture")));
            let unknown = || EngineError::UnknownVisitor { visitor }.into();
            Row::only(&answer.map_err(|error| missing(error, unknown))?.body)
        }
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn rows(nurture: &Value, list: &str, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    nurture.get(list).and_then(Value::as_array).into_iter().flatten().map(row).collect()
}

fn print(nurture: &Value) -> anyhow::Result<()> {
    let running = rows(nurture, "running", |run| {
        let step = run.get("next_step").and_then(Value::as_u64).unwrap_or_default().to_string();
        let (programme, lead) = (text(run, "programme").to_owned(), text(run, "lead_id").to_owned());
        vec![programme, lead, shown_time(text(run, "started_at")), step, shown_time(text(run, "due_at"))]
    });
    if running.is_empty() {
        line("no programme runs")?;
    } else {
        table(&["PROGRAMME", "LEAD", "BEGAN", "NEXT STEP", "DUE"], running)?;
    }
    let consents = rows(nurture, "consents", |consent| {
        let given = consent.get("given").and_then(Value::as_bool).unwrap_or_default();
        let medium = consent.get("medium").and_then(Value::as_str).unwrap_or("all media");
        let said = if given { "yes" } else { "no" };
        vec![medium.to_owned(), said.to_owned(), shown_time(text(consent, "at"))]
    });
    if consents.is_empty() {
        return line("nothing was said about messages");
    }
    table(&["MEDIUM", "WANTED", "SINCE"], consents)
}
