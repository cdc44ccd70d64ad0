//! Backups on disk: what one consists of, how it is written, and how it is checked. Opens no database.
//!
//! ```text
//! DIR/00000000000000001042/                a backup that ends at position 1042
//! DIR/00000000000000001042/manifest.json   written last: every other file with its length and hash
//! DIR/00000000000000001042/log/ …          the log, with log-head beside it
//! DIR/00000000000000002084.partial/        one that was cut off: no backup
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::failure::DamageFound;

const MANIFEST: &str = "manifest.json";
/// The format of manifests.
const FORMAT: u32 = 1;
/// Behind the name of a backup that is not finished.
const PARTIAL: &str = "partial";

/// What a backup says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The version of the program that made it.
    pub(crate) program: String,
    /// When it was made, RFC 3339.
    pub(crate) made_at: String,
    /// The last record.
    pub(crate) position: u64,
    /// The chain value of that record, in hexadecimal digits.
    pub(crate) chain: String,
    /// Every other file, by its path in the backup.
    files: BTreeMap<String, Kept>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    bytes: u64,
    blake3: String,
}

/// A whole backup in its folder.
pub(crate) struct Backup {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: Manifest,
}

/// How much a backup took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files that an earlier backup has, too, and that take no room of their own.
    pub(crate) shared: u64,
}

/// What a new backup is to say of itself.
pub(crate) struct Label {
    pub(crate) made_at: String,
    pub(crate) position: u64,
    pub(crate) chain: String,
}

/// The whole backups in a folder, oldest first, and the names of those that were cut off.
pub(crate) fn all(folder: &Path) -> anyhow::Result<(Vec<Backup>, Vec<String>)> {
    let context = || format!("cannot read the backups in {}", folder.display());
    let (mut whole, mut cut_off) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == PARTIAL) {
            cut_off.push(name);
        } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
            whole.push(read(entry.path())?);
        }
    }
    whole.sort_unstable_by_key(|backup| backup.manifest.position);
    cut_off.sort_unstable();
    Ok((whole, cut_off))
}

fn read(folder: PathBuf) -> anyhow::Result<Backup> {
    let path = folder.join(MANIFEST);
    let damaged = |why: String| DamageFound(format!("cannot use the backup {}: {why}", folder.display()));
    let text = fs::read(&path).map_err(|error| damaged(format!("its manifest can't be read: {error}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| damaged(format!("its manifest is damaged: {error}")))?;
    if manifest.format > FORMAT {
        bail!(damaged(format!("its format is {}, this program knows {FORMAT}", manifest.format)));
    }
    Ok(Backup { folder, manifest })
}

/// Copies files into a new backup; whatever an earlier one has with the same content is shared with it. Durable on return;
/// a crash on the way leaves a part that is no backup.
pub(crate) fn take(
    folder: &Path,
    sources: &BTreeMap<String, PathBuf>,
    earlier: Option<&Backup>,
    label: Label,
) -> anyhow::Result<Taken> {
    let name = format!("{:020}", label.position);
    let partial = folder.join(&name).with_extension(PARTIAL);
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    let mut taken = Taken::default();
    let mut files = BTreeMap::new();
    for (path, source) in sources {
        let context = || format!("cannot copy {} into {}", source.display(), partial.display());
        let kept = measure(source).with_context(context)?;
        let place = partial.join(path);
        fs::create_dir_all(place.parent().unwrap_or(&partial)).with_context(context)?;
        let known = earlier.filter(|earlier| earlier.manifest.files.get(path) == Some(&kept));
        if known.is_some_and(|known| fs::hard_link(known.folder.join(path), &place).is_ok()) {
            taken.shared += 1;
        } else {
            fs::copy(source, &place).and_then(|_| File::open(&place)?.sync_all()).with_context(context)?;
            taken.bytes += kept.bytes;
        }
        taken.files += 1;
        files.insert(path.clone(), kept);
    }
    let Label { made_at, position, chain } = label;
    let program = env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest { format: FORMAT, program, made_at, position, chain, files };
    finish(folder, &partial, &name, &manifest).with_context(|| format!("cannot write {}", partial.display()))?;
    Ok(taken)
}

fn finish(folder: &Path, partial: &Path, name: &str, manifest: &Manifest) -> anyhow::Result<()> {
    let mut file = File::create(partial.join(MANIFEST))?;
    serde_json::to_writer_pretty(&mut file, manifest)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    for entry in fs::read_dir(partial)? {
        let path = entry?.path();
        if path.is_dir() {
            File::open(path)?.sync_all()?;
        }
    }
    File::open(partial)?.sync_all()?;
    fs::rename(partial, folder.join(name))?;
    Ok(File::open(folder)?.sync_all()?)
}

impl Backup {
    /// Copies the backup's files to `target`, and checks each by its length and hash.
    pub(crate) fn copy_to(&self, target: &Path) -> anyhow::Result<()> {
        for (path, kept) in &self.manifest.files {
            let (source, place) = (self.folder.join(path), target.join(path));
            let context = || format!("cannot copy {} to {}", source.display(), place.display());
            let inside = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside {
                bail!(DamageFound(format!("cannot use the backup: its manifest names \"{path}\"")));
            }
            fs::create_dir_all(place.parent().unwrap_or(target)).with_context(context)?;
            match fs::copy(&source, &place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    bail!(DamageFound(format!("cannot use the backup: {} is missing", source.display())));
                }
                copied => copied.with_context(context)?,
            };
            if measure(&place).with_context(context)? != *kept {
                let source = source.display();
                bail!(DamageFound(format!("cannot use the backup: {source} is not the file that was backed up")));
            }
        }
        Ok(())
    }
}

/// Length and hash of a file.
fn measure(path: &Path) -> io::Result<Kept> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let bytes = io::copy(&mut file, &mut hasher)?;
    Ok(Kept { bytes, blake3: hasher.finalize().to_hex().to_string() })
}

/// All files below a folder, by their paths in it, which begin with `prefix`.
pub(crate) fn files_below(folder: &Path, prefix: &str, found: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}/{name}") };
        if path.is_dir() {
            files_below(&path, &name, found)?;
        } else {
            found.insert(name, path);
        }
    }
    Ok(())
}
