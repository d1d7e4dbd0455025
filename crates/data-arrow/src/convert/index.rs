use std::fmt::Display;
use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::DataType;

use super::plain::numbers;
use super::{Problem, View};

/// Appends integers, which must be there and from zero to `cardinality`; otherwise gives the row and the problem.
pub(super) fn append(view: View, cardinality: u32, values: &mut Vec<u32>) -> Result<(), (usize, Problem)> {
    if let Some(row) = view.first_null() {
        return Err((row, Problem::Null));
    }
    let to = Indices { cardinality, values };
    match view {
        View::Array { array, rows, .. } => to.extend_array(array, rows),
        View::Plain { bytes, data_type, .. } => match data_type {
            DataType::Int32 => to.extend(numbers(bytes, i32::from_le_bytes), |v| v as u64),
            DataType::UInt32 => to.extend(numbers(bytes, u32::from_le_bytes), u64::from),
            DataType::Int64 => to.extend(numbers(bytes, i64::from_le_bytes), |v| v as u64),
            DataType::UInt64 => to.extend(numbers(bytes, u64::from_le_bytes), |v| v),
            other => unreachable!("plain integers of type {other}"),
        },
    }
}

struct Indices<'a> {
    cardinality: u32,
    values: &'a mut Vec<u32>,
}

impl Indices<'_> {
    fn extend_array(self, array: &dyn Array, rows: Range<usize>) -> Result<(), (usize, Problem)> {
        match array.data_type() {
            DataType::Int8 => self.extend(integers::<Int8Type>(array, rows), |v| v as u64),
            DataType::Int16 => self.extend(integers::<Int16Type>(array, rows), |v| v as u64),
            DataType::Int32 => self.extend(integers::<Int32Type>(array, rows), |v| v as u64),
            DataType::Int64 => self.extend(integers::<Int64Type>(array, rows), |v| v as u64),
            DataType::UInt8 => self.extend(integers::<UInt8Type>(array, rows), u64::from),
            DataType::UInt16 => self.extend(integers::<UInt16Type>(array, rows), u64::from),
            DataType::UInt32 => self.extend(integers::<UInt32Type>(array, rows), u64::from),
            DataType::UInt64 => self.extend(integers::<UInt64Type>(array, rows), |v| v),
            // Some rows of it would have been refused.
            DataType::Null => Ok(()),
            other => unreachable!("an index column of type {other}"),
        }
    }

    /// Negative numbers widen to the largest ones, so that one comparison finds both kinds of bad values.
    fn extend<V: Copy + Display>(
        self,
        integers: impl Iterator<Item = V> + Clone,
        widen: impl Fn(V) -> u64,
    ) -> Result<(), (usize, Problem)> {
        let cardinality = u64::from(self.cardinality);
        let is_bad = |v: V| widen(v) >= cardinality;
        if let Some((row, bad)) = integers.clone().enumerate().find(|(_, v)| is_bad(*v)) {
            return Err((row, Problem::OutOfRange(format!("{bad}, expected 0 to {}", self.cardinality - 1))));
        }
        self.values.extend(integers.map(|v| widen(v) as u32));
        Ok(())
    }
}

fn integers<P: ArrowPrimitiveType>(
    array: &dyn Array,
    rows: Range<usize>,
) -> impl Iterator<Item = P::Native> + Clone + '_ {
    array.as_primitive::<P>().values()[rows].iter().copied()
}
