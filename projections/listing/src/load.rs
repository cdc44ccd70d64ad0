//! Loading: an empty model is built from many records beside its place, where nobody sees it, and then put there.
//!
//! Unseen, it needs no journal and no commits, and most rows are written once, when they are likely to be complete. What
//! a crash or an error leaves is thrown away, and the load begins anew at the beginning of the log.

use std::mem;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::{Concerning, ListingError};
use crate::listing::Listing;
use crate::rows;
use crate::store::{self, SearchBuild};

/// Bytes of records folded since everything was written. What is in memory is at most a small multiple of them.
const UNWRITTEN_BYTES_MAX: u64 = 1 << 30;
/// What part of the rows in memory is written at once: little enough that whoever hands records over hardly waits.
const WRITTEN_AT_ONCE: usize = 16;
/// After what part of the rows in memory was begun or changed, closed leads among them are written, so that less is left
/// to the end, when nobody else is at work.
const DONE_AT_ONCE: usize = 8;

/// A load under way.
#[derive(Debug)]
pub(crate) struct Loading {
    /// The file that is loaded.
    path: PathBuf,
    /// Whether it holds something that was to be forgotten.
    is_spoilt: bool,
    /// The full text, since the last commit; `None` once visitors were written behind it.
    search: Option<SearchBuild>,
}

impl Loading {
    /// Begins a load into that file.
    pub(crate) fn begin(path: PathBuf) -> Result<(Self, Connection), ListingError> {
        let connection = store::open_loading(&path)?;
        Ok((Self { path, is_spoilt: false, search: None }, connection))
    }

    /// The file that is loaded.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to make the full text, all visitors having been written, beside what comes next.
    pub(crate) fn begin_search(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.search = SearchBuild::begin(connection)?;
        Ok(())
    }

    /// What was loaded is to be forgotten.
    pub(crate) const fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// Whether nothing of what was loaded counts.
    pub(crate) const fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }
}

impl Listing {
    /// Turns from the empty model in its place to one beside it.
    pub(crate) fn begin_loading(&mut self) -> Result<(), ListingError> {
        self.load_at(store::loading_path(&self.path))
    }

    fn load_at(&mut self, path: PathBuf) -> Result<(), ListingError> {
        let (loading, connection) = Loading::begin(path)?;
        self.state = store::read_state(&connection, loading.path())?;
        self.connection = connection;
        self.loading = Some(loading);
        Ok(())
    }

    /// Begins a load anew that was spoilt.
    pub(crate) fn renew_loading(&mut self) -> Result<(), ListingError> {
        match &self.loading {
            Some(loading) if loading.is_spoilt => self.load_at(loading.path.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// While loading, writes rows that are likely to be complete when too much is in memory. Nothing else is written
    /// before the end.
    pub(crate) fn make_room(&mut self) -> rusqlite::Result<()> {
        if self.loading.is_none() {
            return Ok(());
        }
        let rows_max = self.rows_max;
        let by_bytes = self.pending_bytes >= UNWRITTEN_BYTES_MAX;
        let keep = if by_bytes { 0 } else { rows_max - rows_max / WRITTEN_AT_ONCE };
        let connection = &self.connection;
        if by_bytes || self.visitors.len() > rows_max {
            if let Some(loading) = &mut self.loading {
                loading.search = None;
            }
            self.visitors.make_room(
                keep,
                |visitor| visitor.merged_into.is_some(),
                |visitor, is_stored| rows::visitor::write(connection, visitor, is_stored),
            )?;
        }
        if by_bytes || self.leads.len() > rows_max {
            let before = self.leads.len().max(1) as u64;
            let gone = self.leads.make_room(
                keep,
                |lead| lead.closing.is_some(),
                |lead, is_stored| rows::lead::write(connection, lead, is_stored),
            )?;
            // What was folded is in the leads above all; those that have gone took their part along.
            self.pending_bytes -= self.pending_bytes / before * gone as u64;
        }
        if self.leads.changed_len() >= self.write_done_at {
            self.leads.write_done(
                |lead| lead.closing.is_some(),
                |lead, is_stored| rows::lead::write(connection, lead, is_stored),
                |lead| lead.index_changed = false,
            )?;
            self.write_done_at = self.leads.changed_len() + self.rows_max / DONE_AT_ONCE;
        }
        if by_bytes || self.orphans.len() > rows_max || self.duplicates.len() > rows_max {
            self.write_small()?;
            self.keep_grids();
            self.forget_small();
        }
        if by_bytes {
            self.pending_bytes = 0;
        }
        Ok(())
    }

    /// Gives a loaded model its indexes and a journal, still beside its place: it is followed there from now on.
    pub(crate) fn stand_by_loaded(&mut self) -> Result<(), ListingError> {
        // A spoilt one holds nothing that could take a model's place.
        let Some(loading) = self.loading.take_if(|loading| !loading.is_spoilt) else { return Ok(()) };
        let Loading { path, search, .. } = loading;
        let finished = self.finish_file(&path, search);
        match finished {
            Ok(()) => self.standing_by = Some(path),
            Err(_) => self.loading = Some(Loading { path, is_spoilt: true, search: None }),
        }
        finished
    }

    fn finish_file(&mut self, loaded: &Path, search: Option<SearchBuild>) -> Result<(), ListingError> {
        let connection = self.let_go()?;
        store::finish_loading(connection, loaded, &self.state, search)?;
        self.connection = store::open_writer(loaded)?;
        self.state = store::read_state(&self.connection, loaded)?;
        Ok(())
    }

    /// Puts the loaded model, which has been written to its end, in its place.
    pub(crate) fn finish_loading(&mut self) -> Result<(), ListingError> {
        self.stand_by_loaded()?;
        let Some(loaded) = self.standing_by.clone() else { return Ok(()) };
        // Whoever cleaned the model in use meanwhile has removed the mark.
        if mem::take(&mut self.unclean) {
            self.mark_unclean()?;
        }
        self.let_go()?.close().map_err(|(_, source)| Concerning { doing: "close", path: &loaded }.store(source))?;
        self.readers.replace(|| store::replace(&loaded, &self.path))?;
        self.standing_by = None;
        self.connection = store::open_writer(&self.path)?;
        self.state = store::read_state(&self.connection, &self.path)?;
        Ok(())
    }

    /// The connection, to be closed. The file must be closed before it is moved; until another one is open, an empty
    /// database stands in.
    fn let_go(&mut self) -> Result<Connection, ListingError> {
        let nowhere = Connection::open_in_memory();
        let nowhere = nowhere.map_err(|source| Concerning { doing: "open", path: &self.path }.store(source))?;
        Ok(mem::replace(&mut self.connection, nowhere))
    }
}
