//! One Parquet file: written whole, synced, and checked against its checksum before it is first read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use datafusion::parquet::arrow::arrow_writer::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::ColumnPath;

use crate::error::{AnalyticsError, damaged, io_error};
use crate::store::manifest::FileEntry;
use crate::table::Table;

/// Rows of a row group: what one thread of a query takes at a time, and what a writer holds in memory.
const ROW_GROUP_ROWS: usize = 1 << 17;
/// Rows of a page of leads. Single leads are read back when something happens to them that is long closed: then a page of each
/// column is unpacked, not a file.
const LEAD_PAGE_ROWS: usize = 1 << 10;
/// Rows that are read at a time.
pub(crate) const READ_ROWS: usize = 8_192;

/// A file that the manifest names. When it was replaced, it goes with its last reader.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) entry: FileEntry,
    pub(crate) path: PathBuf,
    replaced: AtomicBool,
    /// Whether the bytes are those that were written; found out once.
    checked: OnceLock<Result<(), String>>,
    /// By column of instants, found out once.
    extremes: OnceLock<BTreeMap<String, Extremes>>,
}

/// The first and the last instant of a column, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extremes {
    /// No row has one.
    Nothing,
    Between(i64, i64),
    /// The file doesn't say.
    Unknown,
}

impl Extremes {
    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Nothing, extremes) | (extremes, Self::Nothing) => extremes,
            (Self::Between(from, to), Self::Between(other_from, other_to)) => {
                Self::Between(from.min(other_from), to.max(other_to))
            }
        }
    }
}

/// Those of a column chunk.
fn extremes_of(chunk: &ColumnChunkMetaData) -> Extremes {
    match chunk.statistics() {
        Some(statistics) if statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok() => Extremes::Nothing,
        Some(Statistics::Int64(instants)) => match (instants.min_opt(), instants.max_opt()) {
            (Some(from), Some(to)) => Extremes::Between(*from, *to),
            (_, _) => Extremes::Unknown,
        },
        Some(_) | None => Extremes::Unknown,
    }
}

impl DataFile {
    /// A file that was there before: its length and end are looked at now, its bytes when it is first read.
    pub(crate) fn open(folder: &Path, entry: FileEntry) -> Result<Self, AnalyticsError> {
        let file = Self::named(folder, entry);
        let metadata = fs::metadata(&file.path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return damaged(&file.path, "is missing");
            }
            io_error("open", &file.path)(error)
        })?;
        if metadata.len() != file.entry.bytes {
            return Err(damaged(&file.path, format!("has {} bytes instead of {}", metadata.len(), file.entry.bytes)));
        }
        let rows = file.builder(PageIndexPolicy::Skip)?.metadata().file_metadata().num_rows();
        if u64::try_from(rows) != Ok(u64::from(file.entry.rows)) {
            return Err(damaged(&file.path, format!("has {rows} rows instead of {}", file.entry.rows)));
        }
        Ok(file)
    }

    fn named(folder: &Path, entry: FileEntry) -> Self {
        let path = folder.join(&entry.name);
        let (checked, extremes) = (OnceLock::new(), OnceLock::new());
        Self { entry, path, replaced: AtomicBool::new(false), checked, extremes }
    }

    /// The first and the last instant of a column, as the end of the file has them.
    pub(crate) fn extremes(&self, column: &str) -> Result<Extremes, AnalyticsError> {
        self.check()?;
        if let Some(known) = self.extremes.get() {
            return Ok(known.get(column).copied().unwrap_or(Extremes::Unknown));
        }
        let builder = self.builder(PageIndexPolicy::Skip)?;
        let mut found = BTreeMap::new();
        for chunk in builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
            if let Ok(field) = self.entry.table.schema().field_with_name(chunk.column_descr().name())
                && matches!(field.data_type(), DataType::Timestamp(TimeUnit::Millisecond, _))
            {
                let known = found.entry(field.name().clone()).or_insert(Extremes::Nothing);
                *known = known.and(extremes_of(chunk));
            }
        }
        Ok(self.extremes.get_or_init(|| found).get(column).copied().unwrap_or(Extremes::Unknown))
    }

    /// The file goes when nobody reads it any more.
    pub(crate) fn replace(&self) {
        self.replaced.store(true, Ordering::Release);
    }

    /// Compares the bytes with the checksum, the first time.
    pub(crate) fn check(&self) -> Result<(), AnalyticsError> {
        let checked = self.checked.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            let read = File::open(&self.path).and_then(|file| hasher.update_reader(file).map(|_| ()));
            read.map_err(|error| format!("can't be read: {error}"))?;
            let same = hasher.finalize().to_hex().as_str() == self.entry.blake3;
            if same { Ok(()) } else { Err("differs from what was written".to_owned()) }
        });
        checked.as_ref().map_err(|fault| damaged(&self.path, fault)).copied()
    }

    fn builder(&self, pages: PageIndexPolicy) -> Result<ParquetRecordBatchReaderBuilder<File>, AnalyticsError> {
        let file = File::open(&self.path).map_err(io_error("open", &self.path))?;
        let options = ArrowReaderOptions::new().with_offset_index_policy(pages);
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| damaged(&self.path, error))
    }

    /// Reads some rows of some columns; all columns where `columns` is empty.
    pub(crate) fn read(
        &self,
        columns: &[&str],
        selection: Option<RowSelection>,
    ) -> Result<FileBatches<'_>, AnalyticsError> {
        self.check()?;
        // Where the pages are matters to those who skip some.
        let pages = if selection.is_some() { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
        let mut builder = self.builder(pages)?.with_batch_size(READ_ROWS);
        if !columns.is_empty() {
            let schema = builder.schema();
            let roots = columns.iter().filter_map(|name| schema.index_of(name).ok());
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let batches = builder.build().map_err(|error| damaged(&self.path, error))?;
        Ok(FileBatches { path: &self.path, batches })
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        if *self.replaced.get_mut() {
            // What can't be removed now is removed when the model is opened next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The batches of a file.
pub(crate) struct FileBatches<'a> {
    path: &'a Path,
    batches: ParquetRecordBatchReader,
}

impl Iterator for FileBatches<'_> {
    type Item = Result<RecordBatch, AnalyticsError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.batches.next()?.map_err(|error| damaged(self.path, error)))
    }
}

/// Hashes what it writes.
struct Hashing {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file that is being written. It is nothing before [`FileWriter::finish`], and not named by anything before the manifest
/// says so.
pub(crate) struct FileWriter {
    writer: ArrowWriter<Hashing>,
    path: PathBuf,
    rows: u32,
}

impl FileWriter {
    pub(crate) fn begin(folder: &Path, name: &str, table: Table) -> Result<Self, AnalyticsError> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(io_error("create", &path))?;
        let hashing = Hashing { file, hasher: blake3::Hasher::new(), bytes: 0 };
        let writer = ArrowWriter::try_new(hashing, table.schema(), Some(properties(table)));
        let writer = writer.map_err(|source| AnalyticsError::Parquet { path: path.clone(), source })?;
        Ok(Self { writer, path, rows: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), AnalyticsError> {
        self.rows = self.rows.saturating_add(u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
        self.writer.write(batch).map_err(|source| AnalyticsError::Parquet { path: self.path.clone(), source })
    }

    /// Ends and syncs the file. Its folder is synced with the manifest.
    pub(crate) fn finish(self, folder: &Path, entry: FileEntry) -> Result<DataFile, AnalyticsError> {
        let Self { writer, path, rows } = self;
        let parquet = |source| AnalyticsError::Parquet { path: path.clone(), source };
        let Hashing { file, hasher, bytes } = writer.into_inner().map_err(parquet)?;
        file.sync_all().map_err(io_error("sync", &path))?;
        let blake3 = hasher.finalize().to_hex().to_string();
        let written = DataFile::named(folder, FileEntry { rows, bytes, blake3, ..entry });
        // It was hashed on its way.
        let _ = written.checked.set(Ok(()));
        Ok(written)
    }
}

/// Ids and times that hardly repeat are packed by their differences; everything else goes through dictionaries.
fn properties(table: Table) -> WriterProperties {
    let level = ZstdLevel::try_new(1).map(Compression::ZSTD).unwrap_or(Compression::UNCOMPRESSED);
    let mut properties = WriterProperties::builder()
        .set_compression(level)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("leadfold ", env!("CARGO_PKG_VERSION")).to_owned());
    if table == Table::Leads {
        properties = properties.set_data_page_row_count_limit(LEAD_PAGE_ROWS);
    }
    for field in table.schema().fields() {
        let kind = field.data_type();
        let encoding = if matches!(kind, DataType::Timestamp(_, _) | DataType::UInt64) {
            Encoding::DELTA_BINARY_PACKED
        } else if *kind == DataType::Utf8 && field.name().ends_with("_id") {
            Encoding::DELTA_BYTE_ARRAY
        } else if *kind == DataType::Utf8 {
            Encoding::DELTA_LENGTH_BYTE_ARRAY
        } else {
            continue;
        };
        let column = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_dictionary_enabled(column.clone(), false);
        properties = properties.set_column_encoding(column, encoding);
    }
    properties.build()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{RecordBatch, TimestampMillisecondArray, new_null_array};

    use super::*;
    use crate::store::Noted;

    #[test]
    fn the_first_and_the_last_instant_are_those_of_all_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (table, schema) = (Table::Leads, Table::Leads.schema());
        let mut writer = FileWriter::begin(folder.path(), "leads.parquet", table).unwrap();
        for instants in [vec![Some(7), None, Some(-3)], vec![Some(40)]] {
            let columns = schema.fields().iter().map(|field| match field.name().as_str() {
                "opened_at" => {
                    Arc::new(TimestampMillisecondArray::from(instants.clone()).with_timezone("UTC")) as Arc<_>
                }
                _ => new_null_array(field.data_type(), instants.len()),
            });
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()).unwrap();
        }
        let entry = Noted::default().entry(table, "leads.parquet".to_owned(), 1, 2);
        let file = writer.finish(folder.path(), entry).unwrap();
        for _ in 0..2 {
            assert_eq!(file.extremes("opened_at").unwrap(), Extremes::Between(-3, 40));
            assert_eq!(file.extremes("closed_at").unwrap(), Extremes::Nothing);
            assert_eq!(file.extremes("lead_id").unwrap(), Extremes::Unknown);
        }
        assert_eq!(
            Extremes::Nothing.and(Extremes::Between(1, 2)).and(Extremes::Between(0, 1)),
            Extremes::Between(0, 2)
        );
        assert_eq!(Extremes::Between(1, 2).and(Extremes::Unknown), Extremes::Unknown);
    }
}
