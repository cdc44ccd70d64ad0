//! Which rows of a part no longer count. A copy shares what it doesn't change, so a reader's stays as it was.

use std::sync::Arc;

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};

/// Rows of a chunk.
const CHUNK_ROWS: u32 = 1 << 16;
const WORDS: usize = (CHUNK_ROWS / 64) as usize;

/// A set of row numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Superseded {
    /// `None` for a chunk without any.
    chunks: Vec<Option<Arc<[u64; WORDS]>>>,
    count: u32,
}

impl Superseded {
    /// How many rows no longer count.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether that row no longer counts.
    pub(crate) fn contains(&self, row: u32) -> bool {
        let (chunk, word, bit) = place(row);
        let words = self.chunks.get(chunk).and_then(Option::as_ref);
        words.and_then(|words| words.get(word)).is_some_and(|word| word >> bit & 1 == 1)
    }

    /// That row no longer counts.
    pub(crate) fn insert(&mut self, row: u32) {
        let (chunk, word, bit) = place(row);
        if self.chunks.len() <= chunk {
            self.chunks.resize(chunk + 1, None);
        }
        let Some(slot) = self.chunks.get_mut(chunk) else { return };
        let words = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; WORDS])));
        if let Some(word) = words.get_mut(word).filter(|word| **word >> bit & 1 == 0) {
            *word |= 1 << bit;
            self.count += 1;
        }
    }

    /// For each of `rows` rows from `from` on, whether it counts.
    pub(crate) fn counting(&self, from: u32, rows: u32) -> BooleanArray {
        let counts = |row: usize| !self.contains(from.saturating_add(u32::try_from(row).unwrap_or(u32::MAX)));
        BooleanArray::new(BooleanBuffer::collect_bool(rows as usize, counts), None)
    }

    /// The rows of a file that count; `None` for all.
    pub(crate) fn selection(&self, rows: u32) -> Option<RowSelection> {
        if self.count == 0 {
            return None;
        }
        let mut selectors: Vec<RowSelector> = Vec::new();
        for row in 0..rows {
            let skip = self.contains(row);
            match selectors.last_mut() {
                Some(last) if last.skip == skip => last.row_count += 1,
                Some(_) | None => selectors.push(RowSelector { row_count: 1, skip }),
            }
        }
        Some(RowSelection::from(selectors))
    }
}

const fn place(row: u32) -> (usize, usize, u32) {
    let within = row % CHUNK_ROWS;
    ((row / CHUNK_ROWS) as usize, (within / 64) as usize, within % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut now = Superseded::default();
        now.insert(3);
        now.insert(70_000);
        let before = now.clone();
        now.insert(4);
        now.insert(4);
        assert_eq!((before.count(), now.count()), (2, 3));
        assert!(!before.contains(4) && now.contains(4) && now.contains(70_000) && !now.contains(200_000));
        let selectors: Vec<RowSelector> = now.selection(6).unwrap().into();
        assert_eq!(selectors, [RowSelector::select(3), RowSelector::skip(2), RowSelector::select(1)]);
        assert_eq!(now.counting(2, 3).iter().flatten().collect::<Vec<_>>(), [true, false, false]);
    }
}
