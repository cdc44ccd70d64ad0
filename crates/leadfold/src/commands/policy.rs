//! `leadfold policy …`

use std::path::Path;

use anyhow::{Context, bail};
use engine::{Adopted, EngineError};
use lead_domain::policy::Fault;
use serde_json::json;

use crate::cli::PolicyCommand;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::{json_line, line, rfc3339, table};
use crate::settings::Settings;

pub(crate) fn run(command: &PolicyCommand, settings: &Settings) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check { file } => check(file, settings),
        PolicyCommand::Adopt { file } => adopt(file, settings),
        PolicyCommand::Show { number } => show(*number, settings),
        PolicyCommand::History => history(settings),
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read the policy {}", file.display()))
}

/// Prints every fault and fails.
fn refuse(file: &Path, faults: &[Fault], settings: &Settings) -> anyhow::Result<()> {
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

fn adopt(file: &Path, settings: &Settings) -> anyhow::Result<()> {
    let text = read(file)?;
    // A faulty policy makes no data folder.
    if let Err(faults) = proto_events::policy_document::read(&text, None) {
        return refuse(file, &faults, settings);
    }
    let mut folder = Folder::open_or_create(settings)?;
    let (tenant, adopted) = match folder.engine.adopt(&text) {
        Err(EngineError::Policy { faults }) => return refuse(file, &faults, settings),
        adopted => adopted?,
    };
    let found = folder.engine.tenants().iter().find(|known| known.id == tenant);
    let name = found.map(|tenant| tenant.name.to_string()).unwrap_or_default();
    let (version, changed) = match adopted {
        Adopted::Version(version) => (version, true),
        Adopted::Unchanged(version) => (version, false),
    };
    if settings.json {
        json_line(&json!({ "tenant": name, "version": version, "changed": changed }))?;
    } else if changed {
        line(format_args!("tenant {name}: policy version {version} is in force"))?;
    } else {
        line(format_args!("tenant {name}: unchanged, policy version {version} is in force"))?;
    }
    folder.close()
}

fn show(version: Option<u32>, settings: &Settings) -> anyhow::Result<()> {
    let folder = Folder::open(settings)?;
    let id = folder.tenant()?;
    let found = folder.engine.tenants().iter().find(|known| known.id == id);
    let version = version.unwrap_or_else(|| found.map_or(0, |tenant| tenant.version));
    let Some(stored) = folder.engine.policy_version(id, version)? else {
        bail!(UsageError(format!("there is no policy version {version}; see `leadfold policy history`")));
    };
    if settings.json {
        return json_line(
            &json!({ "version": version, "adopted_at": rfc3339(stored.adopted_at), "document": stored.document }),
        );
    }
    line(stored.document.trim_end())
}

fn history(settings: &Settings) -> anyhow::Result<()> {
    let folder = Folder::open(settings)?;
    let id = folder.tenant()?;
    let latest = folder.engine.tenants().iter().find(|known| known.id == id).map_or(0, |tenant| tenant.version);
    let mut rows = Vec::new();
    for version in 1..=latest {
        let Some(stored) = folder.engine.policy_version(id, version)? else { continue };
        let (position, adopted_at) = (stored.position.0, rfc3339(stored.adopted_at));
        if settings.json {
            json_line(&json!({ "version": version, "position": position, "adopted_at": adopted_at }))?;
        } else {
            rows.push(vec![version.to_string(), adopted_at, position.to_string()]);
        }
    }
    if settings.json { Ok(()) } else { table(&["VERSION", "ADOPTED", "POSITION"], rows) }
}
