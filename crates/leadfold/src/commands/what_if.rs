//! `leadfold what-if`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use engine::{Change, EngineError, Figures, WhatIf, WhatIfOptions, what_if};
use event_log::EventLog;
use lead_domain::{Lead, Status, Time};
use serde_json::{Value, json};

use crate::cli::WhatIfArgs;
use crate::commands::{kept_drafts, policy};
use crate::folder;
use crate::output::{json_line, line, progress_bar, rfc3339, table};
use crate::settings::Settings;

pub(crate) fn run(args: &WhatIfArgs, settings: &Settings) -> anyhow::Result<()> {
    let file = kept_drafts::resolve(&args.policy, settings)?;
    let document = policy::read(&file)?;
    let log = folder::log_to_read(settings)?;
    let started = Instant::now();
    let bar = progress_bar(log.head().position.0, "deciding under both policies");
    let options = WhatIfOptions { document: &document, only: settings.tenant.as_deref(), from: args.from };
    let found = what_if(&log, &options, &mut |position| bar.set_position(position.0));
    bar.finish_and_clear();
    let found = match found {
        Err(EngineError::Policy { faults }) => return policy::refuse(&file, &faults, settings),
        found => found?,
    };
    if let Some(path) = &args.export {
        export(path, &found.changes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    if settings.json { json_line(&shown(&found, seconds)) } else { print(&found, args, seconds) }
}

/// Name and value of each figure.
fn named(figures: &Figures) -> [(&'static str, u64); 13] {
    let Figures {
        leads,
        open,
        converted,
        closed_by_operator,
        timed_out,
        timed_out_converted_later,
        sales,
        attached,
        orphans,
        became_warm,
        became_hot,
        hot_and_sold,
        messages,
    } = *figures;
    [
        ("leads", leads),
        ("open", open),
        ("converted", converted),
        ("closed_by_operator", closed_by_operator),
        ("timed_out", timed_out),
        ("timed_out_converted_later", timed_out_converted_later),
        ("sales", sales),
        ("interactions", attached),
        ("orphans", orphans),
        ("became_warm", became_warm),
        ("became_hot", became_hot),
        ("hot_and_sold", hot_and_sold),
        ("messages", messages),
    ]
}

fn print(found: &WhatIf, args: &WhatIfArgs, seconds: f64) -> anyhow::Result<()> {
    let rows = named(&found.recorded).into_iter().zip(named(&found.other));
    let rows = rows.map(|((name, one), (_, two))| {
        let difference = i128::from(two) - i128::from(one);
        vec![name.replace('_', " "), one.to_string(), two.to_string(), format!("{difference:+}")]
    });
    table(&["", "RECORDED", "WHAT IF", "DIFFERENCE"], rows.collect())?;
    let at = found.at.map(|at| format!(" as of {}", rfc3339(at))).unwrap_or_default();
    line(format_args!(
        "{} inputs of tenant {}{at}: {} leads differ, {} acts of operators dropped, in {seconds:.1} s",
        found.inputs,
        found.tenant,
        found.changes.len(),
        found.acts_dropped
    ))?;
    match &args.export {
        Some(path) => line(format_args!("the leads that differ stand in {}", path.display())),
        None if found.changes.is_empty() => Ok(()),
        None => line("--export FILE writes the leads that differ"),
    }
}

fn shown(found: &WhatIf, seconds: f64) -> Value {
    let figures = |figures: &Figures| -> serde_json::Map<String, Value> {
        named(figures).into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
    };
    json!({
        "tenant": found.tenant, "inputs": found.inputs, "records": found.records, "at": found.at.map(rfc3339),
        "recorded": figures(&found.recorded), "what_if": figures(&found.other),
        "acts_dropped": found.acts_dropped, "leads_differing": found.changes.len(), "seconds": seconds,
    })
}

/// The columns of an exported lead, once for each policy.
const COLUMNS: [&str; 12] = [
    "id",
    "lead_type",
    "status",
    "close_cause",
    "opened_at",
    "closed_at",
    "first_interaction_at",
    "last_interaction_at",
    "interactions",
    "sales",
    "score",
    "hot_at",
];

fn fields(lead: &Lead, hot_at: Option<Time>) -> [Value; 12] {
    let (status, cause, closed_at) = match lead.status {
        Status::Open => ("open", None, None),
        Status::Closed { cause, at } => ("closed", Some(cause.code()), Some(rfc3339(at))),
    };
    [
        lead.id.to_string().into(),
        lead.lead_type.as_str().into(),
        status.into(),
        cause.into(),
        rfc3339(lead.opened_at).into(),
        closed_at.into(),
        rfc3339(lead.first_interaction_at).into(),
        rfc3339(lead.last_interaction_at).into(),
        lead.interactions.into(),
        lead.counted_conversions().count().into(),
        lead.score.into(),
        hot_at.map(rfc3339).into(),
    ]
}

fn export(path: &Path, changes: &[Change]) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|extension| extension == "csv") {
        let head = ["recorded", "what_if"].into_iter().flat_map(|side| COLUMNS.map(|name| format!("{side}_{name}")));
        writeln!(out, "opened_by,{}", head.collect::<Vec<_>>().join(","))?;
        for change in changes {
            write!(out, "{}", change.opened_by)?;
            for value in both(change).into_iter().flat_map(|(lead, hot_at)| cells(lead, hot_at)) {
                write!(out, ",{value}")?;
            }
            writeln!(out)?;
        }
    } else {
        for change in changes {
            let [recorded, other] = both(change).map(|(lead, hot_at)| -> Option<serde_json::Map<String, Value>> {
                let values = fields(lead?, hot_at).into_iter();
                Some(COLUMNS.into_iter().map(ToOwned::to_owned).zip(values).collect())
            });
            let row = json!({ "opened_by": change.opened_by.0, "recorded": recorded, "what_if": other });
            serde_json::to_writer(&mut out, &row)?;
            writeln!(out)?;
        }
    }
    Ok(out.flush()?)
}

/// A lead under each policy, with the time at which it first was hot.
fn both(change: &Change) -> [(Option<&Lead>, Option<Time>); 2] {
    [(change.recorded.as_ref(), change.recorded_hot_at), (change.other.as_ref(), change.other_hot_at)]
}

/// Cells of a CSV row.
fn cells(lead: Option<&Lead>, hot_at: Option<Time>) -> Vec<String> {
    let Some(lead) = lead else { return vec![String::new(); COLUMNS.len()] };
    let cell = |value: Value| match value {
        Value::String(text) if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::String(text) => text,
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    fields(lead, hot_at).into_iter().map(cell).collect()
}
