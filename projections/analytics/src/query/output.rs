//! Answers as bytes: JSON, NDJSON, CSV, Arrow and Parquet, and as cells of a table.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::arrow_writer::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use event_log::LogPosition;

use crate::query::error::QueryError;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// RFC 4180. A text that a spreadsheet would take for a formula has an apostrophe in front.
    Csv,
    /// Arrow's stream format.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "ndjson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "arrow" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// An answer that is being written.
pub struct Output<W: Write + Send>(Writer<W>);

enum Writer<W: Write + Send> {
    Json(JsonWriter<W, JsonArray>),
    Ndjson(JsonWriter<W, LineDelimited>),
    Csv(Box<csv::Writer<W>>),
    Arrow(Box<StreamWriter<W>>),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> std::fmt::Debug for Output<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

pub(crate) fn failed(error: impl std::fmt::Display) -> QueryError {
    QueryError::Failed { message: error.to_string() }
}

impl<W: Write + Send> Output<W> {
    /// Begins an answer with these columns.
    ///
    /// # Errors
    /// When it can't be written, or its format has no form for a column.
    pub fn new(format: Format, schema: SchemaRef, to: W) -> Result<Self, QueryError> {
        let json = WriterBuilder::new().with_explicit_nulls(true);
        Ok(Self(match format {
            Format::Json => Writer::Json(json.build(to)),
            Format::Ndjson => Writer::Ndjson(json.build(to)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(to);
                let names = schema.fields().iter().map(|field| guarded(field.name().clone()));
                writer.write_record(names).map_err(failed)?;
                Writer::Csv(Box::new(writer))
            }
            Format::Arrow => Writer::Arrow(Box::new(StreamWriter::try_new(to, &schema).map_err(failed)?)),
            Format::Parquet => {
                let level = ZstdLevel::try_new(3).map(Compression::ZSTD).unwrap_or(Compression::UNCOMPRESSED);
                let properties = WriterProperties::builder().set_compression(level).build();
                Writer::Parquet(Box::new(ArrowWriter::try_new(to, schema, Some(properties)).map_err(failed)?))
            }
        }))
    }

    /// Writes some rows.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        match &mut self.0 {
            Writer::Json(writer) => writer.write(batch).map_err(failed),
            Writer::Ndjson(writer) => writer.write(batch).map_err(failed),
            Writer::Csv(writer) => write_csv(writer, batch),
            Writer::Arrow(writer) => writer.write(batch).map_err(failed),
            Writer::Parquet(writer) => writer.write(batch).map_err(failed),
        }
    }

    /// Ends an answer that was true at a position; a Parquet file says so in its footer (`leadfold.position`).
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish_at(mut self, position: LogPosition) -> Result<W, QueryError> {
        if let Writer::Parquet(writer) = &mut self.0 {
            writer.append_key_value_metadata(KeyValue::new("leadfold.position".to_owned(), position.to_string()));
        }
        self.finish()
    }

    /// Ends the answer and hands back what it was written to.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(self) -> Result<W, QueryError> {
        match self.0 {
            Writer::Json(mut writer) => {
                writer.finish().map_err(failed)?;
                Ok(writer.into_inner())
            }
            Writer::Ndjson(mut writer) => {
                writer.finish().map_err(failed)?;
                Ok(writer.into_inner())
            }
            Writer::Csv(writer) => writer.into_inner().map_err(|error| failed(error.error())),
            Writer::Arrow(writer) => writer.into_inner().map_err(failed),
            Writer::Parquet(writer) => writer.into_inner().map_err(failed),
        }
    }
}

/// Rows as people see them.
#[derive(Debug)]
pub struct Shown {
    /// The names of the columns.
    pub names: Vec<String>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
}

impl Shown {
    /// No rows yet.
    #[must_use]
    pub fn new(schema: &SchemaRef) -> Self {
        Self { names: schema.fields().iter().map(|field| field.name().clone()).collect(), rows: Vec::new() }
    }

    /// The rows of an answer in Arrow's stream format; `None` when it isn't one.
    #[must_use]
    pub fn of_stream(bytes: &[u8]) -> Option<Self> {
        let batches = StreamReader::try_new(bytes, None).ok()?;
        let mut shown = Self::new(&batches.schema());
        for batch in batches {
            shown.push(&batch.ok()?).ok()?;
        }
        Some(shown)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When a value has no form for people.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let columns = formatters(batch).map_err(failed)?;
        let cell = |column: &ArrayFormatter<'_>, row| column.value(row).to_string();
        self.rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|it| cell(it, row)).collect()));
        Ok(())
    }
}

const SHOWN: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));

fn formatters(batch: &RecordBatch) -> Result<Vec<ArrayFormatter<'_>>, ArrowError> {
    batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &SHOWN)).collect()
}

fn write_csv<W: Write>(writer: &mut csv::Writer<W>, batch: &RecordBatch) -> Result<(), QueryError> {
    let columns = formatters(batch).map_err(failed)?;
    let schema = batch.schema();
    let plain: Vec<bool> = schema.fields().iter().map(|field| is_plain(field.data_type())).collect();
    for row in 0..batch.num_rows() {
        for (column, plain) in columns.iter().zip(&plain) {
            let text = column.value(row).try_to_string().map_err(failed)?;
            writer.write_field(if *plain { text } else { guarded(text) }).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    Ok(())
}

/// Numbers, times and flags can't be formulas.
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal() || matches!(data_type, DataType::Boolean)
}

/// A spreadsheet takes a cell that begins so for a formula, unless it is a number.
fn guarded(text: String) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if risky && text.parse::<f64>().is_err() { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn what_a_spreadsheet_would_run_is_guarded_and_numbers_are_not() {
        for risky in ["=1+1", "+cmd", "-x", "@sum", "\tx", "\r=1", "-1+1"] {
            assert_eq!(guarded(risky.to_owned()), format!("'{risky}"));
        }
        for plain in ["-12.5", "+49", "web", "", "1-2", "V1-1"] {
            assert_eq!(guarded(plain.to_owned()), plain);
        }
    }
}
