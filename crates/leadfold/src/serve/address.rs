//! The address of a running service, left in its folder for the commands.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

const FILE: &str = "address";

/// The file that holds the address; it goes when the service does.
pub(crate) struct Address {
    path: PathBuf,
}

impl Address {
    /// Leaves the address in the folder.
    pub(crate) fn write(data: &Path, url: &str) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        fs::write(&path, format!("{url}\n")).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    /// The address that a service has left, which may have ended without taking it away.
    pub(crate) fn read(data: &Path) -> Option<String> {
        let text = fs::read_to_string(data.join(FILE)).ok()?;
        let url = text.trim();
        (!url.is_empty()).then(|| url.to_owned())
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        // Left behind it does no harm: the lock tells whether the service lives.
        let _ = fs::remove_file(&self.path);
    }
}
