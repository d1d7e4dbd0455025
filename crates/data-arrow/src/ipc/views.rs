//! Texts as views, of which many may be the same long text: each is looked through by itself when it is decoded, so that
//! a small message could take hours. Decoded as bytes first, which takes no time, they tell how much there is to look at.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{DictionaryBatch, MetadataVersion, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema as TableSchema, SchemaRef};

/// How often, on the average, a byte may be part of a text.
const TIMES: usize = 64;

/// The schema with bytes in the place of texts, where there are views.
pub(super) fn as_bytes(schema: &TableSchema) -> Option<SchemaRef> {
    let fields: Vec<FieldRef> = schema.fields().iter().map(bytes_field).collect();
    (fields.iter().ne(schema.fields().iter())).then(|| Arc::new(TableSchema::new(fields)))
}

/// As [`as_bytes`], for the values of a dictionary.
pub(super) fn dictionary_as_bytes(schema: &TableSchema, batch: DictionaryBatch<'_>) -> Option<SchemaRef> {
    #[expect(deprecated, reason = "the decoder finds it by this number as well")]
    let fields = schema.fields_with_dict_id(batch.id());
    match fields.first()?.data_type() {
        DataType::Dictionary(_, values) => {
            as_bytes(&TableSchema::new(vec![Field::new("values", DataType::clone(values), true)]))
        }
        _ => None,
    }
}

/// Checks that there is not too much to look at, where a body may take `most` bytes.
pub(super) fn check_views(
    bytes: &SchemaRef,
    batch: RecordBatch<'_>,
    body: &Buffer,
    dictionaries: &HashMap<i64, ArrayRef>,
    version: MetadataVersion,
    most: usize,
) -> Result<(), String> {
    let decoder = RecordBatchDecoder::try_new(body, batch, Arc::clone(bytes), dictionaries, &version);
    let records = decoder.and_then(RecordBatchDecoder::read_record_batch).map_err(|error| error.to_string())?;
    let mut left: Vec<_> = records.columns().iter().map(|column| column.to_data()).collect();
    let mut total = 0;
    while let Some(array) = left.pop() {
        if *array.data_type() == DataType::BinaryView {
            // A view begins with its length.
            total += array.buffer::<u128>(0).iter().take(array.len()).map(|view| *view as u32 as usize).sum::<usize>();
        }
        left.extend(array.child_data().iter().cloned());
    }
    let most = TIMES * most;
    if total > most {
        return Err(format!("texts of {total} bytes, at most {most} are allowed"));
    }
    Ok(())
}

fn bytes_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(bytes_type(field.data_type())))
}

fn bytes_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::BinaryView,
        DataType::List(item) => DataType::List(bytes_field(item)),
        DataType::LargeList(item) => DataType::LargeList(bytes_field(item)),
        DataType::ListView(item) => DataType::ListView(bytes_field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(bytes_field(item)),
        DataType::FixedSizeList(item, width) => DataType::FixedSizeList(bytes_field(item), *width),
        DataType::Map(entries, sorted) => DataType::Map(bytes_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(bytes_field).collect()),
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(Arc::clone(ends), bytes_field(values)),
        DataType::Union(fields, mode) => {
            DataType::Union(fields.iter().map(|(id, field)| (id, bytes_field(field))).collect(), *mode)
        }
        // The values of dictionaries come by themselves.
        other => other.clone(),
    }
}
