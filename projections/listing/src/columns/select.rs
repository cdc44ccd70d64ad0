//! The pass over the columns: which rows match, and the first of them in an order.
//!
//! Chunks are taken in the order of the best key that they may hold, so that for most orders a page is complete after a
//! few of them and the rest is passed over.

use std::collections::BinaryHeap;

use rustc_hash::FxHashSet;

use super::chunk::{Chunk, NO_NUMBER, bounded};
use super::{LeadColumns, TextColumn, Words};
use crate::query::{After, Direction, LeadSort, SortKey, Span, Values};

/// Which leads, as far as the columns know them. All of it must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) tenant: u32,
    /// Any of these texts.
    pub(crate) texts: Vec<(TextColumn, Values)>,
    pub(crate) is_open: Option<bool>,
    pub(crate) ranges: Vec<(SortKey, Span)>,
    /// Only leads of these visitors.
    pub(crate) visitors: Option<FxHashSet<i64>>,
}

/// An order, and the row in it that others must come behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) sort: LeadSort,
    pub(crate) after: Option<After>,
}

/// A row's place in an order: what is smaller comes first, whatever the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    key: i64,
    id: i64,
}

/// The key's rank of rows without a key.
const LAST: i64 = i64::MAX;

impl LeadSort {
    /// Turning all bits turns the order, and no number overflows. `i64::MIN`, which stands for none, becomes [`LAST`].
    const fn key_rank(self, key: i64) -> i64 {
        match self.direction {
            Direction::Ascending if key == NO_NUMBER => LAST,
            Direction::Ascending => key,
            Direction::Descending => !key,
        }
    }

    const fn rank(self, key: i64, id: i64) -> Rank {
        let id = match self.direction {
            Direction::Ascending => id,
            Direction::Descending => !id,
        };
        Rank { key: self.key_rank(key), id }
    }

    fn rank_of(self, after: After) -> Rank {
        self.rank(after.value.map_or(NO_NUMBER, bounded), after.id)
    }

    const fn row_of(self, rank: Rank) -> After {
        let (key, id) = match self.direction {
            Direction::Ascending => (rank.key, rank.id),
            Direction::Descending => (!rank.key, !rank.id),
        };
        After { value: if rank.key == LAST { None } else { Some(key) }, id }
    }

    /// A rank that no row of the chunk is before. Where many rows have one key, the ids tell chunks apart.
    fn best(self, chunk: &Chunk) -> Rank {
        let (keys, ids) = (chunk.reach(self.key), chunk.id_reach());
        match self.direction {
            Direction::Ascending => Rank { key: keys.low, id: ids.low },
            Direction::Descending => Rank { key: !keys.high, id: !ids.high },
        }
    }
}

/// A condition on one column.
enum Test<'a> {
    Tenant(u32),
    Is(TextColumn, u32),
    IsNot(TextColumn, u32),
    AnyOf(TextColumn, Bits),
    /// From the first number in it to the first one behind it.
    Within(SortKey, i64, i64),
    Visitors(&'a FxHashSet<i64>),
}

/// A set of small numbers.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

impl Test<'_> {
    /// Whether no row of the chunk can pass.
    fn excludes(&self, chunk: &Chunk) -> bool {
        match self {
            Self::Within(key, from, to) => {
                let reach = chunk.reach(*key);
                reach.high < *from || reach.low >= *to
            }
            Self::Tenant(_) | Self::Is(..) | Self::IsNot(..) | Self::AnyOf(..) | Self::Visitors(_) => false,
        }
    }

    /// Strikes out the rows that don't pass.
    fn narrow(&self, chunk: &Chunk, kept: &mut [bool]) {
        match self {
            Self::Tenant(tenant) => keep(kept, &chunk.tenants, |found| found == *tenant),
            Self::Is(column, code) => keep(kept, chunk.codes(*column), |found| found == *code),
            Self::IsNot(column, code) => keep(kept, chunk.codes(*column), |found| found != *code),
            Self::AnyOf(column, codes) => keep(kept, chunk.codes(*column), |found| codes.has(found)),
            Self::Within(key, from, to) => {
                keep(kept, chunk.numbers(*key), |found| (found >= *from) & (found < *to));
            }
            Self::Visitors(visitors) => {
                for (kept, visitor) in kept.iter_mut().zip(&chunk.visitors) {
                    *kept = *kept && visitors.contains(visitor);
                }
            }
        }
    }
}

/// Without a branch, so that the compiler can compare several rows at once.
fn keep<T: Copy>(kept: &mut [bool], column: &[T], passes: impl Fn(T) -> bool) {
    for (kept, value) in kept.iter_mut().zip(column) {
        *kept &= passes(*value);
    }
}

/// The first rows that were met, up to a number.
struct First {
    most: usize,
    ranks: BinaryHeap<Rank>,
}

impl First {
    /// Whether no row of that rank or a worse one would be among them.
    fn is_before(&self, rank: Rank) -> bool {
        self.ranks.len() >= self.most && self.ranks.peek().is_none_or(|worst| *worst < rank)
    }

    fn offer(&mut self, rank: Rank) {
        if self.ranks.len() < self.most {
            self.ranks.push(rank);
        } else if let Some(mut worst) = self.ranks.peek_mut()
            && rank < *worst
        {
            *worst = rank;
        }
    }
}

impl LeadColumns {
    /// The first rows that match behind a place, in order, up to a number.
    pub(crate) fn first(&self, wanted: &Wanted, place: Place, most: usize) -> Vec<After> {
        let Some(tests) = self.tests(wanted) else { return Vec::new() };
        let Place { sort, after } = place;
        let behind = after.map(|after| sort.rank_of(after));
        let mut chunks: Vec<(Rank, &Chunk)> = self.chunks.iter().map(|chunk| (sort.best(chunk), chunk)).collect();
        chunks.sort_unstable_by_key(|(best, _)| *best);
        let mut first = First { most, ranks: BinaryHeap::new() };
        let mut kept = Vec::new();
        for (best, chunk) in chunks {
            if first.is_before(best) {
                break;
            }
            if !narrow(&tests, chunk, &mut kept) {
                continue;
            }
            let rows = chunk.numbers(sort.key).iter().zip(&chunk.ids).zip(&kept);
            for ((key, id), _) in rows.filter(|(_, kept)| **kept) {
                let rank = sort.rank(*key, *id);
                if behind.is_none_or(|behind| rank > behind) {
                    first.offer(rank);
                }
            }
        }
        first.ranks.into_sorted_vec().into_iter().map(|rank| sort.row_of(rank)).collect()
    }

    /// How many rows match.
    pub(crate) fn count(&self, wanted: &Wanted) -> u64 {
        let Some(tests) = self.tests(wanted) else { return 0 };
        let mut kept = Vec::new();
        let rows = self.chunks.iter().map(|chunk| {
            if narrow(&tests, chunk, &mut kept) { kept.iter().filter(|kept| **kept).count() as u64 } else { 0 }
        });
        rows.sum()
    }

    /// The conditions on columns; `None` when no row can meet them.
    fn tests<'a>(&self, wanted: &'a Wanted) -> Option<Vec<Test<'a>>> {
        let mut tests = vec![Test::Tenant(wanted.tenant)];
        for (column, values) in &wanted.texts {
            let codes: Vec<u32> = values.iter().filter_map(|value| self.words.known(value)).collect();
            tests.push(match codes.as_slice() {
                [] => return None,
                [code] => Test::Is(*column, *code),
                [..] => {
                    let mut any = Bits::default();
                    codes.iter().for_each(|code| any.insert(*code));
                    Test::AnyOf(*column, any)
                }
            });
        }
        match wanted.is_open {
            Some(true) => tests.push(Test::Is(TextColumn::CloseCause, Words::NONE)),
            Some(false) => tests.push(Test::IsNot(TextColumn::CloseCause, Words::NONE)),
            None => {}
        }
        for (key, span) in &wanted.ranges {
            // A row without the number is outside of any range.
            let from = span.from.map_or(NO_NUMBER + 1, bounded);
            tests.push(Test::Within(*key, from, span.to.unwrap_or(i64::MAX)));
        }
        tests.extend(wanted.visitors.as_ref().map(Test::Visitors));
        Some(tests)
    }
}

/// Marks the rows of a chunk that match in `kept`. Whether it is worth looking at them.
fn narrow(tests: &[Test<'_>], chunk: &Chunk, kept: &mut Vec<bool>) -> bool {
    if tests.iter().any(|test| test.excludes(chunk)) {
        return false;
    }
    kept.clear();
    kept.resize(chunk.len(), true);
    for test in tests {
        test.narrow(chunk, kept);
    }
    true
}
