//! The log and the tables on RocksDB pass the contract suite. A crash is a copy of the files of the open database, as
//! they are at that moment, which is opened while the original is dropped.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::RefCell;
use std::path::Path;
use std::{fs, io};

use event_log::contract::{LogHome, TablesHome};
use rocks_store::{LogOptions, RocksLog, RocksTables, TablesOptions};
use tempfile::{TempDir, tempdir};

/// Copies a folder of files, those first that name others.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (!name.starts_with("CURRENT"), !name.starts_with("MANIFEST"), name)
    });
    for entry in entries {
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

struct OnDisk {
    folder: RefCell<TempDir>,
    tables: TablesOptions,
}

impl OnDisk {
    fn new() -> Self {
        Self { folder: RefCell::new(tempdir().unwrap()), tables: TablesOptions::default() }
    }

    /// With tables that seal even a single message as a file.
    fn sealing() -> Self {
        Self { tables: TablesOptions { ingest_messages_min: 1, ..TablesOptions::default() }, ..Self::new() }
    }

    fn log(folder: &Path) -> Result<RocksLog, event_log::LogError> {
        RocksLog::open(&folder.join("log"), &LogOptions::default())
    }

    fn tables(&self, folder: &Path) -> Result<RocksTables, event_log::TableError> {
        RocksTables::open(&folder.join("tables"), &self.tables)
    }

    /// Opens a copy of the files. A copy that background work got into the way of is made again.
    fn crash<T, E: std::fmt::Debug>(&self, old: T, open: impl Fn(&Path) -> Result<T, E>) -> T {
        for _ in 0..20 {
            let copied = tempdir().unwrap();
            if copy(self.folder.borrow().path(), copied.path()).is_err() {
                continue;
            }
            if let Ok(opened) = open(copied.path()) {
                drop(old);
                self.folder.replace(copied);
                return opened;
            }
        }
        panic!("no copy of the files can be opened");
    }
}

impl LogHome for OnDisk {
    type Log = RocksLog;

    fn open(&self) -> RocksLog {
        Self::log(self.folder.borrow().path()).unwrap()
    }

    fn crash(&self, log: RocksLog) -> RocksLog {
        self.crash(log, Self::log)
    }
}

impl TablesHome for OnDisk {
    type Tables = RocksTables;

    fn open(&self) -> RocksTables {
        self.tables(self.folder.borrow().path()).unwrap()
    }

    fn crash(&self, tables: RocksTables) -> RocksTables {
        self.crash(tables, |folder| self.tables(folder))
    }
}

mod log {
    event_log::log_contract! { super::OnDisk::new() }
}

mod tables {
    event_log::tables_contract! { super::OnDisk::new() }
}

mod tables_that_seal_every_message {
    event_log::tables_contract! { super::OnDisk::sealing() }
}

mod closed {
    use event_log::contract::tables::{check_whole, write_back_until};
    use event_log::{LogPosition, Tables};

    use super::OnDisk;

    #[test]
    fn tables_keep_everything_when_they_are_closed_in_order() {
        let home = OnDisk::new();
        let open = || home.tables(home.folder.borrow().path()).unwrap();
        write_back_until(&open(), LogPosition(73));
        let tables = open();
        assert_eq!(tables.position(), LogPosition(73));
        check_whole(&tables);
    }
}
