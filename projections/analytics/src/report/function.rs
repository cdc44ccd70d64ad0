//! Functions of SQL that are ours: they work on whole columns, and are known to one question only.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// A function of columns of the types in `takes` that gives a column of as many rows.
pub(crate) fn function(
    name: &str,
    takes: Vec<DataType>,
    gives: DataType,
    work_out: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let of_values = move |values: &[ColumnarValue]| {
        let columns = ColumnarValue::values_to_arrays(values)?;
        Ok(ColumnarValue::Array(work_out(&columns)?))
    };
    create_udf(name, takes, gives, Volatility::Immutable, Arc::new(of_values))
}

/// A column of numbers that a function was given.
pub(crate) fn column<T: ArrowPrimitiveType>(columns: &[ArrayRef], place: usize) -> Result<&PrimitiveArray<T>> {
    let column = columns.get(place).and_then(|column| column.as_primitive_opt::<T>());
    column.ok_or_else(|| DataFusionError::Internal(format!("column {place} is missing, or of another type")))
}
