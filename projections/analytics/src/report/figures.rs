//! From groups to figures: averages over time, shares of the whole, formulas, and the variation against the time before.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::report::answer::Note;
use crate::report::calendar::{Span, Unit, boundaries};
use crate::report::cell::Cell;
use crate::report::document::{Question, VARIATION};
use crate::report::formula::NoValue;
use crate::report::measure::What;

/// Groups as SQL gave them: dimensions, then what measures need.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// Where units of time begin, for each dimension.
    pub(crate) units: Vec<Option<Arc<[i64]>>>,
    pub(crate) span: Option<Span>,
    /// For each measure, whether its rows have several currencies.
    pub(crate) several: Vec<bool>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What the money of a measure is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Currencies {
    /// There is none.
    None,
    /// The currency's number.
    One(Cell),
    Several,
}

/// The currencies of each measure, over all these rows.
pub(crate) fn currencies<'a>(question: &Question, rows: impl Iterator<Item = &'a Vec<Cell>>) -> Vec<Currencies> {
    let mut found = vec![Currencies::None; question.measures.len()];
    for cells in rows {
        let mut cells = cells.iter().skip(question.dimensions.len());
        for (measure, found) in question.measures.iter().zip(&mut found) {
            if matches!(measure.what, What::Formula(_)) {
                continue;
            }
            cells.next();
            if measure.what.money().is_none() {
                continue;
            }
            for number in cells.by_ref().take(2).filter(|number| !number.is_nothing()) {
                let is_another = matches!(found, Currencies::One(known) if known != number);
                match found {
                    Currencies::None => *found = Currencies::One(number.clone()),
                    Currencies::One(_) if is_another => *found = Currencies::Several,
                    Currencies::One(_) | Currencies::Several => {}
                }
            }
        }
    }
    found
}

/// A row: its key, its measures, and those of the time before.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: Vec<Cell>,
    pub(crate) values: Vec<Cell>,
    pub(crate) previous: Vec<Cell>,
    pub(crate) variation: Vec<Cell>,
}

impl Row {
    const fn new(key: Vec<Cell>, values: Vec<Cell>) -> Self {
        Self { key, values, previous: Vec::new(), variation: Vec::new() }
    }
}

/// What could not be worked out, counted.
#[derive(Debug, Default)]
pub(crate) struct Notes(BTreeMap<(String, &'static str), (&'static str, u64)>);

impl Notes {
    fn add(&mut self, column: String, code: &'static str, message: &'static str) {
        self.0.entry((column, code)).or_insert((message, 0)).1 += 1;
    }

    fn no_value(&mut self, column: String, why: NoValue) {
        match why {
            // The measure that has no value says itself why.
            NoValue::Missing => {}
            NoValue::DividedByZero => self.add(column, "division_by_zero", "It would be divided by zero."),
            NoValue::TooLarge => self.add(column, "too_large", "It is beyond what numbers can hold."),
        }
    }

    pub(crate) fn found(self) -> Vec<Note> {
        let note = |((column, code), (message, rows))| Note { column, code, message, rows };
        self.0.into_iter().map(note).collect()
    }
}

/// The rows with all their measures. `suffix` is that of the columns that notes name.
pub(crate) fn measured(question: &Question, gathered: Gathered, suffix: &str, notes: &mut Notes) -> Vec<Row> {
    let Gathered { units, span, several, rows } = gathered;
    let mut found = Vec::with_capacity(rows.len());
    let mut totals = vec![0.0; question.measures.len()];
    for cells in rows {
        let mut cells = cells.into_iter();
        let key = cells.by_ref().take(question.dimensions.len()).collect();
        let mut values = Vec::with_capacity(question.measures.len());
        for ((measure, several), total) in question.measures.iter().zip(&several).zip(&mut totals) {
            if matches!(measure.what, What::Formula(_)) {
                values.push(Cell::Nothing);
                continue;
            }
            let mut value = cells.next().unwrap_or(Cell::Nothing);
            *total += value.number().unwrap_or_default();
            if measure.what.money().is_some() {
                let (first, last) = (cells.next(), cells.next());
                let is_share = matches!(measure.what, What::Percentage(_));
                if *several && (first != last || is_share) {
                    let message = "Its money is of several currencies; filter by one, or group by the currency.";
                    notes.add(format!("{}{suffix}", measure.name), "several_currencies", message);
                    value = Cell::Nothing;
                }
            }
            values.push(value);
        }
        found.push(Row::new(key, values));
    }
    for row in &mut found {
        for (place, measure) in question.measures.iter().enumerate() {
            let value = row.values.get(place).cloned().unwrap_or(Cell::Nothing);
            let worked_out = match &measure.what {
                What::Count(_)
                | What::Distinct(_)
                | What::Sum(_)
                | What::Average(_)
                | What::Percentile(..)
                | What::Min(_)
                | What::Max(_) => continue,
                What::PerUnit(_, unit) => {
                    let count = span.and_then(|span| units_in(question, row, &units, span, *unit));
                    value.number().zip(count).map(|(value, count)| value / count).ok_or(NoValue::Missing)
                }
                What::Percentage(_) => share(&value, totals.get(place).copied().unwrap_or_default()),
                What::Formula(formula) => formula.value(&|place| row.values.get(place).and_then(Cell::number)),
            };
            let value = worked_out.map_or(Cell::Nothing, Cell::of);
            if let Err(why) = worked_out {
                notes.no_value(format!("{}{suffix}", measure.name), why);
            }
            if let Some(cell) = row.values.get_mut(place) {
                *cell = value;
            }
        }
    }
    found
}

fn share(value: &Cell, total: f64) -> Result<f64, NoValue> {
    let value = value.number().ok_or(NoValue::Missing)?;
    if total == 0.0 { Err(NoValue::DividedByZero) } else { Ok(value * 100.0 / total) }
}

/// How many units of time the part of the span touches that the row is of.
fn units_in(question: &Question, row: &Row, units: &[Option<Arc<[i64]>>], span: Span, unit: Unit) -> Option<f64> {
    let Span { mut from, mut to } = span;
    for ((dimension, cell), starts) in question.dimensions.iter().zip(&row.key).zip(units) {
        let (Some(starts), true, Cell::Whole(place)) = (starts, dimension.field == question.origin, cell) else {
            continue;
        };
        let place = usize::try_from(*place).ok()?;
        from = from.max(*starts.get(place)?);
        to = starts.get(place + 1).map_or(to, |next| to.min(*next));
    }
    let touched = boundaries(question.zone, unit, from, to, UNITS_MAX).ok()?;
    Some(touched.len() as f64)
}

/// The hours of a century.
const UNITS_MAX: usize = 900_000;

/// Puts the rows of the time before beside those of now. Units of time are compared in their order: the first day with the
/// first day.
pub(crate) fn compare(
    question: &Question,
    units: &[Option<Arc<[i64]>>],
    rows: &mut Vec<Row>,
    before: Vec<Row>,
    notes: &mut Notes,
) {
    let mut by_key: BTreeMap<Vec<Cell>, Vec<Cell>> = before.into_iter().map(|row| (row.key, row.values)).collect();
    // What nobody did is none, and not unknown.
    let none: Vec<Cell> = question.measures.iter().map(|measure| none_of(&measure.what)).collect();
    for row in rows.iter_mut() {
        row.previous = by_key.remove(&row.key).unwrap_or_else(|| none.clone());
    }
    for (key, previous) in by_key {
        let has_counterpart = key.iter().zip(units).all(|(cell, starts)| match (cell, starts) {
            (Cell::Whole(place), Some(starts)) => usize::try_from(*place).is_ok_and(|place| place < starts.len()),
            (_, _) => true,
        });
        if has_counterpart {
            rows.push(Row { previous, ..Row::new(key, none.clone()) });
        } else {
            let message = "The time before has more units than the period; what was in them is left out.";
            notes.add(
                question.dimensions.first().map(|it| it.name.clone()).unwrap_or_default(),
                "no_counterpart",
                message,
            );
        }
    }
    for row in rows {
        let pairs = row.values.iter().zip(&row.previous).zip(&question.measures);
        let variation: Vec<Cell> = pairs
            .map(|((now, before), measure)| {
                let (Some(now), Some(before)) = (now.number(), before.number()) else { return Cell::Nothing };
                if before == 0.0 {
                    notes.no_value(format!("{}{VARIATION}", measure.name), NoValue::DividedByZero);
                    return Cell::Nothing;
                }
                Cell::of((now - before) * 100.0 / before.abs())
            })
            .collect();
        row.variation = variation;
    }
}

/// What a measure is where there is no row.
const fn none_of(what: &What) -> Cell {
    match what {
        What::Count(_) | What::Distinct(_) | What::PerUnit(None, _) | What::Percentage(None) => Cell::Whole(0),
        What::Sum(_)
        | What::Average(_)
        | What::PerUnit(Some(_), _)
        | What::Percentile(..)
        | What::Percentage(Some(_))
        | What::Min(_)
        | What::Max(_)
        | What::Formula(_) => Cell::Nothing,
    }
}
