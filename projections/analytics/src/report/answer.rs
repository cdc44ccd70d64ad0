//! The answer: rows of dimensions and measures, with what could not be worked out told in notes.

use std::cmp::Ordering;
use std::sync::Arc;

use event_log::LogPosition;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::report::calendar::shown;
use crate::report::cell::Cell;
use crate::report::document::dimension::By;
use crate::report::document::{PREVIOUS, Question, VARIATION};
use crate::report::field::{Field, Kind};
use crate::report::figures::{Gathered, Notes, Row, compare, measured};
use crate::report::measure::What;

/// What a question is answered with.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The position of the log at which all of it stands.
    pub position: u64,
    /// The zone of days and of times.
    pub zone: String,
    /// Up to when ages count.
    pub at: Option<String>,
    /// The time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<ShownPeriod>,
    /// The time that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_period: Option<ShownPeriod>,
    /// The columns in their order.
    pub columns: Vec<Column>,
    /// The rows, each with every column.
    pub items: Vec<Map<String, Value>>,
    /// How many rows there are without the limit.
    pub groups: u64,
    /// Whether the limit left rows out.
    pub truncated: bool,
    /// What could not be worked out, and why.
    pub notes: Vec<Note>,
}

/// From when, and up to, but not at, when.
#[derive(Clone, Debug, Serialize)]
pub struct ShownPeriod {
    /// Empty when it has no beginning.
    pub from: Option<String>,
    /// Empty when it has no end.
    pub to: Option<String>,
}

/// A column of the answer.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its name in the rows.
    pub name: String,
    /// `dimension` or `measure`.
    pub kind: &'static str,
    /// `text`, `number`, `money` (minor units), `seconds`, `percent`, `time` or `flag`.
    pub r#type: &'static str,
    /// Of money whose rows have all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// What could not be worked out.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// The column.
    pub column: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: &'static str,
    /// In how many rows.
    pub rows: u64,
}

impl Report {
    pub(crate) fn of(
        question: &Question,
        position: LogPosition,
        now: Gathered,
        before: Option<Gathered>,
        currencies: &[Option<String>],
    ) -> Self {
        let mut notes = Notes::default();
        let units = now.units.clone();
        let mut rows = measured(question, now, "", &mut notes);
        if let Some(before) = before {
            let before = measured(question, before, PREVIOUS, &mut notes);
            compare(question, &units, &mut rows, before, &mut notes);
        }
        let groups = rows.len() as u64;
        rows.sort_by(|one, other| ordered(question, one, other));
        rows.truncate(question.limit);
        let shown_at = |millis: i64| shown(question.zone, millis);
        let period = question.period;
        let period = (period.from.is_some() || period.to.is_some())
            .then(|| ShownPeriod { from: period.from.and_then(shown_at), to: period.to.and_then(shown_at) });
        let previous_period =
            question.previous.map(|span| ShownPeriod { from: shown_at(span.from), to: shown_at(span.to) });
        Self {
            position: position.0,
            zone: question.zone.name().to_owned(),
            at: shown_at(question.now),
            period,
            previous_period,
            columns: columns(question, currencies),
            items: rows.iter().map(|row| item(question, &units, row)).collect(),
            groups,
            truncated: groups > question.limit as u64,
            notes: notes.found(),
        }
    }
}

/// As the question says; then units of time, or else the first measure from above; then by all dimensions.
fn ordered(question: &Question, one: &Row, other: &Row) -> Ordering {
    let width = question.dimensions.len();
    let cell = |row: &Row, column: usize| {
        let cell = if column < width { row.key.get(column) } else { row.values.get(column - width) };
        cell.cloned().unwrap_or(Cell::Nothing)
    };
    let by = |column: usize, is_descending: bool| {
        let (one, other) = (cell(one, column), cell(other, column));
        let order = one.cmp(&other);
        // Nothing comes last either way.
        if is_descending && !one.is_nothing() && !other.is_nothing() { order.reverse() } else { order }
    };
    let mut order =
        question.order.iter().fold(Ordering::Equal, |order, it| order.then_with(|| by(it.column, it.is_descending)));
    if question.order.is_empty() {
        let units = question.dimensions.iter().enumerate().filter(|(_, it)| matches!(it.by, By::Unit(..)));
        let mut units = units.map(|(column, _)| column).peekable();
        if units.peek().is_none() {
            order = by(width, true);
        }
        order = units.fold(order, |order, column| order.then_with(|| by(column, false)));
    }
    order.then_with(|| one.key.cmp(&other.key))
}

fn columns(question: &Question, currencies: &[Option<String>]) -> Vec<Column> {
    let dimensions = question.dimensions.iter().map(|dimension| Column {
        name: dimension.name.clone(),
        kind: "dimension",
        r#type: match dimension.by {
            By::Value => type_of(&dimension.field),
            By::Unit(..) => "time",
            By::Bands(..) => "text",
        },
        currency: None,
    });
    let mut columns: Vec<Column> = dimensions.collect();
    for (measure, currency) in question.measures.iter().zip(currencies) {
        let r#type = type_of_measure(&measure.what);
        let column = |suffix: &str, r#type, currency| {
            let name = format!("{}{suffix}", measure.name);
            Column { name, kind: "measure", r#type, currency }
        };
        let currency = || currency.clone().filter(|_| r#type == "money");
        columns.push(column("", r#type, currency()));
        if question.previous.is_some() {
            columns.push(column(PREVIOUS, r#type, currency()));
            columns.push(column(VARIATION, "percent", None));
        }
    }
    columns
}

const fn type_of(field: &Field) -> &'static str {
    match field.kind {
        Kind::Text | Kind::Attribute => "text",
        Kind::Number => "number",
        Kind::Money => "money",
        Kind::Duration => "seconds",
        Kind::Time => "time",
        Kind::Flag => "flag",
    }
}

fn type_of_measure(what: &What) -> &'static str {
    match what {
        What::Count(_) | What::Distinct(_) | What::PerUnit(None, _) | What::Formula(_) => "number",
        What::Percentage(_) => "percent",
        What::Sum(field)
        | What::Average(field)
        | What::PerUnit(Some(field), _)
        | What::Percentile(field, _)
        | What::Min(field)
        | What::Max(field) => match field.kind {
            // What is measured of an attribute is a number.
            Kind::Attribute => "number",
            Kind::Text | Kind::Number | Kind::Money | Kind::Duration | Kind::Time | Kind::Flag => type_of(field),
        },
    }
}

fn item(question: &Question, units: &[Option<Arc<[i64]>>], row: &Row) -> Map<String, Value> {
    let mut item = Map::new();
    for ((dimension, cell), starts) in question.dimensions.iter().zip(&row.key).zip(units) {
        let place = || match cell {
            Cell::Whole(place) => usize::try_from(*place).ok(),
            Cell::Real(_) | Cell::Text(_) | Cell::Flag(_) | Cell::Instant(_) | Cell::Nothing => None,
        };
        let value = match &dimension.by {
            By::Value => value(question, cell),
            By::Unit(_, zone) => {
                let start = place().and_then(|place| starts.as_ref()?.get(place).copied());
                start.and_then(|start| shown(*zone, start)).map_or(Value::Null, Value::String)
            }
            By::Bands(_, labels) => {
                let label = place().and_then(|place| labels.get(place));
                label.map_or(Value::Null, |label| Value::String(label.clone()))
            }
        };
        item.insert(dimension.name.clone(), value);
    }
    for (place, measure) in question.measures.iter().enumerate() {
        let now = row.values.get(place).unwrap_or(&Cell::Nothing);
        item.insert(measure.name.clone(), value(question, now));
        if question.previous.is_some() {
            let before = row.previous.get(place).unwrap_or(&Cell::Nothing);
            item.insert(format!("{}{PREVIOUS}", measure.name), value(question, before));
            let variation = row.variation.get(place).unwrap_or(&Cell::Nothing);
            item.insert(format!("{}{VARIATION}", measure.name), value(question, variation));
        }
    }
    item
}

fn value(question: &Question, cell: &Cell) -> Value {
    match cell {
        Cell::Whole(number) => i64::try_from(*number).map_or_else(|_| Value::from(*number as f64), Value::from),
        Cell::Real(number) => Value::from(*number),
        Cell::Text(text) => Value::String(text.clone()),
        Cell::Flag(flag) => Value::Bool(*flag),
        Cell::Instant(millis) => shown(question.zone, *millis).map_or(Value::Null, Value::String),
        Cell::Nothing => Value::Null,
    }
}
