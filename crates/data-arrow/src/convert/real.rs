use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, TimestampMillisecondArray};
use arrow_schema::{DataType, TimeUnit};
use tidemill_data::Nulls;
use tidemill_data::tensor::Scalar;

use super::{View, plain};

mod decimal;

/// Bytes of a batch that are filled column by column before going on: they stay in the cache, and each column is read
/// far enough at a time to be fetched ahead.
const TILE: usize = 128 << 10;

/// Appends columns of one number each, side by side.
pub(super) fn append_block<'a, T: Scalar>(
    reads: &[usize],
    rows: usize,
    view: impl Fn(usize) -> View<'a>,
    values: &mut Vec<T>,
    nulls: &mut Nulls,
) {
    let (width, before) = (reads.len(), values.len());
    let tile = (TILE / (width * size_of::<T>())).max(1);
    values.reserve(rows * width);
    for tile_rows in tiles(0..rows, tile) {
        // Zeroed a tile at a time, it is in the cache when it is written.
        let start = values.len();
        values.resize(start + tile_rows.len() * width, T::zero());
        write_tile(reads, &mut values[start..], |read| view(read).slice(tile_rows.clone(), rows));
    }
    if !reads.iter().any(|&read| view(read).first_null().is_some()) {
        nulls.extend_valid(before / width, rows);
        return;
    }
    let flags = nulls.extend_mut(before / width, rows);
    for (lane, &read) in reads.iter().enumerate() {
        match view(read) {
            View::Plain { nulls, .. } => {
                let nulls = nulls.unwrap_or_default();
                flags.iter_mut().zip(nulls).for_each(|(flag, &null)| *flag |= null);
            }
            array => array.each_null(|row| {
                flags[row] = true;
                values[before + row * width + lane] = T::zero();
            }),
        }
    }
}

/// Writes rows that fill a tile. Columns of the same type whose values are plain are written four at a time: a row's
/// numbers then go to memory together.
fn write_tile<'a, T: Scalar>(reads: &[usize], to: &mut [T], view: impl Fn(usize) -> View<'a>) {
    let width = reads.len();
    let mut lane = 0;
    while lane < width {
        if let Some(&four) = reads[lane..].first_chunk::<4>()
            && let Some((columns, data_type)) = plain_columns(four.map(&view))
        {
            plain::write(columns, data_type, &mut *to, width, lane);
            lane += 4;
            continue;
        }
        match view(reads[lane]) {
            View::Plain { bytes, data_type, .. } => plain::write([bytes], data_type, &mut *to, width, lane),
            View::Array { array, nanoseconds: None, rows } => Lane { to: &mut *to, width, lane }.write(array, rows),
            View::Array { array, nanoseconds: Some(fine), rows } => {
                Lane { to: &mut *to, width, lane }.write_fine(array.as_primitive(), fine, rows);
            }
        }
        lane += 1;
    }
}

/// Four columns of one type, if all are plain.
fn plain_columns<'a>(views: [View<'a>; 4]) -> Option<([&'a [u8]; 4], &'a DataType)> {
    let (mut columns, mut one) = ([&[][..]; 4], None);
    for (column, view) in columns.iter_mut().zip(views) {
        let View::Plain { bytes, data_type, .. } = view else { return None };
        if one.is_some_and(|one| one != data_type) {
            return None;
        }
        (*column, one) = (bytes, Some(data_type));
    }
    Some((columns, one?))
}

/// Appends lists of numbers, or gives the row of a list with a null inside.
pub(super) fn append_list<T: Scalar>(
    view: View,
    width: usize,
    values: &mut Vec<T>,
    nulls: &mut Nulls,
) -> Result<(), usize> {
    let View::Array { array, rows, .. } = view else { unreachable!("lists are no plain numbers") };
    let (lists, before) = (array.as_fixed_size_list(), values.len());
    let (items, absent) = (lists.values(), lists.nulls().filter(|n| n.null_count() > 0));
    let start = lists.value_offset_at(rows.start);
    let inside = start..start + rows.len() * width;
    values.resize(before + inside.len(), T::zero());
    Lane { to: &mut values[before..], width: 1, lane: 0 }.write(items.as_ref(), inside.clone());
    let is_null = |row| absent.is_some_and(|nulls| nulls.is_null(row));
    if items.null_count() > 0 {
        let hole =
            |&row: &usize| !is_null(row) && (0..width).any(|i| items.is_null(start + (row - rows.start) * width + i));
        if let Some(row) = rows.clone().find(hole) {
            return Err(row - rows.start);
        }
    }
    if !rows.clone().any(is_null) {
        nulls.extend_valid(before / width, rows.len());
        return Ok(());
    }
    for (list, row) in values[before..].chunks_exact_mut(width).zip(rows.clone()) {
        if is_null(row) {
            list.fill(T::zero());
        }
    }
    nulls.extend(before / width, rows.map(is_null));
    Ok(())
}

fn tiles(rows: Range<usize>, tile: usize) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(tile).map(move |start| start..rows.end.min(start + tile))
}

/// Writes the numbers of some rows of an array.
pub(super) fn write<T: Scalar>(array: &dyn Array, rows: Range<usize>, to: &mut [T]) {
    Lane { to, width: 1, lane: 0 }.write(array, rows);
}

/// One number of each row of a row-major block.
struct Lane<'a, T> {
    to: &'a mut [T],
    width: usize,
    lane: usize,
}

impl<T: Scalar> Lane<'_, T> {
    /// Writes some rows of an array of numbers.
    fn write(self, array: &dyn Array, rows: Range<usize>) {
        match array.data_type() {
            DataType::Int8 => self.numbers::<Int8Type>(array, rows, |v| T::of(v.into())),
            DataType::Int16 => self.numbers::<Int16Type>(array, rows, |v| T::of(v.into())),
            DataType::Int32 => self.numbers::<Int32Type>(array, rows, |v| T::of(v.into())),
            DataType::UInt8 => self.numbers::<UInt8Type>(array, rows, |v| T::of(v.into())),
            DataType::UInt16 => self.numbers::<UInt16Type>(array, rows, |v| T::of(v.into())),
            DataType::UInt32 => self.numbers::<UInt32Type>(array, rows, |v| T::of(v.into())),
            DataType::Float16 => self.numbers::<Float16Type>(array, rows, |v| T::of(v.to_f64())),
            DataType::Float32 => self.numbers::<Float32Type>(array, rows, |v| T::of(v.into())),
            DataType::Float64 => self.numbers::<Float64Type>(array, rows, T::of),
            DataType::Int64 => self.numbers::<Int64Type>(array, rows, plain::signed),
            DataType::UInt64 => self.numbers::<UInt64Type>(array, rows, plain::unsigned),
            DataType::Decimal32(p, s) => self.decimals::<Decimal32Type>(array, rows, *p, *s, f64::from),
            DataType::Decimal64(p, s) => self.decimals::<Decimal64Type>(array, rows, *p, *s, |v| v as f64),
            DataType::Decimal128(p, s) => self.decimals::<Decimal128Type>(array, rows, *p, *s, |v| v as f64),
            DataType::Decimal256(p, s) => {
                self.decimals::<Decimal256Type>(array, rows, *p, *s, |v| v.as_i128() as f64);
            }
            DataType::Boolean => {
                let bits = array.as_boolean().values();
                self.each(rows, |row| if bits.value(row) { T::one() } else { T::zero() });
            }
            DataType::Date32 => self.numbers::<Date32Type>(array, rows, |days| T::of(days.into())),
            DataType::Date64 => self.numbers::<Date64Type>(array, rows, |ms| T::of(ms as f64 / 86_400_000.0)),
            DataType::Time32(TimeUnit::Second) => self.numbers::<Time32SecondType>(array, rows, |s| T::of(s.into())),
            DataType::Time32(_) => {
                self.numbers::<Time32MillisecondType>(array, rows, |ms| T::of(seconds(ms.into(), 1_000)));
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                self.numbers::<Time64MicrosecondType>(array, rows, |us| T::of(seconds(us, 1_000_000)));
            }
            DataType::Time64(_) => {
                self.numbers::<Time64NanosecondType>(array, rows, |ns| T::of(seconds(ns, 1_000_000_000)));
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                self.numbers::<TimestampSecondType>(array, rows, |s| T::of(s as f64));
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.numbers::<TimestampMillisecondType>(array, rows, |ms| T::of(seconds(ms, 1_000)));
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.numbers::<TimestampMicrosecondType>(array, rows, |us| T::of(seconds(us, 1_000_000)));
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.numbers::<TimestampNanosecondType>(array, rows, |ns| T::of(seconds(ns, 1_000_000_000)));
            }
            DataType::Duration(TimeUnit::Second) => {
                self.numbers::<DurationSecondType>(array, rows, |s| T::of(s as f64))
            }
            DataType::Duration(TimeUnit::Millisecond) => {
                self.numbers::<DurationMillisecondType>(array, rows, |ms| T::of(seconds(ms, 1_000)));
            }
            DataType::Duration(TimeUnit::Microsecond) => {
                self.numbers::<DurationMicrosecondType>(array, rows, |us| T::of(seconds(us, 1_000_000)));
            }
            DataType::Duration(TimeUnit::Nanosecond) => {
                self.numbers::<DurationNanosecondType>(array, rows, |ns| T::of(seconds(ns, 1_000_000_000)));
            }
            DataType::Null => self.each(rows, |_| T::zero()),
            other => unreachable!("a real column of type {other}"),
        }
    }

    /// Writes timestamps that are known to the millisecond over a long range and to the nanosecond modulo 2⁶⁴, which
    /// together give both.
    fn write_fine(self, millis: &TimestampMillisecondArray, nanos: &dyn Array, rows: Range<usize>) {
        let nanos = nanos.as_primitive::<TimestampNanosecondType>().values();
        let millis = millis.values();
        self.each(rows, |row| {
            let fine = nanos[row].wrapping_sub(millis[row].wrapping_mul(1_000_000));
            let (whole, part) = (millis[row] / 1_000, millis[row] % 1_000);
            T::of(whole as f64 + (part * 1_000_000).wrapping_add(fine) as f64 / 1e9)
        });
    }

    fn numbers<P: ArrowPrimitiveType>(self, array: &dyn Array, rows: Range<usize>, convert: impl Fn(P::Native) -> T) {
        let from = &array.as_primitive::<P>().values()[rows];
        if self.width == 1 {
            for (to, &value) in self.to.iter_mut().zip(from) {
                *to = convert(value);
            }
        } else {
            for (to, &value) in self.to.chunks_exact_mut(self.width).zip(from) {
                to[self.lane] = convert(value);
            }
        }
    }

    fn decimals<P>(
        self,
        array: &dyn Array,
        rows: Range<usize>,
        precision: u8,
        scale: i8,
        widen: impl Fn(P::Native) -> f64,
    ) where
        P: ArrowPrimitiveType,
        P::Native: std::fmt::Display,
    {
        match decimal::divisor(precision, scale) {
            Some(divisor) => self.numbers::<P>(array, rows, |v| T::of(widen(v) / divisor)),
            None => self.numbers::<P>(array, rows, |v| T::of(decimal::nearest(v, scale))),
        }
    }

    fn each(self, rows: Range<usize>, value: impl Fn(usize) -> T) {
        for (to, row) in self.to.chunks_exact_mut(self.width).zip(rows) {
            to[self.lane] = value(row);
        }
    }
}

/// A count of parts of a second as seconds. Whole seconds are split off first: the count may have more than 53 bits.
pub(super) fn seconds(parts: i64, per_second: i64) -> f64 {
    (parts / per_second) as f64 + (parts % per_second) as f64 / per_second as f64
}
