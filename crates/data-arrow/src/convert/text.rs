use std::ops::Range;

use arrow_array::ArrayAccessor;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use tidemill_data::Nulls;

use super::View;

/// Appends texts behind each other.
pub(super) fn append(view: View, bytes: &mut Vec<u8>, ends: &mut Vec<usize>, nulls: &mut Nulls) {
    let View::Array { array, rows, .. } = view else { unreachable!("texts are no plain numbers") };
    match array.data_type() {
        DataType::Utf8 => append_array(array.as_string::<i32>(), rows, bytes, ends, nulls),
        DataType::Null => {
            nulls.extend(ends.len(), rows.clone().map(|_| true));
            ends.extend(rows.map(|_| bytes.len()));
        }
        DataType::LargeUtf8 => append_array(array.as_string::<i64>(), rows, bytes, ends, nulls),
        _ => append_array(array.as_string_view(), rows, bytes, ends, nulls),
    }
}

fn append_array<'a>(
    texts: impl ArrayAccessor<Item = &'a str>,
    rows: Range<usize>,
    bytes: &mut Vec<u8>,
    ends: &mut Vec<usize>,
    nulls: &mut Nulls,
) {
    let (before, count) = (ends.len(), rows.len());
    match texts.nulls().filter(|n| n.null_count() > 0) {
        None => {
            for row in rows {
                bytes.extend_from_slice(texts.value(row).as_bytes());
                ends.push(bytes.len());
            }
            nulls.extend_valid(before, count);
        }
        Some(absent) => {
            for row in rows.clone() {
                if absent.is_valid(row) {
                    bytes.extend_from_slice(texts.value(row).as_bytes());
                }
                ends.push(bytes.len());
            }
            if rows.clone().any(|row| absent.is_null(row)) {
                nulls.extend(before, rows.map(|row| absent.is_null(row)));
            } else {
                nulls.extend_valid(before, count);
            }
        }
    }
}
