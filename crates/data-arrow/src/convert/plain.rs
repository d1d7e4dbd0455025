use arrow_schema::{DataType, TimeUnit};
use tidemill_data::tensor::{DType, Scalar};

use super::real::seconds;

/// The numbers in bytes.
pub(super) fn numbers<const S: usize, V>(
    bytes: &[u8],
    read: impl Fn([u8; S]) -> V + Clone,
) -> impl ExactSizeIterator<Item = V> + Clone {
    bytes.as_chunks::<S>().0.iter().map(move |bytes| read(*bytes))
}

/// Writes columns of numbers of one type, as they are in files, side by side into rows of `width` numbers, from number
/// `lane` on. Each number becomes the same as from an array of that type.
pub(super) fn write<T: Scalar, const N: usize>(
    columns: [&[u8]; N],
    data_type: &DataType,
    to: &mut [T],
    width: usize,
    lane: usize,
) {
    let rows = Rows { columns, to, width, lane };
    match data_type {
        DataType::Float32 => rows.write(f32::from_le_bytes, |v| T::of(v.into())),
        DataType::Float64 => rows.write(f64::from_le_bytes, T::of),
        DataType::Int32 | DataType::Date32 | DataType::Time32(TimeUnit::Second) => {
            rows.write(i32::from_le_bytes, |v| T::of(v.into()));
        }
        DataType::UInt32 => rows.write(u32::from_le_bytes, |v| T::of(v.into())),
        DataType::Int64 => rows.write(i64::from_le_bytes, signed),
        DataType::UInt64 => rows.write(u64::from_le_bytes, unsigned),
        DataType::Time32(_) => rows.write(i32::from_le_bytes, |ms| T::of(seconds(ms.into(), 1_000))),
        DataType::Date64 => rows.write(i64::from_le_bytes, |ms| T::of(ms as f64 / 86_400_000.0)),
        DataType::Timestamp(TimeUnit::Second, _) => rows.write(i64::from_le_bytes, |s| T::of(s as f64)),
        DataType::Time64(unit) | DataType::Timestamp(unit, _) => {
            let per_second = match unit {
                TimeUnit::Second => 1,
                TimeUnit::Millisecond => 1_000,
                TimeUnit::Microsecond => 1_000_000,
                TimeUnit::Nanosecond => 1_000_000_000,
            };
            rows.write(i64::from_le_bytes, |parts| T::of(seconds(parts, per_second)));
        }
        other => unreachable!("plain numbers of type {other}"),
    }
}

/// The nearest number: by way of `f64`, integers of 64 bits would be rounded twice.
pub(super) fn signed<T: Scalar>(v: i64) -> T {
    match T::DTYPE {
        DType::F32 => T::of((v as f32).into()),
        DType::F64 => T::of(v as f64),
    }
}

/// As [`signed`].
pub(super) fn unsigned<T: Scalar>(v: u64) -> T {
    match T::DTYPE {
        DType::F32 => T::of((v as f32).into()),
        DType::F64 => T::of(v as f64),
    }
}

/// Some columns, and the rows that they are a part of.
struct Rows<'a, T, const N: usize> {
    columns: [&'a [u8]; N],
    to: &'a mut [T],
    width: usize,
    lane: usize,
}

impl<T: Scalar, const N: usize> Rows<'_, T, N> {
    fn write<V, const S: usize>(self, read: impl Fn([u8; S]) -> V, convert: impl Fn(V) -> T) {
        let Self { columns, to, width, lane } = self;
        let columns = columns.map(|bytes| bytes.as_chunks::<S>().0);
        let number = |bytes: [u8; S]| convert(read(bytes));
        if width == 1 {
            let [column, ..] = columns.as_slice() else { return };
            to.iter_mut().zip(*column).for_each(|(to, &bytes)| *to = number(bytes));
            return;
        }
        // Four rows at a time, so that numbers change from columns to rows inside registers.
        let (blocks, rest) = split(columns);
        let whole = blocks[0].len();
        let (head, tail) = to.split_at_mut(whole * 4 * width);
        for (place, to) in head.chunks_exact_mut(4 * width).enumerate() {
            let mut block = [[T::zero(); N]; 4];
            for (lane, column) in blocks.iter().enumerate() {
                let numbers = &column[place];
                for row in 0..4 {
                    block[row][lane] = number(numbers[row]);
                }
            }
            for row in 0..4 {
                to[row * width + lane..][..N].copy_from_slice(&block[row]);
            }
        }
        for (row, to) in tail.chunks_exact_mut(width).enumerate() {
            for (to, column) in to[lane..lane + N].iter_mut().zip(&rest) {
                *to = number(column[row]);
            }
        }
    }
}

type Blocks<'a, const S: usize, const N: usize> = ([&'a [[[u8; S]; 4]]; N], [&'a [[u8; S]]; N]);

/// Columns of one length in blocks of four rows, and the rows behind the last block.
fn split<const S: usize, const N: usize>(columns: [&[[u8; S]]; N]) -> Blocks<'_, S, N> {
    let (mut blocks, mut rest) = ([&[][..]; N], [&[][..]; N]);
    for ((blocks, rest), column) in blocks.iter_mut().zip(&mut rest).zip(columns) {
        (*blocks, *rest) = column.as_chunks::<4>();
    }
    (blocks, rest)
}
