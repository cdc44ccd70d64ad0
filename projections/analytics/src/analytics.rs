//! The model: what was folded and not committed, what is committed, and how the one becomes the other.
//!
//! A commit adds to the tail, which readers see at once and a crash takes away; sealing makes it durable.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use event_log::LogPosition;
use lead_domain::{InteractionId, VisitorId};
use projector::{Checkpoint, FoldError, ModelError, Park, Parked};
use proto_events::InteractionFacts;
use rustc_hash::FxHashMap;

use crate::error::{AnalyticsError, damaged, io_error};
use crate::families::Families;
use crate::fold::MODEL_VERSION;
use crate::lead::{Change, LeadState};
use crate::ledger::{self, Lexicon, LiveRow, Taken};
use crate::snapshot::{AnalyticsReader, Snapshot};
use crate::store::compaction::Compaction;
use crate::store::erasing::is_of;
use crate::store::manifest::Tenant;
use crate::store::part::Part;
use crate::store::{Seal, Store, Tables, append, is_merge, supersede_position};
use crate::table::Table;
use crate::table::interactions::{InteractionColumns, StoredInteraction};
use crate::table::lead_events::LeadEventColumns;
use crate::table::leads::{self, LeadColumns};
use crate::table::reading::Reading;
use crate::table::score_rows::{self, ScoreRowColumns};

/// How much is kept where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of one table that are folded before they are committed.
    pub pending_rows: u64,
    /// Rows of one table that are in the tail before it is sealed. More makes fewer and better packed files; a restart reads
    /// as many records again.
    pub tail_rows: u64,
    /// Bytes of one table's tail before it is sealed.
    pub tail_bytes: usize,
    /// Open leads that stay in memory between commits, about 2 KiB each. Others are read back from files when something
    /// happens to them, which is slow: with 200,000 of 600,000 kept, 11 million records took 235 s instead of 142 s.
    pub kept_leads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pending_rows: 1 << 17, tail_rows: 1 << 17, tail_bytes: 64 << 20, kept_leads: 500_000 }
    }
}

/// Bytes of records that are folded before they are committed.
const PENDING_BYTES_MAX: u64 = 256 << 20;

/// The analytics tables, to follow the log with: a [`Projection`](projector::Projection). One at a time for a folder.
#[derive(Debug)]
pub struct Analytics {
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    /// The last record in files and tail.
    pub(crate) committed: Checkpoint,
    /// Those of the committed records.
    pub(crate) committed_tenants: BTreeMap<u32, Tenant>,
    pub(crate) tenants: BTreeMap<u32, Tenant>,
    /// The streams that are left out, as of the committed records, and with what is pending.
    pub(crate) committed_parked: Parked,
    pub(crate) parked: Parked,
    pub(crate) families: Families,
    pub(crate) lexicon: Lexicon,
    pub(crate) pending: Pending,
    /// By key: those that are kept, and those that were changed since the last commit.
    leads: FxHashMap<u64, Slot>,
    /// How many were committed.
    batches: u64,
    pub(crate) compaction: Option<Compaction>,
    pub(crate) compaction_failed: bool,
    pub(crate) published: AnalyticsReader,
    /// Who reads the model in use, while this one is built beside it.
    pub(crate) awaited: Option<AnalyticsReader>,
}

/// What was folded since the last commit, leads aside.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) interactions: InteractionColumns,
    pub(crate) events: LeadEventColumns,
    /// Interactions of this batch that had to be looked at before its end.
    finished: Vec<RecordBatch>,
    /// Interactions that were adopted or moved, as they are now, by position.
    replaced: BTreeMap<u64, StoredInteraction>,
    pub(crate) changed: Vec<u64>,
    /// Members of people who were erased.
    pub(crate) erased: Vec<VisitorId>,
    pub(crate) rows: u64,
    pub(crate) event_rows: u64,
    pub(crate) score_rows: u64,
    pub(crate) bytes: u64,
}

impl Pending {
    /// The rows of the table that has most.
    pub(crate) fn rows_most(&self) -> u64 {
        self.rows.max(self.event_rows).max(self.score_rows).max(self.changed.len() as u64)
    }
}

/// A lead, as far as it is in memory.
#[derive(Debug)]
enum Slot {
    Known {
        lead: Box<LeadState>,
        is_changed: bool,
        /// The batch that changed it last.
        batch: u64,
    },
    /// It stands in that row of that part; the changes are applied when the batch ends.
    Awaited { part: usize, row: u32, changes: Vec<(Change<'static>, LogPosition)> },
}

impl Slot {
    /// The lead was read back: what waited for it happens.
    fn fill(&mut self, mut lead: LeadState) {
        if let Self::Awaited { changes, .. } = self {
            for (change, position) in changes.iter() {
                lead.apply(change, *position);
            }
            *self = Self::Known { lead: Box::new(lead), is_changed: true, batch: 0 };
        }
    }
}

impl Analytics {
    /// The name in commands and folders.
    pub const NAME: &'static str = "analytics";
    /// The version of the model.
    pub const VERSION: u32 = MODEL_VERSION;

    /// Opens the model of a data folder, or begins an empty one there. It stands where it was sealed last.
    ///
    /// # Errors
    /// When a file is missing or damaged, is of another version, or can't be opened; says what to do.
    pub fn open(data: &Path) -> Result<Self, AnalyticsError> {
        Self::open_limited(data, Limits::default())
    }

    /// [`Analytics::open`] with other limits.
    ///
    /// # Errors
    /// As there.
    pub fn open_limited(data: &Path, limits: Limits) -> Result<Self, AnalyticsError> {
        remove_earlier(data)?;
        Self::of(Store::open(folder_in(data))?, limits)
    }

    /// Whether the data folder has a model, in use or being built.
    #[must_use]
    pub fn is_in(data: &Path) -> bool {
        folder_in(data).is_dir()
    }

    pub(crate) fn of(store: Store, limits: Limits) -> Result<Self, AnalyticsError> {
        let committed = store.sealed();
        let tenants = store.manifest.tenants.clone();
        let families = families_of(&store.tables)?;
        let lexicon = Lexicon::of(&store.manifest.terms);
        let parked = store.manifest.parked.clone();
        let published = AnalyticsReader::new(Snapshot::of(committed.position, store.tables.clone()));
        Ok(Self {
            store,
            limits,
            committed,
            committed_tenants: tenants.clone(),
            tenants,
            committed_parked: parked.clone(),
            parked,
            families,
            lexicon,
            pending: Pending::default(),
            leads: FxHashMap::default(),
            batches: 0,
            compaction: None,
            compaction_failed: false,
            published,
            awaited: None,
        })
    }

    /// What reads the tables, from any thread.
    #[must_use]
    pub fn reader(&self) -> AnalyticsReader {
        self.published.clone()
    }

    /// The last record that is durable: where the model stands when it is opened next.
    #[must_use]
    pub fn sealed(&self) -> LogPosition {
        self.store.sealed().position
    }

    pub(crate) fn pending_is_full(&self) -> bool {
        self.pending.rows_most() >= self.limits.pending_rows || self.pending.bytes >= PENDING_BYTES_MAX
    }

    /// A lead that was just opened.
    pub(crate) fn begin_lead(&mut self, key: u64, lead: LeadState) {
        self.leads.insert(key, Slot::Known { lead: Box::new(lead), is_changed: true, batch: 0 });
        self.pending.changed.push(key);
    }

    /// Changes a lead, now or when the batch ends. Whether there is such a lead.
    pub(crate) fn change_by_key(&mut self, key: u64, change: Change<'_>, position: LogPosition) -> bool {
        match self.leads.get_mut(&key) {
            Some(Slot::Known { lead, is_changed, .. }) => {
                lead.apply(&change, position);
                if !std::mem::replace(is_changed, true) {
                    self.pending.changed.push(key);
                }
                true
            }
            Some(Slot::Awaited { changes, .. }) => {
                changes.push((change.into_owned(), position));
                true
            }
            None => {
                let parts = self.store.tables.leads.iter().enumerate().rev();
                let place = parts.map(|(place, part)| (place, part.find(key))).find(|(_, row)| row.is_some());
                let Some((part, Some(row))) = place else { return false };
                let changes = vec![(change.into_owned(), position)];
                self.leads.insert(key, Slot::Awaited { part, row, changes });
                self.pending.changed.push(key);
                true
            }
        }
    }

    /// Writes the row of an interaction that was recorded before anew. Returns what the interaction said.
    pub(crate) fn replace_interaction(
        &mut self,
        interaction: InteractionId,
        change: impl FnOnce(&mut StoredInteraction),
    ) -> Result<InteractionFacts, FoldError> {
        let position = interaction.0;
        if !self.pending.replaced.contains_key(&position) {
            let unknown = Park { reason: "it names an interaction that was never recorded" };
            let stored = self.stored_interaction(position).map_err(|source| ModelError(Box::new(source)))?;
            self.pending.replaced.insert(position, stored.ok_or(unknown)?);
        }
        let stored = self.pending.replaced.get_mut(&position);
        let stored = stored.ok_or(Park { reason: "it names an interaction that was never recorded" })?;
        change(stored);
        Ok(stored.facts.clone())
    }

    /// The positions of all interactions that were recorded for these visitors.
    pub(crate) fn interactions_of(&mut self, visitors: &[VisitorId]) -> Result<Vec<u64>, AnalyticsError> {
        self.finish_interactions()?;
        let pending = self.pending.finished.iter().map(|batch| Part::of_batch(Table::Interactions, batch.clone()));
        let mut positions = Vec::new();
        for part in self.store.tables.interactions.iter().cloned().chain(pending) {
            part.each(&["position", "visitor_id"], |row| {
                if is_of(row, "visitor_id", visitors) {
                    positions.extend(row.number("position"));
                }
            })?;
        }
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }

    fn stored_interaction(&mut self, position: u64) -> Result<Option<StoredInteraction>, AnalyticsError> {
        if position > self.committed.position.0 {
            self.finish_interactions()?;
            let parts: Vec<Part> =
                self.pending.finished.iter().map(|batch| Part::of_batch(Table::Interactions, batch.clone())).collect();
            return read_interaction(&parts, position);
        }
        read_interaction(&self.store.tables.interactions, position)
    }

    fn finish_interactions(&mut self) -> Result<(), AnalyticsError> {
        let batch = self.pending.interactions.finish().map_err(in_rows(Table::Interactions))?;
        if batch.num_rows() > 0 {
            self.pending.finished.push(batch);
        }
        Ok(())
    }

    /// Adds what is pending to the tail, and seals when that has grown large. Nothing is changed when it fails.
    pub(crate) fn commit_pending(&mut self, checkpoint: Checkpoint) -> Result<(), AnalyticsError> {
        self.make_room()?;
        let before = self.store.tables.clone();
        let committed = self.committed;
        let erased = std::mem::take(&mut self.pending.erased);
        if !erased.is_empty() {
            // It copies from files that are about to go.
            self.compaction = None;
        }
        let added = self.tail_with_pending();
        let sealed = added.and_then(|tables| {
            self.store.tables = tables;
            let seal = || Seal { checkpoint, tenants: self.tenants.clone(), parked: self.parked.clone() };
            if !erased.is_empty() {
                return self.store.seal_erasing(seal(), &erased);
            }
            let (rows, bytes) = self.store.tail_size();
            let is_large = rows >= self.limits.tail_rows || bytes >= self.limits.tail_bytes;
            if is_large && !self.store.is_sealing() { self.store.begin_seal(seal()) } else { Ok(()) }
        });
        if let Err(error) = sealed {
            self.store.tables = before;
            self.committed = committed;
            return Err(error);
        }
        self.committed = checkpoint;
        self.committed_tenants.clone_from(&self.tenants);
        self.committed_parked.clone_from(&self.parked);
        self.families.commit();
        let Pending { changed, .. } = std::mem::take(&mut self.pending);
        self.keep_leads(&changed);
        self.install_compaction();
        self.publish();
        Ok(())
    }

    /// The tables with what is pending.
    fn tail_with_pending(&mut self) -> Result<Tables, AnalyticsError> {
        self.bring_leads()?;
        self.finish_interactions()?;
        let mut tables = self.store.tables.clone();
        for batch in std::mem::take(&mut self.pending.finished) {
            append(&mut tables, Table::Interactions, batch)?;
        }
        let mut again = InteractionColumns::default();
        for (position, stored) in &self.pending.replaced {
            supersede_position(&mut tables.interactions, *position)?;
            again.push(&stored.row());
        }
        append(&mut tables, Table::Interactions, again.finish().map_err(in_rows(Table::Interactions))?)?;
        let events = self.pending.events.finish().map_err(in_rows(Table::LeadEvents))?;
        append(&mut tables, Table::LeadEvents, events)?;
        let (score_rows, leads) = self.changed_leads()?;
        append(&mut tables, Table::ScoreRows, score_rows)?;
        append(&mut tables, Table::Leads, leads)?;
        Ok(tables)
    }

    /// Reads the leads that changes wait for, part by part, and applies these.
    pub(crate) fn bring_leads(&mut self) -> Result<(), AnalyticsError> {
        let mut wanted: BTreeMap<usize, Vec<(u32, u64)>> = BTreeMap::new();
        for key in &self.pending.changed {
            if let Some(Slot::Awaited { part, row, .. }) = self.leads.get(key) {
                wanted.entry(*part).or_default().push((*row, *key));
            }
        }
        for (part, mut places) in wanted {
            places.sort_unstable();
            let Some(part) = self.store.tables.leads.get(part) else { continue };
            let rows: Vec<u32> = places.iter().map(|(row, _)| *row).collect();
            let batches = part.read(&rows)?;
            let mut keys = places.iter().map(|(_, key)| *key);
            for batch in &batches {
                for row in 0..batch.num_rows() {
                    let Some(slot) = keys.next().and_then(|key| self.leads.get_mut(&key)) else { continue };
                    let reading = Reading { batch, row };
                    let tenant = tenant_of(&self.tenants, reading.text("tenant"));
                    let lead = tenant.and_then(|tenant| leads::read(reading, tenant, &self.lexicon));
                    let path = part.file().map_or(&self.store.folder, |file| &file.path);
                    slot.fill(lead.ok_or_else(|| damaged(path, "has a lead's row that can't be read"))?);
                }
            }
        }
        Ok(())
    }

    /// A lead that is about to change, read back now if it is not in memory; `None` when there is none of that key.
    pub(crate) fn brought(&mut self, key: u64) -> Result<Option<&mut LeadState>, AnalyticsError> {
        if !self.change_by_key(key, Change::Looked, LogPosition::START) {
            return Ok(None);
        }
        if let Some(Slot::Awaited { part, row, .. }) = self.leads.get(&key) {
            let Some(part) = self.store.tables.leads.get(*part) else { return Ok(None) };
            let batches = part.read(&[*row])?;
            let batch = batches.iter().find(|batch| batch.num_rows() > 0);
            let reading = batch.map(|batch| Reading { batch, row: 0 });
            let tenant = tenant_of(&self.tenants, reading.and_then(|reading| reading.text("tenant")));
            let lead = reading.zip(tenant).and_then(|(row, tenant)| leads::read(row, tenant, &self.lexicon));
            let path = part.file().map_or(&self.store.folder, |file| &file.path);
            let lead = lead.ok_or_else(|| damaged(path, "has a lead's row that can't be read"))?;
            if let Some(slot) = self.leads.get_mut(&key) {
                slot.fill(lead);
            }
        }
        Ok(match self.leads.get_mut(&key) {
            Some(Slot::Known { lead, .. }) => Some(lead),
            Some(Slot::Awaited { .. }) | None => None,
        })
    }

    /// Takes the score rows of an interaction out of its lead; `None` when there is no such lead. Those that ended before the
    /// last commit stand in the tables only.
    pub(crate) fn take_points(
        &mut self,
        lead: u64,
        interaction: InteractionId,
    ) -> Result<Option<Taken>, AnalyticsError> {
        let Some(lead) = self.brought(lead)? else { return Ok(None) };
        let (live, mut ended) = lead.ledger.take(interaction);
        let keys: Vec<u64> = live.iter().chain(ended.iter().map(|(row, _)| row)).map(LiveRow::key).collect();
        for part in &self.store.tables.score_rows {
            let rows = part.find_among(ledger::keys_of(interaction));
            if rows.is_empty() {
                continue;
            }
            for batch in part.read(&rows)? {
                for row in (0..batch.num_rows()).map(|row| Reading { batch: &batch, row }) {
                    if row.number("_key").is_some_and(|key| !keys.contains(&key)) {
                        ended.extend(score_rows::read_ended(row, &self.lexicon));
                    }
                }
            }
        }
        Ok(Some((live, ended)))
    }

    /// The rows of the scores and of the leads that changed.
    fn changed_leads(&mut self) -> Result<(RecordBatch, RecordBatch), AnalyticsError> {
        self.pending.changed.sort_unstable();
        let (mut scores, mut columns) = (ScoreRowColumns::default(), LeadColumns::default());
        for key in &self.pending.changed {
            if let Some(Slot::Known { lead, .. }) = self.leads.get_mut(key) {
                let tenant = self.tenants.get(&lead.tenant);
                let name = tenant.map_or("", |tenant| &tenant.name);
                let group = tenant.and_then(|tenant| tenant.groups.get(lead.lead_type.as_str()));
                lead.ledger.settle();
                for row in lead.ledger.changed() {
                    scores.push(name, lead.id, &row);
                }
                lead.ledger.written();
                columns.push(lead, name, group.map(String::as_str));
            }
        }
        let scores = scores.finish().map_err(in_rows(Table::ScoreRows))?;
        Ok((scores, columns.finish().map_err(in_rows(Table::Leads))?))
    }

    /// Keeps the open leads, and of too many those that changed last. What closes later was quiet for as long as its
    /// neighbours, so those that are read back stand together in few files.
    fn keep_leads(&mut self, changed: &[u64]) {
        self.batches += 1;
        for key in changed {
            match self.leads.get_mut(key) {
                Some(Slot::Known { lead, is_changed, batch }) if lead.closing.is_none() => {
                    (*is_changed, *batch) = (false, self.batches);
                }
                Some(_) => {
                    self.leads.remove(key);
                }
                None => {}
            }
        }
        let most = self.limits.kept_leads;
        if self.leads.len() <= most {
            return;
        }
        let batch_of = |slot: &Slot| match slot {
            Slot::Known { batch, .. } => *batch,
            Slot::Awaited { .. } => 0,
        };
        let mut batches: Vec<u64> = self.leads.values().map(batch_of).collect();
        let surplus = (batches.len() - most / 4 * 3).min(batches.len() - 1);
        let oldest = *batches.select_nth_unstable(surplus).1;
        self.leads.retain(|_, slot| batch_of(slot) > oldest);
    }

    /// Forgets what was folded since the last commit.
    pub(crate) fn forget_pending(&mut self) {
        self.pending = Pending::default();
        self.leads.clear();
        self.families.discard();
        self.tenants.clone_from(&self.committed_tenants);
        self.parked.clone_from(&self.committed_parked);
    }

    pub(crate) fn publish(&self) {
        self.published.publish(Snapshot::of(self.committed.position, self.store.tables.clone()));
    }
}

/// Where the model of a data folder is.
pub(crate) fn folder_in(data: &Path) -> PathBuf {
    folder_of(data, MODEL_VERSION)
}

fn folder_of(data: &Path, version: u32) -> PathBuf {
    data.join("projections").join(format!("{}-v{version}", Analytics::NAME))
}

/// Removes the models that earlier versions of the program left: nobody reads them, and nobody would erase anybody in them.
pub(crate) fn remove_earlier(data: &Path) -> Result<(), AnalyticsError> {
    for path in (1..MODEL_VERSION).map(|version| folder_of(data, version)) {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &path)(error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

pub(crate) fn in_rows(table: Table) -> impl FnOnce(datafusion::arrow::error::ArrowError) -> AnalyticsError {
    move |source| AnalyticsError::Rows { table: table.name(), source }
}

fn tenant_of(tenants: &BTreeMap<u32, Tenant>, name: Option<&str>) -> Option<u32> {
    tenants.iter().find(|(_, tenant)| Some(tenant.name.as_str()) == name).map(|(number, _)| *number)
}

fn read_interaction(parts: &[Part], position: u64) -> Result<Option<StoredInteraction>, AnalyticsError> {
    for part in parts.iter().rev() {
        if let Some(row) = part.find_position(position)? {
            let batches = part.read(&[row])?;
            let batch = batches.iter().find(|batch| batch.num_rows() > 0);
            return Ok(batch.and_then(|batch| StoredInteraction::read(Reading { batch, row: 0 })));
        }
    }
    Ok(None)
}

/// Who was merged into whom, from the events in the files.
fn families_of(tables: &Tables) -> Result<Families, AnalyticsError> {
    let mut families = Families::default();
    for file in tables.lead_events.iter().filter_map(Part::file).filter(|file| file.entry.marked > 0) {
        for batch in file.read(&["event", "visitor_id", "other_visitor_id"], None)? {
            let batch: &RecordBatch = &batch?;
            for row in (0..batch.num_rows()).map(|row| Reading { batch, row }) {
                let Some(event) = row.text("event").filter(|event| is_merge(event)) else { continue };
                let visitor = |column: &str| row.text(column)?.parse::<VisitorId>().ok();
                let pair = visitor("visitor_id").zip(visitor("other_visitor_id"));
                let (survivor, other) = pair.ok_or_else(|| damaged(&file.path, "has a merge without visitors"))?;
                if event == "visitors_merged" { families.merge(survivor, other) } else { families.unmerge(other) }
            }
        }
    }
    families.commit();
    Ok(families)
}
