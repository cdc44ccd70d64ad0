//! A part of a table: a file, or a batch of the tail, and which of its rows count.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::{concat_batches, filter_record_batch, max, min, take_record_batch};
use datafusion::arrow::datatypes::{TimestampMillisecondType, UInt64Type};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::error::{AnalyticsError, damaged};
use crate::store::file::{DataFile, Extremes};
use crate::store::superseded::Superseded;
use crate::table::Table;
use crate::table::reading::Reading;

/// Where rows stand.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    File(Arc<DataFile>),
    /// The tail, gone with the process.
    Memory(RecordBatch),
}

/// Some rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) source: Source,
    pub(crate) rows: u32,
    /// Of leads and score rows: which row is of which.
    index: Option<Arc<Index>>,
    pub(crate) superseded: Superseded,
    /// Of the tail: it is being written to a file, whose rows will be the same.
    pub(crate) is_leaving: bool,
}

/// Which row a lead or a score row has: 12 bytes a row.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: Vec<u64>,
    rows: Vec<u32>,
}

impl Index {
    fn of(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        Self { keys: pairs.iter().map(|pair| pair.0).collect(), rows: pairs.iter().map(|pair| pair.1).collect() }
    }

    fn find(&self, key: u64) -> Option<u32> {
        let place = self.keys.binary_search(&key).ok()?;
        self.rows.get(place).copied()
    }
}

/// Which row is of which thing, noted while a file is written.
pub(crate) struct Keys {
    table: Table,
    pairs: Vec<(u64, u32)>,
    rows: u32,
    is_whole: bool,
}

impl Keys {
    /// None yet.
    pub(crate) const fn of(table: Table) -> Self {
        Self { table, pairs: Vec::new(), rows: 0, is_whole: true }
    }

    /// The batch was written behind those before.
    pub(crate) fn note(&mut self, batch: &RecordBatch) {
        if self.table.key_column().is_some() {
            self.is_whole &= keys_of(self.table, batch, self.rows, &mut self.pairs).is_some();
        }
        self.rows = self.rows.saturating_add(u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
    }
}

/// Notes which rows of a batch are of which thing; `None` when one doesn't say.
fn keys_of(table: Table, batch: &RecordBatch, from: u32, pairs: &mut Vec<(u64, u32)>) -> Option<()> {
    let keys = batch.column_by_name(table.key_column()?)?.as_primitive_opt::<UInt64Type>()?;
    pairs.extend(keys.values().iter().copied().zip(from..));
    (keys.null_count() == 0).then_some(())
}

impl Part {
    /// A batch of the tail. Of leads and score rows, no two rows are of one.
    pub(crate) fn of_batch(table: Table, batch: RecordBatch) -> Self {
        let index = table.key_column().map(|_| {
            let mut pairs = Vec::with_capacity(batch.num_rows());
            // We wrote the ids a moment ago.
            let _ = keys_of(table, &batch, 0, &mut pairs);
            Arc::new(Index::of(pairs))
        });
        let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        Self { source: Source::Memory(batch), rows, index, superseded: Superseded::default(), is_leaving: false }
    }

    /// A file; of leads and score rows, its ids are read.
    pub(crate) fn of_file(file: DataFile) -> Result<Self, AnalyticsError> {
        let index = file.entry.table.key_column().map(|column| index_of(&file, column)).transpose()?.map(Arc::new);
        Ok(Self::in_file(file, index))
    }

    /// A file that was just written.
    pub(crate) fn of_written(file: DataFile, keys: Keys) -> Result<Self, AnalyticsError> {
        let Keys { table, pairs, is_whole, .. } = keys;
        if !is_whole {
            return Err(damaged(&file.path, "has a row without its key"));
        }
        let index = table.key_column().map(|_| Arc::new(Index::of(pairs)));
        Ok(Self::in_file(file, index))
    }

    fn in_file(file: DataFile, index: Option<Arc<Index>>) -> Self {
        let rows = file.entry.rows;
        let superseded = Superseded::default();
        Self { source: Source::File(Arc::new(file)), rows, index, superseded, is_leaving: false }
    }

    pub(crate) const fn batch(&self) -> Option<&RecordBatch> {
        match &self.source {
            Source::File(_) => None,
            Source::Memory(batch) => Some(batch),
        }
    }

    pub(crate) const fn file(&self) -> Option<&Arc<DataFile>> {
        match &self.source {
            Source::File(file) => Some(file),
            Source::Memory(_) => None,
        }
    }

    /// How many rows count.
    pub(crate) const fn counting(&self) -> u32 {
        self.rows - self.superseded.count()
    }

    /// The rows that count whose keys are among these.
    pub(crate) fn find_among(&self, keys: std::ops::Range<u64>) -> Vec<u32> {
        let Some(index) = &self.index else { return Vec::new() };
        let first = index.keys.partition_point(|key| *key < keys.start);
        let pairs = index.keys.iter().zip(&index.rows).skip(first).take_while(|(key, _)| **key < keys.end);
        let mut rows: Vec<u32> = pairs.map(|(_, row)| *row).filter(|row| !self.superseded.contains(*row)).collect();
        rows.sort_unstable();
        rows
    }

    /// The keys of its rows, in order, of those that count and those that don't; none where rows have none.
    pub(crate) fn keys(&self) -> &[u64] {
        self.index.as_ref().map(|index| index.keys.as_slice()).unwrap_or_default()
    }

    /// The row of a lead that counts.
    pub(crate) fn find(&self, key: u64) -> Option<u32> {
        self.index.as_ref()?.find(key).filter(|row| !self.superseded.contains(*row))
    }

    /// The rows that newer rows of `newer` stand for no longer count.
    pub(crate) fn supersede_by(&mut self, newer: &Self) {
        let (Some(own), Some(other)) = (self.index.clone(), &newer.index) else { return };
        let (Some(first), Some(last)) = (own.keys.first(), own.keys.last()) else { return };
        // Both are in order, and most keys are newer than all of an older part.
        let begin = other.keys.partition_point(|key| key < first);
        let mut at = 0;
        for key in other.keys.iter().skip(begin).take_while(|key| *key <= last) {
            at += first_not_below(own.keys.get(at..).unwrap_or_default(), *key);
            if own.keys.get(at) == Some(key) {
                own.rows.get(at).into_iter().for_each(|row| self.superseded.insert(*row));
            }
        }
    }

    /// The row of the interaction at a position that counts.
    pub(crate) fn find_position(&self, position: u64) -> Result<Option<u32>, AnalyticsError> {
        let mut before = 0;
        let mut look = |batch: &RecordBatch| {
            let positions = batch.column_by_name("position").and_then(|it| it.as_primitive_opt::<UInt64Type>());
            let found = positions.and_then(|it| it.values().iter().position(|value| *value == position));
            let row = found.and_then(|row| u32::try_from(row).ok()).map(|row| before + row);
            before += u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
            row.filter(|row| !self.superseded.contains(*row))
        };
        match &self.source {
            Source::Memory(batch) => Ok(look(batch)),
            Source::File(file) => {
                let within = (file.entry.from..=file.entry.to).contains(&position);
                if !within && file.entry.marked == 0 {
                    return Ok(None);
                }
                for batch in file.read(&["position"], None)? {
                    if let Some(row) = look(&batch?) {
                        return Ok(Some(row));
                    }
                }
                Ok(None)
            }
        }
    }

    /// The first and the last instant of a column, of rows that count and perhaps of some that don't.
    pub(crate) fn extremes(&self, column: &str) -> Result<Extremes, AnalyticsError> {
        let batch = match &self.source {
            Source::File(file) => return file.extremes(column),
            Source::Memory(batch) => batch,
        };
        let instants = batch.column_by_name(column);
        let instants = instants.and_then(|it| it.as_primitive_opt::<TimestampMillisecondType>());
        Ok(match instants.map(|instants| (min(instants), max(instants))) {
            Some((Some(from), Some(to))) => Extremes::Between(from, to),
            Some(_) => Extremes::Nothing,
            None => Extremes::Unknown,
        })
    }

    /// Shows every row, of these columns, whether it counts or not.
    pub(crate) fn each(&self, columns: &[&str], mut see: impl FnMut(Reading<'_>)) -> Result<(), AnalyticsError> {
        let mut see_all = |batch: &RecordBatch| (0..batch.num_rows()).for_each(|row| see(Reading { batch, row }));
        match &self.source {
            Source::Memory(batch) => see_all(batch),
            Source::File(file) => {
                for batch in file.read(columns, None)? {
                    see_all(&batch?);
                }
            }
        }
        Ok(())
    }

    /// Reads some rows, given in rising order.
    pub(crate) fn read(&self, rows: &[u32]) -> Result<Vec<RecordBatch>, AnalyticsError> {
        match &self.source {
            Source::Memory(batch) => {
                let places = datafusion::arrow::array::UInt32Array::from(rows.to_vec());
                let taken = take_record_batch(batch, &places);
                Ok(vec![taken.map_err(|source| AnalyticsError::Rows { table: "leads", source })?])
            }
            Source::File(file) => file.read(&[], Some(selection_of(rows)))?.collect(),
        }
    }

    /// The rows of a batch of the tail that count.
    pub(crate) fn counting_batch(&self, batch: &RecordBatch, table: Table) -> Result<RecordBatch, AnalyticsError> {
        if self.superseded.count() == 0 {
            return Ok(batch.clone());
        }
        filter_record_batch(batch, &self.superseded.counting(0, self.rows))
            .map_err(|source| AnalyticsError::Rows { table: table.name(), source })
    }
}

/// How many of `keys`, which rise, are below `key`. It is looked for near the beginning first: the next of many keys mostly
/// is there. See Bentley and Yao, "An almost optimal algorithm for unbounded searching" (1976).
fn first_not_below(keys: &[u64], key: u64) -> usize {
    let mut step = 1;
    while keys.get(step).is_some_and(|known| *known < key) {
        step *= 2;
    }
    let (from, to) = (step / 2, keys.len().min(step + 1));
    from + keys.get(from..to).unwrap_or_default().partition_point(|known| *known < key)
}

/// Two batches of the tail as one, without what no longer counts.
pub(crate) fn merged(table: Table, parts: &[Part]) -> Result<Part, AnalyticsError> {
    let counting = parts.iter().filter_map(|part| part.batch().map(|batch| part.counting_batch(batch, table)));
    let batches: Vec<RecordBatch> = counting.collect::<Result<_, _>>()?;
    let batch = concat_batches(&table.schema(), &batches)
        .map_err(|source| AnalyticsError::Rows { table: table.name(), source })?;
    Ok(Part::of_batch(table, batch))
}

fn index_of(file: &DataFile, column: &str) -> Result<Index, AnalyticsError> {
    let mut pairs = Vec::with_capacity(file.entry.rows as usize);
    let mut from = 0;
    for batch in file.read(&[column], None)? {
        let batch = batch?;
        let noted = keys_of(file.entry.table, &batch, from, &mut pairs);
        noted.ok_or_else(|| damaged(&file.path, format!("has a row without {column}")))?;
        from += u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    }
    Ok(Index::of(pairs))
}

fn selection_of(rows: &[u32]) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::with_capacity(rows.len() * 2);
    let mut next = 0;
    for row in rows {
        if *row > next {
            selectors.push(RowSelector::skip((*row - next) as usize));
        }
        match selectors.last_mut() {
            Some(last) if !last.skip => last.row_count += 1,
            Some(_) | None => selectors.push(RowSelector::select(1)),
        }
        next = *row + 1;
    }
    RowSelection::from(selectors)
}

#[cfg(test)]
mod tests {
    use super::first_not_below;

    #[test]
    fn a_place_is_found_wherever_it_is() {
        for count in 0..20 {
            let keys: Vec<u64> = (0..count).map(|number| number * 2 + 1).collect();
            for key in 0..count * 2 + 3 {
                assert_eq!(
                    first_not_below(&keys, key),
                    keys.iter().filter(|known| **known < key).count(),
                    "{keys:?} {key}"
                );
            }
        }
    }
}
