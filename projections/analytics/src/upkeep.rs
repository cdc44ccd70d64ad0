//! The files of the model while it is kept: the tail becomes files, and small files become large ones, beside the fold.

use crate::analytics::Analytics;
use crate::error::AnalyticsError;
use crate::store::Seal;
use crate::store::compaction::Compaction;

impl Analytics {
    /// Takes files that were written meanwhile into use.
    pub(crate) fn take_files(&mut self) -> Result<(), AnalyticsError> {
        if self.store.is_seal_written() && self.store.finish_seal()? {
            self.publish();
        }
        Ok(())
    }

    /// Before a commit: waits for the files that are being written where the tail behind them grows large, or must not be.
    pub(crate) fn make_room(&mut self) -> Result<(), AnalyticsError> {
        let (rows, bytes) = self.store.tail_size();
        let is_large = rows + self.pending.rows_most() >= self.limits.tail_rows || bytes >= self.limits.tail_bytes;
        if is_large || !self.pending.erased.is_empty() {
            self.store.finish_seal()?;
        }
        self.take_files()
    }

    /// Makes the tail durable.
    pub(crate) fn seal_tail(&mut self) -> Result<(), AnalyticsError> {
        // Sealing moves rows, so none may be waited for by its place.
        self.bring_leads()?;
        let was_sealing = self.store.finish_seal()?;
        let is_behind = self.committed != self.store.sealed() || self.committed_parked != self.store.manifest.parked;
        if is_behind {
            let (tenants, parked) = (self.committed_tenants.clone(), self.committed_parked.clone());
            self.store.seal(Seal { checkpoint: self.committed, tenants, parked })?;
        }
        if was_sealing || is_behind {
            self.publish();
        }
        Ok(())
    }

    /// Puts small files together, on another thread.
    pub(crate) fn compact(&mut self) {
        self.install_compaction();
        if self.compaction.is_none() && !self.compaction_failed {
            self.compaction = Compaction::begin(&mut self.store);
        }
    }

    /// Waits for the files that are being put together, and goes on until there is nothing more to put together.
    pub fn compact_fully(&mut self) {
        loop {
            self.compact();
            if self.compaction.is_none() {
                return;
            }
            while self.compaction.as_ref().is_some_and(|compaction| !compaction.is_finished()) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }

    /// Puts new files in the place of old ones, between batches: places of rows change. A failure costs nothing but room, so
    /// it stops nothing; it is not tried again before the next start.
    pub(crate) fn install_compaction(&mut self) {
        if !self.pending.changed.is_empty() {
            return;
        }
        if let Some(compaction) = self.compaction.take_if(|compaction| compaction.is_finished()) {
            if let Err(error) = compaction.install(&mut self.store) {
                tracing::warn!(%error, "small analytics files stay as they are");
                self.compaction_failed = true;
            }
            self.publish();
        }
    }
}
