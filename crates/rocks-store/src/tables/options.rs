//! How the tables' database is set up.

use event_log::Table;
use rocksdb::{BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, Options};

use crate::database;

/// Small blocks: rows are asked for one by one, at random.
const BLOCK_BYTES: usize = 8 << 10;
/// About one row in a hundred that isn't there is looked for nevertheless.
const BLOOM_BITS: f64 = 10.0;
/// Filters and indexes come in parts of this size, so that the cache can hold those in use. Batches are asked for in
/// key order, so a part serves many keys: far smaller parts made looking for messages measurably slower.
const FILTER_PART_BYTES: usize = 32 << 10;
/// Deleted rows that lie together slow down scans over them. A file with this many among this many rows is rewritten.
const DELETED_ROWS_MAX: usize = 1_024;
const DELETED_ROWS_AMONG: usize = 4_096;

/// What may be set of tables. By default they take about 176 MiB of memory, besides write-backs under way.
#[derive(Clone, Copy, Debug)]
pub struct TablesOptions {
    /// The memory for rows that are not yet written out; they are when it is full, or after each write-back.
    pub memtable_bytes: usize,
    /// The memory for blocks, indexes and Bloom filters. A filter takes 10 bits a row and comes in parts, so that
    /// filters larger than this memory cost small reads, not whole ones. Filters of 100 million messages take
    /// 125 MB.
    pub cache_bytes: usize,
    /// How many files may be open at once. The process needs a file limit well above this and that of the log.
    pub open_files_max: u16,
    /// From this many messages on, a write-back seals them as a sorted file. Below, a file costs more in syncs and
    /// later merging than the rows do on their way through memory.
    pub ingest_messages_min: usize,
}

impl Default for TablesOptions {
    fn default() -> Self {
        Self { memtable_bytes: 48 << 20, cache_bytes: 128 << 20, open_files_max: 256, ingest_messages_min: 100_000 }
    }
}

impl TablesOptions {
    /// Settings of the database.
    pub(super) fn database(&self) -> Options {
        let mut options = database::options(self.open_files_max);
        options.set_atomic_flush(true);
        options.set_db_write_buffer_size(self.memtable_bytes);
        options
    }

    /// Settings of the tables' families, which share one cache.
    pub(super) fn families(&self) -> Families {
        Families { memtable_bytes: self.memtable_bytes, cache: Cache::new_hyper_clock_cache(self.cache_bytes, 0) }
    }
}

/// Makes the settings of each table's family.
pub(super) struct Families {
    memtable_bytes: usize,
    cache: Cache,
}

impl Families {
    /// The settings of one table's family.
    pub(super) fn of(&self, table: Table) -> Options {
        let mut options = Options::default();
        // Three: while one is written out, the next write-back goes on, and waits for the one after.
        options.set_max_write_buffer_number(3);
        options.set_write_buffer_size(self.memtable_bytes / 2);
        options.set_target_file_size_base(64 << 20);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(compression(table));
        if table == Table::Deadlines {
            options.add_compact_on_deletion_collector_factory(DELETED_ROWS_AMONG, DELETED_ROWS_MAX, 0.5);
        }
        options.set_block_based_table_factory(&self.blocks(table));
        options
    }

    fn blocks(&self, table: Table) -> BlockBasedOptions {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_size(BLOCK_BYTES);
        blocks.set_block_cache(&self.cache);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        if is_asked_by_key(table) {
            blocks.set_bloom_filter(BLOOM_BITS, false);
            blocks.set_whole_key_filtering(true);
            blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
            blocks.set_partition_filters(true);
            blocks.set_metadata_block_size(FILTER_PART_BYTES);
            blocks.set_pin_top_level_index_and_filter(true);
        }
        blocks
    }
}

/// Whether rows are looked for by their whole key, often in vain, rather than scanned.
fn is_asked_by_key(table: Table) -> bool {
    match table {
        Table::Books | Table::Identifiers | Table::Orders | Table::Messages => true,
        Table::Facts | Table::Redirects | Table::Deadlines | Table::Quarantine => false,
    }
}

/// Messages are mostly hashes, which compression hardly makes smaller.
fn compression(table: Table) -> DBCompressionType {
    if table == Table::Messages { DBCompressionType::None } else { DBCompressionType::Lz4 }
}
