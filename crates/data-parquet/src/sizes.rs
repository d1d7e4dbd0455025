//! How many bytes the values of rows take: texts, binary and lists have any length.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, OffsetSizeTrait};
use arrow_schema::DataType;

/// Adds to each size the bytes of the value of one row, from row `first` on: of texts in views what they stand for,
/// whether or not other rows share it.
pub(crate) fn add_row_bytes(array: &dyn Array, first: usize, sizes: &mut [u64]) {
    let rows = first..first + sizes.len();
    let mut add = |bytes: &dyn Fn(usize) -> u64| rows.clone().zip(&mut *sizes).for_each(|(row, to)| *to += bytes(row));
    match array.data_type() {
        // The low half of a view is its length.
        DataType::Utf8View => add(&|row| u64::from(array.as_string_view().views()[row] as u32) + 16),
        DataType::BinaryView => add(&|row| u64::from(array.as_binary_view().views()[row] as u32) + 16),
        DataType::Utf8 => add(&between(array.as_string::<i32>().value_offsets())),
        DataType::LargeUtf8 => add(&between(array.as_string::<i64>().value_offsets())),
        DataType::Binary => add(&between(array.as_binary::<i32>().value_offsets())),
        DataType::LargeBinary => add(&between(array.as_binary::<i64>().value_offsets())),
        DataType::FixedSizeBinary(width) => add(&|_| u64::from(width.unsigned_abs())),
        DataType::List(_) => {
            add_items(array.as_list::<i32>().values(), array.as_list::<i32>().value_offsets(), rows, sizes)
        }
        DataType::LargeList(_) => {
            add_items(array.as_list::<i64>().values(), array.as_list::<i64>().value_offsets(), rows, sizes);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            add_items(map.entries(), map.value_offsets(), rows, sizes);
        }
        DataType::FixedSizeList(_, width) => {
            let (list, width) = (array.as_fixed_size_list(), *width as usize);
            let mut items = vec![0; sizes.len() * width];
            add_row_bytes(list.values(), list.value_offset_at(first), &mut items);
            if width > 0 {
                items.chunks(width).zip(sizes).for_each(|(items, to)| *to += items.iter().sum::<u64>());
            }
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().for_each(|column| add_row_bytes(column, first, sizes))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let mut values = vec![0; dictionary.values().len()];
            add_row_bytes(dictionary.values(), 0, &mut values);
            let keys = dictionary.normalized_keys();
            add(&|row| keys.get(row).and_then(|&key| values.get(key)).copied().unwrap_or(0) + 4);
        }
        other => {
            let width = other.primitive_width().unwrap_or(8) as u64;
            add(&|_| width);
        }
    }
}

fn between<O: OffsetSizeTrait>(offsets: &[O]) -> impl Fn(usize) -> u64 {
    move |row| (offsets[row + 1] - offsets[row]).as_usize() as u64 + size_of::<O>() as u64
}

fn add_items<O: OffsetSizeTrait>(items: &dyn Array, offsets: &[O], rows: Range<usize>, sizes: &mut [u64]) {
    let (start, end) = (offsets[rows.start].as_usize(), offsets[rows.end].as_usize());
    let mut inside = vec![0; end - start];
    add_row_bytes(items, start, &mut inside);
    for (row, to) in rows.zip(sizes) {
        let items = offsets[row].as_usize() - start..offsets[row + 1].as_usize() - start;
        *to += inside[items].iter().sum::<u64>() + size_of::<O>() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, Float64Array, ListArray, StringArray, StringViewArray, StructArray};

    use super::*;

    #[test]
    fn bytes_of_rows() {
        let texts = ["", "ab", "a text of more than twelve bytes"];
        let list =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1); 3]), None, Some(vec![Some(2)])]);
        let view: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let of_struct = StructArray::try_from(vec![("a", Arc::clone(&view)), ("b", Arc::clone(&view))]).unwrap();
        for (array, expected) in [
            (view, [16, 18, 48]),
            (Arc::new(StringArray::from_iter_values(texts)), [4, 6, 36]),
            (Arc::new(Float64Array::from(vec![1.0; 3])), [8, 8, 8]),
            (Arc::new(list), [16, 4, 8]),
            (Arc::new(of_struct), [32, 36, 96]),
            (Arc::new(DictionaryArray::<Int32Type>::from_iter(texts)), [8, 10, 40]),
        ] {
            let mut sizes = [0; 3];
            add_row_bytes(&array, 0, &mut sizes);
            assert_eq!(sizes, expected, "{:?}", array.data_type());
            let mut last = [0];
            add_row_bytes(&array.slice(1, 2), 1, &mut last);
            assert_eq!(last, expected[2..], "{:?}, sliced", array.data_type());
        }
    }
}
