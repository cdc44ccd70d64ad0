//! The file: where it lives, how it is opened, and whether its indexes are there. Knows no records and no queries.
//!
//! WAL mode, so that any number of readers, also in other processes, see the last commit while one writer writes.
//! `synchronous = NORMAL`: a power failure may lose the last commits, and with them their checkpoint, which stands in
//! the same transaction; the projector takes those records again. `secure_delete = ON`: what an erased visitor's row
//! held is overwritten.
//!
//! A model that is loaded from its beginning stands beside the one in use, without a journal and in one transaction:
//! a crash leaves a file that nobody opens, and the load begins anew. Sorting more for its indexes than the page cache
//! holds goes through unnamed temporary files, where SQLite puts them (`SQLITE_TMPDIR`), so that memory stays bounded.

mod schema;
mod search;

use std::fs;
use std::path::{Path, PathBuf};

use event_log::{Chain, LogPosition};
use projector::{Checkpoint, Parked};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::error::{Concerning, ListingError};
use crate::rows::Columns;
pub(crate) use schema::MODEL_VERSION;
pub(crate) use search::SearchBuild;

/// Where models live in a data folder.
const FOLDER: &str = "projections";
/// Marks the file as ours: "LFli".
const APPLICATION_ID: i32 = 0x4C46_6C69;
/// How long a reader or writer waits for the moment in which another one holds a lock.
const BUSY_MS: std::time::Duration = std::time::Duration::from_secs(10);
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 64 * 1024;
/// A lead takes about 400 bytes: larger pages than SQLite's 4 KiB make walks over all of them a fifth quicker.
const PAGE_BYTES: i64 = 8 * 1024;
/// After so many pages (32 MiB) the write-ahead log is moved into the file: seldom enough that pages which change with
/// every batch are moved once for many batches.
const WAL_PAGES: i64 = 4_096;
/// Page cache of a reader, in KiB.
const READER_CACHE_KIB: i64 = 16 * 1024;
/// How many prepared statements a connection keeps: more than there are.
const STATEMENTS: usize = 128;

/// Whether secondary indexes and full text are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not yet: many rows are being loaded, which is faster without. Reads work, slower.
    Loading,
    /// They are.
    Indexed,
}

/// The one row of the state table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) phase: Phase,
    /// How many leads the model has.
    pub(crate) leads: u64,
}

/// Where the model of a data folder lives: `projections/listing-v7.sqlite`.
pub(crate) fn path_in(data: &Path) -> PathBuf {
    path_of(data, MODEL_VERSION)
}

fn path_of(data: &Path, version: u32) -> PathBuf {
    data.join(FOLDER).join(format!("listing-v{version}.sqlite"))
}

/// Removes what earlier versions of the program left: the model is built anew from the log, and nobody reads them.
pub(crate) fn remove_earlier(data: &Path) -> Result<(), ListingError> {
    for path in (1..MODEL_VERSION).map(|version| path_of(data, version)) {
        remove(&path)?;
        remove(&loading_path(&path))?;
    }
    Ok(())
}

/// Where a model is loaded beside the one in use, which is at `path`.
pub(crate) fn loading_path(path: &Path) -> PathBuf {
    path.with_extension("building.sqlite")
}

/// Opens the file to write, or makes an empty model.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, ListingError> {
    let about = Concerning { doing: "open", path };
    make_folder_of(path)?;
    let mut connection = Connection::open(path).map_err(|source| about.store(source))?;
    connection.busy_timeout(BUSY_MS).map_err(|source| about.store(source))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if is_empty(&connection).map_err(|source| about.store(source))? {
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(|source| about.store(source))?;
        create(&mut connection).map_err(|source| about.store(source))?;
    }
    check_identity(&connection, path)?;
    configure_writer(&connection).map_err(|source| about.store(source))?;
    Ok(connection)
}

/// Makes an empty model to be loaded, with its one transaction open. What an earlier load left there is removed.
pub(crate) fn open_loading(path: &Path) -> Result<Connection, ListingError> {
    remove(path)?;
    let about = Concerning { doing: "open", path };
    make_folder_of(path)?;
    let made = || {
        let mut connection = Connection::open(path)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        create(&mut connection)?;
        connection.execute_batch("BEGIN")?;
        Ok(connection)
    };
    made().map_err(|source| about.store(source))
}

/// Makes the indexes and the full text of a model that was loaded, and closes it durably, to be put in its place. Of the full
/// text, `search` may be under way.
pub(crate) fn finish_loading(
    connection: Connection,
    path: &Path,
    state: &State,
    search: Option<SearchBuild>,
) -> Result<(), ListingError> {
    let about = Concerning { doing: "index", path };
    // What was written so far goes to the disk meanwhile; what this can't say, the sync at the end will.
    let written = path.to_owned();
    let ahead = std::thread::spawn(move || fs::File::open(written).and_then(|file| file.sync_data()));
    let finished = || {
        connection.execute_batch(schema::INDEXES)?;
        search::make(&connection, search)?;
        write_state(&connection, &State { phase: Phase::Indexed, ..*state })?;
        connection.execute_batch("COMMIT")
    };
    finished().map_err(|source| about.store(source))?;
    connection.close().map_err(|(_, source)| about.store(source))?;
    let _ = ahead.join();
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| ListingError::File { doing: "sync", path: path.to_owned(), source })
}

/// Opens the file to read only, also while another process writes.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, ListingError> {
    let about = Concerning { doing: "open", path };
    if !path.exists() {
        return Err(ListingError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|source| about.store(source))?;
    connection.busy_timeout(BUSY_MS).map_err(|source| about.store(source))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    check_identity(&connection, path)?;
    configure_reader(&connection).map_err(|source| about.store(source))?;
    Ok(connection)
}

fn make_folder_of(path: &Path) -> Result<(), ListingError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|source| ListingError::File { doing: "create", path: folder.to_owned(), source })
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(tables == 0 && id == 0)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MODEL_VERSION)?;
    transaction.execute_batch(schema::TABLES)?;
    transaction.execute(
        "INSERT INTO state (id, position, chain, phase, leads) VALUES (1, 0, zeroblob(32), 'loading', 0)",
        [],
    )?;
    transaction.commit()
}

fn check_identity(connection: &Connection, path: &Path) -> Result<(), ListingError> {
    let store = |source| Concerning { doing: "open", path }.store(source);
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(store)?;
    if id != APPLICATION_ID {
        return Err(ListingError::Foreign { path: path.to_owned() });
    }
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(store)?;
    if found != MODEL_VERSION {
        return Err(ListingError::OtherVersion { path: path.to_owned(), found, known: MODEL_VERSION });
    }
    read_state(connection, path).map(|_| ())
}

fn configure_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)
}

/// Where the model stands.
pub(crate) fn read_state(connection: &Connection, path: &Path) -> Result<State, ListingError> {
    let about = Concerning { doing: "read", path };
    let mut statement = connection
        .prepare_cached("SELECT position, chain, phase, leads FROM state WHERE id = 1")
        .map_err(|source| about.store(source))?;
    let row = statement
        .query_row([], |row| {
            let columns = &mut Columns::of(row);
            let (position, chain) = (LogPosition(columns.unsigned()?), Chain(columns.next()?));
            Ok((Checkpoint { position, chain }, columns.next::<String>()?, columns.unsigned()?))
        })
        .optional()
        .map_err(|source| about.store(source))?;
    let (checkpoint, phase, leads) = row.ok_or_else(|| about.damaged())?;
    let phase = match phase.as_str() {
        "loading" => Phase::Loading,
        "indexed" => Phase::Indexed,
        _ => return Err(about.damaged()),
    };
    Ok(State { checkpoint, phase, leads })
}

/// Writes where the model stands; part of the transaction that brings it there.
pub(crate) fn write_state(connection: &Connection, state: &State) -> rusqlite::Result<()> {
    let phase = match state.phase {
        Phase::Loading => "loading",
        Phase::Indexed => "indexed",
    };
    let Checkpoint { position, chain } = state.checkpoint;
    connection
        .prepare_cached("UPDATE state SET position = ?1, chain = ?2, phase = ?3, leads = ?4 WHERE id = 1")?
        .execute(params![position.0.cast_signed(), chain.0, phase, state.leads.cast_signed()])
        .map(|_| ())
}

/// The streams that the model leaves out.
pub(crate) fn read_parked(connection: &Connection, path: &Path) -> Result<Parked, ListingError> {
    let about = Concerning { doing: "read", path };
    let text = connection.query_row("SELECT parked FROM state WHERE id = 1", [], |row| row.get::<_, Option<String>>(0));
    let text = text.map_err(|source| about.store(source))?;
    text.map_or_else(|| Ok(Parked::default()), |text| serde_json::from_str(&text).map_err(|_| about.damaged()))
}

/// Writes the streams that the model leaves out; part of a transaction.
pub(crate) fn write_parked(connection: &Connection, parked: &Parked) -> rusqlite::Result<()> {
    let text = (!parked.is_empty()).then(|| serde_json::to_string(parked)).transpose();
    let text = text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection.execute("UPDATE state SET parked = ?1 WHERE id = 1", params![text]).map(|_| ())
}

/// Makes the indexes and the full text, in one transaction with the phase that says so.
pub(crate) fn build_indexes(connection: &mut Connection, state: &State) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(schema::INDEXES)?;
    search::make(&transaction, None)?;
    write_state(&transaction, &State { phase: Phase::Indexed, ..*state })?;
    transaction.commit()
}

/// Drops the indexes and the full text, in one transaction with the phase that says so.
pub(crate) fn drop_indexes(connection: &mut Connection, state: &State) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for name in schema::index_names() {
        transaction.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    transaction.execute_batch(schema::DROP_SEARCH)?;
    write_state(&transaction, &State { phase: Phase::Loading, ..*state })?;
    transaction.commit()
}

/// Removes a database file with what SQLite keeps beside it.
pub(crate) fn remove(path: &Path) -> Result<(), ListingError> {
    // The side files first: without them the database is an older state of itself, never a wrong one.
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(ListingError::File { doing: "remove", path: file, source }),
        }
    }
    Ok(())
}

/// Puts the database at `from`, which nobody has open, in the place of the one at `to`. Readers that have the old one
/// open go on reading it until they open anew.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<(), ListingError> {
    remove(to)?;
    let failed = |source| ListingError::File { doing: "rename", path: from.to_owned(), source };
    fs::rename(from, to).map_err(failed)?;
    match to.parent() {
        Some(folder) => fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_dropped_and_made_again_with_the_phase_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        let mut connection = open_writer(&path).unwrap();
        let things = |connection: &Connection| -> i64 {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap()
        };
        let bare = things(&connection);
        for _ in 0..2 {
            let state = read_state(&connection, &path).unwrap();
            assert_eq!(state.phase, Phase::Loading);
            build_indexes(&mut connection, &state).unwrap();
            assert!(things(&connection) >= bare + i64::try_from(schema::index_names().count()).unwrap());
            let state = read_state(&connection, &path).unwrap();
            assert_eq!(state.phase, Phase::Indexed);
            drop_indexes(&mut connection, &state).unwrap();
            assert_eq!(things(&connection), bare);
        }
    }
}
