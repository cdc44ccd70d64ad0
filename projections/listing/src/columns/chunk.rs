//! Some thousand leads side by side, and between which numbers they lie. Knows no queries.

use super::{Entry, NUMBERS, TEXTS, TextColumn};
use crate::query::SortKey;

/// Rows of a chunk: few enough that the columns of a query stay in the processor's caches, and that chunks which can't
/// contribute to a page are worth passing over.
pub(super) const CHUNK_ROWS: usize = 4_096;
/// Stands for no number. A number that is as small counts as one more, which no time and no amount ever is.
pub(super) const NO_NUMBER: i64 = i64::MIN;

/// Rows, column by column.
pub(super) struct Chunk {
    pub(super) ids: Vec<i64>,
    pub(super) visitors: Vec<i64>,
    pub(super) tenants: Vec<u32>,
    numbers: [Vec<i64>; NUMBERS],
    codes: [Vec<u32>; TEXTS],
    reaches: [Reach; NUMBERS],
    id_reach: Reach,
}

/// Between which numbers a column lies, and has ever lain: it only widens.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// The smallest number; `i64::MAX` where there is none.
    pub(super) low: i64,
    /// The largest number; [`NO_NUMBER`] where there is none.
    pub(super) high: i64,
}

impl Reach {
    const NOTHING: Self = Self { low: i64::MAX, high: NO_NUMBER };

    fn widen(&mut self, number: i64) {
        if number != NO_NUMBER {
            self.low = self.low.min(number);
            self.high = self.high.max(number);
        }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            visitors: Vec::new(),
            tenants: Vec::new(),
            numbers: Default::default(),
            codes: Default::default(),
            reaches: [Reach::NOTHING; NUMBERS],
            id_reach: Reach::NOTHING,
        }
    }
}

impl Chunk {
    pub(super) const fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len() >= CHUNK_ROWS
    }

    /// The first row's id; of rows that are in order the smallest.
    pub(super) fn first_id(&self) -> i64 {
        self.ids.first().copied().unwrap_or(i64::MAX)
    }

    /// Where a row is among rows that are in order of id.
    pub(super) fn place_of(&self, id: i64) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    pub(super) fn numbers(&self, key: SortKey) -> &[i64] {
        self.numbers.get(key as usize).map_or(&[], Vec::as_slice)
    }

    pub(super) fn codes(&self, column: TextColumn) -> &[u32] {
        self.codes.get(column as usize).map_or(&[], Vec::as_slice)
    }

    pub(super) fn reach(&self, key: SortKey) -> Reach {
        self.reaches.get(key as usize).copied().unwrap_or(Reach::NOTHING)
    }

    pub(super) const fn id_reach(&self) -> Reach {
        self.id_reach
    }

    /// Writes a row: over the one at that place, or behind the last one.
    pub(super) fn put<T>(&mut self, place: usize, entry: &Entry<T>, codes: [u32; TEXTS]) {
        put(&mut self.ids, place, entry.id);
        self.id_reach.widen(entry.id);
        put(&mut self.visitors, place, entry.visitor);
        put(&mut self.tenants, place, entry.tenant);
        for ((column, reach), number) in self.numbers.iter_mut().zip(&mut self.reaches).zip(entry.numbers) {
            let number = number.map_or(NO_NUMBER, bounded);
            reach.widen(number);
            put(column, place, number);
        }
        for (column, code) in self.codes.iter_mut().zip(codes) {
            put(column, place, code);
        }
    }
}

/// A number as the columns hold it: the two ends stand for "none" in one order or the other.
pub(super) fn bounded(number: i64) -> i64 {
    number.clamp(NO_NUMBER + 1, i64::MAX - 1)
}

fn put<T>(column: &mut Vec<T>, place: usize, value: T) {
    match column.get_mut(place) {
        Some(old) => *old = value,
        None => column.push(value),
    }
}
