//! What opening finds: foreign locks, newer formats, damage, and logs that came back shorter.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use event_log::contract::batch_of_many;
use event_log::contract::log::check_chain;
use event_log::contract::tables::{check_whole, step};
use event_log::{Batch, Chain, EventLog, Head, LogError, LogPosition, RecordError, Table, TableError, Tables};
use rocks_store::{LogOptions, RocksLog, RocksTables, TablesOptions};
use rocksdb::{DB, Options};
use tempfile::{TempDir, tempdir};

fn open_log(folder: &TempDir) -> Result<RocksLog, LogError> {
    RocksLog::open(&folder.path().join("log"), &LogOptions::default())
}

fn open_tables(folder: &TempDir) -> Result<RocksTables, TableError> {
    RocksTables::open(&folder.path().join("tables"), &TablesOptions::default())
}

/// A log and tables of 1,000 records in files, and 1,000 more in the log's write-ahead file.
fn filled() -> TempDir {
    let folder = tempdir().unwrap();
    let log = open_log(&folder).unwrap();
    log.append(&batch_of_many(log.head(), 1_000)).unwrap();
    drop(log);
    let log = open_log(&folder).unwrap();
    log.append(&batch_of_many(log.head(), 1_000)).unwrap();
    open_tables(&folder).unwrap().write_back(step(0, 1_000)).unwrap();
    folder
}

/// The files in a folder whose name begins and ends so, by name.
fn files(folder: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(begin) && name.ends_with(end)).collect();
    names.sort();
    assert!(!names.is_empty(), "no {begin}*{end}");
    names.iter().map(|name| folder.join(name)).collect()
}

fn set_format(folder: &Path, format: u32) {
    let options = Options::default();
    let mut families = DB::list_cf(&options, folder).unwrap();
    families.push("of a newer program".into());
    let mut options = Options::default();
    options.create_missing_column_families(true);
    DB::open_cf(&options, folder, families).unwrap().put("format", format.to_be_bytes()).unwrap();
}

#[test]
fn a_log_and_tables_come_back_as_they_were() {
    let folder = filled();
    let log = open_log(&folder).unwrap();
    assert_eq!(log.head().position, LogPosition(2_000));
    check_chain(&log);
    let tables = open_tables(&folder).unwrap();
    assert_eq!(tables.position(), LogPosition(1_000));
    check_whole(&tables);
}

#[test]
fn a_folder_that_another_handle_holds_is_locked() {
    let folder = tempdir().unwrap();
    let _log = open_log(&folder).unwrap();
    assert!(matches!(open_log(&folder), Err(LogError::Locked)));
    let _tables = open_tables(&folder).unwrap();
    assert!(matches!(open_tables(&folder), Err(TableError::Storage { doing: "open", .. })));
}

#[test]
fn a_newer_format_is_refused_whatever_families_it_has() {
    let folder = filled();
    set_format(&folder.path().join("log"), 2);
    set_format(&folder.path().join("tables"), 3);
    assert!(matches!(open_log(&folder), Err(LogError::NewerFormat { found: 2, known: 1 })));
    assert!(matches!(open_tables(&folder), Err(TableError::NewerFormat { found: 3, known: 1 })));
}

#[test]
fn a_log_that_must_be_there_is_not_made() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("log");
    let missing = RocksLog::open_existing(&path, &LogOptions::default());
    assert!(matches!(missing, Err(LogError::Storage { doing: "open", .. })));
    drop(RocksLog::open(&path, &LogOptions::default()).unwrap());
    RocksLog::open_existing(&path, &LogOptions::default()).unwrap();
}

/// A way to damage a file: its bytes afterwards.
type Damage = fn(&[u8]) -> Vec<u8>;

const DAMAGES: [Damage; 5] = [
    |bytes| bytes[..bytes.len() / 2].to_vec(),
    |_| Vec::new(),
    |bytes| bytes.iter().map(|byte| byte.wrapping_mul(31) ^ 0x5A).collect(),
    |bytes| with_flipped_bit(bytes, bytes.len() / 3),
    |bytes| with_flipped_bit(bytes, bytes.len() - 10),
];

fn with_flipped_bit(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= 1;
    bytes
}

/// The log is whole, or an error says that it isn't. Tells whether there was an error.
fn is_refused_unless_whole(folder: &TempDir) -> bool {
    let log = match open_log(folder) {
        Ok(log) => log,
        Err(LogError::Storage { .. } | LogError::Shortened { .. } | LogError::Missing { .. }) => return true,
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(log.head().position, LogPosition(2_000));
    let read = log.read(LogPosition(1), &mut |_| ControlFlow::Continue(()));
    if read.is_ok() {
        check_chain(&log);
    }
    read.is_err()
}

/// The tables are whole at some position, or an error says that they aren't. Tells whether there was an error.
fn are_refused_unless_whole(folder: &TempDir) -> bool {
    let tables = match open_tables(folder) {
        Ok(tables) => tables,
        Err(error) => {
            assert!(matches!(error, TableError::Storage { doing: "open", .. }), "{error:?}");
            return true;
        }
    };
    let all = Table::ALL.map(|table| tables.scan(table, b"", b"", usize::MAX));
    let damaged = all.iter().any(Result::is_err);
    if !damaged {
        check_whole(&tables);
    }
    damaged
}

#[test]
fn damaged_files_are_an_error_and_no_panic() {
    for damage in DAMAGES {
        for (begin, end) in [("MANIFEST", ""), ("CURRENT", ""), ("", ".sst")] {
            let folder = filled();
            for database in ["log", "tables"] {
                for file in files(&folder.path().join(database), begin, end) {
                    fs::write(&file, damage(&fs::read(&file).unwrap())).unwrap();
                }
            }
            let refused = [is_refused_unless_whole(&folder), are_refused_unless_whole(&folder)];
            assert!(refused == [true; 2] || begin == "MANIFEST", "{begin}*{end} {refused:?}");
        }
    }
}

#[test]
fn a_log_with_a_hole_is_refused() {
    let folder = filled();
    let path = folder.path().join("log");
    let db = DB::open_cf(&Options::default(), &path, DB::list_cf(&Options::default(), &path).unwrap()).unwrap();
    let later = batch_of_many(Head { position: LogPosition(3_000), chain: Chain::default() }, 10);
    for (position, record) in (3_001_u64..).zip(later.records()) {
        db.put_cf(db.cf_handle("log").unwrap(), position.to_be_bytes(), record).unwrap();
    }
    drop(db);
    let found = open_log(&folder).map(|_| ());
    assert!(matches!(found, Err(LogError::Missing { position: LogPosition(2_001) })), "{found:?}");
}

#[test]
fn a_folder_that_lost_its_current_file_is_not_taken_for_an_empty_place() {
    let folder = filled();
    for database in ["log", "tables"] {
        fs::remove_file(folder.path().join(database).join("CURRENT")).unwrap();
    }
    assert!(matches!(open_log(&folder), Err(LogError::Storage { doing: "open", .. })));
    assert!(matches!(open_tables(&folder), Err(TableError::Storage { doing: "open", .. })));
    assert!(!files(&folder.path().join("log"), "", ".sst").is_empty());
    assert!(!files(&folder.path().join("tables"), "", ".sst").is_empty());
}

#[test]
fn a_log_without_its_newest_writes_is_shortened() {
    let folder = filled();
    let newest = files(&folder.path().join("log"), "", ".log").pop().unwrap();
    fs::remove_file(newest).unwrap();
    let error = open_log(&folder).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "open the log: it ends at position 1000, but 2000 were durable; records 1001 to 2000 are missing. Restore \
         the folder from a backup"
    );
}

#[test]
fn a_log_with_damage_in_its_newest_writes_is_shortened() {
    let folder = filled();
    let newest = files(&folder.path().join("log"), "", ".log").pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let found = open_log(&folder).map(|_| ());
    assert!(matches!(found, Err(LogError::Shortened { found: LogPosition(1_000), .. })), "{found:?}");
}

#[test]
fn a_removed_log_is_shortened_and_not_made_anew() {
    let folder = filled();
    let path = folder.path().join("log");
    fs::remove_dir_all(&path).unwrap();
    let found = open_log(&folder).map(|_| ());
    assert!(matches!(found, Err(LogError::Shortened { found: LogPosition::START, known: LogPosition(2_000) })));
    assert!(!path.exists());
}

#[test]
fn a_missing_or_torn_head_mark_says_nothing() {
    let folder = filled();
    let mark = folder.path().join("log-head");
    let whole = fs::read(&mark).unwrap();
    fs::remove_file(&mark).unwrap();
    drop(open_log(&folder).unwrap());
    assert_eq!(fs::read(&mark).unwrap(), whole);
    fs::write(&mark, &whole[..50]).unwrap();
    drop(open_log(&folder).unwrap());
    assert_eq!(fs::read(&mark).unwrap(), whole);
    let garbage: Vec<_> = whole.iter().map(|byte| !byte).collect();
    fs::write(&mark, garbage).unwrap();
    assert_eq!(open_log(&folder).unwrap().head().position, LogPosition(2_000));
    assert_eq!(fs::read(&mark).unwrap(), whole);
}

#[test]
fn a_head_mark_behind_the_log_is_brought_up() {
    let folder = filled();
    let mark = folder.path().join("log-head");
    let before = fs::read(&mark).unwrap();
    let log = open_log(&folder).unwrap();
    log.append(&batch_of_many(log.head(), 10)).unwrap();
    drop(log);
    let after = fs::read(&mark).unwrap();
    assert_ne!(before, after);
    fs::write(&mark, before).unwrap();
    assert_eq!(open_log(&folder).unwrap().head().position, LogPosition(2_010));
    assert_eq!(fs::read(&mark).unwrap(), after);
}

#[test]
fn a_head_mark_of_another_log_is_noticed() {
    let (folder, other) = (filled(), tempdir().unwrap());
    let log = open_log(&other).unwrap();
    let elsewhere = Head { position: LogPosition::START, chain: Chain([1; 32]) };
    let batch: Batch = batch_of_many(elsewhere, 500);
    log.append(&batch).unwrap();
    drop(log);
    fs::copy(other.path().join("log-head"), folder.path().join("log-head")).unwrap();
    let found = open_log(&folder).map(|_| ());
    let position = LogPosition(500);
    assert!(matches!(found, Err(LogError::Damaged { position: at, fault: RecordError::Chain }) if at == position));
}

#[test]
fn files_that_a_crash_left_unsealed_are_removed() {
    let folder = filled();
    let left = folder.path().join("tables").join("sealing").join("messages.sst");
    fs::write(&left, b"half a file").unwrap();
    check_whole(&open_tables(&folder).unwrap());
    assert!(!left.exists());
}
