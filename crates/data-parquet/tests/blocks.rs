//! Blocks come in an order that is a function of (seed, epoch) alone, each row once, however it is read.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Float64Array, RecordBatch, StringArray};
use common::{array, table};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use tidemill_data::{Batch, Cursor, Source, SourceExt};
use tidemill_data_parquet::{Blocks, ParquetSource, ParquetSourceBuilder};

/// Rows of every file, by row groups.
const GROUPS: [&[usize]; 4] = [&[1, 7, 100, 0, 30], &[], &[40], &[2, 2, 61]];
const ROWS: u64 = 243;

fn rows(range: std::ops::Range<usize>) -> RecordBatch {
    table([
        ("id", array(Float64Array::from_iter_values(range.clone().map(|i| i as f64)))),
        ("name", array(StringArray::from_iter_values(range.clone().map(|i| format!("row {i}"))))),
        ("half", array(Float64Array::from_iter_values(range.map(|i| i as f64 / 2.0)))),
    ])
}

/// In pages of six rows, and of five, which share rows with blocks in all ways. Numbers are plain.
fn write(path: &Path, start: usize, groups: &[usize]) {
    let properties = WriterProperties::builder().set_dictionary_enabled(false);
    let properties = properties.set_data_page_row_count_limit(6).set_write_batch_size(1).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows(0..1).schema(), Some(properties)).unwrap();
    let mut start = start;
    for &group in groups {
        writer.write(&rows(start..start + group)).unwrap();
        writer.flush().unwrap();
        start += group;
    }
    writer.close().unwrap();
}

fn files(folder: &TempDir) -> PathBuf {
    let mut start = 0;
    for (i, groups) in GROUPS.iter().enumerate() {
        write(&folder.path().join(format!("part-{i}.parquet")), start, groups);
        start += groups.iter().sum::<usize>();
    }
    folder.path().to_owned()
}

fn plain(path: &Path) -> ParquetSourceBuilder {
    ParquetSource::open(path).columns(["id", "half"])
}

fn mixed(path: &Path) -> ParquetSourceBuilder {
    ParquetSource::open(path).columns(["id", "name"])
}

/// The rows' numbers up to the end of the epoch, `size` at a time.
fn ids(source: &mut impl Source<f64>, size: usize) -> Vec<u64> {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut ids = Vec::new();
    loop {
        batch.clear();
        let n = source.fill(&mut batch, size).unwrap();
        for (row, &id) in batch.reals(0).iter().enumerate() {
            match &batch.columns()[1] {
                text @ tidemill_data::Column::Text { .. } => assert_eq!(text.text(row), Some(&*format!("row {id}"))),
                _ => assert_eq!(batch.reals(1)[row], id / 2.0),
            }
            ids.push(id as u64);
        }
        if n < size {
            assert_eq!(source.fill(&mut batch, size).unwrap(), 0, "rows behind the end");
            return ids;
        }
    }
}

fn epoch(source: &mut impl Source<f64>, epoch: u64) -> Vec<u64> {
    source.seek(Cursor::start(epoch)).unwrap();
    ids(source, 16)
}

/// The blocks of the files, as equal parts of row groups of at most so many rows.
fn cut(most: usize) -> Vec<Vec<u64>> {
    let (mut blocks, mut first) = (Vec::new(), 0);
    for &group in GROUPS.iter().copied().flatten().filter(|&&group| group > 0) {
        let parts = group.div_ceil(most);
        let at = |part: usize| (first + group * part / parts) as u64;
        blocks.extend((0..parts).map(|part| (at(part)..at(part + 1)).collect::<Vec<_>>()));
        first += group;
    }
    blocks
}

#[test]
fn every_block_comes_once_an_epoch_in_an_order_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = files(&folder);
    for most in [1, 5, 12, 30, 1000] {
        let blocks = cut(most);
        let open = |seed| mixed(&path).shuffle_blocks(seed).block_rows(most as u64).build::<f64>().unwrap();
        let mut source = open(3);
        let largest = blocks.iter().map(Vec::len).max().unwrap() as u64;
        assert_eq!(source.blocks(), Some(Blocks { count: blocks.len() as u64, rows: largest }));
        let orders: Vec<Vec<u64>> = (0..4).map(|number| epoch(&mut source, number)).collect();
        for order in &orders {
            let mut left: BTreeMap<u64, &Vec<u64>> = blocks.iter().map(|block| (block[0], block)).collect();
            let mut rest = &order[..];
            while let Some(first) = rest.first() {
                let block = left.remove(first).expect("a block begins");
                assert_eq!(rest[..block.len()], block[..]);
                rest = &rest[block.len()..];
            }
            assert!(left.is_empty(), "all blocks came");
        }
        let other = epoch(&mut open(4), 0);
        let different: BTreeSet<_> = orders.iter().chain([&other]).collect();
        assert_eq!(different.len(), 5, "epochs and seeds have their own orders");
        assert_eq!(epoch(&mut source, 2), orders[2], "and keep them");
    }
    assert_eq!(mixed(&path).build::<f64>().unwrap().blocks(), None);
}

#[test]
fn the_order_is_the_same_for_any_number_of_readers_and_batches_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = files(&folder);
    for columns in [plain, mixed] {
        let open = |threads: usize, most: u64| {
            columns(&path).shuffle_blocks(9).block_rows(most).threads(threads).build::<f64>().unwrap()
        };
        for most in [5, 17, 1000] {
            let expected = [epoch(&mut open(1, most), 0), epoch(&mut open(1, most), 1)];
            let window = |number| epoch(&mut open(1, most).shuffle(50, 1).unwrap(), number);
            for threads in [1, 2, 4] {
                let mut source = open(threads, most);
                for size in [1, 3, 64, 100, 1000] {
                    for (number, expected) in expected.iter().enumerate() {
                        source.seek(Cursor::start(number as u64)).unwrap();
                        assert_eq!(ids(&mut source, size), *expected, "{threads} threads, {size} rows at a time");
                    }
                }
                for (batches, rows) in [(1, 7), (3, 64)] {
                    let mut ahead = open(threads, most).shuffle(50, 1).unwrap().prefetch(batches, rows).unwrap();
                    assert_eq!(epoch(&mut ahead, 1), window(1));
                }
                source.seek(Cursor::start(1)).unwrap();
                Source::<f64>::skip(&mut source, 100).unwrap();
                assert_eq!(ids(&mut source.clone(), 9), expected[1][100..], "a copy reads on by itself");
                let shard = |index| epoch(&mut source.clone().shard(index, 3).unwrap(), 1);
                let shards = [shard(0), shard(1), shard(2)];
                let interleaved: Vec<u64> = (0..ROWS as usize).map(|row| shards[row % 3][row / 3]).collect();
                assert_eq!(interleaved, expected[1], "three workers");
            }
        }
    }
}

#[test]
fn any_position_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = files(&folder);
    for (columns, threads) in [(plain as fn(&Path) -> _, 1), (plain, 3), (mixed, 1)] {
        let source = columns(&path).shuffle_blocks(5).block_rows(9).threads(threads);
        let mut source = source.build::<f64>().unwrap();
        let orders = [epoch(&mut source, 0), epoch(&mut source, 1)];
        for row in (0..=ROWS).rev().chain((0..ROWS).map(|i| i * 31 % ROWS)) {
            for number in [row % 2, 1 - row % 2] {
                source.seek(Cursor::start(number).push(row)).unwrap();
                assert_eq!(source.cursor(), Cursor::start(number).push(row));
                let mut batch = Batch::new(Arc::clone(Source::<f64>::schema(&source)));
                source.fill(&mut batch, 20).unwrap();
                let found: Vec<u64> = batch.reals(0).iter().map(|&id| id as u64).collect();
                let (start, order) = (row as usize, &orders[number as usize]);
                assert_eq!(found, order[start..order.len().min(start + 20)], "from {row} of epoch {number}");
            }
        }
        assert!(source.seek(Cursor::start(0).push(ROWS + 1)).is_err());
    }
}

/// What [`Blocks`] says of a window behind it holds, and is no idle bound: rows of one block part, and blocks go
/// anywhere.
#[test]
fn how_far_rows_move() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write(&path, 0, &[100; 10]);
    for (most, window) in [(10, 45), (25, 110), (100, 250), (100, 30), (25, 1)] {
        let open = || plain(&path).shuffle_blocks(1).block_rows(most).build::<f64>().unwrap();
        let blocks = open().blocks().unwrap();
        let mut source = open().shuffle(window, 2).unwrap();
        let (mut widest, mut first, mut last) = (0, u64::MAX, 0);
        for number in 0..30 {
            let order = epoch(&mut source, number);
            let mut places = vec![0; order.len()];
            order.iter().enumerate().for_each(|(place, &row)| places[row as usize] = place as u64);
            for block in places.chunks(most as usize) {
                widest = widest.max(block.iter().max().unwrap() - block.iter().min().unwrap());
            }
            for rows in order.chunks_exact(window) {
                let found: BTreeSet<_> = rows.iter().map(|row| row / most).collect();
                assert!(found.len() as u64 >= blocks.in_window(window as u64), "blocks of a window of {window}");
            }
            (first, last) = (first.min(places[0]), last.max(places[0]));
        }
        let spread = blocks.spread(window as u64);
        assert!(widest <= spread, "blocks of {most}, window of {window}: {widest} places apart, {spread} at most");
        assert!(2 * widest >= spread, "blocks of {most}, window of {window}: {widest} places apart, {spread} at most");
        assert!(first < 150 && last >= 850, "the first row came to {first}..={last} of 1000 places");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = plain(&files(&folder)).block_rows(0).build::<f64>().err().unwrap().to_string();
    assert_eq!(error, "block rows: a block has no rows; expected 1 or more");
    let empty = folder.path().join("empty.parquet");
    write(&empty, 0, &[]);
    let mut source = plain(&empty).shuffle_blocks(1).build::<f64>().unwrap();
    assert_eq!((source.blocks(), epoch(&mut source, 3)), (Some(Blocks { count: 0, rows: 0 }), vec![]));
}
