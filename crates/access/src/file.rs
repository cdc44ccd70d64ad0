//! The file that keys are kept in: `access.json`, replaced as a whole.
//!
//! ```json
//! { "format": 1, "keys": [{ "id", "role", "tenant", "name"?, "created_at", "revoked_at"?, "hash" }] }
//! ```
//!
//! New bytes go to `access.json.new`, are synced and take the file's place by a rename. A process that is killed leaves
//! the old file or the new one whole, and perhaps an `access.json.new`, which nobody reads and the next change
//! overwrites. Readers need no lock: what they have opened stays as it is.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::AccessError;
use crate::record::StoredKey;
use crate::role::Role;
use crate::scope::Scope;

/// The name of the file that keys are kept in.
pub const ACCESS_FILE: &str = "access.json";
const LOCK_FILE: &str = "access.lock";
const NEW_FILE: &str = "access.json.new";
/// The format that this program writes; it reads no newer one.
const FORMAT: u32 = 1;
/// Far more than the most keys take, so that a wrong file isn't read into memory.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Readable and writable for the owner alone.
const OWNER_ONLY: u32 = 0o600;

/// What tells one state of the file from every other.
///
/// Each state is a file of its own. The system may give a new one the number of one long gone, and both may fall into
/// one tick of its clock; but keys are never taken out, so each state is longer than all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Missing,
    Present { device: u64, inode: u64, modified: (i64, i64), bytes: u64 },
}

impl Identity {
    /// Of the file as it is now.
    pub(crate) fn at(path: &Path) -> Result<Self, AccessError> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Self::of(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Missing),
            Err(error) => Err(storage("read", path)(error)),
        }
    }

    fn of(metadata: &fs::Metadata) -> Self {
        Self::Present {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.len(),
        }
    }
}

#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<StoredKey>,
}

#[derive(Serialize)]
struct NewDocument<'a> {
    format: u32,
    keys: &'a [StoredKey],
}

/// Where the keys of one folder are.
#[derive(Clone, Debug)]
pub(crate) struct AccessFile {
    folder: PathBuf,
    path: PathBuf,
}

impl AccessFile {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), path: folder.join(ACCESS_FILE) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The keys, in the order in which they were made, and the state of the file that they were read from.
    pub(crate) fn read(&self) -> Result<(Identity, Vec<StoredKey>), AccessError> {
        let failed = storage("read", &self.path);
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Identity::Missing, Vec::new())),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(&failed)?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(self.damaged(format!("it has {} bytes", metadata.len())));
        }
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(&failed)?;
        Ok((Identity::of(&metadata), self.parse(&text)?))
    }

    fn parse(&self, text: &[u8]) -> Result<Vec<StoredKey>, AccessError> {
        // What the reader says may quote the file.
        let fault = |error: serde_json::Error| {
            self.damaged(format!("line {}, column {} is not as it was written", error.line(), error.column()))
        };
        let AnyFormat { format } = serde_json::from_slice(text).map_err(fault)?;
        if format > FORMAT {
            return Err(AccessError::NewerFormat { path: self.path.clone(), found: format, known: FORMAT });
        }
        let Document { keys } = serde_json::from_slice(text).map_err(fault)?;
        let mut ids = HashSet::new();
        for StoredKey { record, .. } in &keys {
            if !ids.insert(record.id) {
                return Err(self.damaged(format!("two keys have the id {}", record.id)));
            }
            if record.tenant == Scope::All && record.role != Role::Admin {
                return Err(self.damaged(format!("key {} is for all tenants, but no admin's", record.id)));
            }
        }
        Ok(keys)
    }

    fn damaged(&self, fault: String) -> AccessError {
        AccessError::Damaged { path: self.path.clone(), fault }
    }

    /// Keeps all others from changing the file until what is returned is dropped or the process ends.
    pub(crate) fn lock(&self) -> Result<File, AccessError> {
        fs::create_dir_all(&self.folder).map_err(storage("create", &self.folder))?;
        let path = self.folder.join(LOCK_FILE);
        let failed = storage("lock", &path);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(OWNER_ONLY).open(&path);
        let file = file.map_err(&failed)?;
        file.lock().map_err(&failed)?;
        Ok(file)
    }

    /// Puts these keys in the place of those before, durable on return. The caller holds the lock.
    pub(crate) fn replace(&self, keys: &[StoredKey], _lock: &File) -> Result<(), AccessError> {
        let failed = storage("write", &self.path);
        let document = NewDocument { format: FORMAT, keys };
        let mut text = serde_json::to_vec_pretty(&document).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.put(&text).map_err(failed)
    }

    fn put(&self, text: &[u8]) -> io::Result<()> {
        let new = self.folder.join(NEW_FILE);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(&new)?;
        // One left over may have been made readable for others.
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

fn storage(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> AccessError {
    move |source| AccessError::Storage { doing, path: path.to_owned(), source }
}
