use std::path::Path;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, PrimitiveArray, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema as TableSchema, TimeUnit};
use tidemill_data::tensor::{DType, Scalar};
use tidemill_data::{Batch, Column, Error, Kind, Numbers, Schema, Source, Unit};
use tidemill_data_arrow::type_name;

use crate::writer::Output;

/// Rows that are written at a time.
const CHUNK: usize = 8192;

/// Writes the rest of a source's epoch to a Parquet file, and says how many rows there were.
///
/// A real column of one number a row keeps its name; the numbers of a wider one become columns of their own, `x0`, `x1`,
/// …. Categories are written as whole numbers. Whole numbers, decimals, dates and times are written as such, with every
/// digit. The file appears under its name when it is complete.
///
/// # Example
///
/// ```
/// use tidemill_data::MemorySource;
/// use tidemill_data_parquet::{ParquetSource, save};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("points.parquet");
/// let mut memory = MemorySource::builder().reals("x", 2, vec![1.0_f32, 2.0, 3.0, 4.0]).target(vec![0.0, 1.0]).build()?;
/// assert_eq!(save(&mut memory, &path)?, 2);
///
/// let file = ParquetSource::open(&path).real_block("x", ["x0", "x1"]).target("target").build::<f32>()?;
/// assert_eq!(file.rows(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of the source; when a value is null; when the file cannot be written.
pub fn save<T: Scalar>(source: &mut dyn Source<T>, path: impl AsRef<Path>) -> Result<u64, Error> {
    let schema = Arc::clone(source.schema());
    let table = Arc::new(TableSchema::new(columns::<T>(&schema)));
    check_names(path.as_ref(), &table)?;
    let mut output = Output::create(path.as_ref(), table, Output::properties())?;
    let mut batch = Batch::new(schema);
    let mut written = 0;
    loop {
        batch.clear();
        let rows = source.fill(&mut batch, CHUNK)?;
        if rows == 0 {
            output.finish()?;
            return Ok(written);
        }
        output.write(arrays(&batch, written)?)?;
        written += rows as u64;
    }
}

fn columns<T: Scalar>(schema: &Schema) -> Vec<Field> {
    let number = match T::DTYPE {
        DType::F32 => DataType::Float32,
        DType::F64 => DataType::Float64,
    };
    let mut columns = Vec::new();
    for field in &schema.fields {
        let mut add = |name: String, data_type| columns.push(Field::new(name, data_type, false));
        match field.kind {
            Kind::Real { width: 1 } => {
                add(field.name.clone(), exact_type(field.numbers, field.unit).unwrap_or(number.clone()));
            }
            Kind::Real { width } => (0..width).for_each(|i| add(format!("{}{i}", field.name), number.clone())),
            Kind::Index { .. } => add(field.name.clone(), DataType::UInt32),
            Kind::Text => add(field.name.clone(), DataType::Utf8),
        }
    }
    columns
}

/// The type that holds every digit of a column's numbers; `None` where they are floating-point numbers.
fn exact_type(numbers: Numbers, unit: Unit) -> Option<DataType> {
    let time = match numbers.scale()? {
        0 => Some(TimeUnit::Second),
        3 => Some(TimeUnit::Millisecond),
        6 => Some(TimeUnit::Microsecond),
        9 => Some(TimeUnit::Nanosecond),
        _ => None,
    };
    Some(match (unit, time) {
        (Unit::Timestamp, Some(time)) => DataType::Timestamp(time, None),
        (Unit::Duration, Some(time)) => DataType::Duration(time),
        (Unit::TimeOfDay, Some(time @ (TimeUnit::Second | TimeUnit::Millisecond))) => DataType::Time32(time),
        (Unit::TimeOfDay, Some(time)) => DataType::Time64(time),
        _ => match numbers {
            Numbers::Signed { bits: ..=32 } if unit == Unit::Days => DataType::Date32,
            Numbers::Signed { bits: ..=32 } => DataType::Int32,
            Numbers::Signed { .. } => DataType::Int64,
            Numbers::Unsigned { bits: ..=1 } => DataType::Boolean,
            Numbers::Unsigned { bits: ..=32 } => DataType::UInt32,
            Numbers::Unsigned { .. } => DataType::UInt64,
            Numbers::Decimal { digits, scale } => DataType::Decimal128(digits.max(1), scale),
            Numbers::Real | Numbers::Rounded => return None,
        },
    })
}

fn check_names(path: &Path, table: &TableSchema) -> Result<(), Error> {
    let fields = table.fields();
    if fields.is_empty() {
        return Err(Error::invalid(path.display(), "a table needs at least one column"));
    }
    match fields.iter().enumerate().find(|(place, field)| fields[..*place].iter().any(|f| f.name() == field.name())) {
        Some((_, twice)) => Err(Error::invalid(path.display(), format!("two columns are named {}", twice.name()))),
        None => Ok(()),
    }
}

fn arrays<T: Scalar>(batch: &Batch<T>, first: u64) -> Result<Vec<ArrayRef>, Error> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (column, field) in batch.columns().iter().zip(&batch.schema().fields) {
        let null = |row: usize| Error::Null { column: field.name.clone(), row: first + row as u64 };
        match column {
            Column::Real { width, values, nulls, digits } => {
                if let Some(row) = (0..batch.rows()).find(|&row| nulls.is_null(row)) {
                    return Err(null(row));
                }
                if let Some(data_type) = exact_type(digits.numbers(), field.unit) {
                    let digits = (0..batch.rows()).map(|row| column.digits(row).ok_or_else(|| null(row)));
                    let exact = exact_array(&data_type, digits.collect::<Result<_, _>>()?);
                    let refused = |row: usize| {
                        let what = format!("column {}, row {}", field.name, first + row as u64);
                        Error::invalid(what, format!("its value does not fit {}", type_name(&data_type)))
                    };
                    arrays.push(exact.map_err(refused)?);
                    continue;
                }
                for i in 0..*width {
                    let numbers = values.iter().skip(i).step_by(*width).map(|v| v.widen());
                    arrays.push(match T::DTYPE {
                        DType::F32 => Arc::new(numbers.map(|v| v as f32).collect::<Float32Array>()),
                        DType::F64 => Arc::new(numbers.collect::<Float64Array>()),
                    });
                }
            }
            Column::Index { values } => arrays.push(Arc::new(UInt32Array::from(values.clone()))),
            Column::Text { .. } => {
                let texts = (0..batch.rows()).map(|row| column.text(row).ok_or_else(|| null(row)));
                let texts = texts.collect::<Result<Vec<_>, _>>()?;
                arrays.push(Arc::new(StringArray::from_iter_values(texts)));
            }
        }
    }
    Ok(arrays)
}

/// Digits as an array of a type, or the first row that does not fit it.
fn exact_array(data_type: &DataType, digits: Vec<i128>) -> Result<ArrayRef, usize> {
    fn narrow<P: ArrowPrimitiveType>(data_type: &DataType, digits: &[i128]) -> Result<ArrayRef, usize>
    where
        P::Native: TryFrom<i128>,
    {
        let values = digits.iter().enumerate().map(|(row, &digits)| P::Native::try_from(digits).map_err(|_| row));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(PrimitiveArray::<P>::from_iter_values(values).with_data_type(data_type.clone())))
    }
    match data_type {
        DataType::Boolean => Ok(Arc::new(digits.iter().map(|&digits| Some(digits != 0)).collect::<BooleanArray>())),
        DataType::Int32 => narrow::<Int32Type>(data_type, &digits),
        DataType::UInt32 => narrow::<UInt32Type>(data_type, &digits),
        DataType::Int64 => narrow::<Int64Type>(data_type, &digits),
        DataType::UInt64 => narrow::<UInt64Type>(data_type, &digits),
        DataType::Date32 => narrow::<Date32Type>(data_type, &digits),
        DataType::Time32(TimeUnit::Second) => narrow::<Time32SecondType>(data_type, &digits),
        DataType::Time32(_) => narrow::<Time32MillisecondType>(data_type, &digits),
        DataType::Time64(TimeUnit::Microsecond) => narrow::<Time64MicrosecondType>(data_type, &digits),
        DataType::Time64(_) => narrow::<Time64NanosecondType>(data_type, &digits),
        DataType::Timestamp(TimeUnit::Second, _) => narrow::<TimestampSecondType>(data_type, &digits),
        DataType::Timestamp(TimeUnit::Millisecond, _) => narrow::<TimestampMillisecondType>(data_type, &digits),
        DataType::Timestamp(TimeUnit::Microsecond, _) => narrow::<TimestampMicrosecondType>(data_type, &digits),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => narrow::<TimestampNanosecondType>(data_type, &digits),
        DataType::Duration(TimeUnit::Second) => narrow::<DurationSecondType>(data_type, &digits),
        DataType::Duration(TimeUnit::Millisecond) => narrow::<DurationMillisecondType>(data_type, &digits),
        DataType::Duration(TimeUnit::Microsecond) => narrow::<DurationMicrosecondType>(data_type, &digits),
        DataType::Duration(TimeUnit::Nanosecond) => narrow::<DurationNanosecondType>(data_type, &digits),
        _ => Ok(Arc::new(Decimal128Array::from_iter_values(digits).with_data_type(data_type.clone()))),
    }
}
