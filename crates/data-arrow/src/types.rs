//! What columns can be read as.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use tidemill_data::{Numbers, Unit};

use crate::choice::choices;

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
    /// What is [chosen](crate::As), or its parts by their paths.
    Choice,
    /// Nothing.
    No,
}

impl Usable {
    pub(crate) const EXPECTED: &'static str =
        "a number, decimal, boolean, date, time, timestamp, text, or a fixed-size list of numbers";

    /// What columns of a type can serve as.
    pub fn of(data_type: &DataType) -> Self {
        let choice = || if choices("", data_type).is_empty() { Self::No } else { Self::Choice };
        Self::as_it_is(data_type).unwrap_or_else(choice)
    }

    /// What columns of a type serve as without a choice.
    pub(crate) fn as_it_is(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            DataType::Dictionary(_, values) => Self::as_it_is(values),
            DataType::FixedSizeList(item, width) if *width > 0 && is_number(item.data_type()) => {
                Some(Self::Real { width: *width as usize })
            }
            DataType::Null => Some(Self::Real { width: 1 }),
            number if is_number(number) => Some(Self::Real { width: 1 }),
            _ => None,
        }
    }
}

impl fmt::Display for Usable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real { width: 1 } => write!(f, "real"),
            Self::Real { width } => write!(f, "real [{width}]"),
            Self::Text => write!(f, "text"),
            Self::Choice => write!(f, "by choice"),
            Self::No => write!(f, "not usable"),
        }
    }
}

/// Which numbers a column of a type has.
pub(crate) fn numbers_of(data_type: &DataType) -> Numbers {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256, Duration, Time32, Time64, Timestamp};
    let parts = |digits, unit: &TimeUnit| Numbers::Decimal {
        digits,
        scale: match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        },
    };
    match data_type {
        DataType::Dictionary(_, values) => numbers_of(values),
        DataType::Boolean => Numbers::Unsigned { bits: 1 },
        DataType::Date32 => Numbers::Signed { bits: 32 },
        Decimal32(digits, scale) | Decimal64(digits, scale) | Decimal128(digits, scale) | Decimal256(digits, scale) => {
            if *digits <= 38 {
                Numbers::Decimal { digits: *digits, scale: *scale }
            } else {
                Numbers::Rounded
            }
        }
        // 86,400 seconds.
        Time32(TimeUnit::Second) => parts(5, &TimeUnit::Second),
        Time32(unit) => parts(8, unit),
        Time64(TimeUnit::Microsecond) => parts(11, &TimeUnit::Microsecond),
        Time64(unit) => parts(14, unit),
        Timestamp(unit, _) | Duration(unit) => parts(19, unit),
        integer if integer.is_integer() => {
            let bits = 8 * integer.primitive_width().unwrap_or(8) as u8;
            if integer.is_signed_integer() { Numbers::Signed { bits } } else { Numbers::Unsigned { bits } }
        }
        _ => Numbers::Real,
    }
}

/// What the numbers of a column of a type count.
pub(crate) fn unit_of(data_type: &DataType) -> Unit {
    match data_type {
        DataType::Dictionary(_, values) => unit_of(values),
        DataType::Date32 | DataType::Date64 => Unit::Days,
        DataType::Timestamp(..) => Unit::Timestamp,
        DataType::Time32(_) | DataType::Time64(_) => Unit::TimeOfDay,
        DataType::Duration(_) => Unit::Duration,
        _ => Unit::None,
    }
}

pub(crate) fn is_number(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date32, Date64, Duration, Time32, Time64, Timestamp};
    data_type.is_integer()
        || data_type.is_floating()
        || data_type.is_decimal()
        || matches!(data_type, Boolean | Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | Duration(_))
}

/// The type to decode a column to: dictionaries give their values, texts become views. Those become views, borrow from the decoded pages rather than copy, so that
/// a dictionary of long texts does not unfold in memory.
pub fn decoded_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => decoded_type(values),
        DataType::List(item) => DataType::List(decoded_field(item)),
        DataType::LargeList(item) => DataType::LargeList(decoded_field(item)),
        DataType::ListView(item) => DataType::ListView(decoded_field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(decoded_field(item)),
        DataType::FixedSizeList(item, width) => DataType::FixedSizeList(decoded_field(item), *width),
        DataType::Map(entries, sorted) => DataType::Map(decoded_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(decoded_field).collect()),
        other => other.clone(),
    }
}

fn decoded_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(decoded_type(field.data_type())))
}

pub(crate) fn is_binary(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(data_type, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

/// The type of what is in a list or, as pairs of key and value, in a map.
pub(crate) fn item_type(data_type: &DataType) -> Option<&DataType> {
    use DataType::{FixedSizeList, LargeList, LargeListView, List, ListView, Map};
    match data_type {
        List(item) | LargeList(item) | ListView(item) | LargeListView(item) | FixedSizeList(item, _) | Map(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

pub(crate) fn is_list(data_type: &DataType) -> bool {
    item_type(data_type).is_some()
}

/// The type inside all lists.
pub(crate) fn innermost(data_type: &DataType) -> &DataType {
    item_type(data_type).map_or(data_type, innermost)
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
        DataType::Duration(u) => format!("duration[{}]", unit(u)),
        other => other.to_string().to_lowercase(),
    }
}

fn named(fields: &[FieldRef]) -> String {
    let fields: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.name(), type_name(f.data_type()))).collect();
    fields.join(", ")
}
