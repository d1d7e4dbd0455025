//! What a file's columns are read as: the types of its Parquet schema, made more precise by the arrow schema that its
//! writer stored beside it, as far as the two agree. Where they contradict each other, the Parquet schema is right.

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

/// The schema to read by. `inferred` is what the Parquet schema says alone, `stored` the same after arrow has applied the
/// stored schema, or nothing where it could not.
pub(crate) fn agreed(inferred: &Schema, stored: Option<&Schema>, parquet: &SchemaDescriptor) -> Schema {
    let stored = stored.filter(|stored| stored.fields().len() == inferred.fields().len()).unwrap_or(inferred);
    let fields = Leaves { parquet, next: 0 }.fields(inferred.fields(), stored.fields());
    Schema::new_with_metadata(fields, stored.metadata().clone())
}

/// Whether arrow hands on the bytes of a text column without a check that they are UTF-8.
pub(crate) fn is_unchecked_text(leaf: &ColumnDescriptor, data_type: &DataType) -> bool {
    let text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    text && leaf.converted_type() != ConvertedType::UTF8
}

/// The leaves of the Parquet schema, in order.
struct Leaves<'a> {
    parquet: &'a SchemaDescriptor,
    next: usize,
}

impl Leaves<'_> {
    fn fields(&mut self, inferred: &Fields, stored: &Fields) -> Fields {
        inferred.iter().zip(stored).map(|(inferred, stored)| self.field(inferred, stored)).collect()
    }

    /// The stored field, which has notes of the writer, with the type that both agree on.
    fn field(&mut self, inferred: &FieldRef, stored: &FieldRef) -> FieldRef {
        let data_type = self.data_type(inferred.data_type(), stored.data_type());
        if data_type == *stored.data_type() && inferred.is_nullable() == stored.is_nullable() {
            return FieldRef::clone(stored);
        }
        FieldRef::new(Field::clone(stored).with_data_type(data_type).with_nullable(inferred.is_nullable()))
    }

    fn data_type(&mut self, inferred: &DataType, stored: &DataType) -> DataType {
        use DataType::{FixedSizeList, LargeList, LargeListView, List, ListView, Map, Struct};
        match (inferred, stored) {
            (Struct(fields), Struct(hints)) if fields.len() == hints.len() => Struct(self.fields(fields, hints)),
            (Struct(fields), _) => Struct(self.fields(fields, fields)),
            (Map(entries, sorted), Map(hint, _)) => Map(self.field(entries, hint), *sorted),
            (Map(entries, sorted), _) => Map(self.field(entries, entries), *sorted),
            (List(item), FixedSizeList(hint, width)) if *width > 0 => FixedSizeList(self.field(item, hint), *width),
            (List(item), LargeList(hint)) => LargeList(self.field(item, hint)),
            (List(item), ListView(hint)) => ListView(self.field(item, hint)),
            (List(item), LargeListView(hint)) => LargeListView(self.field(item, hint)),
            (List(item), List(hint) | FixedSizeList(hint, _)) => List(self.field(item, hint)),
            (List(item), _) => List(self.field(item, item)),
            (value, hint) => {
                let leaf = self.next;
                self.next += 1;
                leaf_type(value, hint, &self.parquet.column(leaf))
            }
        }
    }
}

fn leaf_type(inferred: &DataType, stored: &DataType, leaf: &ColumnDescriptor) -> DataType {
    use DataType::{
        Binary, BinaryView, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, Duration, Int32, Int64,
        LargeBinary, LargeUtf8, Time32, Time64, Timestamp, Utf8, Utf8View,
    };
    let physical = leaf.physical_type();
    if let Dictionary(_, values) = stored {
        let values_agreed = leaf_type(inferred, values, leaf);
        let is_kept = values_agreed == **values && physical != PhysicalType::INT96;
        return if is_kept { stored.clone() } else { values_agreed };
    }
    let agreed = match (inferred, stored) {
        (Timestamp(..), _) if physical == PhysicalType::INT96 => {
            let zone = if let Timestamp(_, zone) = stored { zone.clone() } else { None };
            return Timestamp(TimeUnit::Nanosecond, zone);
        }
        // Units for which Parquet has no type.
        (Int64, Timestamp(..) | Time64(_) | Duration(_) | Date64) | (Int32, Time32(_)) => stored,
        (Timestamp(unit, _), Timestamp(other, Some(_))) if unit == other => stored,
        (Utf8, LargeUtf8 | Utf8View) | (Binary, LargeBinary | BinaryView | Utf8 | LargeUtf8 | Utf8View) => stored,
        (
            Decimal128(precision, scale),
            Decimal32(stored_precision, stored_scale)
            | Decimal64(stored_precision, stored_scale)
            | Decimal256(stored_precision, stored_scale),
        ) if precision == stored_precision && scale == stored_scale && holds(stored, leaf) => stored,
        _ => inferred,
    };
    // Those of lists are not checked later on.
    if leaf.max_rep_level() > 0 && is_unchecked_text(leaf, agreed) { Binary } else { agreed.clone() }
}

/// Whether values as they are in the file fit a decimal type.
fn holds(decimal: &DataType, leaf: &ColumnDescriptor) -> bool {
    let (width, most) = match decimal {
        DataType::Decimal32(precision, _) => (4, *precision <= 9),
        DataType::Decimal64(precision, _) => (8, *precision <= 18),
        _ => (32, true),
    };
    let fits = match leaf.physical_type() {
        PhysicalType::INT32 => true,
        PhysicalType::INT64 => width >= 8,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => leaf.type_length() <= width,
        _ => false,
    };
    most && fits
}
