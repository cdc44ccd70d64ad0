//! The reading side: one connection that only reads, in any process, while another one writes.

mod condition;
mod dump;
mod duplicate;
mod lead;
mod orphan;
mod page;
mod plan;
mod scan;
mod visitor;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use event_log::LogPosition;
use lead_domain::{LeadId, TenantId, VisitorId};
use rusqlite::{Connection, OptionalExtension};

use crate::columns::SharedColumns;
use crate::error::{Concerning, ListingError};
use crate::query::{CountMode, Cursor, DuplicateQuery, LeadQuery, OrphanQuery, Page};
use crate::row::{Counts, DuplicatePairRow, LeadRow, OrphanRow, TenantRow, VisitorRow};
use crate::rows::{Columns, RowError};
use crate::state::lead_key;
use crate::store;
use page::Answer;

pub use page::Told;

/// After so many attempts to search the columns while the writer goes on, it has to wait for a moment.
const ATTEMPTS: usize = 4;

/// Answers questions about the model as of its last commit. Each answer is true at one position.
///
/// It keeps the file open that it opened: after a rebuild, open anew. Send it to another thread, or open one for each.
///
/// The first page of leads makes columns of all leads, about a second and 100 MB for a million; a reader that is opened
/// by itself makes them anew after each commit that it sees. Readers from [`ListingReaders`] share them with the writer,
/// who keeps them up to date.
#[derive(Debug)]
pub struct ListingReader {
    connection: Connection,
    path: PathBuf,
    columns: Arc<SharedColumns>,
}

/// Opens readers of a model that is followed in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ListingReaders {
    path: PathBuf,
    /// Of the file in use; another file has other columns.
    columns: Arc<Mutex<Arc<SharedColumns>>>,
}

impl ListingReaders {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, columns: Arc::default() }
    }

    /// A reader with a connection of its own.
    ///
    /// # Errors
    /// When the file can't be opened once more.
    pub fn open(&self) -> Result<ListingReader, ListingError> {
        // Held until the file is open, so that file and columns belong together.
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        ListingReader::open_file(self.path.clone(), Arc::clone(&columns))
    }

    /// Whether that reader reads the file in use; another model may have taken its place.
    #[must_use]
    pub fn is_current(&self, reader: &ListingReader) -> bool {
        Arc::ptr_eq(&self.columns(), &reader.columns)
    }

    /// The columns that the writer keeps up to date.
    pub(crate) fn columns(&self) -> Arc<SharedColumns> {
        Arc::clone(&self.columns.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another file in the place of the one in use, while nobody opens it.
    pub(crate) fn replace<T>(&self, replace: impl FnOnce() -> Result<T, ListingError>) -> Result<T, ListingError> {
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        *columns = Arc::default();
        replace()
    }
}

impl ListingReader {
    /// Opens the model of a data folder.
    ///
    /// # Errors
    /// When there is none, or it is damaged, of another program or version; says what to do.
    pub fn open(data: &Path) -> Result<Self, ListingError> {
        Self::open_file(store::path_in(data), Arc::default())
    }

    fn open_file(path: PathBuf, columns: Arc<SharedColumns>) -> Result<Self, ListingError> {
        let connection = store::open_reader(&path)?;
        Ok(Self { connection, path, columns })
    }

    /// Where the model stands.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn position(&self) -> Result<LogPosition, ListingError> {
        store::read_state(&self.connection, &self.path).map(|state| state.checkpoint.position)
    }

    /// One lead of a tenant, with the position at which that was true.
    ///
    /// # Errors
    /// When the model can't be read.
    pub fn lead(&self, tenant: TenantId, id: LeadId) -> Result<(Option<LeadRow>, LogPosition), ListingError> {
        let Some(key) = lead_key(id) else { return Ok((None, self.position()?)) };
        self.at_once(|connection, _| lead::read(connection, tenant, key))
    }

    /// A page of leads.
    ///
    /// # Errors
    /// [`ListingError::Query`] when the query makes no sense; else when the model can't be read.
    pub fn leads(&self, query: &LeadQuery) -> Result<Page<LeadRow>, ListingError> {
        let after = query.after()?;
        for _ in 0..ATTEMPTS {
            let (answer, _) = self.at_once(|connection, state| {
                page::leads(page::Asked { connection, state, query, after }, |connection, position| {
                    self.columns.at(position, || scan::all(connection, position))
                })
            })?;
            match answer {
                Answer::Page(page) => return Ok(page),
                Answer::Refused(error) => return Err(error.into()),
                Answer::Outrun => {}
            }
        }
        self.leads_exclusively(query, after)
    }

    /// A page of leads, for which the columns stand still from before its transaction on.
    fn leads_exclusively(&self, query: &LeadQuery, after: Option<Cursor>) -> Result<Page<LeadRow>, ListingError> {
        let columns = self.columns.exclusive();
        let (answer, _) = self.at_once(|connection, state| {
            page::leads(page::Asked { connection, state, query, after }, |connection, position| {
                self.columns.bring(columns, position, || scan::all(connection, position)).map(Some)
            })
        })?;
        match answer {
            Answer::Page(page) => Ok(page),
            Answer::Refused(error) => Err(error.into()),
            Answer::Outrun => Err(Concerning { doing: "read", path: &self.path }.damaged()),
        }
    }

    /// All leads that a query finds, in its order, at one position: how many they are, then one after the other, until
    /// `see` has had enough. Its limit, cursor and count say nothing here. Returns the position, and whether all were seen.
    ///
    /// Keys of all of them are in memory meanwhile, 32 bytes each; and the file keeps what is written over until the end.
    ///
    /// # Errors
    /// [`ListingError::Query`] when the query makes no sense; else when the model can't be read.
    pub fn each_lead(
        &self,
        query: &LeadQuery,
        see: &mut dyn FnMut(Told) -> ControlFlow<()>,
    ) -> Result<(LogPosition, bool), ListingError> {
        let query = &LeadQuery { limit: u32::MAX, cursor: None, count: CountMode::None, ..query.clone() };
        for _ in 0..ATTEMPTS {
            let (seen, position) = self.at_once(|connection, state| {
                page::each(page::Asked { connection, state, query, after: None }, see, |connection, position| {
                    self.columns.at(position, || scan::all(connection, position))
                })
            })?;
            if let Some(is_whole) = seen {
                return Ok((position, is_whole));
            }
        }
        let columns = self.columns.exclusive();
        let (seen, position) = self.at_once(|connection, state| {
            page::each(page::Asked { connection, state, query, after: None }, see, |connection, position| {
                self.columns.bring(columns, position, || scan::all(connection, position)).map(Some)
            })
        })?;
        let is_whole = seen.ok_or_else(|| Concerning { doing: "read", path: &self.path }.damaged())?;
        Ok((position, is_whole))
    }

    /// A page of orphans, the latest first.
    ///
    /// # Errors
    /// [`ListingError::Query`] when the query makes no sense; else when the model can't be read.
    pub fn orphans(&self, query: &OrphanQuery) -> Result<Page<OrphanRow>, ListingError> {
        let after = query.after()?;
        let (page, _) = self.at_once(|connection, state| orphan::page(connection, state, query, after))?;
        Ok(page?)
    }

    /// A page of pairs of visitors who may be the same person, by age. Pairs that merged since are left out.
    ///
    /// # Errors
    /// [`ListingError::Query`] when the query makes no sense; else when the model can't be read.
    pub fn duplicates(&self, query: &DuplicateQuery) -> Result<Page<DuplicatePairRow>, ListingError> {
        let after = query.after()?;
        let (page, _) = self.at_once(|connection, state| duplicate::page(connection, state, query, after))?;
        Ok(page?)
    }

    /// One visitor of a tenant, with the position at which that was true. One who was merged into another shows what is
    /// its own, and who holds its leads now.
    ///
    /// # Errors
    /// When the model can't be read.
    pub fn visitor(&self, tenant: TenantId, id: VisitorId) -> Result<(Option<VisitorRow>, LogPosition), ListingError> {
        self.at_once(|connection, _| visitor::read(connection, tenant, id))
    }

    /// How many leads and orphans a tenant has, with the position at which that was true.
    ///
    /// # Errors
    /// When the model can't be read.
    pub fn counts(&self, tenant: TenantId) -> Result<(Counts, LogPosition), ListingError> {
        self.at_once(|connection, _| Ok(counts(connection, tenant)?))
    }

    /// All tenants, by number.
    ///
    /// # Errors
    /// When the model can't be read.
    pub fn tenants(&self) -> Result<Vec<TenantRow>, ListingError> {
        self.at_once(|connection, _| Ok(tenants(connection)?)).map(|(tenants, _)| tenants)
    }

    /// The number of the tenant of that name.
    ///
    /// # Errors
    /// When the model can't be read.
    pub fn tenant(&self, name: &str) -> Result<Option<TenantId>, ListingError> {
        self.at_once(|connection, _| {
            let mut statement = connection.prepare_cached("SELECT id FROM tenants WHERE name = ?1")?;
            Ok(statement.query_row([name], |row| row.get(0).map(TenantId)).optional()?)
        })
        .map(|(tenant, _)| tenant)
    }

    /// Every row as text, in order of key: two models with the same text answer everything alike. For tests and audits;
    /// it holds personal data.
    ///
    /// # Errors
    /// When the model can't be read.
    pub fn canonical_dump(&self) -> Result<String, ListingError> {
        self.at_once(|connection, _| Ok(dump::whole(connection)?)).map(|(dump, _)| dump)
    }

    /// Asks several things of one state of the model.
    fn at_once<T>(
        &self,
        ask: impl FnOnce(&Connection, &store::State) -> Result<T, RowError>,
    ) -> Result<(T, LogPosition), ListingError> {
        let about = Concerning { doing: "read", path: &self.path };
        let transaction = self.connection.unchecked_transaction().map_err(|source| about.store(source))?;
        let state = store::read_state(&transaction, &self.path)?;
        let answer = ask(&transaction, &state).map_err(|error| match error {
            RowError::Sqlite(source) => about.store(source),
            RowError::Damaged => about.damaged(),
        })?;
        Ok((answer, state.checkpoint.position))
    }
}

fn tenants(connection: &Connection) -> rusqlite::Result<Vec<TenantRow>> {
    let mut statement = connection.prepare_cached("SELECT id, name, policy_version FROM tenants ORDER BY id")?;
    let rows = statement
        .query_map([], |row| Ok(TenantRow { id: row.get(0)?, name: row.get(1)?, policy_version: row.get(2)? }))?;
    rows.collect()
}

fn counts(connection: &Connection, tenant: TenantId) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut statement = connection.prepare_cached("SELECT close_cause, leads FROM lead_counts WHERE tenant = ?1")?;
    let rows = statement.query_map([tenant.0], |row| {
        let columns = &mut Columns::of(row);
        Ok((columns.next::<String>()?, columns.unsigned()?))
    })?;
    for row in rows {
        let (cause, leads) = row?;
        counts.opened += leads;
        if cause.is_empty() {
            counts.open = leads;
        } else {
            counts.closed.insert(cause, leads);
        }
    }
    let mut statement = connection.prepare_cached("SELECT count(*) FROM orphans WHERE tenant = ?1")?;
    counts.orphans = statement.query_row([tenant.0], |row| Columns::of(row).unsigned())?;
    Ok(counts)
}
