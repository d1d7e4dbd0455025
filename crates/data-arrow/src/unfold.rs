//! What arrays take where rows may refer to the same value: in dictionaries, and in views of texts.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

/// Rows that are looked at together.
const CHUNK: usize = 4096;

/// How many of the first rows refer to no more than `most` bytes in any column, but one at least.
pub(crate) fn rows_within(records: &RecordBatch, most: usize) -> usize {
    records.columns().iter().map(|column| column_within(column, most)).fold(records.num_rows(), usize::min)
}

fn column_within(array: &ArrayRef, most: usize) -> usize {
    match array.data_type() {
        DataType::Struct(_) => {
            let fields = array.as_struct().columns().iter();
            fields.map(|field| column_within(field, most)).fold(array.len(), usize::min)
        }
        DataType::Dictionary(..) | DataType::Utf8View | DataType::BinaryView => {
            let mut bytes = 0;
            let fits = sizes(array).take_while(|size| {
                bytes += size;
                bytes <= most
            });
            fits.count().max(1)
        }
        _ => array.len(),
    }
}

/// Checks that dictionaries inside of lists, which are unfolded as a whole, take no more than `most` bytes then.
pub(crate) fn check_unfolded(records: &RecordBatch, most: usize) -> Result<(), String> {
    for (field, column) in records.schema_ref().fields().iter().zip(records.columns()) {
        let bytes = inside(column, false);
        if bytes > most {
            let name = field.name();
            return Err(format!("column {name}: its dictionaries unfold to {bytes} bytes, at most {most} are allowed"));
        }
    }
    Ok(())
}

fn inside(array: &ArrayRef, in_list: bool) -> usize {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().map(|field| inside(field, in_list)).sum(),
        DataType::List(_) => inside(array.as_list::<i32>().values(), true),
        DataType::LargeList(_) => inside(array.as_list::<i64>().values(), true),
        DataType::ListView(_) => inside(array.as_list_view::<i32>().values(), true),
        DataType::LargeListView(_) => inside(array.as_list_view::<i64>().values(), true),
        DataType::FixedSizeList(..) => inside(array.as_fixed_size_list().values(), true),
        DataType::Map(..) => array.as_map().entries().columns().iter().map(|field| inside(field, true)).sum(),
        DataType::Dictionary(..) if in_list => {
            let chunks = (0..array.len()).step_by(CHUNK);
            chunks.map(|start| sizes(&array.slice(start, CHUNK.min(array.len() - start))).sum::<usize>()).sum()
        }
        _ => 0,
    }
}

/// Bytes of the value that each row refers to.
fn sizes(array: &ArrayRef) -> Box<dyn Iterator<Item = usize> + '_> {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        return Box::new((0..array.len()).map(|row| size(array, row)));
    };
    if dictionary.values().is_empty() {
        return Box::new((0..array.len()).map(|_| 0));
    }
    Box::new(dictionary.normalized_keys().into_iter().map(|key| size(dictionary.values(), key)))
}

fn size(values: &ArrayRef, row: usize) -> usize {
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_length(row) as usize,
        DataType::LargeUtf8 => values.as_string::<i64>().value_length(row) as usize,
        DataType::Binary => values.as_binary::<i32>().value_length(row) as usize,
        DataType::LargeBinary => values.as_binary::<i64>().value_length(row) as usize,
        DataType::Utf8View => values.as_string_view().views()[row] as u32 as usize,
        DataType::BinaryView => values.as_binary_view().views()[row] as u32 as usize,
        DataType::FixedSizeBinary(width) => *width as usize,
        other => other.primitive_width().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, Int64Array, ListArray, StringArray, StringViewArray, StructArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    fn records(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("x", column)]).unwrap()
    }

    #[test]
    fn rows_are_counted_by_what_they_refer_to() {
        let texts = ["aaa", "b", "aaa", "", "aaa"];
        let dictionary: ArrayRef = Arc::new(texts.into_iter().collect::<DictionaryArray<Int8Type>>());
        let field = Arc::new(Field::new("in", dictionary.data_type().clone(), true));
        let outer: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![Arc::clone(&dictionary)], None));
        let view: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let plain: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        for column in [dictionary, outer, view] {
            let rows = [0, 3, 4, 6, 7, 9, 10].map(|most| rows_within(&records(Arc::clone(&column)), most));
            assert_eq!(rows, [1, 1, 2, 2, 4, 4, 5], "{}", column.data_type());
        }
        assert_eq!(rows_within(&records(plain), 0), 5);
    }

    #[test]
    fn dictionaries_in_lists_are_counted_whole() {
        let texts: ArrayRef = Arc::new(["aaa", "b", "aaa"].into_iter().collect::<DictionaryArray<Int8Type>>());
        let keys = arrow_array::Int8Array::from_iter_values([0; 9]);
        let numbers: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(Int64Array::from(vec![7]))));
        for (values, bytes) in [(texts, 7), (numbers, 72)] {
            let field = Arc::new(Field::new("item", values.data_type().clone(), true));
            let lists = ListArray::new(field, OffsetBuffer::from_lengths([1, 2]), Arc::clone(&values), None);
            let lists = records(Arc::new(lists));
            assert_eq!(check_unfolded(&lists, bytes), Ok(()));
            let refused = check_unfolded(&lists, bytes - 1).unwrap_err();
            assert!(refused.starts_with(&format!("column x: its dictionaries unfold to {bytes} bytes")), "{refused}");
            assert_eq!(check_unfolded(&records(values), 0), Ok(()), "outside of lists they are unfolded by pieces");
        }
    }
}
