//! Where the columns that are read are in a file.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use tidemill_data::Error;
use tidemill_data_arrow::{Layout, Place, decoded_type};

use crate::footer::Footer;
use crate::hive::Key;
use crate::stored::is_unchecked_text;

/// Where a read column is in one file.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) place: Place,
    /// Whether it holds timestamps in the deprecated form of 96 bits, one a row.
    pub(crate) int96: bool,
    /// Whether it has lists of any kind.
    pub(crate) repeated: bool,
    /// Its only value, where that is in the file's path.
    pub(crate) key: Option<Key>,
}

impl Root {
    /// Finds the columns of a layout in a file whose types it knows.
    pub(crate) fn locate(layout: &Layout, footer: &Footer) -> Result<Vec<Self>, Error> {
        let places = layout.locate(&footer.path().display().to_string(), &footer.table)?;
        Ok(places.into_iter().map(|place| Self::new(place, footer)).collect())
    }

    pub(crate) fn new(place: Place, footer: &Footer) -> Self {
        if let Some(key) = footer.key(place.column) {
            return Self { place, int96: false, repeated: false, key: Some(key.clone()) };
        }
        let leaf = footer.head().file_metadata().schema_descr().column(place.leaves.start);
        let repeated = leaf.max_rep_level() > 0;
        let timestamp = matches!(place.data_type, DataType::Timestamp(..));
        let int96 = timestamp && leaf.physical_type() == PhysicalType::INT96 && !repeated;
        Self { place, int96, repeated, key: None }
    }

    /// The column chunks of a row group that it takes.
    pub(crate) fn leaves(&self) -> Range<usize> {
        if self.key.is_some() { 0..0 } else { self.place.leaves.clone() }
    }

    /// Checks that a column's chunk is inside the file, and says whether there may be nulls in it.
    pub(crate) fn check(&self, group: &RowGroupMetaData, length: u64) -> Result<bool, String> {
        if let Some(key) = &self.key {
            return Ok(key.is_null());
        }
        for leaf in self.leaves() {
            check_inside(group.column(leaf), length)?;
        }
        // What is counted of lists, null ones or nulls inside, writers do not agree on.
        let is_fixed = matches!(self.place.data_type, DataType::FixedSizeList(..));
        let counts = !self.repeated || is_fixed;
        let none = || group.column(self.place.leaves.start).statistics().and_then(|s| s.null_count_opt()) == Some(0);
        Ok(self.place.nullable && !(counts && none()))
    }
}

/// Checks that a column chunk is inside a file of so many bytes.
pub(crate) fn check_inside(chunk: &ColumnChunkMetaData, length: u64) -> Result<(), String> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let end = u64::try_from(start)
        .ok()
        .zip(u64::try_from(chunk.compressed_size()).ok())
        .and_then(|(start, bytes)| start.checked_add(bytes));
    if end.is_none_or(|end| end > length) || chunk.uncompressed_size() < 0 {
        let bytes = chunk.compressed_size();
        return Err(format!(
            "it is said to have {bytes} bytes at {start}, which are not inside the file of {length} bytes"
        ));
    }
    Ok(())
}

/// A column's field, with the types to decode what is inside to. `millis` says whether timestamps of 96 bits, all of
/// which nanoseconds in 64 bits do not hold, are to be milliseconds where they come one a row; those in lists always are
/// microseconds. Texts that arrow would not check are decoded as binary.
pub(crate) fn decoded_field(field: &FieldRef, first_leaf: usize, footer: &Footer, millis: bool) -> FieldRef {
    let mut leaf = first_leaf;
    let data_type = with_leaves(&decoded_type(field.data_type()), &mut leaf, &|leaf, data_type| {
        let descriptor = footer.head().file_metadata().schema_descr().column(leaf);
        let timestamp = |unit| DataType::Timestamp(unit, None);
        match data_type {
            DataType::Timestamp(..) if descriptor.physical_type() == PhysicalType::INT96 => {
                let unit = if descriptor.max_rep_level() > 0 { TimeUnit::Microsecond } else { TimeUnit::Millisecond };
                let is_other = millis || descriptor.max_rep_level() > 0;
                if is_other { timestamp(unit) } else { data_type.clone() }
            }
            text if is_unchecked_text(&descriptor, text) => DataType::BinaryView,
            other => other.clone(),
        }
    });
    retyped(field, data_type)
}

/// The types in which a file's rows are written again: timestamps of 96 bits, which writers no longer make, are
/// microseconds, which hold all dates.
pub(crate) fn copied_schema(footer: &Footer) -> SchemaRef {
    let typed = |leaf: usize, data_type: &DataType| match data_type {
        DataType::Timestamp(_, zone)
            if footer.head().file_metadata().schema_descr().column(leaf).physical_type() == PhysicalType::INT96 =>
        {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        other => other.clone(),
    };
    let fields = footer.schema.fields().iter().zip(footer.leaves());
    let fields = fields.map(|(field, mut leaf)| retyped(field, with_leaves(field.data_type(), &mut leaf, &typed)));
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), footer.schema.metadata().clone()))
}

/// A type with other types for its leaves; `leaf` is the number of the first.
fn with_leaves(data_type: &DataType, leaf: &mut usize, typed: &dyn Fn(usize, &DataType) -> DataType) -> DataType {
    let mut inside = |field: &FieldRef| retyped(field, with_leaves(field.data_type(), leaf, typed));
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inside).collect()),
        DataType::List(item) => DataType::List(inside(item)),
        DataType::LargeList(item) => DataType::LargeList(inside(item)),
        DataType::ListView(item) => DataType::ListView(inside(item)),
        DataType::LargeListView(item) => DataType::LargeListView(inside(item)),
        DataType::FixedSizeList(item, width) => DataType::FixedSizeList(inside(item), *width),
        DataType::Map(entries, sorted) => DataType::Map(inside(entries), *sorted),
        other => {
            *leaf += 1;
            typed(*leaf - 1, other)
        }
    }
}

/// The same field of another type.
fn retyped(field: &FieldRef, data_type: DataType) -> FieldRef {
    if *field.data_type() == data_type {
        return FieldRef::clone(field);
    }
    FieldRef::new(Field::clone(field).with_data_type(data_type))
}
