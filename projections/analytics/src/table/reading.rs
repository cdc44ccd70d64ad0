//! Reading rows of a batch back, column by column.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type};
use lead_domain::Name;

/// One row of a batch. A column that is missing or of another type reads as empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) batch: &'a RecordBatch,
    pub(crate) row: usize,
}

impl<'a> Reading<'a> {
    fn column(self, name: &str) -> Option<&'a dyn Array> {
        let column = self.batch.column_by_name(name)?;
        (self.row < column.len() && column.is_valid(self.row)).then_some(column.as_ref())
    }

    pub(crate) fn number(self, name: &str) -> Option<u64> {
        Some(self.column(name)?.as_primitive_opt::<UInt64Type>()?.value(self.row))
    }

    pub(crate) fn amount(self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    pub(crate) fn instant(self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<TimestampMillisecondType>()?.value(self.row))
    }

    /// Text, however it is stored.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        let column = self.column(name)?;
        if !matches!(column.data_type(), DataType::Dictionary(_, _)) {
            return Some(column.as_string_opt::<i32>()?.value(self.row));
        }
        let words = column.as_dictionary_opt::<Int32Type>()?;
        let key = words.key(self.row)?;
        Some(words.values().as_string_opt::<i32>()?.value(key))
    }

    pub(crate) fn name(self, name: &str) -> Option<Name> {
        self.text(name).map(Name::from)
    }

    /// Attributes in their order.
    pub(crate) fn attributes(self, name: &str) -> Vec<(&'a str, &'a str)> {
        let read = || {
            let map = self.column(name)?.as_map_opt()?;
            let offsets = map.value_offsets();
            let from = usize::try_from(*offsets.get(self.row)?).ok()?;
            let to = usize::try_from(*offsets.get(self.row + 1)?).ok()?;
            let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
            Some((from..to).map(|place| (keys.value(place), values.value(place))).collect())
        };
        read().unwrap_or_default()
    }
}
