//! `leadfold policy …`

use std::path::Path;

use anyhow::{Context, bail};
use engine::{Adopted, EngineError, PolicyVersion, Tenant};
use lead_domain::Currency;
use lead_domain::policy::Fault;
use proto_events::command_document::Rescore;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::PolicyCommand;
use crate::commands::act::Told;
use crate::commands::rescoring::{self, Rescored};
use crate::commands::{drafts, kept_drafts};
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, rfc3339, table};
use crate::remote::{Call, Server, missing};
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(command: &PolicyCommand, settings: &Settings) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check { file } => check(&kept_drafts::resolve(file, settings)?, settings),
        PolicyCommand::Adopt { file, rescore } => {
            adopt(&kept_drafts::resolve(file, settings)?, (*rescore).into(), settings)
        }
        PolicyCommand::Draft(command) => kept_drafts::run(command, settings),
        PolicyCommand::Rescoring => rescoring::show(settings),
        PolicyCommand::Try { file, lead } => drafts::try_on(&kept_drafts::resolve(file, settings)?, *lead, settings),
        PolicyCommand::Preview { file } => drafts::preview(&kept_drafts::resolve(file, settings)?, settings),
        PolicyCommand::Show { number } => show(*number, settings),
        PolicyCommand::History => history(settings),
    }
}

pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read the policy {}", file.display()))
}

/// Prints every fault and fails.
pub(crate) fn refuse(file: &Path, faults: &[Fault], settings: &Settings) -> anyhow::Result<()> {
    for fault in faults {
        let Fault { path, code, message } = fault;
        if settings.json {
            json_line(&json!({ "path": path, "code": code, "message": message }))?;
        } else if path.is_empty() {
            eprintln!("{}: {message}", file.display());
        } else {
            eprintln!("{}: {path}: {message}", file.display());
        }
    }
    let fault = if faults.len() == 1 { "fault" } else { "faults" };
    bail!("cannot use the policy {}: {} {fault}, see above", file.display(), faults.len())
}

fn check(file: &Path, settings: &Settings) -> anyhow::Result<()> {
    match proto_events::policy_document::read(&read(file)?, None) {
        Ok(document) if settings.json => json_line(&json!({ "tenant": document.policy.tenant.as_str(), "faults": 0 })),
        Ok(document) => {
            line(format_args!("{}: no faults; a policy of tenant {}", file.display(), document.policy.tenant))
        }
        Err(faults) => refuse(file, &faults, settings),
    }
}

fn adopt(file: &Path, rescore: Rescore, settings: &Settings) -> anyhow::Result<()> {
    let text = read(file)?;
    // A faulty policy makes no data folder.
    let document = match proto_events::policy_document::read(&text, None) {
        Ok(document) => document,
        Err(faults) => return refuse(file, &faults, settings),
    };
    let tenant = document.policy.tenant.to_string();
    let Adoption { version, changed, rescored } = match Source::open_or_create(settings)? {
        Source::Folder(folder) => match record(*folder, &text, rescore) {
            Err(error) => match error.downcast_ref() {
                Some(EngineError::Policy { faults }) => return refuse(file, faults, settings),
                _ => return Err(error),
            },
            Ok(adopted) => adopted,
        },
        Source::Server(server) => send(server.for_any_tenant(), &text, &tenant, rescore)?,
    };
    if settings.json {
        let mut told = json!({ "tenant": tenant, "version": version, "changed": changed });
        if let (Some(rescored), Some(told)) = (rescored, told.as_object_mut()) {
            told.insert("rescored".to_owned(), rescored.as_json());
        }
        return json_line(&told);
    }
    if changed {
        line(format_args!("tenant {tenant}: policy version {version} is in force"))?;
    } else {
        line(format_args!("tenant {tenant}: unchanged, policy version {version} is in force"))?;
    }
    rescored.map_or(Ok(()), |rescored| rescored.print())
}

/// What adopting a policy led to.
struct Adoption {
    version: u32,
    changed: bool,
    rescored: Option<Rescored>,
}

fn record(mut folder: Folder, text: &str, rescore: Rescore) -> anyhow::Result<Adoption> {
    let (tenant, adopted) = folder.engine.adopt_and_rescore(text, rescore)?;
    let (version, changed) = match adopted {
        Adopted::Version(version) => (version, true),
        Adopted::Unchanged(version) => (version, false),
    };
    rescoring::finish(&mut folder)?;
    let found = if rescore == Rescore::Open { folder.engine.rescoring(tenant)? } else { None };
    folder.close()?;
    Ok(Adoption { version, changed, rescored: found.map(Rescored::from) })
}

fn send(server: Server, text: &str, tenant: &str, rescore: Rescore) -> anyhow::Result<Adoption> {
    let call = Call::policy(text);
    let call = if rescore == Rescore::None { call } else { call.query("rescore", rescore.word()) };
    let told: Told = server.send(&call)?.json()?;
    let in_force = server.send(&Call::get("/v1/policy").of_tenant(tenant)?)?;
    let rescored = if rescore == Rescore::Open { rescoring::wait(&server, tenant)? } else { None };
    Ok(Adoption { version: in_force.version().unwrap_or_default(), changed: !told.repeated, rescored })
}

/// A policy, as it is shown.
struct Shown {
    version: u32,
    adopted_at: Option<String>,
    document: String,
}

fn show(number: Option<u32>, settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let found = match &source {
        Source::Folder(folder) => stored(folder, number)?,
        Source::Server(server) => sent(server, number, settings)?,
    };
    if settings.json {
        let Shown { version, adopted_at, document } = &found;
        json_line(&json!({ "version": version, "adopted_at": adopted_at, "document": document }))?;
    } else {
        line(found.document.trim_end())?;
    }
    source.close()
}

fn no_such_version(number: u32) -> UsageError {
    UsageError(format!("there is no policy version {number}; see `leadfold policy history`"))
}

fn stored(folder: &Folder, number: Option<u32>) -> anyhow::Result<Shown> {
    let tenant = folder.whole_tenant()?;
    let version = number.unwrap_or(tenant.version);
    let stored = folder.engine.policy_version(tenant.id, version)?.ok_or_else(|| no_such_version(version))?;
    Ok(Shown { version, adopted_at: Some(rfc3339(stored.adopted_at)), document: stored.document })
}

fn sent(server: &Server, number: Option<u32>, settings: &Settings) -> anyhow::Result<Shown> {
    let mut answer = server.send(&Call::get("/v1/policy"))?;
    // Every key that reads may see the one in force.
    if let Some(number) = number.filter(|number| Some(*number) != answer.version()) {
        let earlier = server.send(&Call::get(format!("/v1/policy/versions/{number}")));
        answer = earlier.map_err(|error| missing(error, || no_such_version(number).into()))?;
    }
    let version = answer.version().unwrap_or_default();
    // When it was adopted is for programs; not every key may see it.
    let rows = if settings.json { versions(server)? } else { Vec::new() };
    let adopted_at = rows.into_iter().find(|row| row.version == version).map(|row| row.adopted_at);
    let document = String::from_utf8(answer.body).context("cannot read the policy: it is no UTF-8")?;
    Ok(Shown { version, adopted_at, document })
}

/// The currency of the policy in force.
pub(crate) fn currency(source: &Source) -> anyhow::Result<Currency> {
    match source {
        Source::Folder(folder) => Ok(folder.whole_tenant()?.policy().currency),
        Source::Server(server) => {
            let answer = server.send(&Call::get("/v1/policy"))?;
            let read = proto_events::policy_document::read(&String::from_utf8_lossy(&answer.body), None);
            let document = read.map_err(|_| UsageError("name the sale's currency with --currency".to_owned()))?;
            Ok(document.policy.currency)
        }
    }
}

/// A version in the history.
#[derive(Debug, Serialize, Deserialize)]
struct VersionRow {
    version: u32,
    position: u64,
    adopted_at: String,
}

/// All versions, the first one first.
fn versions(server: &Server) -> anyhow::Result<Vec<VersionRow>> {
    #[derive(Deserialize)]
    struct Versions {
        items: Vec<VersionRow>,
    }
    let mut rows: Versions = server.send(&Call::get("/v1/policy/versions"))?.json()?;
    rows.items.sort_by_key(|row| row.version);
    Ok(rows.items)
}

fn history(settings: &Settings) -> anyhow::Result<()> {
    let source = Source::open(settings)?;
    let rows = match &source {
        Source::Folder(folder) => {
            let Tenant { id, version: latest, .. } = folder.whole_tenant()?;
            let stored = (1..=*latest).filter_map(|version| folder.engine.policy_version(*id, version).transpose());
            let row = |stored: PolicyVersion| VersionRow {
                version: stored.version,
                position: stored.position.0,
                adopted_at: rfc3339(stored.adopted_at),
            };
            stored.map(|stored| stored.map(row)).collect::<Result<_, _>>()?
        }
        Source::Server(server) => versions(server)?,
    };
    if settings.json {
        rows.iter().try_for_each(json_line)?;
    } else {
        let row = |row: VersionRow| vec![row.version.to_string(), row.adopted_at, row.position.to_string()];
        table(&["VERSION", "ADOPTED", "POSITION"], rows.into_iter().map(row).collect())?;
    }
    source.close()
}
