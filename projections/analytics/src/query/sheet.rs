//! Rows that are JSON objects as columns of a table: CSV and Parquet of what has a nested shape. Knows no table.

use std::io::Write;
use std::mem::take;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use event_log::LogPosition;
use serde_json::Value;

use crate::query::error::QueryError;
use crate::query::output::{Format, Output};

/// Rows that are written at once.
const BATCH_ROWS: usize = 4_096;

/// A column of a sheet.
#[derive(Clone, Copy, Debug)]
pub struct SheetColumn {
    /// Its name.
    pub name: &'static str,
    /// Where its value stands in a row: a JSON pointer.
    pub pointer: &'static str,
    /// What kind of value that is.
    pub kind: SheetKind,
}

/// What a column holds. A value of another kind is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SheetKind {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// A time, RFC 3339 in the row.
    Time,
    /// Anything, as JSON; null where it is empty.
    Json,
}

enum Cells {
    Text(StringBuilder),
    Whole(Int64Builder),
    Time(TimestampMillisecondBuilder),
}

/// Rows that are being written.
pub struct Sheet<W: Write + Send> {
    columns: &'static [SheetColumn],
    schema: SchemaRef,
    cells: Vec<Cells>,
    rows: usize,
    output: Output<W>,
}

impl<W: Write + Send> std::fmt::Debug for Sheet<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

impl SheetKind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Whole => DataType::Int64,
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    fn cells(self) -> Cells {
        match self {
            Self::Text | Self::Json => Cells::Text(StringBuilder::new()),
            Self::Whole => Cells::Whole(Int64Builder::new()),
            Self::Time => Cells::Time(TimestampMillisecondBuilder::new().with_timezone("UTC")),
        }
    }
}

impl Cells {
    fn push(&mut self, kind: SheetKind, value: Option<&Value>) {
        match self {
            Self::Text(cells) if kind == SheetKind::Json => {
                let is_empty = |value: &&Value| match value {
                    Value::Null => true,
                    Value::Array(items) => items.is_empty(),
                    Value::Object(fields) => fields.is_empty(),
                    Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
                };
                cells.append_option(value.filter(|value| !is_empty(value)).map(Value::to_string));
            }
            Self::Text(cells) => cells.append_option(value.and_then(Value::as_str)),
            Self::Whole(cells) => cells.append_option(value.and_then(Value::as_i64)),
            Self::Time(cells) => {
                let time = value.and_then(Value::as_str);
                let time = time.and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
                cells.append_option(time.map(|time| time.timestamp_millis()));
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Whole(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
        }
    }
}

impl<W: Write + Send> Sheet<W> {
    /// Begins a sheet of these columns.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn new(columns: &'static [SheetColumn], format: Format, to: W) -> Result<Self, QueryError> {
        let field = |column: &SheetColumn| Field::new(column.name, column.kind.data_type(), true);
        let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let cells = columns.iter().map(|column| column.kind.cells()).collect();
        let output = Output::new(format, Arc::clone(&schema), to)?;
        Ok(Self { columns, schema, cells, rows: 0, output })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn push(&mut self, row: &Value) -> Result<(), QueryError> {
        for (cells, column) in self.cells.iter_mut().zip(self.columns) {
            cells.push(column.kind, row.pointer(column.pointer));
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), QueryError> {
        if take(&mut self.rows) == 0 {
            return Ok(());
        }
        let columns = self.cells.iter_mut().map(Cells::finish).collect();
        self.output.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(super::output::failed)?)
    }

    /// Ends the sheet, which was true at a position, and hands back what it was written to.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(mut self, position: LogPosition) -> Result<W, QueryError> {
        self.write()?;
        self.output.finish_at(position)
    }
}
