//! How the log's database is set up.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, Options};

use crate::database;

/// What may be set of a log. In all it takes `memtables × memtable_bytes + cache_bytes` of memory: 144 MiB by default.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// New records are gathered in memory up to this many bytes before they are written out as a file.
    pub memtable_bytes: usize,
    /// How many such parts may be in memory; with fewer than two, writing waits for each file.
    pub memtables: u8,
    /// The memory for file indexes and for records that are read one by one.
    pub cache_bytes: usize,
    /// How many files may be open at once. The process needs a file limit well above this and that of the tables.
    pub open_files_max: u16,
    /// How long the write-ahead files may become together: bounds how long opening takes.
    pub wal_bytes_max: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            memtable_bytes: 64 << 20,
            memtables: 2,
            cache_bytes: 16 << 20,
            open_files_max: 384,
            wal_bytes_max: 512 << 20,
        }
    }
}

impl LogOptions {
    /// Settings of the database: the default write path. Never pipelined or unordered writes, manual WAL flushes or
    /// recycled WAL files: each can lose or reorder what was acknowledged.
    pub(super) fn database(&self) -> Options {
        let mut options = database::options(self.open_files_max);
        options.set_max_total_wal_size(self.wal_bytes_max);
        options.set_track_and_verify_wals_in_manifest(true);
        options
    }

    /// Settings for reading beside a process that writes. Every file is opened at once: what that process removes later
    /// can still be read. Its write-ahead files come and go meanwhile, so their list isn't compared.
    pub(super) fn read_only(&self) -> Options {
        let mut options = self.database();
        options.set_max_open_files(-1);
        options.set_track_and_verify_wals_in_manifest(false);
        options
    }

    /// Settings of the records' family. Keys come in order, so files never overlap and move down the levels as they
    /// are; one compression for all levels keeps it so, since RocksDB rewrites a file that moves to a level of another.
    pub(super) fn records(&self) -> Options {
        let mut options = Options::default();
        options.set_write_buffer_size(self.memtable_bytes);
        options.set_max_write_buffer_number(self.memtables.into());
        options.set_target_file_size_base(128 << 20);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_level_compaction_dynamic_level_bytes(true);

        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_size(32 << 10);
        blocks.set_block_cache(&Cache::new_hyper_clock_cache(self.cache_bytes, 0));
        blocks.set_cache_index_and_filter_blocks(true);
        options.set_block_based_table_factory(&blocks);
        options
    }

    /// Settings of the family of small facts: few rows, overwritten with every batch.
    pub(super) fn meta(&self) -> Options {
        let mut options = Options::default();
        options.set_write_buffer_size(4 << 20);
        options
    }
}
