//! Whether a projection is paused: a file beside its model, so that it is so still after a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The mark of one projection in one data folder.
#[derive(Clone, Debug)]
pub struct PauseMark {
    path: PathBuf,
}

impl PauseMark {
    /// The mark of that projection: `projections/<name>.paused`.
    #[must_use]
    pub fn of(data: &Path, projection: &str) -> Self {
        Self { path: data.join("projections").join(format!("{projection}.paused")) }
    }

    /// Whether the projection is paused.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.path.exists()
    }

    /// Pauses it, or lets it go on. What is so already stays so.
    ///
    /// # Errors
    /// When the file can't be made or removed.
    pub fn set(&self, paused: bool) -> io::Result<()> {
        if paused {
            self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
            return fs::write(&self.path, "");
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
