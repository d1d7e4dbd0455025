use arrow_array::Array;
use arrow_array::cast::AsArray;
use tidemill_data::Nulls;

use super::View;

/// Appends texts behind each other.
pub(super) fn append(view: View, bytes: &mut Vec<u8>, ends: &mut Vec<usize>, nulls: &mut Nulls) {
    let View::Array { array, rows, .. } = view else { unreachable!("texts are no plain numbers") };
    let (views, before, count) = (array.as_string_view(), ends.len(), rows.len());
    match views.nulls().filter(|n| n.null_count() > 0) {
        None => {
            for row in rows {
                bytes.extend_from_slice(views.value(row).as_bytes());
                ends.push(bytes.len());
            }
            nulls.extend_valid(before, count);
        }
        Some(absent) => {
            for row in rows.clone() {
                if absent.is_valid(row) {
                    bytes.extend_from_slice(views.value(row).as_bytes());
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
