use std::path::Path;
use std::sync::Arc;

use tidemill_data::tensor::{DType, Scalar};
use tidemill_data::{Batch, Column, Error, Kind, Schema, Source};

use crate::{ParquetWriter, ValueType, Values};

/// Rows that are written at a time.
const CHUNK: usize = 8192;

/// Writes the rest of a source's epoch to a Parquet file, and says how many rows there were.
///
/// A real column of one number a row keeps its name; the numbers of a wider one become columns of their own, `x0`, `x1`,
/// …. Categories are written as whole numbers. The file appears under its name when it is complete.
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
    let mut writer = ParquetWriter::create(path, columns::<T>(&schema))?;
    let mut batch = Batch::new(schema);
    let mut written = 0;
    loop {
        batch.clear();
        let rows = source.fill(&mut batch, CHUNK)?;
        if rows == 0 {
            writer.finish()?;
            return Ok(written);
        }
        append(&mut writer, &batch, written)?;
        written += rows as u64;
    }
}

fn columns<T: Scalar>(schema: &Schema) -> Vec<(String, ValueType)> {
    let number = match T::DTYPE {
        DType::F32 => ValueType::F32,
        DType::F64 => ValueType::F64,
    };
    let mut columns = Vec::new();
    for field in &schema.fields {
        match field.kind {
            Kind::Real { width: 1 } => columns.push((field.name.clone(), number)),
            Kind::Real { width } => columns.extend((0..width).map(|i| (format!("{}{i}", field.name), number))),
            Kind::Index { .. } => columns.push((field.name.clone(), ValueType::U32)),
            Kind::Text => columns.push((field.name.clone(), ValueType::Text)),
        }
    }
    columns
}

/// The numbers of one column of the file.
enum Owned<'a> {
    F32(Vec<f32>),
    F64(Vec<f64>),
    U32(&'a [u32]),
    Text(Vec<&'a str>),
}

fn append<T: Scalar>(writer: &mut ParquetWriter, batch: &Batch<T>, first: u64) -> Result<(), Error> {
    let mut owned = Vec::new();
    for (column, field) in batch.columns().iter().zip(&batch.schema().fields) {
        let null = |row: usize| Error::Null { column: field.name.clone(), row: first + row as u64 };
        match column {
            Column::Real { width, values, nulls } => {
                if let Some(row) = (0..batch.rows()).find(|&row| nulls.is_null(row)) {
                    return Err(null(row));
                }
                for i in 0..*width {
                    let numbers = values.iter().skip(i).step_by(*width).map(|v| v.widen());
                    owned.push(match T::DTYPE {
                        DType::F32 => Owned::F32(numbers.map(|v| v as f32).collect()),
                        DType::F64 => Owned::F64(numbers.collect()),
                    });
                }
            }
            Column::Index { values } => owned.push(Owned::U32(values)),
            Column::Text { .. } => {
                let texts = (0..batch.rows()).map(|row| column.text(row).ok_or_else(|| null(row)));
                owned.push(Owned::Text(texts.collect::<Result<_, _>>()?));
            }
        }
    }
    let values: Vec<Values> = owned
        .iter()
        .map(|column| match column {
            Owned::F32(values) => Values::F32(values),
            Owned::F64(values) => Values::F64(values),
            Owned::U32(values) => Values::U32(values),
            Owned::Text(values) => Values::Text(values),
        })
        .collect();
    writer.write(&values)
}
