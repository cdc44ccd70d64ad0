//! Values of an answer, read from Arrow columns.

use std::cmp::Ordering;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimeUnit, TimestampMillisecondType};
use datafusion::error::DataFusionError;

/// A value, in an order in which nothing comes last.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Whole(i128),
    Real(f64),
    Text(String),
    Flag(bool),
    /// Milliseconds since the epoch.
    Instant(i64),
    Nothing,
}

impl Cell {
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Text(_) | Self::Flag(_) | Self::Instant(_) | Self::Nothing => None,
        }
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// A number; nothing where it is none.
    pub(crate) fn of(number: f64) -> Self {
        if number.is_finite() { Self::Real(number) } else { Self::Nothing }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Whole(_) | Self::Real(_) => 0,
            Self::Text(_) => 1,
            Self::Flag(_) => 2,
            Self::Instant(_) => 3,
            Self::Nothing => 4,
        }
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Flag(one), Self::Flag(other)) => one.cmp(other),
            (Self::Instant(one), Self::Instant(other)) => one.cmp(other),
            (one, other) => match (one.number(), other.number()) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                (_, _) => one.rank().cmp(&other.rank()),
            },
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

/// The values of a column.
pub(crate) fn cells(column: &ArrayRef) -> Result<Vec<Cell>, DataFusionError> {
    let kind = column.data_type();
    if *kind == DataType::Boolean {
        return Ok(column.as_boolean().iter().map(|flag| flag.map_or(Cell::Nothing, Cell::Flag)).collect());
    }
    if kind.is_integer() || matches!(kind, DataType::Decimal128(_, 0)) {
        let whole = cast(column, &DataType::Decimal128(38, 0))?;
        let whole = whole.as_primitive::<Decimal128Type>();
        return Ok(whole.iter().map(|number| number.map_or(Cell::Nothing, Cell::Whole)).collect());
    }
    if kind.is_floating() || matches!(kind, DataType::Decimal128(_, _)) {
        let real = cast(column, &DataType::Float64)?;
        return Ok(real.as_primitive::<Float64Type>().iter().map(|it| it.map_or(Cell::Nothing, Cell::of)).collect());
    }
    if kind.is_temporal() {
        let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let instants = cast(column, &utc)?;
        let instants = instants.as_primitive::<TimestampMillisecondType>();
        return Ok(instants.iter().map(|it| it.map_or(Cell::Nothing, Cell::Instant)).collect());
    }
    if kind.is_null() {
        return Ok(vec![Cell::Nothing; column.len()]);
    }
    let texts = cast(column, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().iter().map(|text| text.map_or(Cell::Nothing, |it| Cell::Text(it.to_owned()))).collect())
}
