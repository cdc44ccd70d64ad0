//! A function of SQL that makes one number of two: rows are grouped by one column much faster than by two.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int32Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::report::cell::Cell;

/// The name of the function.
pub(crate) const PAIR: &str = "leadfold_pair";

/// The function. Its numbers are places, so none is negative.
pub(crate) fn pairs() -> ScalarUDF {
    let numbers = vec![DataType::Int32, DataType::Int32];
    ScalarUDF::from(Pair { signature: Signature::exact(numbers, Volatility::Immutable) })
}

/// The two numbers of one, as [`pairs`] made it.
pub(crate) fn unpaired(pair: &Cell) -> (Cell, Cell) {
    let Cell::Whole(pair) = pair else { return (Cell::Nothing, Cell::Nothing) };
    // What isn't there is 0, and everything else one more.
    let part = |part: i128| if part == 0 { Cell::Nothing } else { Cell::Whole(part - 1) };
    (part(pair >> 32), part(pair & i128::from(u32::MAX)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pair {
    signature: Signature,
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

impl ScalarUDFImpl for Pair {
    fn name(&self) -> &str {
        PAIR
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let half = |place: usize| {
            let numbers = arrays.get(place).and_then(|numbers| numbers.as_primitive_opt::<Int32Type>());
            numbers.ok_or_else(|| DataFusionError::Internal("half of a pair is missing".to_owned()))
        };
        Ok(ColumnarValue::Array(Arc::new(paired(half(0)?, half(1)?))))
    }
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
