//! Which row groups a condition can pass over, by what the footer says of their values.

use arrow_schema::DataType;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use tidemill_data::{Bounds, Limits, Predicate, Unit};

use crate::footer::Footer;
use crate::hive::{Key, KeyValue};

/// Rows and row groups that were passed over because their statistics say that no row of them matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Row groups.
    pub row_groups: usize,
    /// Rows in them.
    pub rows: u64,
}

/// Whether some row of a row group may match; true wherever the footer does not say enough.
pub(crate) fn may_match(predicate: &Predicate, footer: &Footer, group: &RowGroupMetaData) -> bool {
    let leaves = footer.leaves();
    predicate.may_match(|column| {
        let root = footer.table.fields().iter().position(|field| field.name() == column);
        if let Some(key) = root.and_then(|root| footer.key(root)) {
            return of_key(key);
        }
        let chunk = root.and_then(|root| Some((root, group.columns().get(*leaves.get(root)?)?)));
        let Some((root, chunk)) = chunk else { return Bounds::unknown() };
        bounds(footer.schema.field(root).data_type(), chunk, group.num_rows().unsigned_abs())
    })
}

/// The bounds of a column of one value.
fn of_key(key: &Key) -> Bounds {
    let one = |value: i128| Limits::Digits { low: value, high: value, scale: 0, unit: Unit::None };
    let limits = match &key.value {
        KeyValue::Signed(Some(value)) => Some(one((*value).into())),
        KeyValue::Unsigned(Some(value)) => Some(one((*value).into())),
        KeyValue::Text(Some(text)) => Some(Limits::Texts(text.clone().into_bytes(), text.clone().into_bytes())),
        _ => None,
    };
    Bounds { limits, nulls: key.is_null(), values: !key.is_null() }
}

fn bounds(data_type: &DataType, chunk: &ColumnChunkMetaData, rows: u64) -> Bounds {
    let Some(statistics) = chunk.statistics() else { return Bounds::unknown() };
    if data_type.is_nested() {
        return Bounds::unknown();
    }
    let nulls = statistics.null_count_opt().filter(|&nulls| nulls <= rows);
    let limits = limits(data_type, chunk, statistics);
    // NaN is a null, and no statistics count it.
    let nan = matches!(unpacked(data_type), DataType::Float16 | DataType::Float32 | DataType::Float64);
    Bounds { limits, nulls: nan || nulls != Some(0), values: nulls != Some(rows) }
}

fn unpacked(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => unpacked(values),
        other => other,
    }
}

/// The least and the greatest value as sources give them, for types of which the order is beyond doubt.
fn limits(data_type: &DataType, chunk: &ColumnChunkMetaData, statistics: &Statistics) -> Option<Limits> {
    // The older fields compare bytes and unsigned numbers as if they were signed.
    let old = statistics.is_min_max_deprecated();
    let limits = match (unpacked(data_type), statistics) {
        (DataType::Boolean, Statistics::Boolean(s)) => {
            digits(s.min_opt().zip(s.max_opt()), |&v| i128::from(v), Unit::None)
        }
        (DataType::Date32, Statistics::Int32(s)) => digits(s.min_opt().zip(s.max_opt()), |&v| v.into(), Unit::Days),
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Statistics::Int32(s)) => {
            digits(s.min_opt().zip(s.max_opt()), |&v| v.into(), Unit::None)
        }
        (DataType::Int64, Statistics::Int64(s)) => digits(s.min_opt().zip(s.max_opt()), |&v| v.into(), Unit::None),
        (DataType::UInt8 | DataType::UInt16 | DataType::UInt32, Statistics::Int32(s)) if !old => {
            digits(s.min_opt().zip(s.max_opt()), |&v| v.cast_unsigned().into(), Unit::None)
        }
        (DataType::UInt64, Statistics::Int64(s)) if !old => {
            digits(s.min_opt().zip(s.max_opt()), |&v| v.cast_unsigned().into(), Unit::None)
        }
        (DataType::Float32, Statistics::Float(s)) => numbers(s.min_opt().zip(s.max_opt()), |&v| f64::from(v)),
        (DataType::Float64, Statistics::Double(s)) => numbers(s.min_opt().zip(s.max_opt()), |&v| v),
        (DataType::Timestamp(..), Statistics::Int64(s)) => {
            let Some(LogicalType::Timestamp(timestamp)) = chunk.column_descr().logical_type_ref() else { return None };
            let (scale, second) = match timestamp.unit {
                TimeUnit::MILLIS => (3, 1_000),
                TimeUnit::MICROS => (6, 1_000_000),
                TimeUnit::NANOS => (9, 1_000_000_000),
            };
            // A second more on either side, as readers may have been told of a coarser unit.
            let (low, high) = s.min_opt().zip(s.max_opt())?;
            let (low, high) = (i128::from(*low) - second, i128::from(*high) + second);
            Some(Limits::Digits { low, high, scale, unit: Unit::Timestamp })
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Statistics::ByteArray(s)) if !old => {
            // Texts that were cut are cut to a lower and a higher one.
            s.min_opt().zip(s.max_opt()).map(|(low, high)| Limits::Texts(low.data().to_vec(), high.data().to_vec()))
        }
        _ => None,
    };
    limits.filter(|limits| match limits {
        Limits::Numbers(low, high) => low <= high,
        Limits::Digits { low, high, .. } => low <= high,
        Limits::Texts(low, high) => low <= high,
    })
}

fn numbers<V>(limits: Option<(&V, &V)>, number: impl Fn(&V) -> f64) -> Option<Limits> {
    limits.map(|(low, high)| Limits::Numbers(number(low), number(high)))
}

fn digits<V>(limits: Option<(&V, &V)>, digits: impl Fn(&V) -> i128, unit: Unit) -> Option<Limits> {
    limits.map(|(low, high)| Limits::Digits { low: digits(low), high: digits(high), scale: 0, unit })
}
