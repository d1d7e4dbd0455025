//! Rows come in order, exactly once, wherever reading begins and however it is cut.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{Float32Array, Int64Array, RecordBatch, StringArray, UInt8Array};
use common::{array, cursor, read, read_all, seek, table, write_groups};
use tempfile::TempDir;
use tidemill_data::{Batch, Column, Cursor, Error, Source};
use tidemill_data_parquet::ParquetSource;

/// What row `i` of everything holds.
fn rows(range: std::ops::Range<i64>) -> RecordBatch {
    let texts: Vec<Option<String>> =
        range.clone().map(|i| (i % 5 != 2).then(|| format!("row {i}").repeat(3))).collect();
    let reals: Vec<Option<f32>> = range.clone().map(|i| (i % 11 != 7).then_some(i as f32 * 0.5)).collect();
    table([
        ("id", array(Int64Array::from_iter_values(range.clone()))),
        ("x", array(Float32Array::from(reals))),
        ("name", array(StringArray::from(texts))),
        ("class", array(UInt8Array::from_iter_values(range.map(|i| (i % 3) as u8)))),
    ])
}

/// Three files of ragged row groups, one of them empty, two without rows.
fn files(folder: &TempDir) -> Vec<PathBuf> {
    let cuts: [(i64, &[usize]); 5] =
        [(0, &[1, 7, 0, 30, 12]), (50, &[]), (50, &[17]), (67, &[0]), (67, &[2, 2, 2, 1, 40, 3])];
    let write = |(i, &(start, groups)): (usize, &(i64, &[usize]))| {
        let path = folder.path().join(format!("part-{i}.parquet"));
        write_groups(&path, &rows(start..start + groups.iter().sum::<usize>() as i64), groups);
        path
    };
    cuts.iter().enumerate().map(write).collect()
}

const ROWS: u64 = 117;

fn open(files: &[PathBuf]) -> ParquetSource<f64> {
    let source = ParquetSource::open(files).feature("x").feature("name").target_index("class", 3).weight("id");
    source.build().unwrap()
}

/// The same rows as they would be filled from memory.
fn in_memory(source: &ParquetSource<f64>, start: u64, n: u64) -> Batch<f64> {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    for i in start..start + n {
        let write = |columns: &mut [Column<f64>]| {
            let before = (i - start) as usize;
            for (place, column) in columns.iter_mut().enumerate() {
                match column {
                    Column::Real { values, nulls, .. } if place == 0 => {
                        let null = i % 11 == 7;
                        values.push(if null { 0.0 } else { i as f64 * 0.5 });
                        if null { nulls.extend(before, [true]) } else { nulls.extend_valid(before, 1) }
                    }
                    Column::Real { values, .. } => values.push(i as f64),
                    Column::Index { values } => values.push((i % 3) as u32),
                    Column::Text { bytes, ends, nulls } => {
                        let null = i % 5 == 2;
                        if !null {
                            bytes.extend_from_slice(format!("row {i}").repeat(3).as_bytes());
                        }
                        ends.push(bytes.len());
                        if null { nulls.extend(before, [true]) } else { nulls.extend_valid(before, 1) }
                    }
                }
            }
            Ok::<_, Error>(())
        };
        batch.append(1, write).unwrap();
    }
    batch
}

#[test]
fn batches_are_those_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = open(&files(&folder));
    assert_eq!(source.rows(), ROWS);
    for size in [1, 2, 3, 8, 32, 116, 117, 5000] {
        seek(&mut source, Cursor::start(0)).unwrap();
        let mut start = 0;
        for batch in read::<f64>(&mut source, size).unwrap() {
            assert_eq!(batch, in_memory(&source, start, batch.rows() as u64), "rows from {start}, {size} at a time");
            assert!(batch.rows() == size || start + batch.rows() as u64 == ROWS);
            start += batch.rows() as u64;
        }
        assert_eq!(start, ROWS);
    }
}

#[test]
fn seeking_to_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let mut walked = open(&files);
    let mut source = open(&files);
    for row in (0..=ROWS).rev().chain(0..=ROWS).chain((0..ROWS).map(|i| i * 31 % ROWS)) {
        seek(&mut walked, Cursor::start(4)).unwrap();
        let passed = Source::<f64>::skip(&mut walked, row).unwrap();
        assert_eq!(passed, row);
        let here = cursor(&walked);
        assert_eq!(here.epoch, 4);
        seek(&mut source, here).unwrap();
        let n = (ROWS - row).min(20);
        for source in [&mut source, &mut walked] {
            let mut batch = Batch::<f64>::new(Arc::clone(source.schema()));
            assert_eq!(source.fill(&mut batch, 20).unwrap() as u64, n);
            assert_eq!(batch, in_memory(source, row, n), "from row {row}");
        }
        assert_eq!(cursor(&source), cursor(&walked));
    }
}

#[test]
fn skipping_ends_with_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = open(&files(&folder));
    assert_eq!(Source::<f64>::skip(&mut source, 100).unwrap(), 100);
    assert_eq!(read_all::<f64>(&mut source).unwrap().rows(), 17);
    assert_eq!(Source::<f64>::skip(&mut source, 1).unwrap(), 0);
    seek(&mut source, Cursor::start(1)).unwrap();
    assert_eq!(Source::<f64>::skip(&mut source, 1000).unwrap(), ROWS);
    assert_eq!(Source::<f64>::rows(&source), Some(ROWS));
}

#[test]
fn positions_that_no_row_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = open(&files(&folder));
    seek(&mut source, Cursor::start(0).push(ROWS)).unwrap();
    assert_eq!(read_all::<f64>(&mut source).unwrap().rows(), 0);
    let error = seek(&mut source, Cursor::start(0).push(ROWS + 1)).unwrap_err().to_string();
    assert!(error.contains("the files have 117 rows"), "{error}");
    assert!(seek(&mut source, Cursor::start(0).push(1).push(2)).is_err());
}

#[test]
fn folders_are_read_by_name_and_lists_as_given() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(&folder);
    std::fs::write(folder.path().join("notes.txt"), "not a table").unwrap();
    let mut source = ParquetSource::open(folder.path()).feature("id").build().unwrap();
    assert!(source.files().eq(&files));
    let expected: Vec<f64> = (0..ROWS).map(|i| i as f64).collect();
    assert_eq!(read_all::<f64>(&mut source).unwrap().reals(0), expected);
    files.reverse();
    let mut source = ParquetSource::open(files).feature("id").build().unwrap();
    let batch: Batch<f64> = read_all(&mut source).unwrap();
    assert_eq!(batch.reals(0)[..51], [&expected[67..117], &expected[50..51]].concat());
}

#[test]
fn columns_of_several_files_may_be_in_other_orders() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    write_groups(&a, &rows(0..10), &[10]);
    write_groups(&b, &rows(10..20).project(&[3, 1, 0]).unwrap(), &[10]);
    let mut source = ParquetSource::open([a, b]).columns(["id", "class"]).build().unwrap();
    let batch: Batch<f64> = read_all(&mut source).unwrap();
    assert!(batch.reals(0).iter().eq(&(0..20).map(f64::from).collect::<Vec<_>>()));
    assert_eq!(batch.reals(1)[19], 1.0);
}

#[test]
fn a_copy_reads_on_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = open(&files(&folder));
    Source::<f64>::skip(&mut source, 40).unwrap();
    let mut copy = source.clone();
    assert_eq!(read_all::<f64>(&mut copy).unwrap(), read_all(&mut source).unwrap());
}
