//! Makes the file forget what an erasure has taken out of its rows: SQLite keeps it in segments of the full text, in
//! pages that were rearranged, and in the write-ahead log.
//!
//! A file beside the model says that this is still to be done, so that a crash only puts it off. Costs a rewrite of the
//! whole file, once for all erasures of a batch.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Concerning, ListingError};
use crate::listing::{Listing, NEAR_RECORDS};
use crate::store::Phase;

fn mark_of(path: &Path) -> PathBuf {
    path.with_extension("unclean")
}

/// Whether the model at `path` is still to be cleaned.
pub(crate) fn is_marked(path: &Path) -> bool {
    mark_of(path).exists()
}

impl Listing {
    /// Notes, durably, that the commit to come leaves something to be cleaned.
    pub(crate) fn mark_unclean(&mut self) -> Result<(), ListingError> {
        if self.unclean {
            return Ok(());
        }
        let path = mark_of(&self.path);
        let made = File::create(&path).and_then(|file| file.sync_all()).and_then(|()| sync_folder(&path));
        made.map_err(|source| ListingError::File { doing: "create", path, source })?;
        self.unclean = true;
        Ok(())
    }

    /// Cleans the file where that is to be done, once for all erasures that are near, and only in its place.
    pub(crate) fn clean(&mut self, behind: u64) -> Result<(), ListingError> {
        let is_settled = behind <= NEAR_RECORDS && !self.is_unseen() && self.state.phase == Phase::Indexed;
        if !self.unclean || !is_settled {
            return Ok(());
        }
        self.rewrite().map_err(|source| Concerning { doing: "clean", path: &self.path }.store(source))?;
        let path = mark_of(&self.path);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(ListingError::File { doing: "remove", path, source });
            }
            Ok(()) | Err(_) => {}
        }
        self.unclean = false;
        Ok(())
    }

    fn rewrite(&self) -> rusqlite::Result<()> {
        let connection = &self.connection;
        connection.execute("INSERT INTO contact_search (contact_search) VALUES ('optimize')", [])?;
        // The copy that it makes may be larger than memory.
        connection.pragma_update(None, "temp_store", "FILE")?;
        let rewritten = connection.execute_batch("VACUUM");
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        rewritten?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(busy_error(), None)) }
    }
}

/// Somebody has been reading for longer than the writer waits: the next batch tries again.
fn busy_error() -> rusqlite::ffi::Error {
    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
