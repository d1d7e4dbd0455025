//! Files written by the parquet crate itself, and rows read back.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, Source};
use tidemill_data_parquet::ParquetSource;

pub fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    let nullable = |array: &ArrayRef| array.logical_null_count() > 0;
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, Arc::clone(&array), nullable(&array))))
        .unwrap()
}

/// Writes rows in row groups of these sizes, in pages of a few rows.
pub fn write_groups(path: &Path, rows: &RecordBatch, groups: &[usize]) {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(5)
        .set_write_batch_size(5)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    let mut start = 0;
    for &group in groups {
        writer.write(&rows.slice(start, group)).unwrap();
        writer.flush().unwrap();
        start += group;
    }
    assert_eq!(start, rows.num_rows());
    writer.close().unwrap();
}

pub fn write(path: &Path, rows: &RecordBatch) {
    write_groups(path, rows, &[rows.num_rows()]);
}

pub fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// All rows from where the source is, in batches of `size`.
pub fn read<T: Scalar>(source: &mut ParquetSource<T>, size: usize) -> Result<Vec<Batch<T>>, Error> {
    let mut batches = Vec::new();
    loop {
        let mut batch = Batch::new(Arc::clone(source.schema()));
        match source.fill(&mut batch, size)? {
            0 => return Ok(batches),
            rows => assert_eq!(rows, batch.rows()),
        }
        batches.push(batch);
    }
}

/// All rows of the source as one batch.
pub fn read_all<T: Scalar>(source: &mut ParquetSource<T>) -> Result<Batch<T>, Error> {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, 1000)? > 0 {}
    Ok(batch)
}

pub fn seek<T: Scalar>(source: &mut ParquetSource<T>, cursor: Cursor) -> Result<(), Error> {
    Source::<T>::seek(source, cursor)
}

pub fn cursor<T: Scalar>(source: &ParquetSource<T>) -> Cursor {
    Source::<T>::cursor(source)
}
