//! `leadfold backup` and `leadfold restore`

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use event_log::EventLog;
use key_vault::{MASTER_FILE, VAULT_FILE};
use rocks_store::{LogOptions, ReadOnlyLog};
use serde::Deserialize;
use serde_json::json;

use crate::backup::{self, Backup, Label, Manifest, Taken};
use crate::cli::{BackupArgs, RestoreArgs};
use crate::failure::{DamageFound, UsageError};
use crate::folder::{BESIDE_CHECKPOINT, CHECKPOINT, Folder, refuse_server, remove_checkpoint};
use crate::output::{json_line, line, progress_bar, rfc3339};
use crate::remote::Call;
use crate::serve::nats;
use crate::settings::Settings;
use crate::source::Source;

/// What a backup has besides the log.
const BESIDE: [&str; 2] = ["access.json", "cursors"];

pub(crate) fn run(args: &BackupArgs, settings: &Settings) -> anyhow::Result<()> {
    refuse_server(settings)?;
    check_places(args, settings)?;
    let source = Source::open(settings)?;
    let _one = only_one(&settings.data)?;
    let started = Instant::now();
    let context = || format!("cannot make {}", args.folder.display());
    fs::create_dir_all(&args.folder).with_context(context)?;
    let (mut earlier, cut_off) = backup::all(&args.folder)?;
    for name in cut_off {
        let path = args.folder.join(name);
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    // Before the log: a destination's cursor must not be ahead of it.
    remove_checkpoint(&settings.data)?;
    let set_aside = set_aside(&settings.data)?;
    let made = checkpoint(&source, settings)?;
    let taken = if earlier.last().is_some_and(|last| last.manifest.position == made.position) {
        Taken::default()
    } else {
        let made_at = rfc3339(settings.clock.now());
        let label = Label { made_at, position: made.position, chain: made.chain.clone() };
        backup::take(&args.folder, &sources(&settings.data, &set_aside)?, earlier.pop().as_ref(), label)?
    };
    if let Some(keys) = &args.keys {
        copy_keys(&settings.data.join("keys"), keys)?;
    }
    remove_checkpoint(&settings.data)?;
    source.close()?;
    tell(&made, taken, args, settings, started.elapsed().as_secs_f64())
}

fn tell(
    Made { position, chain }: &Made,
    Taken { files, bytes, shared }: Taken,
    args: &BackupArgs,
    settings: &Settings,
    seconds: f64,
) -> anyhow::Result<()> {
    if settings.json {
        return json_line(&json!({
            "position": position, "chain": chain, "files": files, "bytes": bytes, "files_shared": shared,
            "keys": args.keys.is_some(), "seconds": seconds,
        }));
    }
    if files == 0 {
        line(format_args!("position {position} is backed up already"))?;
    } else {
        line(format_args!(
            "backed up to position {position}: {files} files, {shared} of them shared with the backup before, {bytes} \
             bytes copied, in {seconds:.1} s"
        ))?;
    }
    match args.keys {
        Some(_) => Ok(()),
        None => line("the keys are not part of it: without them nothing can be restored; --keys DIR copies them"),
    }
}

/// Keys and backups are kept apart, and neither of them in the data folder.
fn check_places(args: &BackupArgs, settings: &Settings) -> anyhow::Result<()> {
    let absolute = |path: &Path| {
        let path = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        path.with_context(|| "cannot tell where the folder is")
    };
    let (data, folder) = (absolute(&settings.data)?, absolute(&args.folder)?);
    if folder.starts_with(&data) {
        bail!(UsageError("a backup must be outside of the data folder".to_owned()));
    }
    let Some(keys) = &args.keys else { return Ok(()) };
    let keys = absolute(keys)?;
    if keys.starts_with(&folder) || keys.starts_with(&data) {
        bail!(UsageError("--keys must be a folder apart from the backups and the data".to_owned()));
    }
    Ok(())
}

/// Lets one backup of a folder be made at a time.
fn only_one(data: &Path) -> anyhow::Result<File> {
    let path = data.join("backup-lock");
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("cannot make a backup: another one is being made");
    }
    Ok(file)
}

/// Copies what changes while the log is copied into a folder of its own.
fn set_aside(data: &Path) -> anyhow::Result<PathBuf> {
    let place = data.join(BESIDE_CHECKPOINT);
    let context = || format!("cannot copy into {}", place.display());
    fs::create_dir_all(&place).with_context(context)?;
    let mut found = BTreeMap::new();
    for name in BESIDE {
        let path = data.join(name);
        if path.is_file() {
            found.insert(name.to_owned(), path);
        } else {
            backup::files_below(&path, name, &mut found).with_context(context)?;
        }
    }
    for (name, path) in found {
        let copy = place.join(name);
        fs::create_dir_all(copy.parent().unwrap_or(&place)).with_context(context)?;
        fs::copy(path, copy).with_context(context)?;
    }
    Ok(place)
}

/// Where a copy of the log ends.
#[derive(Deserialize)]
struct Made {
    position: u64,
    chain: String,
}

/// Has the log copied into the data folder, by whoever holds that.
fn checkpoint(source: &Source, settings: &Settings) -> anyhow::Result<Made> {
    match source {
        Source::Folder(folder) => {
            let place = settings.data.join(CHECKPOINT);
            fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
            let head = folder.engine.parts().log.checkpoint(&place.join("log"))?;
            Ok(Made { position: head.position.0, chain: head.chain.digits() })
        }
        Source::Server(server) => server.send(&Call::checkpoint())?.json(),
    }
}

/// The files of a backup, by their paths in it.
fn sources(data: &Path, set_aside: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for folder in [&data.join(CHECKPOINT), set_aside] {
        backup::files_below(folder, "", &mut found).with_context(|| format!("cannot read {}", folder.display()))?;
    }
    Ok(found)
}

/// Copies the vault, and the master key where it is beside it, in place of an older copy: whoever was erased since is
/// erased there as well. The log was copied before, so every key that it needs is there.
fn copy_keys(keys: &Path, target: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot copy the keys to {}", target.display());
    fs::create_dir_all(target).with_context(context)?;
    for name in [VAULT_FILE, MASTER_FILE] {
        let (source, place) = (keys.join(name), target.join(name));
        if source.is_file() {
            let new = place.with_extension("new");
            fs::copy(&source, &new).with_context(context)?;
            File::open(&new).and_then(|file| file.sync_all()).with_context(context)?;
            fs::rename(&new, &place).with_context(context)?;
        }
    }
    File::open(target).and_then(|folder| folder.sync_all()).with_context(context)
}

pub(crate) fn restore(args: &RestoreArgs, settings: &Settings) -> anyhow::Result<()> {
    refuse_server(settings)?;
    refuse_living(&settings.data)?;
    let backup = chosen(args)?;
    if !args.keys.join(VAULT_FILE).is_file() {
        bail!(UsageError(format!("there is no copy of the keys in {}", args.keys.display())));
    }
    let started = Instant::now();
    let place = empty_place(&settings.data)?;
    backup.copy_to(&place)?;
    copy_keys(&args.keys, &place.join("keys"))?;
    check_head(&backup, &place)?;
    let feed = check_whole(&place, settings)?;
    let context = || format!("cannot move {} to {}", place.display(), settings.data.display());
    remove(&settings.data, fs::remove_dir).with_context(context)?;
    fs::rename(&place, &settings.data).with_context(context)?;
    tell_restored(&backup, feed, settings, started.elapsed().as_secs_f64())
}

fn tell_restored(backup: &Backup, feed: Option<u64>, settings: &Settings, seconds: f64) -> anyhow::Result<()> {
    let Manifest { position, chain, made_at, .. } = &backup.manifest;
    if settings.json {
        return json_line(&json!({
            "position": position, "chain": chain, "made_at": made_at, "feed_sequence": feed, "whole": true,
            "seconds": seconds,
        }));
    }
    line(format_args!(
        "{} holds the log up to position {position}, as it was at {made_at}; all of it is whole, in {seconds:.1} s",
        settings.data.display(),
    ))?;
    match feed {
        Some(sequence) => {
            line(format_args!("the feed goes on behind message {sequence}, if the stream still has what comes next"))
        }
        None => Ok(()),
    }
}

/// A new folder beside the one to restore. What was cut off there before is begun anew.
fn empty_place(data: &Path) -> anyhow::Result<PathBuf> {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let place = data.with_file_name(name);
    let made = remove(&place, fs::remove_dir_all).and_then(|()| fs::create_dir_all(&place));
    made.with_context(|| format!("cannot restore into {}", place.display()))?;
    Ok(place)
}

/// Removes a folder that may not be there.
fn remove(folder: &Path, remove: fn(PathBuf) -> io::Result<()>) -> io::Result<()> {
    match remove(folder.to_owned()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn refuse_living(data: &Path) -> anyhow::Result<()> {
    let is_empty = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot look into {}", data.display())),
        Ok(mut entries) => entries.next().is_none(),
    };
    if is_empty {
        return Ok(());
    }
    let data = data.display();
    bail!(UsageError(format!("{data} is not empty; a backup is restored into a new folder (--data)")))
}

fn chosen(args: &RestoreArgs) -> anyhow::Result<Backup> {
    let (mut whole, cut_off) = backup::all(&args.folder)?;
    if let Some(position) = args.at {
        whole.retain(|backup| backup.manifest.position == position);
    }
    let folder = args.folder.display();
    match (whole.pop(), args.at) {
        (Some(backup), _) => Ok(backup),
        (None, Some(position)) => {
            bail!(UsageError(format!("there is no whole backup of position {position} in {folder}")))
        }
        (None, None) if cut_off.is_empty() => bail!(UsageError(format!("there is no backup in {folder}"))),
        (None, None) => bail!(UsageError(format!(
            "there is no whole backup in {folder}, only one that was cut off; make another one with `leadfold backup`"
        ))),
    }
}

/// Whether the log ends where the manifest says.
fn check_head(backup: &Backup, place: &Path) -> anyhow::Result<()> {
    let log = ReadOnlyLog::open(&place.join("log"), &LogOptions::default()).context("cannot open the backup's log")?;
    let head = log.head();
    if (head.position.0, head.chain.digits()) == (backup.manifest.position, backup.manifest.chain.clone()) {
        return Ok(());
    }
    bail!(DamageFound("cannot use the backup: its log doesn't end where its manifest says".to_owned()))
}

/// Opens what was copied and verifies all of it. Returns how far the feed was read.
fn check_whole(place: &Path, settings: &Settings) -> anyhow::Result<Option<u64>> {
    let mut settings = settings.clone();
    settings.data = place.to_owned();
    let mut folder = Folder::open(&settings)?;
    let bar = progress_bar(folder.engine.head().position.0, "verifying");
    let found = folder.engine.verify(None, &mut |position| bar.set_position(position.0))?;
    bar.finish_and_clear();
    if let Some(finding) = found.findings.first() {
        bail!(DamageFound(format!("cannot use the backup: {}: {}", finding.place, finding.fault)));
    }
    let feed = nats::mark(&folder.engine)?.map(|mark| mark.sequence);
    folder.close()?;
    Ok(feed)
}
