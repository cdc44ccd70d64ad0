//! The manifest: which files the model is made of, and the record up to which they reach. Replacing it is the transaction.
//!
//! What it doesn't name is left over from a crash or a replacement, and removed when the model is opened.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_log::{Chain, LogPosition};
use lead_domain::Score;
use lead_domain::policy::grid::{Grade, Grid, Steps};
use projector::{Checkpoint, Parked};
use serde::{Deserialize, Serialize};

use crate::error::{AnalyticsError, damaged, io_error};
use crate::ledger::{Caps, StoredTerms};
use crate::store::Seal;
use crate::table::Table;

/// The format that this program writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// Its name.
pub(crate) const NAME: &str = "manifest.json";
/// The name of one whose model is being built.
const BUILDING: &str = "manifest.building.json";
/// While they are written.
const UNFINISHED: &str = "manifest.unfinished";
const BUILDING_UNFINISHED: &str = "manifest.building.unfinished";

/// What the model is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// The last record in the files.
    position: u64,
    /// That record's chain value, hexadecimal.
    chain: String,
    /// How often files were replaced: the number in the names of the next ones that are.
    pub(crate) generation: u32,
    /// By number.
    pub(crate) tenants: BTreeMap<u32, Tenant>,
    /// What points were ever given by; rows name them by their places.
    pub(crate) terms: Vec<StoredTerms>,
    /// In order of their ranges.
    pub(crate) files: Vec<FileEntry>,
    /// The streams that are left out.
    #[serde(default, skip_serializing_if = "Parked::is_empty")]
    pub(crate) parked: Parked,
}

/// A tenant, as far as the tables know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) policy_version: u32,
    /// The group of each lead type that has one.
    pub(crate) groups: BTreeMap<String, String>,
    /// The bounds of scores.
    #[serde(with = "shared_caps")]
    pub(crate) caps: Arc<Caps>,
    /// The thresholds of the grid: fit and engagement, the best step and the second one. `None` without a grid.
    pub(crate) grid: Option<[(i32, i32); 2]>,
}

impl Tenant {
    /// The place of a score in the grid; `None` without one.
    pub(crate) fn grade(&self, score: &Score) -> Option<Grade> {
        let [fit, engagement] = self.grid?.map(|(best, second)| Steps { best, second });
        Some(Grid { fit, engagement }.grade(score))
    }
}

/// Bounds are shared with what waits to be weighed by them.
mod shared_caps {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ledger::Caps;

    pub(super) fn serialize<S: Serializer>(caps: &Arc<Caps>, serializer: S) -> Result<S::Ok, S::Error> {
        caps.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Caps>, D::Error> {
        Caps::deserialize(deserializer).map(Arc::new)
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    pub(crate) table: Table,
    pub(crate) name: String,
    /// The first record that it covers.
    pub(crate) from: u64,
    /// The last one.
    pub(crate) to: u64,
    pub(crate) rows: u32,
    pub(crate) bytes: u64,
    /// Of the whole file, hexadecimal.
    pub(crate) blake3: String,
    /// Whose rows are in it.
    pub(crate) tenants: Vec<String>,
    /// Rows that stand for older ones of other files (interactions), or that tell of merges (events).
    pub(crate) marked: u32,
}

impl Default for Manifest {
    fn default() -> Self {
        let mut empty = Self {
            format: FORMAT,
            position: 0,
            chain: String::new(),
            generation: 0,
            tenants: BTreeMap::new(),
            terms: Vec::new(),
            files: Vec::new(),
            parked: Parked::default(),
        };
        empty.reaches(Checkpoint::default());
        empty
    }
}

impl Manifest {
    /// Reads the one in use; an empty model has none.
    pub(crate) fn read(folder: &Path) -> Result<Self, AnalyticsError> {
        let path = folder.join(NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let manifest: Self = serde_json::from_str(&text).map_err(|error| damaged(&path, error))?;
        if manifest.format != FORMAT {
            return Err(AnalyticsError::Format { path, found: manifest.format, known: FORMAT });
        }
        if manifest.files.iter().any(|file| file.name.contains(['/', '\\'])) {
            return Err(damaged(&path, "names a file of another folder"));
        }
        manifest.checkpoint().ok_or_else(|| damaged(&path, "has no chain value"))?;
        Ok(manifest)
    }

    /// Puts this one in the place of the one in use, or of the one that is being built; durable on return.
    pub(crate) fn write(&self, folder: &Path, building: bool) -> Result<(), AnalyticsError> {
        let (name, unfinished_name) = if building { (BUILDING, BUILDING_UNFINISHED) } else { (NAME, UNFINISHED) };
        let unfinished = folder.join(unfinished_name);
        let write = || {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            let mut file = File::create(&unfinished)?;
            file.write_all(&text)?;
            file.sync_all()
        };
        write().map_err(io_error("write", &unfinished))?;
        rename(folder, unfinished_name, name)
    }

    /// Puts the one that was built in the place of the one in use.
    pub(crate) fn take_over(folder: &Path) -> Result<(), AnalyticsError> {
        rename(folder, BUILDING, NAME)
    }

    /// Removes the one that is being built.
    pub(crate) fn abandon(folder: &Path) {
        for name in [BUILDING, BUILDING_UNFINISHED] {
            // What can't be removed now is removed with the next opening.
            let _ = fs::remove_file(folder.join(name));
        }
    }

    /// The last record in the files; `None` when the chain value is damaged.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let hash = blake3::Hash::from_hex(&self.chain).ok()?;
        Some(Checkpoint { position: LogPosition(self.position), chain: Chain(*hash.as_bytes()) })
    }

    /// The files reach to this record now.
    pub(crate) fn reaches(&mut self, checkpoint: Checkpoint) {
        self.position = checkpoint.position.0;
        self.chain = blake3::Hash::from_bytes(checkpoint.chain.0).to_hex().to_string();
    }

    /// The files reach to this seal now.
    pub(crate) fn take(&mut self, Seal { checkpoint, tenants, parked }: Seal) {
        self.reaches(checkpoint);
        (self.tenants, self.parked) = (tenants, parked);
    }

    /// Removes what neither this one nor a model that is being built names.
    pub(crate) fn tidy(&self, folder: &Path) -> Result<(), AnalyticsError> {
        let entries = fs::read_dir(folder).map_err(io_error("read", folder))?;
        for entry in entries {
            let entry = entry.map_err(io_error("read", folder))?;
            let name = entry.file_name();
            let ours = name
                .to_str()
                .is_some_and(|name| name != NAME && (name.ends_with(".parquet") || name.starts_with("manifest.")));
            if ours && !self.files.iter().any(|file| *file.name == *name) {
                let path: PathBuf = entry.path();
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn rename(folder: &Path, from: &str, to: &str) -> Result<(), AnalyticsError> {
    let target = folder.join(to);
    fs::rename(folder.join(from), &target).map_err(io_error("replace", &target))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}
