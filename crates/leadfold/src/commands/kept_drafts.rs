//! `leadfold policy draft`: policies that are kept beside the data until they are adopted, under names.
//!
//! ```text
//! DIR/drafts/NAME.toml    the document as saved, without faults
//! ```
//!
//! Wherever a command takes a policy, `draft:NAME` stands for one of these. They are files, so they can be worked with while
//! a service holds the data; nothing is decided by them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::DraftCommand;
use crate::commands::policy;
use crate::failure::UsageError;
use crate::output::{json_line, line, table};
use crate::settings::Settings;

/// The folder of the drafts, in the data folder.
const FOLDER: &str = "drafts";
/// What stands in front of a draft's name where a file could be named.
const PREFIX: &str = "draft:";
const NAME_MAX: usize = 64;

pub(crate) fn run(command: &DraftCommand, settings: &Settings) -> anyhow::Result<()> {
    if settings.server.is_some() {
        bail!(UsageError("drafts are kept in the data folder of this machine; leave --server out".to_owned()));
    }
    match command {
        DraftCommand::Save { name, file } => save(name, file, settings),
        DraftCommand::List => list(settings),
        DraftCommand::Show { name } => {
            let path = known(name, settings)?;
            line(policy::read(&path)?.trim_end())
        }
        DraftCommand::Delete { name } => {
            let path = known(name, settings)?;
            fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
            line(format_args!("draft {name} is deleted"))
        }
    }
}

/// The file that a command means: a draft's for `draft:NAME`.
pub(crate) fn resolve(file: &Path, settings: &Settings) -> anyhow::Result<PathBuf> {
    match file.to_str().and_then(|text| text.strip_prefix(PREFIX)) {
        Some(name) => known(name, settings),
        None => Ok(file.to_owned()),
    }
}

fn place(name: &str, settings: &Settings) -> anyhow::Result<PathBuf> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        bail!(UsageError(format!("\"{name}\" can't name a draft: 1 to {NAME_MAX} of a-z, 0-9, - and _")));
    }
    Ok(settings.data.join(FOLDER).join(format!("{name}.toml")))
}

fn known(name: &str, settings: &Settings) -> anyhow::Result<PathBuf> {
    let path = place(name, settings)?;
    if !path.exists() {
        bail!(UsageError(format!("there is no draft {name}; see `leadfold policy draft list`")));
    }
    Ok(path)
}

fn save(name: &str, file: &Path, settings: &Settings) -> anyhow::Result<()> {
    let (path, text) = (place(name, settings)?, policy::read(file)?);
    let document = match proto_events::policy_document::read(&text, None) {
        Ok(document) => document,
        Err(faults) => return policy::refuse(file, &faults, settings),
    };
    if !settings.data.exists() {
        bail!(UsageError(format!("there is no data in {} yet; adopt a first policy", settings.data.display())));
    }
    write(&path, text.as_bytes()).with_context(|| format!("cannot save {}", path.display()))?;
    let tenant = document.policy.tenant;
    if settings.json {
        return json_line(&json!({ "draft": name, "tenant": tenant.as_str() }));
    }
    line(format_args!(
        "draft {name} of tenant {tenant} is saved; `leadfold policy adopt {PREFIX}{name}` puts it in force"
    ))
}

/// Writes the whole file or leaves what was there.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

fn list(settings: &Settings) -> anyhow::Result<()> {
    let folder = settings.data.join(FOLDER);
    let mut names = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
                if path.extension().is_some_and(|extension| extension == "toml") {
                    names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
    names.sort_unstable();
    let rows = names.iter().map(|name| {
        let text = policy::read(&place(name, settings)?)?;
        // One that was edited by hand may have faults by now.
        let read = proto_events::policy_document::read(&text, None);
        let tenant = read.as_ref().map_or_else(|_| String::new(), |document| document.policy.tenant.to_string());
        Ok((name.clone(), tenant, read.err().map_or(0, |faults| faults.len())))
    });
    let rows: Vec<(String, String, usize)> = rows.collect::<anyhow::Result<_>>()?;
    if settings.json {
        let shown =
            |(name, tenant, faults): &_| json_line(&json!({ "draft": name, "tenant": tenant, "faults": faults }));
        return rows.iter().try_for_each(shown);
    }
    if rows.is_empty() {
        return line("no drafts");
    }
    let row = |(name, tenant, faults): (String, String, usize)| vec![name, tenant, faults.to_string()];
    table(&["DRAFT", "TENANT", "FAULTS"], rows.into_iter().map(row).collect())
}
