//! What columns can be read as.

use std::fmt;

use arrow_schema::{DataType, FieldRef, TimeUnit};

/// What a column can serve as.
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

    /// What columns of a type can serve as.
    pub fn of(data_type: &DataType) -> Self {
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

impl fmt::Display for Usable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real { width: 1 } => write!(f, "real"),
            Self::Real { width } => write!(f, "real [{width}]"),
            Self::Text => write!(f, "text"),
            Self::No => write!(f, "not usable"),
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

/// The type to decode a column to: dictionaries give their values, texts become views. Those become views, borrow from the decoded pages rather than copy, so that
/// a dictionary of long texts does not unfold in memory.
pub fn decoded_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, values) => decoded_type(values),
        other => other.clone(),
    }
}

/// A type as files describe it: `decimal(9,2)`, `list<int32>`.
pub fn type_name(data_type: &DataType) -> String {
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
