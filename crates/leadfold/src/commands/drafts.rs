//! `leadfold policy try` and `policy preview`: scores by a policy that is not in force.

use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use engine::{EngineError, Preview};
use lead_domain::{LeadId, Policy, TenantId};
use proto_events::policy_document;
use serde_json::{Value, json};

use crate::commands::{lead, policy, score};
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, progress_bar, table};
use crate::settings::Settings;
use crate::source::Source;

/// Prints the ledger of a lead as it would be.
pub(crate) fn try_on(file: &Path, id: LeadId, settings: &Settings) -> anyhow::Result<()> {
    let Some((mut folder, draft, tenant)) = open(file, settings)? else { return Ok(()) };
    let account = folder.engine.try_scoring(&draft, tenant, id)?.ok_or_else(|| lead::unknown(id))?;
    let ledger = http_api::score_ledger(id, &account);
    folder.close()?;
    if settings.json { json_line(&ledger) } else { score::print(&serde_json::to_value(&ledger)?) }
}

/// Prints what a policy would change about open leads.
pub(crate) fn preview(file: &Path, settings: &Settings) -> anyhow::Result<()> {
    let Some((mut folder, draft, tenant)) = open(file, settings)? else { return Ok(()) };
    let erase_after = policy_document::read(&policy::read(file)?, None).ok().and_then(|draft| draft.erase_after);
    let started = Instant::now();
    let bar = progress_bar(folder.engine.last_visitor().0, "scoring");
    let found = folder.engine.preview_scoring(&draft, tenant, &mut |visitor| bar.set_position(visitor))?;
    bar.finish_and_clear();
    let erased = erase_after.map(|period| folder.engine.preview_retention(tenant, period)).transpose()?;
    folder.close()?;
    let seconds = started.elapsed().as_secs_f64();
    if settings.json { json_line(&as_json(&found, erased, seconds)) } else { print(&found, erased, seconds) }
}

/// The folder, the draft and its tenant; `None` when the draft has faults, which are told.
fn open(file: &Path, settings: &Settings) -> anyhow::Result<Option<(Folder, Policy, TenantId)>> {
    let text = policy::read(file)?;
    let Source::Folder(folder) = Source::open(settings)? else {
        bail!(UsageError("policies are tried in a data folder that no service holds: try a backup of it".to_owned()));
    };
    let tenant = folder.tenant()?;
    match folder.engine.draft(tenant, &text) {
        Ok(draft) => Ok(Some((*folder, draft, tenant))),
        Err(EngineError::Policy { faults }) => policy::refuse(file, &faults, settings).map(|()| None),
        Err(error) => Err(error.into()),
    }
}

fn as_json(found: &Preview, erased: Option<u64>, seconds: f64) -> Value {
    let bands: Vec<Value> = found
        .bands
        .iter()
        .map(|(from, (now, then))| json!({ "score_from": from, "leads": now, "leads_by_draft": then }))
        .collect();
    let crossings: Vec<Value> = found
        .crossings
        .iter()
        .map(|((from, to), leads)| json!({ "from": from.code(), "to": to.code(), "leads": leads }))
        .collect();
    json!({ "leads": found.leads, "changed": found.changed, "bands": bands, "crossings": crossings,
        "visitors_erased": erased.unwrap_or(0), "seconds": seconds })
}

fn print(found: &Preview, erased: Option<u64>, seconds: f64) -> anyhow::Result<()> {
    line(format_args!("{} of {} open leads would have another score", found.changed, found.leads))?;
    let band = |(from, (now, then)): (&i32, &(u64, u64))| vec![from.to_string(), now.to_string(), then.to_string()];
    table(&["SCORE FROM", "LEADS", "BY THE DRAFT"], found.bands.iter().map(band).collect())?;
    for ((from, to), leads) in &found.crossings {
        line(format_args!("{leads} would be {} instead of {}", to.code(), from.code()))?;
    }
    if let Some(erased) = erased {
        line(format_args!("{erased} visitors would be erased by its retention at once"))?;
    }
    line(format_args!("in {seconds:.1} s"))
}
