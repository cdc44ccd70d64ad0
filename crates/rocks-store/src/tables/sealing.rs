//! Seals messages: writes them as a sorted file and hands that to RocksDB, past WAL and memtable.
//!
//! Message keys are hashes, so each file spans the whole range; RocksDB merges them in the background.

use std::path::{Path, PathBuf};
use std::{fs, io};

use event_log::Message;
use rocksdb::{ColumnFamily, DB, IngestExternalFileOptions, Options, SstFileWriter};

use crate::database::Source;

/// The folder of files in the making, inside the database's: RocksDB takes them over by moving them.
const FOLDER: &str = "sealing";
/// The file in the making. There is one writer, so there is one at a time.
const FILE: &str = "messages.sst";

/// Makes the files.
pub(super) struct Sealing {
    path: PathBuf,
    /// Those of the family: the file becomes one of it.
    options: Options,
}

impl Sealing {
    /// Prepares the folder; removes what a crash left there.
    pub(super) fn open(database: &Path, options: Options) -> io::Result<Self> {
        let folder = database.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => fs::create_dir(&folder)?,
        }
        Ok(Self { path: folder.join(FILE), options })
    }

    /// Adds the messages, which are sorted by key, to the family. Visible and durable on return.
    pub(super) fn seal(&mut self, db: &DB, family: &ColumnFamily, messages: &[(u128, Message)]) -> Result<(), Source> {
        let mut file = SstFileWriter::create(&self.options);
        file.open(&self.path)?;
        for (key, message) in messages {
            file.put(key.to_be_bytes(), message.to_bytes())?;
        }
        file.finish()?;
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        db.ingest_external_file_cf_opts(family, &options, vec![&self.path])?;
        Ok(())
    }
}
