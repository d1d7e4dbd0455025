//! The digits of whole numbers and decimals, where a batch's scalar does not hold them.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use tidemill_data::Digits;
use tidemill_data::tensor::Scalar;

use super::View;
use super::plain::numbers;
use crate::types::numbers_of;

/// Appends the digits of the last rows of a column, whose rounded numbers are in `values` already.
///
/// What the tables have may be narrower than what is read, and have fewer digits behind the point.
pub(super) fn append<T: Scalar>(view: &View, values: &[T], digits: &mut Digits) {
    let target = digits.numbers().scale().unwrap_or(0);
    match view.clone() {
        View::Plain { bytes, data_type, .. } => {
            let to = To { factor: factor(data_type, target), values, digits };
            match data_type {
                DataType::UInt32 => to.narrow(numbers(bytes, u32::from_le_bytes).map(i64::from)),
                DataType::UInt64 => to.wide(numbers(bytes, u64::from_le_bytes).map(i128::from)),
                DataType::Int32 | DataType::Date32 | DataType::Time32(_) => {
                    to.narrow(numbers(bytes, i32::from_le_bytes).map(i64::from));
                }
                _ => to.narrow(numbers(bytes, i64::from_le_bytes)),
            }
        }
        View::Array { array, nanoseconds: Some(fine), rows } => {
            let step = 10_i128.pow(u32::from(9_u8.saturating_sub(target.unsigned_abs())));
            digits.extend(values, fine_times(array, fine, rows).map(|nanos| nanos.div_euclid(step)));
        }
        View::Array { array, rows, .. } => {
            let to = To { factor: factor(array.data_type(), target), values, digits };
            to.array(array, rows);
        }
    }
    let first = values.len() - view.rows();
    view.each_null(|row| digits.clear_row(first + row));
}

/// What digits of a type are multiplied by to be those of more behind the point.
fn factor(data_type: &DataType, scale: i8) -> i128 {
    let own = numbers_of(data_type).scale().unwrap_or(0);
    let more = u32::try_from(i32::from(scale) - i32::from(own)).unwrap_or(0);
    10_i128.checked_pow(more).unwrap_or(i128::MAX)
}

/// Timestamps that are known to the millisecond over a long range and to the nanosecond modulo 2⁶⁴, as nanoseconds.
fn fine_times<'a>(
    millis: &'a dyn Array,
    nanos: &'a dyn Array,
    rows: Range<usize>,
) -> impl ExactSizeIterator<Item = i128> + Clone + 'a {
    let millis = &millis.as_primitive::<TimestampMillisecondType>().values()[rows.clone()];
    let nanos = &nanos.as_primitive::<TimestampNanosecondType>().values()[rows];
    millis.iter().zip(nanos).map(|(&millis, &nanos)| {
        let fine = nanos.wrapping_sub(millis.wrapping_mul(1_000_000));
        i128::from(millis) * 1_000_000 + i128::from(fine)
    })
}

struct To<'a, T> {
    factor: i128,
    values: &'a [T],
    digits: &'a mut Digits,
}

impl<T: Scalar> To<'_, T> {
    fn array(self, array: &dyn Array, rows: Range<usize>) {
        match array.data_type() {
            DataType::Int32 => self.signed::<Int32Type>(array, rows),
            DataType::UInt32 => self.signed::<UInt32Type>(array, rows),
            DataType::Int64 => self.signed::<Int64Type>(array, rows),
            DataType::UInt64 => self.wide(array.as_primitive::<UInt64Type>().values()[rows].iter().map(|&v| v.into())),
            DataType::Decimal32(..) => self.signed::<Decimal32Type>(array, rows),
            DataType::Decimal64(..) => self.signed::<Decimal64Type>(array, rows),
            DataType::Decimal128(..) => {
                self.wide(array.as_primitive::<Decimal128Type>().values()[rows].iter().copied());
            }
            DataType::Decimal256(..) => {
                self.wide(array.as_primitive::<Decimal256Type>().values()[rows].iter().map(|v| v.as_i128()));
            }
            DataType::Time32(TimeUnit::Second) => self.signed::<Time32SecondType>(array, rows),
            DataType::Time32(_) => self.signed::<Time32MillisecondType>(array, rows),
            DataType::Time64(TimeUnit::Microsecond) => self.signed::<Time64MicrosecondType>(array, rows),
            DataType::Time64(_) => self.signed::<Time64NanosecondType>(array, rows),
            DataType::Timestamp(TimeUnit::Second, _) => self.signed::<TimestampSecondType>(array, rows),
            DataType::Timestamp(TimeUnit::Millisecond, _) => self.signed::<TimestampMillisecondType>(array, rows),
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.signed::<TimestampMicrosecondType>(array, rows),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => self.signed::<TimestampNanosecondType>(array, rows),
            DataType::Duration(TimeUnit::Second) => self.signed::<DurationSecondType>(array, rows),
            DataType::Duration(TimeUnit::Millisecond) => self.signed::<DurationMillisecondType>(array, rows),
            DataType::Duration(TimeUnit::Microsecond) => self.signed::<DurationMicrosecondType>(array, rows),
            DataType::Duration(TimeUnit::Nanosecond) => self.signed::<DurationNanosecondType>(array, rows),
            // Integers of up to 16 bits, which every scalar holds, and nothing but nulls.
            _ => {
                let rounded = &self.values[self.values.len() - rows.len()..];
                self.narrow(rounded.iter().map(|value| value.widen() as i64));
            }
        }
    }

    fn signed<P: ArrowPrimitiveType>(self, array: &dyn Array, rows: Range<usize>)
    where
        i64: From<P::Native>,
    {
        self.narrow(array.as_primitive::<P>().values()[rows].iter().map(|&value| i64::from(value)));
    }

    fn narrow(self, from: impl ExactSizeIterator<Item = i64> + Clone) {
        match self.factor {
            1 => self.digits.extend_64(self.values, from),
            _ => self.wide(from.map(i128::from)),
        }
    }

    fn wide(self, from: impl ExactSizeIterator<Item = i128> + Clone) {
        let factor = self.factor;
        self.digits.extend(self.values, from.map(|digits| digits.saturating_mul(factor)));
    }
}
