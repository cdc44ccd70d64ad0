//! Files made of several, on a thread of its own: fewer to open, and without rows that no longer count.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use datafusion::arrow::compute::filter_record_batch;

use crate::error::AnalyticsError;
use crate::store::file::{DataFile, FileWriter};
use crate::store::part::{Keys, Part};
use crate::store::superseded::Superseded;
use crate::store::{Noted, Store, file_name};
use crate::table::Table;

/// So many neighbours of like size become one.
const FILES: usize = 8;
/// What counts as like size: files of fewer rows than this.
const TIERS: [u32; 3] = [1 << 14, 1 << 17, 1 << 20];
/// A file of so many rows is written anew when most of them no longer count.
const WORN_ROWS_MIN: u32 = 1 << 16;

/// A replacement that is being written.
#[derive(Debug)]
pub(crate) struct Compaction {
    table: Table,
    inputs: Vec<Part>,
    stop: Arc<AtomicBool>,
    /// What it writes.
    path: PathBuf,
    thread: Option<JoinHandle<Result<Option<Part>, AnalyticsError>>>,
}

/// Which neighbours to put together: the first, and how many.
fn choose(parts: &[Part]) -> Option<(usize, usize)> {
    let files = parts.iter().take_while(|part| part.file().is_some()).count();
    let sealed = parts.get(..files)?;
    for tier in TIERS {
        let small = sealed.iter().rev().take_while(|part| part.counting() < tier).count();
        if small >= FILES {
            return Some((files - small, small));
        }
    }
    let worn = |part: &Part| part.rows >= WORN_ROWS_MIN && part.counting() < part.rows / 2;
    sealed.iter().position(worn).map(|place| (place, 1))
}

impl Compaction {
    /// Begins the most useful one, if any is.
    pub(crate) fn begin(store: &mut Store) -> Option<Self> {
        let (table, (first, count)) =
            Table::ALL.into_iter().find_map(|table| Some((table, choose(store.tables.get(table))?)))?;
        let inputs: Vec<Part> = store.tables.get(table).iter().skip(first).take(count).cloned().collect();
        store.manifest.generation += 1;
        let (folder, generation) = (store.folder.clone(), store.manifest.generation);
        let stop = Arc::new(AtomicBool::new(false));
        let (job, told) = (inputs.clone(), Arc::clone(&stop));
        let path = folder.join(name_of(table, &inputs, generation));
        let spawned = std::thread::Builder::new()
            .name("analytics files".to_owned())
            .spawn(move || write(&folder, table, generation, &job, &told));
        Some(Self { table, inputs, stop, path, thread: Some(spawned.ok()?) })
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Puts the new file in the place of the old ones; durable on return.
    pub(crate) fn install(mut self, store: &mut Store) -> Result<(), AnalyticsError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let Some(mut written) = thread.join().unwrap_or(Ok(None))? else { return Ok(()) };
        let names: Vec<&str> =
            self.inputs.iter().filter_map(|part| part.file()).map(|it| it.entry.name.as_str()).collect();
        let mut tables = store.tables.clone();
        let parts = tables.get_mut(self.table);
        let is_first = |part: &Part| part.file().is_some_and(|file| Some(&file.entry.name.as_str()) == names.first());
        let Some(first) = parts.iter().position(is_first) else { return Ok(()) };
        let replaced: Vec<Part> = parts.splice(first..first + self.inputs.len(), []).collect();
        carry_over(&self.inputs, &replaced, &mut written.superseded);
        let mut manifest = store.manifest.clone();
        let at = manifest.files.iter().position(|file| Some(&file.name.as_str()) == names.first()).unwrap_or_default();
        manifest.files.retain(|file| !names.contains(&file.name.as_str()));
        if let Some(file) = written.file() {
            manifest.files.insert(at.min(manifest.files.len()), file.entry.clone());
        }
        parts.insert(first, written);
        manifest.write(&store.folder, store.building)?;
        store.tables = tables;
        store.manifest = manifest;
        for file in replaced.iter().filter_map(Part::file) {
            file.replace();
        }
        Ok(())
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Whatever it wrote, nothing names it; and it may hold what is to be erased.
            let _ = thread.join();
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The name of the file that takes the place of these.
fn name_of(table: Table, inputs: &[Part], generation: u32) -> String {
    let mut entries = inputs.iter().filter_map(Part::file).map(|file| &file.entry);
    let first = entries.next();
    let last = entries.next_back().or(first);
    file_name(table, first.map_or(0, |file| file.from), last.map_or(0, |file| file.to), generation)
}

/// Writes the rows of the inputs that count. `None` when it was told to stop.
pub(super) fn write(
    folder: &std::path::Path,
    table: Table,
    generation: u32,
    inputs: &[Part],
    stop: &AtomicBool,
) -> Result<Option<Part>, AnalyticsError> {
    let entries: Vec<&Arc<DataFile>> = inputs.iter().filter_map(Part::file).collect();
    let from = entries.first().map_or(0, |file| file.entry.from);
    let to = entries.last().map_or(0, |file| file.entry.to);
    let name = name_of(table, inputs, generation);
    let mut writer = FileWriter::begin(folder, &name, table)?;
    let (mut noted, mut keys) = (Noted::default(), Keys::of(table));
    for (part, file) in inputs.iter().zip(entries) {
        let mut at = 0;
        for batch in file.read(&[], None)? {
            if stop.load(Ordering::Acquire) {
                return Ok(None);
            }
            let batch = batch?;
            let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
            let counting = filter_record_batch(&batch, &part.superseded.counting(at, rows))
                .map_err(|source| AnalyticsError::Rows { table: table.name(), source })?;
            writer.write(&counting)?;
            noted.note(table, from, &counting);
            keys.note(&counting);
            at += rows;
        }
    }
    let file = writer.finish(folder, noted.entry(table, name, from, to))?;
    Part::of_written(file, keys).map(Some)
}

/// What has been superseded since the inputs were copied is so in the new file too: its rows are those that counted then.
fn carry_over(then: &[Part], now: &[Part], superseded: &mut Superseded) {
    let mut written = 0;
    for (then, now) in then.iter().zip(now) {
        let changed = now.superseded.count() != then.superseded.count();
        for row in 0..then.rows {
            if then.superseded.contains(row) {
                continue;
            }
            if changed && now.superseded.contains(row) {
                superseded.insert(written);
            }
            written += 1;
        }
    }
}
