use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::DataType;

use super::{Problem, first_null};

/// Appends integers, which must be there and from zero to `cardinality`; otherwise gives the row and the problem.
pub(super) fn append(
    array: &dyn Array,
    rows: Range<usize>,
    cardinality: u32,
    values: &mut Vec<u32>,
) -> Result<(), (usize, Problem)> {
    if let Some(row) = first_null(array, rows.clone()) {
        return Err((row, Problem::Null));
    }
    match array.data_type() {
        DataType::Int8 => integers::<Int8Type>(array, rows, cardinality, values, |v| v as u64),
        DataType::Int16 => integers::<Int16Type>(array, rows, cardinality, values, |v| v as u64),
        DataType::Int32 => integers::<Int32Type>(array, rows, cardinality, values, |v| v as u64),
        DataType::Int64 => integers::<Int64Type>(array, rows, cardinality, values, |v| v as u64),
        DataType::UInt8 => integers::<UInt8Type>(array, rows, cardinality, values, u64::from),
        DataType::UInt16 => integers::<UInt16Type>(array, rows, cardinality, values, u64::from),
        DataType::UInt32 => integers::<UInt32Type>(array, rows, cardinality, values, u64::from),
        DataType::UInt64 => integers::<UInt64Type>(array, rows, cardinality, values, |v| v),
        other => unreachable!("an index column of type {other}"),
    }
}

/// Negative numbers widen to the largest ones, so that one comparison finds both kinds of bad values.
fn integers<P: ArrowPrimitiveType>(
    array: &dyn Array,
    rows: Range<usize>,
    cardinality: u32,
    values: &mut Vec<u32>,
    widen: impl Fn(P::Native) -> u64,
) -> Result<(), (usize, Problem)>
where
    P::Native: std::fmt::Display,
{
    let integers = &array.as_primitive::<P>().values()[rows.clone()];
    if let Some(bad) = integers.iter().position(|&v| widen(v) >= u64::from(cardinality)) {
        let problem = format!("{}, expected 0 to {}", integers[bad], cardinality - 1);
        return Err((rows.start + bad, Problem::OutOfRange(problem)));
    }
    values.extend(integers.iter().map(|&v| widen(v) as u32));
    Ok(())
}
