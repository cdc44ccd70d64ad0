//! Files that are made of the tail on threads of their own, while more is folded and committed.

use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;

use crate::error::{AnalyticsError, io_error};
use crate::store::part::{Part, merged};
use crate::store::{Seal, Store, file_name, write_tail};
use crate::table::{PerTable, Table};

/// What is being written. Rows that it has stay in the tail, each part marked as leaving, until the files are named.
#[derive(Debug)]
pub(crate) struct Sealing {
    /// What the files will reach, with the manifest's other facts of that moment.
    seal: Seal,
    writers: PerTable<Option<Writer>>,
}

#[derive(Debug)]
struct Writer {
    path: PathBuf,
    thread: Option<JoinHandle<Result<Option<Part>, AnalyticsError>>>,
}

impl Writer {
    fn join(mut self) -> Result<Option<Part>, AnalyticsError> {
        let Some(thread) = self.thread.take() else { return Ok(None) };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Whatever it wrote, nothing will name it.
            let _ = thread.join();
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Store {
    /// Begins to write the tail to files, where nothing is being written. No row may be waited for by its place. Nothing is
    /// changed when it fails.
    pub(crate) fn begin_seal(&mut self, seal: Seal) -> Result<(), AnalyticsError> {
        let range = (self.sealed().position.0 + 1, seal.checkpoint.position.0);
        let generation = self.manifest.generation;
        let mut tables = self.tables.clone();
        let mut writers = PerTable::default();
        for table in Table::ALL {
            let parts = tables.get_mut(table);
            let tail: Vec<Part> = parts.extract_if(.., |part| part.batch().is_some()).collect();
            // The file has the rows of one part in their order: what is superseded meanwhile is so in both.
            let part = match tail.as_slice() {
                [only] if only.superseded.count() == 0 => only.clone(),
                several => merged(table, several)?,
            };
            if part.rows == 0 {
                continue;
            }
            let mut leaving = part.clone();
            leaving.is_leaving = true;
            parts.push(leaving);
            let folder = self.folder.clone();
            let path = folder.join(file_name(table, range.0, range.1, generation));
            let started = std::thread::Builder::new()
                .name(format!("write {table}"))
                .spawn(move || write_tail(&folder, table, generation, range, &[part]));
            let thread = started.map_err(io_error("start a thread to write", &path))?;
            *writers.get_mut(table) = Some(Writer { path, thread: Some(thread) });
        }
        self.tables = tables;
        self.sealing = Some(Sealing { seal, writers });
        Ok(())
    }

    pub(crate) const fn is_sealing(&self) -> bool {
        self.sealing.is_some()
    }

    /// Whether all files that were begun are written, so that nobody waits in [`Store::finish_seal`].
    pub(crate) fn is_seal_written(&self) -> bool {
        let done = |writer: &Writer| writer.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let all =
            |sealing: &Sealing| Table::ALL.iter().all(|table| sealing.writers.get(*table).as_ref().is_none_or(done));
        self.sealing.as_ref().is_some_and(all)
    }

    /// Waits for the files that are being written, and makes the checkpoint durable. Whether there were any. When it fails,
    /// the rows are in the tail as before.
    pub(crate) fn finish_seal(&mut self) -> Result<bool, AnalyticsError> {
        let Some(Sealing { seal, mut writers }) = self.sealing.take() else { return Ok(false) };
        let finished = self.install_seal(seal, &mut writers);
        if finished.is_err() {
            self.stay();
        }
        finished.map(|()| true)
    }

    fn install_seal(&mut self, seal: Seal, writers: &mut PerTable<Option<Writer>>) -> Result<(), AnalyticsError> {
        let (mut tables, mut manifest) = (self.tables.clone(), self.manifest.clone());
        for table in Table::ALL {
            let Some(written) = writers.get_mut(table).take().map(Writer::join).transpose()?.flatten() else {
                continue;
            };
            manifest.files.extend(written.file().map(|file| file.entry.clone()));
            if let Some(part) = tables.get_mut(table).iter_mut().find(|part| part.is_leaving) {
                let superseded = std::mem::take(&mut part.superseded);
                *part = written;
                part.superseded = superseded;
            }
        }
        manifest.take(seal);
        manifest.write(&self.folder, self.building)?;
        self.tables = tables;
        self.manifest = manifest;
        Ok(())
    }

    /// Gives up what is being written: its rows stay in the tail.
    pub(crate) fn forget_seal(&mut self) {
        self.sealing = None;
        self.stay();
    }

    fn stay(&mut self) {
        for table in Table::ALL {
            self.tables.get_mut(table).iter_mut().for_each(|part| part.is_leaving = false);
        }
    }
}
