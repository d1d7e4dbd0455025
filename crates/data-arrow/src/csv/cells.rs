use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_schema::{DataType, Field, TimeUnit};

use super::values::{boolean, date, integer, real, time, unrounded, unsigned};

/// Key in the metadata of a field of real numbers whose integers must not be rounded.
pub(super) const UNROUNDED: &str = "tidemill.csv.unrounded";

/// A column of a record batch that is being made.
pub(super) enum Cells {
    Real(Float64Builder),
    /// Numbers of which those that were looked at are integers: none may be rounded.
    Unrounded(Float64Builder),
    Integer(Int64Builder),
    Unsigned(UInt64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Microseconds(TimestampMicrosecondBuilder),
    Nanoseconds(TimestampNanosecondBuilder),
    Text(StringBuilder),
}

impl Cells {
    /// Of one of the types that CSV has; it takes no memory yet, as there may be thousands.
    pub fn new(field: &Field) -> Self {
        match field.data_type() {
            DataType::Float64 if field.metadata().contains_key(UNROUNDED) => {
                Self::Unrounded(Float64Builder::with_capacity(0))
            }
            DataType::Int64 => Self::Integer(Int64Builder::with_capacity(0)),
            DataType::UInt64 => Self::Unsigned(UInt64Builder::with_capacity(0)),
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(0)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(0)),
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                Self::Nanoseconds(TimestampNanosecondBuilder::with_capacity(0).with_timezone_opt(zone.clone()))
            }
            DataType::Timestamp(_, zone) => {
                Self::Microseconds(TimestampMicrosecondBuilder::with_capacity(0).with_timezone_opt(zone.clone()))
            }
            DataType::Utf8 => Self::Text(StringBuilder::with_capacity(0, 0)),
            _ => Self::Real(Float64Builder::with_capacity(0)),
        }
    }

    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub fn append_null(&mut self) {
        match self {
            Self::Real(cells) | Self::Unrounded(cells) => cells.append_null(),
            Self::Integer(cells) => cells.append_null(),
            Self::Unsigned(cells) => cells.append_null(),
            Self::Boolean(cells) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::Microseconds(cells) => cells.append_null(),
            Self::Nanoseconds(cells) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
        }
    }

    /// Appends a value; `false` where the text is none of the column's type. Spaces around it count in texts alone.
    #[inline]
    pub fn append(&mut self, text: &[u8]) -> bool {
        /// Appends what a text was read as, if it could be.
        macro_rules! put {
            ($cells:expr, $value:expr) => {
                match $value {
                    Some(value) => $cells.append_value(value),
                    None => return false,
                }
            };
        }
        let trimmed = text.trim_ascii();
        match self {
            Self::Real(cells) => put!(cells, real(trimmed)),
            Self::Unrounded(cells) => put!(cells, unrounded(trimmed)),
            Self::Integer(cells) => put!(cells, integer(trimmed)),
            Self::Unsigned(cells) => put!(cells, unsigned(trimmed)),
            Self::Boolean(cells) => put!(cells, boolean(trimmed)),
            Self::Date(cells) => put!(cells, date(trimmed)),
            Self::Microseconds(cells) => put!(cells, time(trimmed).and_then(|time| time.microseconds())),
            Self::Nanoseconds(cells) => put!(cells, time(trimmed).and_then(|time| time.nanoseconds())),
            Self::Text(cells) => put!(cells, std::str::from_utf8(text).ok()),
        }
        true
    }

    /// The column so far, after which it is empty.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Real(cells) | Self::Unrounded(cells) => Arc::new(cells.finish()),
            Self::Integer(cells) => Arc::new(cells.finish()),
            Self::Unsigned(cells) => Arc::new(cells.finish()),
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Microseconds(cells) => Arc::new(cells.finish()),
            Self::Nanoseconds(cells) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
        }
    }
}

/// What a text of this type is, in messages.
pub(super) fn kind(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "an integer of 64 bits",
        DataType::UInt64 => "an integer of 64 bits, from 0",
        DataType::Boolean => "true or false",
        DataType::Date32 => "a date such as 2013-01-31",
        DataType::Timestamp(..) => "a time such as 2013-01-31T05:15:00",
        _ => "a number",
    }
}
