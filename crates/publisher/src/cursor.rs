//! How far each destination has come, kept across restarts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use event_log::LogPosition;
use serde::Deserialize;
use thiserror::Error;

/// The format that this program writes; it reads no newer one.
const FORMAT: u32 = 1;
/// The longest name of a destination, in bytes: file names end at 255.
const NAME_BYTES_MAX: usize = 64;

/// Why a cursor could not be kept or found. Only [`CursorError::Storage`] may go away by trying again.
#[derive(Debug, Error)]
pub enum CursorError {
    /// A file could not be read or written; the cursor stands where it stood, or where it was to stand.
    #[error("{doing} \"{}\"", path.display())]
    Storage {
        /// What was being done: "read", "write" …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file isn't as it was written.
    #[error(
        "read \"{}\": it is damaged. Restore it from a backup, and some events go out again; or delete it, and those \
         up to now don't go out", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error("read \"{}\": its format is {found}, this program knows {FORMAT}. Use a newer program", path.display())]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// The format found.
        found: u32,
    },
    /// A name that can't be a file's.
    #[error("call a destination \"{name}\"; its name must be 1 to {NAME_BYTES_MAX} of a-z, 0-9, - and _")]
    BadName {
        /// The name.
        name: String,
    },
}

/// Where cursors are kept. A cursor is the last record whose events a destination has all got, or was not to get.
pub trait CursorStore: Send + Sync {
    /// The cursor of that name; `None` where there is none yet.
    ///
    /// # Errors
    /// When there is one that can't be read.
    fn load(&self, name: &str) -> Result<Option<LogPosition>, CursorError>;

    /// Puts the cursor of that name to a position, durable on return. After a crash before that it is the old one.
    ///
    /// # Errors
    /// When it can't be written.
    fn store(&self, name: &str, position: LogPosition) -> Result<(), CursorError>;
}

/// Cursors in a folder, one small file each: `<name>.cursor`.
///
/// New bytes go to `<name>.cursor.new`, are synced and take the file's place by a rename, so a crash leaves the old
/// cursor or the new one whole. One process at a time may use a folder.
#[derive(Clone, Debug)]
pub struct FileCursors {
    folder: PathBuf,
}

#[derive(Deserialize)]
struct Document {
    format: u32,
    position: Option<u64>,
}

impl FileCursors {
    /// The cursors in a folder, which is made with the first one.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn path(&self, name: &str) -> Result<PathBuf, CursorError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.chars().all(plain) {
            return Err(CursorError::BadName { name: name.to_owned() });
        }
        Ok(self.folder.join(format!("{name}.cursor")))
    }

    fn put(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        if !self.folder.exists() {
            fs::create_dir_all(&self.folder)?;
            // A folder lost in a crash would be a cursor lost.
            let parent = self.folder.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let new = path.with_extension("cursor.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl CursorStore for FileCursors {
    fn load(&self, name: &str) -> Result<Option<LogPosition>, CursorError> {
        let path = self.path(name)?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CursorError::Storage { doing: "read", path, source }),
        };
        let Ok(Document { format, position }) = serde_json::from_slice(&text) else {
            return Err(CursorError::Damaged { path });
        };
        if format > FORMAT {
            return Err(CursorError::NewerFormat { path, found: format });
        }
        position.map(LogPosition).map(Some).ok_or(CursorError::Damaged { path })
    }

    fn store(&self, name: &str, position: LogPosition) -> Result<(), CursorError> {
        let path = self.path(name)?;
        let text = format!("{}\n", serde_json::json!({ "format": FORMAT, "position": position.0 }));
        self.put(&path, text.as_bytes()).map_err(|source| CursorError::Storage { doing: "write", path, source })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn each_destination_finds_its_own_cursor_again() {
        let folder = tempdir().unwrap();
        let cursors = FileCursors::in_folder(&folder.path().join("cursors"));
        assert_eq!(cursors.load("crm").unwrap(), None);
        cursors.store("crm", LogPosition(7)).unwrap();
        cursors.store("crm2", LogPosition(8)).unwrap();
        cursors.store("crm", LogPosition(u64::MAX)).unwrap();
        assert_eq!(cursors.load("crm").unwrap(), Some(LogPosition(u64::MAX)));
        assert_eq!(cursors.load("crm2").unwrap(), Some(LogPosition(8)));
    }

    #[test]
    fn what_a_crash_leaves_beside_a_cursor_is_passed_over() {
        let folder = tempdir().unwrap();
        let cursors = FileCursors::in_folder(folder.path());
        fs::write(folder.path().join("crm.cursor.new"), "{ \"format\": 1, \"posi").unwrap();
        assert_eq!(cursors.load("crm").unwrap(), None);
        cursors.store("crm", LogPosition(7)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_and_newer_cursors_and_bad_names_are_told_apart() {
        let folder = tempdir().unwrap();
        let cursors = FileCursors::in_folder(folder.path());
        for text in ["", "{}", "7", "{\"format\":1,\"position\":-1}"] {
            fs::write(folder.path().join("crm.cursor"), text).unwrap();
            assert!(matches!(cursors.load("crm"), Err(CursorError::Damaged { .. })), "{text}");
        }
        fs::write(folder.path().join("crm.cursor"), "{\"format\":2,\"records\":[1]}").unwrap();
        assert!(matches!(cursors.load("crm"), Err(CursorError::NewerFormat { found: 2, .. })));
        for name in ["", "../crm", "CRM", "a b", &"a".repeat(65)] {
            assert!(matches!(cursors.load(name), Err(CursorError::BadName { .. })), "{name}");
            assert!(cursors.store(name, LogPosition(1)).is_err(), "{name}");
        }
    }
}
