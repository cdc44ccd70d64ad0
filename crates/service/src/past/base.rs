//! A model of everything up to a record, kept as files, to build models of later times from.

use std::fs;
use std::io;
use std::path::Path;

use engine::When;
use event_log::LogPosition;
use lead_domain::Time;
use tempfile::TempDir;

/// A model of all records up to one, with none left out. Its files go when it does.
#[derive(Debug)]
pub struct Base {
    /// The last record in it.
    pub(super) position: LogPosition,
    /// When the latest of them had happened, policies aside; `None` where there is no other.
    pub(super) happened: Option<Time>,
    /// When the last of them was recorded.
    pub(super) recorded: Time,
    pub(super) folder: TempDir,
    pub(super) bytes: u64,
}

impl Base {
    /// Whether a past holds all of it.
    #[must_use]
    pub fn fits(&self, when: When) -> bool {
        when.as_of.is_none_or(|as_of| self.happened.is_none_or(|happened| happened <= as_of))
            && when.known_at.is_none_or(|known_at| self.recorded <= known_at)
    }
}

/// Copies a folder with everything in it.
pub(super) fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Bytes of the files in a folder; what can't be read counts as nothing.
pub(super) fn bytes_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
