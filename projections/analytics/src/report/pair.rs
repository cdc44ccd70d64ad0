//! A function of SQL that makes one number of two: rows are grouped by one column much faster than by two.

use std::sync::Arc;

use datafusion::arrow::array::{Array, Int32Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::logical_expr::ScalarUDF;

use crate::report::cell::Cell;
use crate::report::function::{column, function};

/// The name of the function.
pub(crate) const PAIR: &str = "leadfold_pair";

/// The function. Its numbers are places, so none is negative.
pub(crate) fn pairs() -> ScalarUDF {
    let numbers = vec![DataType::Int32, DataType::Int32];
    function(PAIR, numbers, DataType::UInt64, |columns| {
        Ok(Arc::new(paired(column::<Int32Type>(columns, 0)?, column::<Int32Type>(columns, 1)?)))
    })
}

/// The two numbers of one, as [`pairs`] made it.
pub(crate) fn unpaired(pair: &Cell) -> (Cell, Cell) {
    let Cell::Whole(pair) = pair else { return (Cell::Nothing, Cell::Nothing) };
    // What isn't there is 0, and everything else one more.
    let part = |part: i128| if part == 0 { Cell::Nothing } else { Cell::Whole(part - 1) };
    (part(pair >> 32), part(pair & i128::from(u32::MAX)))
}

fn pair(one: Option<i32>, other: Option<i32>) -> u64 {
    let half = |number: Option<i32>| number.map_or(0, |number| u64::from(number.unsigned_abs()) + 1);
    half(one) << 32 | half(other)
}

fn paired(one: &Int32Array, other: &Int32Array) -> UInt64Array {
    let pairs: Vec<u64> = if one.null_count() == 0 && other.null_count() == 0 {
        one.values().iter().zip(other.values()).map(|(one, other)| pair(Some(*one), Some(*other))).collect()
    } else {
        one.iter().zip(other).map(|(one, other)| pair(one, other)).collect()
    };
    pairs.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_numbers_again() {
        let most = Some(i32::MAX);
        for rows in [
            vec![(Some(0), Some(0)), (Some(7), most), (most, Some(7)), (most, most)],
            vec![(None, Some(3)), (Some(3), None), (None, None)],
        ] {
            let one: Int32Array = rows.iter().map(|(one, _)| *one).collect();
            let other: Int32Array = rows.iter().map(|(_, other)| *other).collect();
            let cell = |number: Option<i32>| number.map_or(Cell::Nothing, |number| Cell::Whole(number.into()));
            for (pair, (one, other)) in paired(&one, &other).values().iter().zip(rows) {
                assert_eq!(unpaired(&Cell::Whole((*pair).into())), (cell(one), cell(other)));
            }
        }
    }
}
