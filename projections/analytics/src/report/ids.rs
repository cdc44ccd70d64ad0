//! Functions of SQL about the numbers of ids: keys by which leads are joined, and how many different ones there are.

use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ScalarUDF, Signature, Volatility,
};
use lead_domain::LeadId;
use roaring::{RoaringBitmap, RoaringTreemap};

use crate::lead::lead_of;
use crate::report::function::{column, function};

/// The name of the function that tells the key of a lead by its number.
pub(crate) const LEAD_KEY: &str = "leadfold_lead_key";
/// The name of the function that counts different numbers.
pub(crate) const DIFFERENT: &str = "leadfold_different";

/// In front of the keys of leads that were not there when keys were given. No dense one reaches it.
const FAR: u64 = 1 << 63;
/// About what a number takes in a set: alone in its part of it, and among many.
const BYTES_ALONE: usize = 48;
const BYTES_AMONG_MANY: usize = 10;
/// Numbers from which on a set has many.
const MANY: u64 = 64;
/// Numbers outside of the plain bitmap after which it may grow.
const GROW_AFTER: u64 = 1 << 12;
/// Words of the plain bitmap for each number in the set, at most.
const WORDS_MAX: u64 = 1;
/// Numbers from here on are never in the plain bitmap.
const PLAIN_END: u64 = 1 << 30;

/// Keys of leads that are as dense as can be, so that a join finds a lead by its place in a list and not by a hash.
#[derive(Debug, Default)]
pub(crate) struct LeadKeys {
    /// By visitor: the key of the first lead; the one behind the last lead's is the next visitor's.
    firsts: Vec<u32>,
}

impl LeadKeys {
    /// Keys for these leads, each given as [`lead_key`](crate::lead::lead_key) has it, in any order, some perhaps more
    /// than once.
    pub(crate) fn of<'a>(leads: impl Iterator<Item = &'a [u64]>) -> Self {
        let mut counts: Vec<u32> = Vec::new();
        for lead in leads.flatten() {
            let LeadId { visitor, ordinal } = lead_of(*lead);
            let Ok(visitor) = usize::try_from(visitor.0) else { continue };
            if visitor >= counts.len() {
                counts.resize(visitor + 1, 0);
            }
            if let Some(count) = counts.get_mut(visitor) {
                *count = ordinal.max(*count);
            }
        }
        counts.push(0);
        let mut next = 0_u32;
        for first in &mut counts {
            // More leads than have numbers go without: they are told apart by their far keys.
            let count = std::mem::replace(first, next);
            next = next.saturating_add(count);
        }
        Self { firsts: counts }
    }

    fn key(&self, lead: u64) -> u64 {
        let LeadId { visitor, ordinal } = lead_of(lead);
        let dense = || {
            let (visitor, place) = (usize::try_from(visitor.0).ok()?, ordinal.checked_sub(1)?);
            let (first, behind) = (self.firsts.get(visitor)?, self.firsts.get(visitor + 1)?);
            let key = first.checked_add(place).filter(|key| key < behind && *behind < u32::MAX)?;
            Some(u64::from(key))
        };
        dense().unwrap_or(FAR | lead)
    }
}

/// The function that tells the key of a lead by its number.
pub(crate) fn lead_keys(keys: LeadKeys) -> ScalarUDF {
    function(LEAD_KEY, vec![DataType::UInt64], DataType::UInt64, move |columns| {
        let leads = column::<UInt64Type>(columns, 0)?;
        // Where there is no lead, it doesn't matter which key there is.
        let keys = leads.values().iter().map(|lead| keys.key(*lead));
        Ok(Arc::new(UInt64Array::new(keys.collect(), leads.nulls().cloned())))
    })
}

/// The function that counts different numbers.
pub(crate) fn different() -> AggregateUDF {
    AggregateUDF::from(Different { signature: Signature::exact(vec![DataType::UInt64], Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Different {
    signature: Signature,
}

impl AggregateUDFImpl for Different {
    fn name(&self) -> &str {
        DIFFERENT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Alone::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[numbers]", args.name), DataType::Binary, false))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped::default()))
    }
}

/// A set of numbers: a plain bitmap of the small ones once there are many, since every row is looked up in it, and compressed
/// bitmaps of the others.
#[derive(Debug, Default)]
struct NumberSet {
    plain: Vec<u64>,
    packed: RoaringTreemap,
    /// Put into the compressed ones since the plain one grew.
    waiting: u64,
    /// The largest small one.
    most: u64,
    count: u64,
}

impl NumberSet {
    /// Whether it is new.
    fn insert(&mut self, number: u64) -> bool {
        let is_new = match usize::try_from(number >> 6).ok().and_then(|place| self.plain.get_mut(place)) {
            Some(word) => {
                let before = *word;
                *word |= 1 << (number & 63);
                *word != before
            }
            None => {
                let is_new = self.packed.insert(number);
                self.waiting += u64::from(is_new);
                if number < PLAIN_END {
                    self.most = self.most.max(number);
                }
                is_new
            }
        };
        self.count += u64::from(is_new);
        if self.waiting >= GROW_AFTER {
            self.grow();
        }
        is_new
    }

    fn grow(&mut self) {
        self.waiting = 0;
        let words = (self.most >> 6) + 1;
        if words > self.count * WORDS_MAX {
            return;
        }
        // Numbers are given out in order, so the next ones are a little larger.
        let room = usize::try_from(words + words / 4).unwrap_or_default();
        if room <= self.plain.len() {
            return;
        }
        self.plain.resize(room, 0);
        let packed = std::mem::take(&mut self.packed);
        for number in packed {
            match usize::try_from(number >> 6).ok().and_then(|place| self.plain.get_mut(place)) {
                Some(word) => *word |= 1 << (number & 63),
                None => drop(self.packed.insert(number)),
            }
        }
    }

    fn add(&mut self, others: RoaringTreemap) {
        let mut all = std::mem::take(self).into_packed();
        all |= others;
        *self = Self { count: all.len(), packed: all, ..Self::default() };
    }

    /// In the format of roaring bitmaps.
    fn into_bytes(self) -> Result<Vec<u8>> {
        let packed = self.into_packed();
        let mut bytes = Vec::with_capacity(packed.serialized_size());
        packed.serialize_into(&mut bytes)?;
        Ok(bytes)
    }

    fn into_packed(self) -> RoaringTreemap {
        if self.plain.is_empty() {
            return self.packed;
        }
        let bytes: Vec<u8> = self.plain.iter().flat_map(|word| word.to_le_bytes()).collect();
        let plain = RoaringBitmap::from_lsb0_bytes(0, &bytes);
        self.packed | RoaringTreemap::from_bitmaps([(0, plain)])
    }
}

/// A set for each group.
#[derive(Debug, Default)]
struct Grouped {
    sets: Vec<NumberSet>,
    /// About what they take.
    bytes: usize,
}

impl Grouped {
    fn insert(&mut self, group: usize, number: u64) {
        let Some(set) = self.sets.get_mut(group) else { return };
        if set.insert(number) {
            self.bytes += if set.count < MANY { BYTES_ALONE } else { BYTES_AMONG_MANY };
        }
    }

    fn make_room(&mut self, groups: usize) {
        if groups > self.sets.len() {
            self.bytes += (groups - self.sets.len()) * size_of::<NumberSet>();
            self.sets.resize_with(groups, Default::default);
        }
    }

    /// Those that are taken out no longer count in what the others take.
    fn take(&mut self, emit_to: EmitTo) -> Vec<NumberSet> {
        let all = self.sets.len().max(1);
        let taken = emit_to.take_needed(&mut self.sets);
        self.bytes = self.bytes / all * self.sets.len();
        taken
    }
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.make_room(total_num_groups);
        let counts = |row: usize| opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        for (row, (number, group)) in column::<UInt64Type>(values, 0)?.iter().zip(group_indices).enumerate() {
            if let Some(number) = number.filter(|_| counts(row)) {
                self.insert(*group, number);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let count = |set: NumberSet| i64::try_from(set.count).unwrap_or(i64::MAX);
        Ok(Arc::new(self.take(emit_to).into_iter().map(count).collect::<Int64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sets = self.take(emit_to).into_iter().map(NumberSet::into_bytes);
        let sets: Vec<Vec<u8>> = sets.collect::<Result<_>>()?;
        Ok(vec![Arc::new(BinaryArray::from_iter_values(sets))])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.make_room(total_num_groups);
        let sets = values.first().and_then(|sets| sets.as_binary_opt::<i32>());
        let sets = sets.ok_or_else(|| DataFusionError::Internal("sets of numbers are missing".to_owned()))?;
        for (set, group) in sets.iter().zip(group_indices) {
            if let (Some(set), Some(numbers)) = (set, self.sets.get_mut(*group)) {
                numbers.add(RoaringTreemap::deserialize_from(set)?);
                self.bytes += set.len();
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let groups: Vec<usize> = (0..column::<UInt64Type>(values, 0)?.len()).collect();
        let mut each = Self::default();
        each.update_batch(values, &groups, opt_filter, groups.len())?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

/// The same where there are no groups.
#[derive(Debug, Default)]
struct Alone(Grouped);

impl Accumulator for Alone {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; column::<UInt64Type>(values, 0)?.len()];
        self.0.update_batch(values, &groups, None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.make_room(1);
        ScalarValue::try_from_array(&self.0.evaluate(EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.make_room(1);
        self.0.state(EmitTo::All)?.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |sets| sets.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::arrow::datatypes::Int64Type;
    use lead_domain::VisitorId;
    use proptest::prelude::*;

    use super::*;
    use crate::lead::lead_key;

    fn lead(visitor: u64, ordinal: u32) -> u64 {
        lead_key(LeadId { visitor: VisitorId(visitor), ordinal }).unwrap()
    }

    #[test]
    fn every_lead_has_a_key_of_its_own_and_known_ones_have_the_first() {
        let known = [(1, 1), (1, 2), (3, 1), (3, 2), (3, 3), (7, 2)].map(|(visitor, ordinal)| lead(visitor, ordinal));
        let keys = LeadKeys::of([&known[3..], &known[..4]].into_iter());
        // V7-1 has the key in front of V7-2's.
        assert_eq!(known.map(|lead| keys.key(lead)), [0, 1, 2, 3, 4, 6]);
        let unknown = [(1, 3), (2, 1), (3, 4), (7, 3), (8, 1), (9, 1), (1 << 42, (1 << 20) - 1)];
        let far: BTreeSet<u64> = unknown.iter().map(|(visitor, ordinal)| keys.key(lead(*visitor, *ordinal))).collect();
        assert!(far.len() == unknown.len() && far.iter().all(|key| *key >= FAR));
        assert_eq!(LeadKeys::of(std::iter::empty()).key(lead(1, 1)), FAR | 1 << 20 | 1);
    }

    #[test]
    fn many_numbers_are_counted_wherever_they_are() {
        let mut numbers = NumberSet::default();
        let mut expected = BTreeSet::new();
        for round in 0..60_000_u64 {
            // Most are small and rise slowly, some are far away.
            let number = if round % 50 == 0 { PLAIN_END * (round % 7) + round } else { round / 3 + round * 7 % 1_000 };
            assert_eq!(numbers.insert(number), expected.insert(number), "{number}");
        }
        assert!(!numbers.plain.is_empty() && !numbers.packed.is_empty());
        assert_eq!(numbers.count, expected.len() as u64);
        let more = [3, PLAIN_END * 8, u64::MAX];
        expected.extend(more);
        numbers.add(more.into_iter().collect());
        assert_eq!(numbers.count, expected.len() as u64);
        assert!(numbers.into_packed().into_iter().eq(expected));
    }

    proptest! {
        #[test]
        fn different_numbers_are_counted_as_a_set_counts_them(
            rows in prop::collection::vec((0_usize..5, 1_u64..200, any::<bool>()), 0..400),
            cut in 0_usize..400,
        ) {
            let (counted, merged) = rows.split_at(cut.min(rows.len()));
            let mut expected: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); 5];
            for (group, number, _) in rows.iter().filter(|(.., counts)| *counts) {
                expected[*group].insert(number << 25);
            }
            let columns = |rows: &[(usize, u64, bool)]| {
                let numbers: UInt64Array = rows.iter().map(|(_, number, _)| Some(number << 25)).collect();
                let filter: BooleanArray = rows.iter().map(|(.., counts)| Some(*counts)).collect();
                let groups: Vec<usize> = rows.iter().map(|(group, ..)| *group).collect();
                ([Arc::new(numbers) as ArrayRef], filter, groups)
            };
            let mut sets = Grouped::default();
            // One part is counted and merged, the other is merged row by row.
            let (numbers, filter, groups) = columns(counted);
            let mut first = Grouped::default();
            first.update_batch(&numbers, &groups, Some(&filter), 5).unwrap();
            sets.merge_batch(&first.state(EmitTo::All).unwrap(), &[0, 1, 2, 3, 4], 5).unwrap();
            let (numbers, filter, groups) = columns(merged);
            sets.merge_batch(&sets.convert_to_state(&numbers, Some(&filter)).unwrap(), &groups, 5).unwrap();
            let counts = [EmitTo::First(2), EmitTo::All].map(|emit_to| {
                sets.evaluate(emit_to).unwrap().as_primitive::<Int64Type>().values().to_vec()
            });
            let expected: Vec<i64> = expected.iter().map(|set| set.len() as i64).collect();
            prop_assert_eq!(counts.concat(), expected);
        }
    }
}
