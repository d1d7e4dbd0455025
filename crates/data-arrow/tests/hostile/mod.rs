//! Messages of Arrow IPC that say what no writer would.

use std::sync::Arc;

use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_ipc::{
    BodyCompression, BodyCompressionArgs, BodyCompressionMethod, Buffer, CompressionType, DictionaryBatch,
    DictionaryBatchArgs, Endianness, Field, FieldArgs, FieldNode, Int, IntArgs, KeyValue, KeyValueArgs, Message,
    MessageArgs, MessageHeader, MetadataVersion, RecordBatch, RecordBatchArgs, Schema, SchemaArgs, Struct_,
    Struct_Args, Type,
};
use arrow_schema::{DataType, Field as TableField, Schema as TableSchema};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

/// The mark of the end.
pub const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A message as it lies in a stream.
pub fn framed(metadata: &[u8], body: &[u8]) -> Vec<u8> {
    let size = metadata.len().next_multiple_of(8);
    let mut message = [&[0xff; 4][..], &(size as u32).to_le_bytes(), metadata].concat();
    message.resize(8 + size, 0);
    message.extend_from_slice(body);
    message
}

fn finished(
    mut builder: FlatBufferBuilder<'_>,
    kind: MessageHeader,
    header: WIPOffset<UnionWIPOffset>,
    length: i64,
    body: &[u8],
) -> Vec<u8> {
    let args = MessageArgs {
        version: MetadataVersion::V5,
        header_type: kind,
        header: Some(header),
        bodyLength: length,
        custom_metadata: None,
    };
    let message = Message::create(&mut builder, &args);
    builder.finish(message, None);
    framed(builder.finished_data(), body)
}

/// The schema of columns that may be null.
pub fn schema(columns: &[(&str, DataType)]) -> Vec<u8> {
    let fields: Vec<TableField> =
        columns.iter().map(|(name, kind)| TableField::new(*name, kind.clone(), true)).collect();
    let (mut tracker, options) = (DictionaryTracker::new(false), IpcWriteOptions::default());
    let encoded = IpcDataGenerator::default();
    let encoded =
        encoded.schema_to_bytes_with_dictionary_tracker(&Arc::new(TableSchema::new(fields)), &mut tracker, &options);
    framed(&encoded.ipc_message, &[])
}

/// What a record batch says, whatever its body is.
#[derive(Clone)]
pub struct Batch {
    pub rows: i64,
    /// Lengths and null counts.
    pub nodes: Vec<(i64, i64)>,
    /// Offsets and lengths.
    pub buffers: Vec<(i64, i64)>,
    pub codec: Option<CompressionType>,
    pub variadic: Option<Vec<i64>>,
    pub body: Vec<u8>,
    /// What the message says of the body's length, unless it is the truth.
    pub body_length: Option<i64>,
}

impl Batch {
    /// A column of values without nulls, the buffers as they are given.
    pub fn new(rows: i64, buffers: &[&[u8]]) -> Self {
        let (mut body, mut places) = (Vec::new(), Vec::new());
        for buffer in buffers {
            places.push((body.len() as i64, buffer.len() as i64));
            body.extend_from_slice(buffer);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        Self { rows, nodes: vec![(rows, 0)], buffers: places, codec: None, variadic: None, body, body_length: None }
    }

    pub fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    fn table<'a>(&self, builder: &mut FlatBufferBuilder<'a>) -> WIPOffset<RecordBatch<'a>> {
        let nodes: Vec<_> = self.nodes.iter().map(|&(length, nulls)| FieldNode::new(length, nulls)).collect();
        let buffers: Vec<_> = self.buffers.iter().map(|&(offset, length)| Buffer::new(offset, length)).collect();
        let (nodes, buffers) = (builder.create_vector(&nodes), builder.create_vector(&buffers));
        let variadic = self.variadic.as_ref().map(|counts| builder.create_vector(counts));
        let method = BodyCompressionMethod::BUFFER;
        let compression =
            self.codec.map(|codec| BodyCompression::create(builder, &BodyCompressionArgs { codec, method }));
        let args = RecordBatchArgs {
            length: self.rows,
            nodes: Some(nodes),
            buffers: Some(buffers),
            compression,
            variadicBufferCounts: variadic,
        };
        RecordBatch::create(builder, &args)
    }

    pub fn message(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let header = self.table(&mut builder).as_union_value();
        let length = self.body_length.unwrap_or(self.body.len() as i64);
        finished(builder, MessageHeader::RecordBatch, header, length, &self.body)
    }

    /// As the values of a dictionary.
    pub fn dictionary(&self, id: i64, delta: bool) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let data = Some(self.table(&mut builder));
        let header = DictionaryBatch::create(&mut builder, &DictionaryBatchArgs { id, data, isDelta: delta });
        let length = self.body_length.unwrap_or(self.body.len() as i64);
        finished(builder, MessageHeader::DictionaryBatch, header.as_union_value(), length, &self.body)
    }
}

/// A message that has the kind of a tensor, and the header of a record batch.
pub fn tensor() -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let header = Batch::new(0, &[]).table(&mut builder).as_union_value();
    finished(builder, MessageHeader::Tensor, header, 0, &[])
}

/// A schema of which each field is the two fields of the one above, which lie in the same place: a few bytes a level.
pub fn folded_schema(levels: usize) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let name = builder.create_string("a");
    let number = Int::create(&mut builder, &IntArgs { bitWidth: 32, is_signed: true }).as_union_value();
    let none = builder.create_vector::<WIPOffset<Field>>(&[]);
    let args = FieldArgs {
        name: Some(name),
        nullable: true,
        type_type: Type::Int,
        type_: Some(number),
        children: Some(none),
        ..FieldArgs::default()
    };
    let mut field = Field::create(&mut builder, &args);
    for _ in 0..levels {
        let children = builder.create_vector(&[field, field]);
        let pair = Struct_::create(&mut builder, &Struct_Args {}).as_union_value();
        let args = FieldArgs {
            name: Some(name),
            nullable: true,
            type_type: Type::Struct_,
            type_: Some(pair),
            children: Some(children),
            ..FieldArgs::default()
        };
        field = Field::create(&mut builder, &args);
    }
    with_fields(builder, &[field], Endianness::Little, None)
}

/// A schema of one column with so many remarks, of which all are the same long text in the same place.
pub fn remarked_schema(remarks: usize, length: usize) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let text = builder.create_string(&"x".repeat(length));
    let remarks: Vec<_> = (0..remarks)
        .map(|number| {
            let key = builder.create_string(&number.to_string());
            KeyValue::create(&mut builder, &KeyValueArgs { key: Some(key), value: Some(text) })
        })
        .collect();
    let field = number(&mut builder);
    let remarks = builder.create_vector(&remarks);
    with_fields(builder, &[field], Endianness::Little, Some(remarks))
}

pub fn big_endian_schema() -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let field = number(&mut builder);
    with_fields(builder, &[field], Endianness::Big, None)
}

fn number<'a>(builder: &mut FlatBufferBuilder<'a>) -> WIPOffset<Field<'a>> {
    let name = builder.create_string("x");
    let kind = Int::create(builder, &IntArgs { bitWidth: 64, is_signed: true }).as_union_value();
    let none = builder.create_vector::<WIPOffset<Field>>(&[]);
    let args = FieldArgs {
        name: Some(name),
        type_type: Type::Int,
        type_: Some(kind),
        children: Some(none),
        ..FieldArgs::default()
    };
    Field::create(builder, &args)
}

type Remarks<'a> = WIPOffset<flatbuffers::Vector<'a, flatbuffers::ForwardsUOffset<KeyValue<'a>>>>;

fn with_fields<'a>(
    mut builder: FlatBufferBuilder<'a>,
    fields: &[WIPOffset<Field<'a>>],
    endianness: Endianness,
    remarks: Option<Remarks<'a>>,
) -> Vec<u8> {
    let fields = Some(builder.create_vector(fields));
    let args = SchemaArgs { endianness, fields, custom_metadata: remarks, features: None };
    let schema = Schema::create(&mut builder, &args).as_union_value();
    finished(builder, MessageHeader::Schema, schema, 0, &[])
}
