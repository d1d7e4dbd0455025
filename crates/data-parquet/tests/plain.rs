//! Columns of numbers, plain or from a dictionary, take a way of their own, past arrow: it gives the same rows for any number of threads, pages
//! and files, wherever reading begins.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::*;
use common::{array, cursor, read, read_all, seek, table};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Column, Cursor, Error, Source, SourceExt};
use tidemill_data_parquet::ParquetSource;

/// How a file is written.
#[derive(Clone, Copy, Debug)]
struct Form {
    compression: Compression,
    version: WriterVersion,
    /// Rows of a page.
    page: usize,
    /// Rows of a row group.
    group: usize,
    /// Bytes of a dictionary: none is written, or the values go on plainly when it is full.
    dictionary: usize,
}

const ROWS: usize = 997;

/// Numbers of every type that may be plain, an optional column with a few nulls in the middle, and columns that arrow
/// reads however they are written.
fn numbers() -> RecordBatch {
    let f32s = |seed: usize| Float32Array::from_iter_values((0..ROWS).map(|i| ((i * 7919 + seed) as f32).sin()));
    let nullable = |i: usize| (i / 100 != 4 || !i.is_multiple_of(9)).then_some(i as f32 * 0.5);
    // Runs of either kind, single ones, and a long stretch without any value.
    let there = |i: usize| !(i * i / 7).is_multiple_of(3) && !(300..520).contains(&i);
    table([
        ("a", array(f32s(1))),
        ("b", array(f32s(2))),
        ("c", array(f32s(3))),
        ("d", array(f32s(4))),
        ("e", array(f32s(5))),
        ("f64", array(Float64Array::from_iter_values((0..ROWS).map(|i| (i as f64).ln_1p())))),
        ("i32", array(Int32Array::from_iter_values((0..ROWS).map(|i| i as i32 * -77_777)))),
        ("u32", array(UInt32Array::from_iter_values((0..ROWS).map(|i| u32::MAX - i as u32)))),
        ("i64", array(Int64Array::from_iter_values((0..ROWS).map(|i| i64::MAX / (1 + i as i64))))),
        ("u64", array(UInt64Array::from_iter_values((0..ROWS).map(|i| u64::MAX / (1 + i as u64))))),
        ("i16", array(Int16Array::from_iter_values((0..ROWS).map(|i| i as i16 - 500)))),
        ("date", array(Date32Array::from_iter_values((0..ROWS).map(|i| i as i32 - 300)))),
        ("time", array(Time64MicrosecondArray::from_iter_values((0..ROWS).map(|i| i as i64 * 86_399_999)))),
        ("at", array(TimestampNanosecondArray::from_iter_values((0..ROWS).map(|i| i as i64 * 1_234_567_891_011)))),
        ("nullable", array(Float32Array::from_iter((0..ROWS).map(nullable)))),
        ("few", array(Float64Array::from_iter((0..ROWS).map(|i| there(i).then_some((i * i % 11) as f64 / 4.0))))),
        ("some", array(Int32Array::from_iter((0..ROWS).map(|i| there(i / 3).then_some(i as i32 % 200 - 50))))),
        ("never", array(Int64Array::from_iter((0..ROWS).map(|_| None)))),
        ("class", array(Int64Array::from_iter_values((0..ROWS).map(|i| i as i64 % 7)))),
        ("text", array(StringArray::from_iter_values((0..ROWS).map(|i| format!("row {i}"))))),
    ])
}

fn write(path: &Path, rows: &RecordBatch, form: Form) {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(form.dictionary > 0)
        .set_dictionary_page_size_limit(form.dictionary)
        .set_compression(form.compression)
        .set_writer_version(form.version)
        .set_data_page_row_count_limit(form.page)
        .set_write_batch_size(form.page)
        .set_max_row_group_row_count(Some(form.group))
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn open<T: Scalar>(paths: &[PathBuf], threads: usize) -> ParquetSource<T> {
    let source = ParquetSource::open(paths)
        .real_block("block", ["a", "b", "c", "d", "e", "f64", "i32"])
        .real_block("mixed", ["i64", "i16", "nullable", "at", "u64", "time", "few", "some"])
        .columns(["u32", "date", "text", "some", "never"])
        .target_index("class", 7)
        .weight("a");
    source.threads(threads).build().unwrap()
}

fn forms() -> impl Iterator<Item = Form> {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let versions = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];
    let forms = versions.into_iter().flat_map(move |version| {
        [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd].map(move |compression| (version, compression))
    });
    forms.flat_map(|(version, compression)| {
        let cuts = [(1, 100, 0), (40, 300, 0), (1000, 1000, 0), (64, 128, 0), (40, 500, 300), (1000, 1000, 1 << 20)];
        cuts.map(|(page, group, dictionary)| Form { compression, version, page, group, dictionary })
    })
}

/// The rows as arrow gives them: pages that are compressed in this way are left to it.
fn by_arrow<T: Scalar>(folder: &Path) -> Batch<T> {
    let path = folder.join("arrow.parquet");
    let compression = Compression::GZIP(GzipLevel::default());
    write(
        &path,
        &numbers(),
        Form { compression, version: WriterVersion::PARQUET_1_0, page: 100, group: 400, dictionary: 0 },
    );
    read_all(&mut open(&[path], 1)).unwrap()
}

fn rows<T: Scalar>(of: &Batch<T>, rows: std::ops::Range<usize>) -> Batch<T> {
    let mut some = Batch::new(Arc::clone(of.schema()));
    some.push_rows(of, rows);
    some
}

fn check_forms<T: Scalar>() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Batch<T> = by_arrow(folder.path());
    let path = folder.path().join("plain.parquet");
    for form in forms() {
        write(&path, &numbers(), form);
        for (threads, size) in [(1, 1000), (1, 37), (2, 128), (3, 5), (4, 1000)] {
            let mut source = open::<T>(std::slice::from_ref(&path), threads);
            let mut start = 0;
            for batch in read(&mut source, size).unwrap() {
                assert!(
                    columns(&batch).eq(columns(&rows(&expected, start..start + batch.rows()))),
                    "{form:?}, {threads} threads, {size} rows from {start}"
                );
                start += batch.rows();
            }
            assert_eq!(start, ROWS);
        }
    }
}

fn columns<T: Scalar>(batch: &Batch<T>) -> impl Iterator<Item = &Column<T>> {
    batch.columns().iter()
}

#[test]
fn rows_are_those_of_arrow_in_single_precision() {
    check_forms::<f32>();
}

#[test]
fn rows_are_those_of_arrow_in_double_precision() {
    check_forms::<f64>();
}

/// Three files, by two ways.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all: Vec<Form> = forms().collect();
    let cuts = [(0, 300, all[5]), (300, 650, all[22]), (650, ROWS, all[31])];
    let write = |(i, (start, end, form)): (usize, (usize, usize, Form))| {
        let path = folder.join(format!("part-{i}.parquet"));
        write(&path, &numbers().slice(start, end - start), form);
        path
    };
    cuts.into_iter().enumerate().map(write).collect()
}

#[test]
fn any_row_can_be_gone_to() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Batch<f64> = by_arrow(folder.path());
    let files = files(folder.path());
    for threads in [1, 3] {
        let mut source = open::<f64>(&files, threads);
        for row in (0..ROWS).map(|i| i * 389 % ROWS).chain(290..310).chain((640..660).rev()) {
            seek(&mut source, Cursor::start(2).push(row as u64)).unwrap();
            for n in [1, 9, 40].map(|n: usize| n.min(ROWS - row)) {
                let mut batch = Batch::new(Arc::clone(source.schema()));
                let start = cursor(&source).pop().unwrap().0 as usize;
                let n = source.fill(&mut batch, n.min(ROWS - start)).unwrap();
                assert!(columns(&batch).eq(columns(&rows(&expected, start..start + n))), "{n} rows from {start}");
            }
        }
    }
}

#[test]
fn prefetching_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Batch<f32> = by_arrow(folder.path());
    let mut source = open::<f32>(&files(folder.path()), 2).prefetch(2, 64).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    for epoch in 0..3 {
        source.seek(Cursor::start(epoch)).unwrap();
        batch.clear();
        while source.fill(&mut batch, 100).unwrap() > 0 {}
        assert!(columns(&batch).eq(columns(&expected)), "epoch {epoch}");
    }
}

/// Threads end, whatever they are at; a source that nobody reads any more holds nothing up.
#[test]
fn sources_may_be_dropped_at_any_row() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    for n in 0..60 {
        let mut source = open::<f32>(&files, 4);
        let mut batch = Batch::new(Arc::clone(source.schema()));
        assert_eq!(source.fill(&mut batch, n * 17).unwrap(), ROWS.min(n * 17));
    }
}

#[test]
fn no_threads_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = ParquetSource::open(files(folder.path())).columns(["a"]).threads(0).build::<f32>();
    let Err(Error::Invalid { what, .. }) = source else { panic!("nobody reads") };
    assert_eq!(what, "threads");
}

/// A null where there is none by the schema, and an index out of range, come with their row.
#[test]
fn values_out_of_range_come_with_their_row() {
    let folder = tempfile::tempdir().unwrap();
    for (threads, form) in [1, 3].into_iter().flat_map(|threads| forms().map(move |form| (threads, form))) {
        let path = folder.path().join("class.parquet");
        write(&path, &numbers(), form);
        let source = ParquetSource::open(&path).columns(["a", "b"]).target_index("class", 6).threads(threads);
        let mut source = source.build::<f32>().unwrap();
        seek(&mut source, Cursor::start(0).push(700)).unwrap();
        let mut batch = Batch::new(Arc::clone(source.schema()));
        assert_eq!(source.fill(&mut batch, 6).unwrap(), 6);
        let error = source.fill(&mut batch, 1).unwrap_err().to_string();
        let place = format!("row group {}, column class: row 706 of the file is 6, expected 0 to 5", 706 / form.group);
        assert!(error.contains(&place), "{error}, not {place}");
    }
}
