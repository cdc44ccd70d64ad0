//! The writing side: the model's file, and what was folded but not committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use event_log::LogPosition;
use lead_domain::policy::grid::{Grid, Steps};
use lead_domain::{CloseCause, LeadId, Name, VisitorId};
use projector::{Checkpoint, FoldError, ModelError, Park, Parked};
use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;

use crate::cache::Cache;
use crate::clean;
use crate::columns::{Change, Entry};
use crate::error::{Concerning, ListingError};
use crate::load::Loading;
use crate::reader::{ListingReader, ListingReaders};
use crate::rows::{self, RowError};
use crate::state::lead::LeadState;
use crate::state::lead_key;
use crate::state::orphan::OrphanState;
use crate::state::visitor::VisitorState;
use crate::store::{self, Phase, State};

/// How many rows stay in memory, and when a model is loaded instead of followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// An empty model with so many records to come is loaded: built beside its place, unseen and without a journal,
    /// until it has caught up. That is several times quicker, and begins anew after a crash.
    pub records_min: u64,
    /// Leads, and visitors, that are in memory at most while loading: about 1 KiB each. With more than twelve times as many
    /// records to come it is five eighths of them: their leads don't fit anyway.
    pub rows_max: usize,
}

impl LoadLimits {
    /// How many with so many records to come.
    fn rows_for(&self, behind: u64) -> usize {
        let many = (self.rows_max as u64).saturating_mul(RECORDS_PER_ROW);
        if behind > many { self.rows_max / 8 * 5 } else { self.rows_max }
    }
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self { records_min: LOADING_RECORDS_MIN, rows_max: LOADING_ROWS_MAX }
    }
}

/// Rows that may be pending of each kind: about 100 MB of leads, and a second or two of writing.
const PENDING_ROWS_MAX: usize = 65_536;
/// Rows of each kind that stay in memory after a commit while far behind: about 150 MB.
const KEPT_ROWS_MAX: usize = 131_072;
/// Rows of each kind that stay in memory near the head.
const KEPT_ROWS_NEAR_MAX: usize = 16_384;
/// Bytes of records folded since the last commit. What is pending is at most a small multiple of them.
const PENDING_BYTES_MAX: u64 = 512 << 20;
/// From so many records on, and as many as the model has leads, it is quicker to make the indexes anew than to keep them.
const LOADING_RECORDS_MIN: u64 = 100_000;
/// Leads, and visitors, in memory while loading. A lead that is written before it is complete is read and written once
/// more, so more is quicker: 262,144 instead of 131,072 takes more than a tenth off an import of 300,000 leads, for 130 MB.
const LOADING_ROWS_MAX: usize = 262_144;
/// A visitor has that many records at least, mostly.
const RECORDS_PER_ROW: u64 = 12;
/// With no more records than these to come, a loaded model gets its indexes.
pub(crate) const NEAR_RECORDS: u64 = 10_000;

/// The listing, to follow the log with: a [`Projection`](projector::Projection). One at a time for a file.
#[derive(Debug)]
pub struct Listing {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    pub(crate) readers: ListingReaders,
    /// While the model is loaded; `connection` is to the file that is loaded then.
    pub(crate) loading: Option<Loading>,
    /// The file of a model that was loaded, is followed, and has not taken its place; `connection` is to it.
    pub(crate) standing_by: Option<PathBuf>,
    pub(crate) limits: LoadLimits,
    /// Leads, and visitors, that are in memory at most during this load.
    pub(crate) rows_max: usize,
    /// While loading, so many changed leads in memory before closed ones are written.
    pub(crate) write_done_at: usize,
    /// As committed.
    pub(crate) state: State,
    pub(crate) leads: Cache<LeadState>,
    pub(crate) visitors: Cache<VisitorState>,
    pub(crate) orphans: FxHashMap<u64, PendingOrphan>,
    pub(crate) duplicates: Vec<PendingDuplicate>,
    pub(crate) policies: BTreeMap<u32, PendingPolicy>,
    /// The grids of tenants as committed, as far as they were asked for.
    pub(crate) grids: BTreeMap<u32, Option<Grid>>,
    /// Members of people who were erased since the last commit.
    pub(crate) erased: Vec<VisitorId>,
    /// Whether the file may still hold, where nobody looks, what an erasure has taken out of its rows.
    pub(crate) unclean: bool,
    /// The streams that are left out, where that has changed since the last commit.
    pub(crate) parked: Option<Parked>,
    /// How many leads more of each tenant are open, or closed by that cause.
    pub(crate) counts: BTreeMap<(u32, &'static str), i64>,
    /// Of the records folded since the last commit; while loading, about of those whose rows are in memory.
    pub(crate) pending_bytes: u64,
    /// Leads opened since the last commit.
    pub(crate) pending_leads: u64,
}

/// What happened to an orphan since the last commit.
#[derive(Debug)]
pub(crate) enum PendingOrphan {
    /// It is new.
    New(Box<OrphanState>),
    /// A lead adopted the stored one.
    Adopted,
}

/// What happened to a pair of visitors since the last commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingDuplicate {
    pub(crate) tenant: u32,
    pub(crate) one: VisitorId,
    pub(crate) other: VisitorId,
    pub(crate) kind: Option<&'static str>,
    pub(crate) settled: bool,
}

/// A tenant's policy, as far as the listing knows it.
#[derive(Debug)]
pub(crate) struct PendingPolicy {
    pub(crate) tenant: Name,
    pub(crate) version: u32,
    /// Name and group of each lead type.
    pub(crate) lead_types: Vec<(Name, Option<Name>)>,
    /// The grid of scores, if it has one.
    pub(crate) grid: Option<Grid>,
}

impl Listing {
    /// The name in commands and files.
    pub const NAME: &'static str = "listing";

    /// Opens the model of a data folder, or begins an empty one there.
    ///
    /// # Errors
    /// When the file is damaged, of another program or version, or can't be opened; says what to do.
    pub fn open(data: &Path) -> Result<Self, ListingError> {
        Self::open_limited(data, LoadLimits::default())
    }

    /// [`Listing::open`] with other limits.
    ///
    /// # Errors
    /// As there.
    pub fn open_limited(data: &Path, limits: LoadLimits) -> Result<Self, ListingError> {
        let path = store::path_in(data);
        let connection = store::open_writer(&path)?;
        store::remove_earlier(data)?;
        // Of a process that was killed; it holds what nobody would erase.
        store::remove(&store::loading_path(&path))?;
        let state = store::read_state(&connection, &path)?;
        let mut listing = Self::of(path, connection, state, None, limits);
        listing.unclean = clean::is_marked(&listing.path);
        Ok(listing)
    }

    /// Begins an empty model beside the one in use, which goes on being read until the new one has caught up; then the
    /// new one takes its place. A rebuild that was left unfinished is thrown away.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn begin_rebuild(data: &Path) -> Result<Self, ListingError> {
        let path = store::path_in(data);
        let (loading, connection) = Loading::begin(store::loading_path(&path))?;
        let state = store::read_state(&connection, loading.path())?;
        Ok(Self::of(path, connection, state, Some(loading), LoadLimits::default()))
    }

    /// [`Listing::begin_rebuild`] for readers of the model in use, which read the new one once it has taken its place.
    ///
    /// # Errors
    /// As there.
    pub fn begin_rebuild_for(data: &Path, readers: ListingReaders) -> Result<Self, ListingError> {
        Ok(Self { readers, ..Self::begin_rebuild(data)? })
    }

    /// Whether it is built beside the model in use, so that nobody reads it yet.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        self.loading.is_some() || self.standing_by.is_some()
    }

    /// Throws away a model that has not taken its place. One that has stays.
    pub fn abandon(self) {
        let unseen = self.loading.as_ref().map(|loading| loading.path().to_owned()).or(self.standing_by.clone());
        drop(self);
        // What can't be removed now is removed with the next opening.
        let _ = unseen.map(|path| store::remove(&path));
    }

    fn of(path: PathBuf, connection: Connection, state: State, loading: Option<Loading>, limits: LoadLimits) -> Self {
        Self {
            connection,
            readers: ListingReaders::new(path.clone()),
            path,
            loading,
            standing_by: None,
            limits,
            rows_max: limits.rows_max,
            write_done_at: 0,
            state,
            leads: Cache::default(),
            visitors: Cache::default(),
            orphans: FxHashMap::default(),
            duplicates: Vec::new(),
            policies: BTreeMap::new(),
            grids: BTreeMap::new(),
            erased: Vec::new(),
            unclean: false,
            parked: None,
            counts: BTreeMap::new(),
            pending_bytes: 0,
            pending_leads: 0,
        }
    }

    /// A reader of the model in use, with a connection of its own.
    ///
    /// # Errors
    /// When the file can't be opened once more.
    pub fn reader(&self) -> Result<ListingReader, ListingError> {
        self.readers.open()
    }

    /// Opens readers of the model in use, also in other threads while this one writes.
    #[must_use]
    pub fn readers(&self) -> ListingReaders {
        self.readers.clone()
    }

    /// The last record that is committed.
    #[must_use]
    pub const fn position(&self) -> LogPosition {
        self.state.checkpoint.position
    }

    /// The lead of that id, in memory, to change.
    pub(crate) fn lead_mut(&mut self, id: LeadId) -> Result<&mut LeadState, FoldError> {
        let unknown = Park { reason: "it names a lead that was never opened" };
        let key = lead_key(id).ok_or(unknown)?;
        let place = key.cast_unsigned();
        if self.leads.get(place).is_none() {
            let read = rows::lead::read(&self.connection, key);
            let lead = read.map_err(|error| self.unreadable(error))?.ok_or(unknown)?;
            self.leads.load(place, lead);
        }
        Ok(self.leads.get_mut(place).ok_or(unknown)?)
    }

    /// Brings a visitor into memory.
    fn load_visitor(&mut self, id: VisitorId) -> Result<(), FoldError> {
        if self.visitors.get(id.0).is_none() {
            let read = rows::visitor::read(&self.connection, id);
            let visitor = read.map_err(|error| self.unreadable(error))?;
            self.visitors.load(id.0, visitor.ok_or(UNKNOWN_VISITOR)?);
        }
        Ok(())
    }

    /// The visitor of that id, to read.
    pub(crate) fn visitor(&mut self, id: VisitorId) -> Result<&VisitorState, FoldError> {
        self.load_visitor(id)?;
        Ok(self.visitors.get(id.0).ok_or(UNKNOWN_VISITOR)?)
    }

    /// The visitor of that id, to change.
    pub(crate) fn visitor_mut(&mut self, id: VisitorId) -> Result<&mut VisitorState, FoldError> {
        self.load_visitor(id)?;
        Ok(self.visitors.get_mut(id.0).ok_or(UNKNOWN_VISITOR)?)
    }

    /// Takes an orphan out, because a lead adopts it.
    pub(crate) fn take_orphan(&mut self, id: lead_domain::InteractionId) -> Result<Box<OrphanState>, FoldError> {
        let unknown = Park { reason: "it adopts an interaction that is no orphan" };
        match self.orphans.remove(&id.0) {
            Some(PendingOrphan::New(orphan)) => Ok(orphan),
            Some(PendingOrphan::Adopted) => Err(unknown.into()),
            None => {
                let read = rows::orphan::read(&self.connection, id);
                let orphan = read.map_err(|error| self.unreadable(error))?.ok_or(unknown)?;
                self.orphans.insert(id.0, PendingOrphan::Adopted);
                Ok(Box::new(orphan))
            }
        }
    }

    /// Whether as much is pending as may be. A model that is loaded makes room by itself.
    pub(crate) fn pending_is_full(&self) -> bool {
        let pending =
            [self.leads.changed_len(), self.visitors.changed_len(), self.orphans.len(), self.duplicates.len()];
        let in_memory = [self.leads.len(), self.visitors.len()];
        self.loading.is_none()
            && (pending.into_iter().any(|rows| rows >= PENDING_ROWS_MAX)
                || in_memory.into_iter().any(|rows| rows >= PENDING_ROWS_MAX + KEPT_ROWS_MAX)
                || self.pending_bytes >= PENDING_BYTES_MAX)
    }

    /// Writes what is pending, with the checkpoint, in one transaction.
    pub(crate) fn write_pending(&mut self, checkpoint: Checkpoint) -> rusqlite::Result<()> {
        let leads = self.state.leads.saturating_add(self.pending_leads);
        let state = State { checkpoint, leads, ..self.state };
        // What is loaded stands in one transaction, which was begun with the file, and nobody reads it.
        let transaction = self.loading.is_none().then(|| self.connection.unchecked_transaction()).transpose()?;
        // What stands beside the model in use is no business of its readers.
        let columns = (!self.is_unseen()).then(|| self.readers.columns()).filter(|columns| columns.is_wanted());
        let (after, position) = (self.state.checkpoint.position, checkpoint.position);
        let mut change = Change { after, position, entries: Vec::new() };
        for (visitor, is_stored) in self.visitors.changed() {
            rows::visitor::write(&self.connection, visitor, is_stored)?;
        }
        if let Some(loading) = &mut self.loading {
            loading.begin_search(&self.connection)?;
        }
        for (lead, is_stored) in self.leads.changed() {
            rows::lead::write(&self.connection, lead, is_stored)?;
            change.entries.extend(columns.as_ref().and_then(|_| Entry::of(lead)));
        }
        self.write_small()?;
        store::write_state(&self.connection, &state)?;
        if let Some(parked) = &self.parked {
            store::write_parked(&self.connection, parked)?;
        }
        if let Some(columns) = &columns {
            columns.announce(change);
        }
        let committed = transaction.map_or(Ok(()), rusqlite::Transaction::commit);
        match columns {
            Some(columns) if committed.is_ok() => columns.settle(),
            Some(columns) => columns.withdraw(),
            None => {}
        }
        committed?;
        self.state = state;
        self.settle_pending();
        Ok(())
    }

    /// Writes what is pending besides leads and visitors.
    pub(crate) fn write_small(&self) -> rusqlite::Result<()> {
        for (tenant, policy) in &self.policies {
            write_policy(&self.connection, *tenant, policy)?;
        }
        let mut orphans: Vec<_> = self.orphans.iter().collect();
        orphans.sort_unstable_by_key(|(id, _)| **id);
        for (id, orphan) in orphans {
            match orphan {
                PendingOrphan::New(orphan) => rows::orphan::insert(&self.connection, orphan)?,
                PendingOrphan::Adopted => rows::orphan::delete(&self.connection, lead_domain::InteractionId(*id))?,
            }
        }
        for pair in &self.duplicates {
            write_duplicate(&self.connection, pair)?;
        }
        for member in &self.erased {
            write_erased(&self.connection, *member)?;
        }
        write_counts(&self.connection, &self.counts)
    }

    /// A tenant has so many leads more that are open, or closed by that cause.
    pub(crate) fn count_lead(&mut self, tenant: u32, cause: Option<CloseCause>, more: i64) {
        *self.counts.entry((tenant, cause.map_or(OPEN, CloseCause::code))).or_default() += more;
    }

    fn settle_pending(&mut self) {
        self.keep_grids();
        self.leads.committed(KEPT_ROWS_MAX, |lead| lead.index_changed = false);
        self.visitors.committed(KEPT_ROWS_MAX, |visitor| visitor.shown_changed = false);
        self.forget_small();
        self.parked = None;
        self.pending_leads = 0;
        self.pending_bytes = 0;
    }

    /// Forgets everything that is not stored; of a model that is loaded, everything.
    pub(crate) fn forget_pending(&mut self) {
        self.leads.clear();
        self.visitors.clear();
        self.forget_small();
        self.parked = None;
        self.pending_leads = 0;
        self.pending_bytes = 0;
        if let Some(loading) = &mut self.loading {
            loading.spoil();
        }
    }

    /// Keeps the grids of policies that were just written.
    pub(crate) fn keep_grids(&mut self) {
        self.grids.extend(self.policies.iter().map(|(tenant, policy)| (*tenant, policy.grid)));
    }

    /// The grid of a tenant's policy in force.
    pub(crate) fn grid(&mut self, tenant: u32) -> Result<Option<Grid>, FoldError> {
        if let Some(policy) = self.policies.get(&tenant) {
            return Ok(policy.grid);
        }
        if let Some(grid) = self.grids.get(&tenant) {
            return Ok(*grid);
        }
        let grid = read_grid(&self.connection, tenant).map_err(|source| self.failed("read", source))?;
        self.grids.insert(tenant, grid);
        Ok(grid)
    }

    /// Forgets what [`Listing::write_small`] writes.
    pub(crate) fn forget_small(&mut self) {
        self.orphans.clear();
        self.duplicates.clear();
        self.policies.clear();
        self.erased.clear();
        self.counts.clear();
    }

    /// When much is to come: begins to load an empty model, and drops the indexes of another one if making them anew is
    /// quicker than keeping them.
    pub(crate) fn prepare_for(&mut self, behind: u64) -> Result<(), ListingError> {
        self.rows_max = self.rows_max.min(self.limits.rows_for(behind));
        if self.is_unseen() {
            return Ok(());
        }
        if self.state.checkpoint.position == LogPosition::START && behind >= self.limits.records_min {
            return self.begin_loading();
        }
        let worthwhile = behind >= LOADING_RECORDS_MIN && behind >= self.state.leads;
        if self.state.phase == Phase::Indexed && worthwhile {
            tracing::info!(behind, "the listing is far behind; its indexes are dropped until it has caught up");
            let dropped = store::drop_indexes(&mut self.connection, &self.state);
            dropped.map_err(|source| Concerning { doing: "prepare", path: &self.path }.store(source))?;
            self.state.phase = Phase::Loading;
        }
        Ok(())
    }

    /// Makes the indexes of a loaded model and puts it in its place, unless much is to come yet.
    pub(crate) fn settle_near(&mut self, behind: u64) -> Result<(), ListingError> {
        if behind > NEAR_RECORDS {
            return Ok(());
        }
        self.leads.shrink(KEPT_ROWS_NEAR_MAX);
        self.visitors.shrink(KEPT_ROWS_NEAR_MAX);
        if self.is_unseen() {
            return self.finish_loading();
        }
        if self.state.phase == Phase::Loading {
            let built = store::build_indexes(&mut self.connection, &self.state);
            built.map_err(|source| Concerning { doing: "index", path: &self.path }.store(source))?;
            self.state.phase = Phase::Indexed;
        }
        Ok(())
    }

    /// The error of a failed step, for the projector.
    pub(crate) fn failed(&self, doing: &'static str, source: rusqlite::Error) -> ModelError {
        let source = Concerning { doing, path: self.file() }.store(source);
        ModelError(Box::new(source))
    }

    /// The file that is written to.
    pub(crate) fn file(&self) -> &Path {
        let loading = self.loading.as_ref().map(Loading::path);
        loading.or(self.standing_by.as_deref()).unwrap_or(&self.path)
    }

    fn unreadable(&self, error: RowError) -> FoldError {
        let about = Concerning { doing: "read", path: self.file() };
        let source = match error {
            RowError::Sqlite(source) => about.store(source),
            RowError::Damaged => about.damaged(),
        };
        FoldError::Model(ModelError(Box::new(source)))
    }
}

/// In the place of a cause.
const OPEN: &str = "";

const UNKNOWN_VISITOR: Park = Park { reason: "it names a visitor that was never created" };

fn write_policy(connection: &Connection, tenant: u32, policy: &PendingPolicy) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO tenants (id, name, policy_version, grid) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![tenant, policy.tenant.as_str(), policy.version, policy.grid.map(grid_text)])?;
    connection.prepare_cached("DELETE FROM lead_types WHERE tenant = ?1")?.execute([tenant])?;
    for (name, group) in &policy.lead_types {
        connection
            .prepare_cached("INSERT OR REPLACE INTO lead_types (tenant, name, grp) VALUES (?1, ?2, ?3)")?
            .execute(params![tenant, name.as_str(), group.as_deref()])?;
    }
    Ok(())
}

/// A grid as it is stored: its four thresholds, the best first.
fn grid_text(grid: Grid) -> String {
    let Grid { fit, engagement } = grid;
    format!("{} {} {} {}", fit.best, fit.second, engagement.best, engagement.second)
}

fn read_grid(connection: &Connection, tenant: u32) -> rusqlite::Result<Option<Grid>> {
    let mut statement = connection.prepare_cached("SELECT grid FROM tenants WHERE id = ?1")?;
    let text: Option<Option<String>> = statement.query_row([tenant], |row| row.get(0)).optional()?;
    let Some(text) = text.flatten() else { return Ok(None) };
    let mut points = text.split(' ').filter_map(|points| points.parse().ok());
    let mut steps = || Some(Steps { best: points.next()?, second: points.next()? });
    Ok(steps().and_then(|fit| Some(Grid { fit, engagement: steps()? })))
}

fn write_duplicate(connection: &Connection, pair: &PendingDuplicate) -> rusqlite::Result<()> {
    let (one, other) = (pair.one.min(pair.other), pair.one.max(pair.other));
    connection
        .prepare_cached(
            "INSERT INTO duplicates (visitor, other, tenant, kind, settled) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (visitor, other) DO UPDATE
             SET settled = max(settled, excluded.settled), kind = coalesce(kind, excluded.kind)",
        )?
        .execute(params![one.0.cast_signed(), other.0.cast_signed(), pair.tenant, pair.kind, pair.settled])
        .map(|_| ())
}

/// Takes what is personal out of the orphans of an erased person, and nobody need look at the duplicates any more.
fn write_erased(connection: &Connection, member: VisitorId) -> rusqlite::Result<()> {
    let id = member.0.cast_signed();
    connection
        .prepare_cached("UPDATE duplicates SET settled = 1 WHERE (visitor = ?1 OR other = ?1) AND settled = 0")?
        .execute([id])?;
    rows::orphan::erase_of(connection, member)
}

fn write_counts(connection: &Connection, counts: &BTreeMap<(u32, &'static str), i64>) -> rusqlite::Result<()> {
    for ((tenant, cause), more) in counts {
        connection
            .prepare_cached(
                "INSERT INTO lead_counts (tenant, close_cause, leads) VALUES (?1, ?2, ?3)
                 ON CONFLICT (tenant, close_cause) DO UPDATE SET leads = leads + excluded.leads",
            )?
            .execute(params![tenant, cause, more])?;
    }
    // A row for none would tell one way to the same model from another.
    connection.prepare_cached("DELETE FROM lead_counts WHERE leads = 0")?.execute([]).map(|_| ())
}
