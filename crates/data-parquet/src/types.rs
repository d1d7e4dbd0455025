//! What the columns of a file can be read as.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, TimeUnit};

/// What a column of a file can serve as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usable {
    /// Real numbers.
    Real {
        /// Numbers a row.
        width: usize,
    },
    /// Texts.
    Text,
    /// Nothing.
    No,
}

impl Usable {
    pub(crate) const EXPECTED: &'static str =
        "a number, decimal, boolean, date, time, timestamp, text, or a fixed-size list of numbers";

    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::FixedSizeList(item, width) if *width > 0 && is_number(item.data_type()) => {
                Self::Real { width: *width as usize }
            }
            DataType::Null => Self::Real { width: 1 },
            number if is_number(number) => Self::Real { width: 1 },
            _ => Self::No,
        }
    }
}

fn is_number(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date32, Date64, Time32, Time64, Timestamp};
    data_type.is_integer()
        || data_type.is_floating()
        || data_type.is_decimal()
        || matches!(data_type, Boolean | Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..))
}

/// The type to decode a column to. Texts become views, which borrow from the decoded pages rather than copy, so that
/// a dictionary of long texts does not unfold in memory.
pub(crate) fn decoded(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, values) => decoded(values),
        other => other.clone(),
    }
}

/// Bytes that decoding takes a row beside the pages: levels, values as they are in the file, values as arrays.
pub(crate) fn decoding_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeList(item, width) => *width as u64 * (2 * decoding_bytes(item.data_type()) + 4),
        // A decimal may be written as bytes of any length up to its own.
        other => 4 + 2 * other.primitive_width().unwrap_or(16).max(8) as u64,
    }
}

/// A type as files describe it: `decimal(9,2)`, `list<int32>`.
pub(crate) fn type_name(data_type: &DataType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::FixedSizeBinary(width) => format!("binary[{width}]"),
        DataType::Boolean => "bool".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(u) | DataType::Time64(u) => format!("time[{}]", unit(u)),
        DataType::Timestamp(u, None) => format!("timestamp[{}]", unit(u)),
        DataType::Timestamp(u, Some(zone)) => format!("timestamp[{}, {zone}]", unit(u)),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("decimal({p},{s})"),
        DataType::Dictionary(_, values) => format!("dictionary<{}>", type_name(values)),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            format!("list<{}>", type_name(item.data_type()))
        }
        DataType::FixedSizeList(item, width) => format!("list<{}>[{width}]", type_name(item.data_type())),
        DataType::Struct(fields) => format!("struct<{}>", named(fields)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => format!("map<{}>", named(fields)),
            other => format!("map<{}>", type_name(other)),
        },
        other => other.to_string().to_lowercase(),
    }
}

fn named(fields: &[FieldRef]) -> String {
    let fields: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.name(), type_name(f.data_type()))).collect();
    fields.join(", ")
}

/// The same field of another type.
pub(crate) fn retyped(field: &FieldRef, data_type: DataType) -> FieldRef {
    if *field.data_type() == data_type {
        return Arc::clone(field);
    }
    Arc::new(Field::clone(field).with_data_type(data_type))
}
