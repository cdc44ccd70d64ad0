//! A function of SQL that tells which unit of the calendar an instant is in, without asking the time zone for every row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use datafusion::arrow::datatypes::{DataType, TimestampMillisecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The function of a list of boundaries: the place of the last one that is not behind the instant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    name: String,
    boundaries: Arc<[i64]>,
    signature: Signature,
}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Plans are hashed often, and one name has one list.
        self.name.hash(state);
        self.boundaries.len().hash(state);
    }
}

impl Bucket {
    /// A function of that name. `boundaries` rise.
    pub(crate) fn function(name: String, boundaries: Arc<[i64]>) -> ScalarUDF {
        ScalarUDF::from(Self { name, boundaries, signature: Signature::any(1, Volatility::Immutable) })
    }

    fn places(&self, instants: &ArrayRef) -> Result<Int32Array> {
        let instants = instants.as_primitive_opt::<TimestampMillisecondType>();
        let instants = instants.ok_or_else(|| DataFusionError::Execution("only instants are in a unit".to_owned()))?;
        // Neighbours are mostly in one unit.
        let mut last = (i64::MAX, i64::MIN, 0);
        let mut place_of = |instant: i64| {
            let (from, to, place) = last;
            if instant >= from && instant < to {
                return Some(place);
            }
            let behind = self.boundaries.partition_point(|boundary| *boundary <= instant);
            let before = behind.checked_sub(1)?;
            let from = self.boundaries.get(before).copied().unwrap_or(i64::MIN);
            let to = self.boundaries.get(behind).copied().unwrap_or(i64::MAX);
            last = (from, to, i32::try_from(before).ok()?);
            Some(last.2)
        };
        if instants.null_count() > 0 {
            return Ok(instants.iter().map(|instant| instant.and_then(&mut place_of)).collect());
        }
        let places: Option<Vec<i32>> = instants.values().iter().map(|instant| place_of(*instant)).collect();
        match places {
            Some(places) => Ok(places.into()),
            None => Ok(instants.values().iter().map(|instant| place_of(*instant)).collect()),
        }
    }
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let instants = arrays.first().ok_or_else(|| DataFusionError::Internal("an instant is missing".to_owned()))?;
        Ok(ColumnarValue::Array(Arc::new(self.places(instants)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, ArrayRef, TimestampMillisecondArray};
    use datafusion::logical_expr::{Signature, Volatility};

    use super::Bucket;

    #[test]
    fn an_instant_is_in_the_last_unit_that_has_begun() {
        let signature = Signature::any(1, Volatility::Immutable);
        let bucket = Bucket { name: "bucket".to_owned(), boundaries: Arc::from([10, 20, 45]), signature };
        let instants: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![
            Some(10),
            Some(19),
            Some(20),
            Some(9),
            None,
            Some(99),
            Some(12),
        ]));
        let places = bucket.places(&instants).unwrap();
        let places: Vec<Option<i32>> =
            (0..places.len()).map(|row| places.is_valid(row).then(|| places.value(row))).collect();
        assert_eq!(places, [Some(0), Some(0), Some(1), None, None, Some(2), Some(0)]);
    }
}
