//! What the log's database and that of the tables have in common: opening, and the format row.
//!
//! Knows neither records nor tables.

use std::error::Error as StdError;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, LogLevel, Options, WriteOptions};

/// The key of the format row in the family `default`.
const FORMAT_KEY: &[u8] = b"format";
/// A file that is made to see how files can be opened, and removed at once.
const PROBE: &str = "direct.probe";
/// RocksDB's own log files: how many, and how long each. They help to look into a trouble, not to run.
const INFO_LOGS_MAX: usize = 4;
const INFO_LOG_BYTES_MAX: usize = 1 << 20;
/// One flush and one compaction at a time: two cores, of which the engine needs most. RocksDB shares these threads
/// among all databases of a process.
const BACKGROUND_JOBS_MAX: i32 = 2;

/// An error of any kind, as the traits' errors carry it.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// Whether a database may be made where there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    Allowed,
    Refused,
}

/// Options that are the same for both databases.
pub(crate) fn options(open_files_max: u16) -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    options.set_max_background_jobs(BACKGROUND_JOBS_MAX);
    options.set_max_open_files(open_files_max.into());
    options.set_bytes_per_sync(1 << 20);
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_keep_log_file_num(INFO_LOGS_MAX);
    options.set_max_log_file_size(INFO_LOG_BYTES_MAX);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// Whether there is a database in the folder. A folder with data files that lost its `CURRENT` file is an error:
/// RocksDB would take it for an empty place and delete the files.
pub(crate) fn exists(folder: &Path) -> io::Result<bool> {
    if folder.join("CURRENT").try_exists()? {
        return Ok(true);
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        if Path::new(&name).extension().is_some_and(|it| it == "sst" || it == "log") {
            let fault = "Corruption: the folder holds data files, but the file CURRENT is missing";
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
    }
    Ok(false)
}

/// Opens the database with these families, and with those that a newer program added, so that it can say so.
pub(crate) fn open(
    folder: &Path,
    creation: Creation,
    options: &mut Options,
    families: Vec<(&str, Options)>,
) -> Result<DB, Source> {
    if !exists(folder)? {
        if creation == Creation::Refused {
            return Err("there is no database in the folder".into());
        }
        fs::create_dir_all(folder)?;
    }
    options.set_use_direct_io_for_flush_and_compaction(supports_direct_writes(folder));
    options.create_if_missing(creation == Creation::Allowed);
    options.create_missing_column_families(creation == Creation::Allowed);
    let present = DB::list_cf(options, folder).unwrap_or_default();
    let known: Vec<_> = families.iter().map(|(name, _)| (*name).to_owned()).collect();
    let unknown = present.into_iter().filter(|name| !known.contains(name) && name != "default");
    let unknown = unknown.map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
    let families = families.into_iter().map(|(name, options)| ColumnFamilyDescriptor::new(name, options));
    Ok(DB::open_cf_descriptors(options, folder, families.chain(unknown))?)
}

/// Whether files of this folder can be written past the page cache, as those are that a database writes in the background:
/// most of what a log writes nobody reads soon, and its way through the cache took a twentieth of an import's processor
/// time. Not every file system can.
fn supports_direct_writes(folder: &Path) -> bool {
    let probe = folder.join(PROBE);
    let opened = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT).open(&probe);
    // Where it wasn't made, or can't be removed, nobody minds.
    let _ = fs::remove_file(&probe);
    opened.is_ok()
}

/// Opens the database with these families to read it as it stands now, also while another process writes to it. Nothing is
/// written, not even a lock.
pub(crate) fn open_read_only(folder: &Path, options: &Options, families: Vec<(&str, Options)>) -> Result<DB, Source> {
    if !exists(folder)? {
        return Err("there is no database in the folder".into());
    }
    let families = families.into_iter().map(|(name, options)| ColumnFamilyDescriptor::new(name, options));
    Ok(DB::open_cf_descriptors_read_only(options, folder, families, false)?)
}

/// The database's format, where it has one yet.
pub(crate) fn read_format(db: &DB) -> Result<Option<u32>, Source> {
    let Some(found) = db.get(FORMAT_KEY)? else { return Ok(None) };
    let found: [u8; 4] = found.try_into().map_err(|_| "the format row hasn't four bytes")?;
    Ok(Some(u32::from_be_bytes(found)))
}

/// One of the families that the database was opened with.
#[expect(clippy::expect_used, reason = "opening makes or finds every family that is asked for")]
pub(crate) fn family<'a>(db: &'a DB, name: &str) -> &'a ColumnFamily {
    db.cf_handle(name).expect("the database was opened with this family")
}

/// The database's format; `known` is written where there is none yet.
pub(crate) fn format(db: &DB, known: u32, write: &WriteOptions) -> Result<u32, Source> {
    if let Some(found) = read_format(db)? {
        return Ok(found);
    }
    db.put_opt(FORMAT_KEY, known.to_be_bytes(), write)?;
    Ok(known)
}

/// Locks even where another thread panicked: what stands under these locks is whole at every moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
