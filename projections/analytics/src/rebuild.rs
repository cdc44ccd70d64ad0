//! A model that is built anew beside the one in use, and takes its place when it has caught up.

use std::path::Path;

use projector::Parked;

use crate::analytics::{Analytics, Limits, folder_in, remove_earlier};
use crate::error::AnalyticsError;
use crate::snapshot::AnalyticsReader;
use crate::store::Store;
use crate::store::manifest::Manifest;

impl Analytics {
    /// The streams that the model in use leaves out, found without opening its files, which may be damaged.
    ///
    /// # Errors
    /// When its manifest can't be read.
    pub fn left_out(data: &Path) -> Result<Parked, AnalyticsError> {
        Ok(Manifest::read(&folder_in(data))?.parked)
    }

    /// Removes the files of a model whose place was taken, as opening the one in use does.
    ///
    /// # Errors
    /// When a file can't be removed, or the manifest can't be read.
    pub fn remove_replaced(data: &Path) -> Result<(), AnalyticsError> {
        remove_earlier(data)?;
        let folder = folder_in(data);
        Manifest::read(&folder)?.tidy(&folder)
    }

    /// Begins an empty model beside the one in use, which goes on being read until the new one has caught up; then the new
    /// one takes its place. A rebuild that was left unfinished is thrown away.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn begin_rebuild(data: &Path) -> Result<Self, AnalyticsError> {
        Self::of(Store::begin_rebuild(folder_in(data))?, Limits::default())
    }

    /// [`Analytics::begin_rebuild`] for readers of the model in use, which read the new one once it has taken its place. The
    /// files of the old one go when nobody reads them any more.
    ///
    /// # Errors
    /// As there.
    pub fn begin_rebuild_for(data: &Path, readers: AnalyticsReader) -> Result<Self, AnalyticsError> {
        let mut begun = Self::begin_rebuild(data)?;
        begun.awaited = Some(readers);
        Ok(begun)
    }

    /// Whether it is built beside the model in use, so that nobody reads it yet.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        self.store.building
    }

    /// Throws away a model that has not taken its place. One that has stays.
    pub fn abandon(mut self) {
        if self.store.building {
            self.store.forget_seal();
            self.store.tables.files().for_each(|file| file.replace());
            Manifest::abandon(&self.store.folder);
        }
    }

    /// What was built takes the place of the model in use.
    pub(crate) fn take_place(&mut self) -> Result<(), AnalyticsError> {
        self.seal_tail()?;
        self.store.finish_rebuild()?;
        if let Some(readers) = self.awaited.take() {
            readers.snapshot().tables.files().for_each(|file| file.replace());
            self.published = readers;
            self.publish();
        }
        Ok(())
    }
}
