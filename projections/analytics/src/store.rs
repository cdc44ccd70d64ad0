//! The tables as files and a tail in memory, and what is durable of them.
//!
//! ```text
//! projections/analytics-v4/
//!   manifest.json                          which files, their lengths and checksums, and the checkpoint
//!   interactions-<from>-<to>.parquet       rows of the records from … to …
//!   lead_events-<from>-<to>.parquet
//!   score_rows-<from>-<to>.parquet         every score row that changed there; the newest counts
//!   leads-<from>-<to>.parquet              the whole row of every lead that changed there; the newest counts
//! ```
//!
//! A file that took the place of others has its generation in its name: `leads-1-524288.g3.parquet`. Files are never
//! changed. Knows no events.

pub(crate) mod compaction;
pub(crate) mod erasing;
pub(crate) mod file;
pub(crate) mod manifest;
pub(crate) mod part;
pub(crate) mod sealing;
pub(crate) mod superseded;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, UInt64Type};
use event_log::LogPosition;
use projector::{Checkpoint, Parked};

use crate::error::{AnalyticsError, damaged, io_error};
use crate::store::file::{DataFile, FileWriter};
use crate::store::manifest::{FileEntry, Manifest, Tenant};
use crate::store::part::{Keys, Part, merged};
use crate::store::sealing::Sealing;
use crate::table::reading::Reading;
use crate::table::{PerTable, Table};

/// The parts of each table, oldest first.
pub(crate) type Tables = PerTable<Vec<Part>>;

impl Tables {
    /// The files of all tables.
    pub(crate) fn files(&self) -> impl Iterator<Item = &std::sync::Arc<DataFile>> {
        Table::ALL.into_iter().flat_map(|table| self.get(table)).filter_map(Part::file)
    }
}

/// The files and the tail of a model.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: Manifest,
    /// Beside the model in use, unseen until it takes its place.
    pub(crate) building: bool,
    pub(crate) tables: Tables,
    sealing: Option<Sealing>,
}

/// What becomes durable with the rows of the tail.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) tenants: BTreeMap<u32, Tenant>,
    pub(crate) parked: Parked,
}

/// Rebuilt models begin with generations at a multiple of this: the model in use goes on replacing files meanwhile, and the
/// names of both must not meet.
const GENERATIONS_APART: u32 = 1 << 16;

/// How often opening beside another process is tried.
const READ_ONLY_TRIES_MAX: u32 = 5;

impl Store {
    /// Opens the model in use, and removes what is left over from a crash.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, AnalyticsError> {
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let manifest = Manifest::read(&folder)?;
        manifest.tidy(&folder)?;
        let tables = load(&folder, &manifest)?;
        Ok(Self { folder, manifest, building: false, tables, sealing: None })
    }

    /// Begins an empty model beside the one in use, damaged or not.
    pub(crate) fn begin_rebuild(folder: PathBuf) -> Result<Self, AnalyticsError> {
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let generation = Manifest::read(&folder).map_or_else(|_| highest_generation(&folder), |old| old.generation);
        let mut manifest = Manifest::default();
        manifest.generation = (generation / GENERATIONS_APART + 1).saturating_mul(GENERATIONS_APART);
        Ok(Self { folder, manifest, building: true, tables: Tables::default(), sealing: None })
    }

    /// The model that was built takes the place of the one in use.
    ///
    /// The files of the old one stay until the model is opened next: somebody may be reading them.
    pub(crate) fn finish_rebuild(&mut self) -> Result<(), AnalyticsError> {
        self.manifest.write(&self.folder, true)?;
        Manifest::take_over(&self.folder)?;
        self.building = false;
        Ok(())
    }

    /// The last record in the files.
    pub(crate) fn sealed(&self) -> Checkpoint {
        self.manifest.checkpoint().unwrap_or_default()
    }

    /// Rows and bytes of the largest table's tail, without what is being written.
    pub(crate) fn tail_size(&self) -> (u64, usize) {
        let size = |table: Table| {
            let tail = self.tables.get(table).iter().filter(|part| !part.is_leaving).filter_map(Part::batch);
            tail.fold((0, 0), |(rows, bytes), batch| {
                (rows + batch.num_rows() as u64, bytes + batch.get_array_memory_size())
            })
        };
        Table::ALL.into_iter().map(size).fold((0, 0), |largest, one| (largest.0.max(one.0), largest.1.max(one.1)))
    }

    /// Writes the tail to files and makes the checkpoint durable. Nothing is changed when it fails.
    pub(crate) fn seal(&mut self, seal: Seal) -> Result<(), AnalyticsError> {
        self.finish_seal()?;
        self.seal_with((self.tables.clone(), self.manifest.clone()), seal)
    }

    /// The same with other files than those in use.
    fn seal_with(&mut self, (mut tables, mut manifest): (Tables, Manifest), seal: Seal) -> Result<(), AnalyticsError> {
        let range = (self.sealed().position.0 + 1, seal.checkpoint.position.0);
        let (folder, generation) = (self.folder.as_path(), manifest.generation);
        // Each table on a thread of its own: packing them is most of the work.
        let written = std::thread::scope(|scope| {
            let write = |table: Table| {
                let parts = tables.get_mut(table);
                let tail: Vec<Part> = parts.extract_if(.., |part| part.batch().is_some()).collect();
                let thread = std::thread::Builder::new().name(format!("write {table}"));
                let started = thread.spawn_scoped(scope, move || write_tail(folder, table, generation, range, &tail));
                started.map_err(io_error("start a thread to write to", folder))
            };
            let written = Table::ALL.map(write);
            written.map(|thread| thread?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        for (table, part) in Table::ALL.into_iter().zip(written) {
            let Some(part) = part? else { continue };
            manifest.files.extend(part.file().map(|file| file.entry.clone()));
            tables.get_mut(table).push(part);
        }
        manifest.take(seal);
        manifest.write(&self.folder, self.building)?;
        self.tables = tables;
        self.manifest = manifest;
        Ok(())
    }
}

/// Writes the rows of a tail that count to a file; `None` without any.
fn write_tail(
    folder: &Path,
    table: Table,
    generation: u32,
    (from, to): (u64, u64),
    tail: &[Part],
) -> Result<Option<Part>, AnalyticsError> {
    if tail.iter().all(|part| part.counting() == 0) {
        return Ok(None);
    }
    let name = file_name(table, from, to, generation);
    let mut writer = FileWriter::begin(folder, &name, table)?;
    let (mut noted, mut keys) = (Noted::default(), Keys::of(table));
    for part in tail {
        if let Some(batch) = part.batch() {
            let batch = part.counting_batch(batch, table)?;
            writer.write(&batch)?;
            noted.note(table, from, &batch);
            keys.note(&batch);
        }
    }
    let file = writer.finish(folder, noted.entry(table, name, from, to))?;
    Part::of_written(file, keys).map(Some)
}

/// Adds a batch to the tail of a table. Of leads and score rows, older rows of the same ones no longer count.
pub(crate) fn append(tables: &mut Tables, table: Table, batch: RecordBatch) -> Result<(), AnalyticsError> {
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let parts = tables.get_mut(table);
    let part = Part::of_batch(table, batch);
    for older in parts.iter_mut() {
        older.supersede_by(&part);
    }
    parts.push(part);
    // Neighbours of like size become one, so that the tail has few parts and a row is copied few times.
    while let [.., older, newer] = parts.as_slice() {
        if older.batch().is_none() || older.is_leaving || older.counting() > newer.counting().saturating_mul(2) {
            break;
        }
        let together = merged(table, &[older.clone(), newer.clone()])?;
        parts.truncate(parts.len() - 2);
        parts.push(together);
    }
    Ok(())
}

/// The files of a model that another process may be keeping: position, tables, names of tenants. Changes nothing.
pub(crate) fn read_only(folder: &Path) -> Result<(LogPosition, Tables, Vec<String>), AnalyticsError> {
    let mut tries = 1;
    loop {
        let manifest = Manifest::read(folder)?;
        match load(folder, &manifest) {
            // Files of an older manifest go when a newer one is in place.
            Err(_) if tries < READ_ONLY_TRIES_MAX => tries += 1,
            loaded => {
                let tenants = manifest.tenants.values().map(|tenant| tenant.name.clone()).collect();
                return Ok((manifest.checkpoint().unwrap_or_default().position, loaded?, tenants));
            }
        }
    }
}

fn load(folder: &Path, manifest: &Manifest) -> Result<Tables, AnalyticsError> {
    let mut tables = Tables::default();
    for entry in &manifest.files {
        let part = Part::of_file(DataFile::open(folder, entry.clone())?)?;
        let parts = tables.get_mut(entry.table);
        for older in parts.iter_mut() {
            older.supersede_by(&part);
        }
        parts.push(part);
    }
    supersede_interactions(&mut tables.interactions)?;
    Ok(tables)
}

/// Finds the interactions that were written once more because they were adopted or moved.
fn supersede_interactions(parts: &mut [Part]) -> Result<(), AnalyticsError> {
    for place in 1..parts.len() {
        let (older, newer) = parts.split_at_mut(place);
        let Some(file) = newer.first().and_then(Part::file).filter(|file| file.entry.marked > 0) else { continue };
        for batch in file.read(&["position"], None)? {
            let batch = batch?;
            let positions = batch.column_by_name("position").and_then(|it| it.as_primitive_opt::<UInt64Type>());
            let positions = positions.ok_or_else(|| damaged(&file.path, "has no positions"))?;
            for position in positions.values().iter().copied().filter(|position| *position < file.entry.from) {
                supersede_position(older, position)?;
            }
        }
    }
    Ok(())
}

/// The row of the interaction at that position no longer counts.
pub(crate) fn supersede_position(parts: &mut [Part], position: u64) -> Result<(), AnalyticsError> {
    for part in parts.iter_mut().rev() {
        if let Some(row) = part.find_position(position)? {
            part.superseded.insert(row);
            return Ok(());
        }
    }
    Ok(())
}

fn highest_generation(folder: &Path) -> u32 {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let generation = |name: std::ffi::OsString| name.to_str()?.split(".g").nth(1)?.split('.').next()?.parse().ok();
    names.filter_map(generation).max().unwrap_or_default()
}

pub(crate) fn file_name(table: Table, from: u64, to: u64, generation: u32) -> String {
    match generation {
        0 => format!("{table}-{from}-{to}.parquet"),
        _ => format!("{table}-{from}-{to}.g{generation}.parquet"),
    }
}

/// What the manifest says of a file beyond its bytes.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    tenants: BTreeSet<String>,
    marked: u32,
}

impl Noted {
    /// Looks at rows that go into the file.
    pub(crate) fn note(&mut self, table: Table, from: u64, batch: &RecordBatch) {
        self.tenants.extend(words_of(batch, "tenant"));
        let marked = match table {
            Table::Interactions => {
                let positions = batch.column_by_name("position").and_then(|it| it.as_primitive_opt::<UInt64Type>());
                positions.map_or(0, |it| it.values().iter().filter(|position| **position < from).count())
            }
            Table::LeadEvents if words_of(batch, "event").iter().any(|word| is_merge(word)) => {
                let rows = (0..batch.num_rows()).map(|row| Reading { batch, row }.text("event"));
                rows.flatten().filter(|event| is_merge(event)).count()
            }
            Table::LeadEvents | Table::ScoreRows | Table::Leads => 0,
        };
        self.marked = self.marked.saturating_add(u32::try_from(marked).unwrap_or(u32::MAX));
    }

    pub(crate) fn entry(self, table: Table, name: String, from: u64, to: u64) -> FileEntry {
        let tenants = self.tenants.into_iter().collect();
        FileEntry { table, name, from, to, rows: 0, bytes: 0, blake3: String::new(), tenants, marked: self.marked }
    }
}

/// Whether an event changes who was merged into whom.
pub(crate) fn is_merge(event: &str) -> bool {
    matches!(event, "visitors_merged" | "visitors_unmerged")
}

/// The words of a column; some may be in no row any more.
pub(crate) fn words_of(batch: &RecordBatch, column: &str) -> Vec<String> {
    let words = batch.column_by_name(column).and_then(|it| it.as_dictionary_opt::<Int32Type>());
    let values = words.and_then(|words| words.values().as_string_opt::<i32>());
    values.map(|values| values.iter().flatten().map(str::to_owned).collect()).unwrap_or_default()
}
