//! A function of SQL that tells which unit of the calendar an instant is in, without asking the time zone for every row.

use std::sync::Arc;

use datafusion::arrow::array::{Array, Int32Array, TimestampMillisecondArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use datafusion::logical_expr::ScalarUDF;

use crate::report::function::{column, function};

/// A function of that name: the place of the last boundary that is not behind an instant. `boundaries` rise.
pub(crate) fn bucket(name: &str, boundaries: Arc<[i64]>) -> ScalarUDF {
    let instants = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    function(name, vec![instants], DataType::Int32, move |columns| {
        Ok(Arc::new(places(&boundaries, column::<TimestampMillisecondType>(columns, 0)?)))
    })
}

fn places(boundaries: &[i64], instants: &TimestampMillisecondArray) -> Int32Array {
    // Neighbours are mostly in one unit.
    let mut last = (i64::MAX, i64::MIN, 0);
    let mut place_of = |instant: i64| {
        let (from, to, place) = last;
        if instant >= from && instant < to {
            return Some(place);
        }
        let behind = boundaries.partition_point(|boundary| *boundary <= instant);
        let before = behind.checked_sub(1)?;
        let from = boundaries.get(before).copied().unwrap_or(i64::MIN);
        let to = boundaries.get(behind).copied().unwrap_or(i64::MAX);
        last = (from, to, i32::try_from(before).ok()?);
        Some(last.2)
    };
    if instants.null_count() > 0 {
        return instants.iter().map(|instant| instant.and_then(&mut place_of)).collect();
    }
    let places: Option<Vec<i32>> = instants.values().iter().map(|instant| place_of(*instant)).collect();
    match places {
        Some(places) => places.into(),
        None => instants.values().iter().map(|instant| place_of(*instant)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, TimestampMillisecondArray};

    use super::places;

    #[test]
    fn an_instant_is_in_the_last_unit_that_has_begun() {
        let instants =
            TimestampMillisecondArray::from(vec![Some(10), Some(19), Some(20), Some(9), None, Some(99), Some(12)]);
        let places = places(&[10, 20, 45], &instants);
        let places: Vec<Option<i32>> =
            (0..places.len()).map(|row| places.is_valid(row).then(|| places.value(row))).collect();
        assert_eq!(places, [Some(0), Some(0), Some(1), None, None, Some(2), Some(0)]);
    }
}
