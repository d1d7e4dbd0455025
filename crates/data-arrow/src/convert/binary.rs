use std::ops::Range;

use arrow_array::ArrayAccessor;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use tidemill_data::Column;
use tidemill_data::tensor::Scalar;

use super::View;
use crate::As;

/// Appends binary in the way that is chosen, or gives the row that is no UTF-8.
pub(super) fn append<T: Scalar>(view: View, how: &As, to: &mut Column<T>) -> Result<(), usize> {
    let View::Array { array, rows, .. } = view else { unreachable!("binary is no plain number") };
    let mut each = |row: usize, value: Option<&[u8]>| push(to, how, value).map_err(|()| row - rows.start);
    match array.data_type() {
        DataType::Binary => walk(array.as_binary::<i32>(), rows.clone(), &mut each),
        DataType::LargeBinary => walk(array.as_binary::<i64>(), rows.clone(), &mut each),
        DataType::BinaryView => walk(array.as_binary_view(), rows.clone(), &mut each),
        DataType::FixedSizeBinary(_) => walk(array.as_fixed_size_binary(), rows.clone(), &mut each),
        DataType::Null => rows.clone().try_for_each(|row| each(row, None)),
        other => unreachable!("a binary column of type {other}"),
    }
}

/// Takes a row and its bytes, if there are any, or gives the row that cannot be taken.
type Each<'e> = &'e mut dyn FnMut(usize, Option<&[u8]>) -> Result<(), usize>;

fn walk<'a>(array: impl ArrayAccessor<Item = &'a [u8]>, mut rows: Range<usize>, each: Each) -> Result<(), usize> {
    rows.try_for_each(|row| each(row, array.is_valid(row).then(|| array.value(row))))
}

fn push<T: Scalar>(to: &mut Column<T>, how: &As, value: Option<&[u8]>) -> Result<(), ()> {
    let given = value.unwrap_or_default();
    match to {
        Column::Text { bytes, ends, nulls } => {
            match how {
                As::Utf8 => bytes.extend_from_slice(std::str::from_utf8(given).map_err(|_| ())?.as_bytes()),
                _ => bytes.extend(given.iter().flat_map(|&byte| [byte >> 4, byte & 15].map(digit))),
            }
            flag(nulls, ends.len(), value.is_none());
            ends.push(bytes.len());
        }
        Column::Real { width, values, nulls, .. } => {
            let before = values.len();
            values.extend(given.iter().map(|&byte| T::of(byte.into())));
            values.resize(before + *width, T::zero());
            flag(nulls, before / *width, value.is_none());
        }
        Column::Index { .. } => unreachable!("binary becomes text or numbers"),
    }
    Ok(())
}

fn digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value)]
}

/// Says of one more row whether it is null.
pub(super) fn flag(nulls: &mut tidemill_data::Nulls, before: usize, null: bool) {
    if null {
        nulls.extend(before, [true]);
    } else {
        nulls.extend_valid(before, 1);
    }
}
