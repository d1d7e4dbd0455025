//! A condition and a column that is broken in some row groups: every row has its own values, and what is skipped is told.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, StringArray};
use common::{array, table, write_groups};
use parquet::file::reader::{FileReader, SerializedFileReader};
use tidemill_data::{Batch, Cursor, Error, Source};
use tidemill_data_parquet::{FilteredSource, OnDamage, ParquetSource};

const GROUPS: [usize; 6] = [30, 41, 29, 35, 50, 15];

/// Row `i` has k = i % 3, x = i, y = i / 2 and a text with i.
fn write(path: &Path) {
    let rows = GROUPS.iter().sum::<usize>();
    let numbers = |of: fn(usize) -> f64| array(Float64Array::from_iter_values((0..rows).map(of)));
    let texts = array(StringArray::from_iter_values((0..rows).map(|i| format!("text {i}"))));
    let k = array(Int64Array::from_iter_values((0..rows).map(|i| (i % 3) as i64)));
    let columns = [("k", k), ("x", numbers(|i| i as f64)), ("y", numbers(|i| i as f64 / 2.0)), ("t", texts)];
    write_groups(path, &table(columns), &GROUPS);
}

/// Breaks the chunks of these row groups and columns.
fn break_chunks(path: &Path, chunks: &[(usize, usize)]) {
    let file = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut bytes = fs::read(path).unwrap();
    for &(group, column) in chunks {
        let (start, length) = file.metadata().row_group(group).column(column).byte_range();
        let end = (start + length) as usize;
        bytes[end - length as usize / 2..end].fill(0xff);
    }
    fs::write(path, bytes).unwrap();
}

/// The rows that are left and match, of those in whole row groups.
fn expected(broken: &[usize]) -> Vec<f64> {
    let mut first = 0;
    let mut rows = Vec::new();
    for (group, count) in GROUPS.into_iter().enumerate() {
        if !broken.contains(&group) {
            rows.extend((first..first + count).filter(|i| i % 3 == 1).map(|i| i as f64));
        }
        first += count;
    }
    rows
}

fn read(source: &mut FilteredSource<f64>, size: usize) -> Vec<f64> {
    let mut rows = Vec::new();
    loop {
        let mut batch = Batch::new(Arc::clone(source.schema()));
        let filled = source.fill(&mut batch, size).unwrap();
        assert_eq!(filled, batch.rows());
        if filled == 0 {
            return rows;
        }
        for row in 0..filled {
            let x = batch.reals(0)[row];
            assert_eq!(batch.reals(1)[row], x / 2.0);
            assert_eq!(batch.columns()[2].text(row), Some(format!("text {x}").as_str()));
        }
        rows.extend_from_slice(batch.reals(0));
    }
}

fn open(path: impl Into<PathBuf>) -> Result<FilteredSource<f64>, Error> {
    let rows = ParquetSource::open(path.into()).columns(["x", "y", "t"]).on_damage(OnDamage::Skip);
    rows.filter("k = 1".parse().unwrap()).build()
}

#[test]
fn rows_are_paired_with_their_own_whichever_column_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let cases: [&[(usize, usize)]; 8] = [
        &[],
        &[(1, 1)],
        &[(1, 0)],
        &[(0, 1), (5, 3)],
        &[(2, 0), (2, 1), (4, 2)],
        &[(0, 0), (1, 1), (3, 0), (5, 2)],
        &[(1, 0), (1, 1), (1, 2), (1, 3)],
        &[(0, 3), (1, 0), (2, 3), (3, 0), (4, 3)],
    ];
    for broken in cases {
        write(&path);
        break_chunks(&path, broken);
        let mut groups: Vec<usize> = broken.iter().map(|(group, _)| *group).collect();
        groups.sort_unstable();
        groups.dedup();
        let expected = expected(&groups);
        for size in [1, 7, 1000] {
            assert_eq!(read(&mut open(&path).unwrap(), size), expected, "{broken:?}, {size} at a time");
        }
        let mut source = open(&path).unwrap();
        let report = source.damage();
        let rows = groups.iter().map(|&group| GROUPS[group] as u64).sum::<u64>();
        assert_eq!((report.files, report.row_groups, report.rows), (0, groups.len() as u64, rows), "{report}");
        let mut listed: Vec<usize> = report.listed.iter().filter_map(|damage| damage.place.row_group).collect();
        listed.sort_unstable();
        assert_eq!(listed, groups, "each once");
        // Going somewhere, skipping, a copy and a smaller budget.
        for row in (0..expected.len()).step_by(5) {
            source.seek(Cursor::start(0)).unwrap();
            assert_eq!(source.skip(row as u64).unwrap(), row as u64);
            let here = source.cursor();
            assert_eq!(read(&mut source.clone(), 9), expected[row..], "{broken:?}, a copy from {row}");
            source.seek(here).unwrap();
            source.limit(2 << 20).unwrap();
            assert_eq!(read(&mut source, 9), expected[row..], "{broken:?}, from {row}");
        }
        assert_eq!(source.damage().row_groups, groups.len() as u64);
        let blocks = ParquetSource::open(&path).columns(["x", "y", "t"]).on_damage(OnDamage::Skip).shuffle_blocks(3);
        let mut blocks = blocks.block_rows(10).filter("k = 1".parse().unwrap()).build::<f64>().unwrap();
        let mut shuffled = read(&mut blocks, 8);
        shuffled.sort_by(f64::total_cmp);
        assert_eq!(shuffled, expected, "{broken:?}, in blocks");
    }
}

#[test]
fn files_that_cannot_be_opened_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.parquet"));
    fs::write(folder.path().join("b.parquet"), "no Parquet file").unwrap();
    write(&folder.path().join("c.parquet"));
    break_chunks(&folder.path().join("a.parquet"), &[(3, 0)]);
    break_chunks(&folder.path().join("c.parquet"), &[(2, 1)]);
    let mut source = open(folder.path()).unwrap();
    assert_eq!(read(&mut source, 13), [expected(&[3]), expected(&[2])].concat());
    let report = source.damage();
    assert_eq!((report.files, report.row_groups, report.rows, report.of_unknown_rows), (1, 2, 35 + 29, 1), "{report}");
    assert_eq!(report.listed.len(), 3, "{report}");
    let strict = ParquetSource::open(folder.path()).columns(["x"]).filter("k = 1".parse().unwrap());
    assert!(strict.build::<f64>().is_err());
}

/// x = 100 · (row group + 1) + …: what comes is of rows with k = 1, and of row groups that are whole.
#[test]
fn cases_filter_skip() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/filter-skip.parquet");
    let rows = ParquetSource::open(&path).columns(["x"]).on_damage(OnDamage::Skip);
    let mut source = rows.filter("k = 1".parse().unwrap()).build::<f64>().unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, 3).unwrap() > 0 {}
    let all = ParquetSource::open(&path).columns(["k", "x"]).on_damage(OnDamage::Skip);
    let mut all = all.build::<f64>().unwrap();
    let mut both = Batch::new(Arc::clone(all.schema()));
    while all.fill(&mut both, 100).unwrap() > 0 {}
    let pairs = both.reals(0).iter().zip(both.reals(1));
    let expected: Vec<f64> = pairs.filter(|(k, _)| **k == 1.0).map(|(_, x)| *x).collect();
    assert_eq!(batch.reals(0), expected);
    // Row group 0, then row group 2.
    assert_eq!(batch.reals(0)[..6], [11.0, 41.0, 71.0, 221.0, 251.0, 281.0]);
    assert_eq!((source.damage().row_groups, source.damage().rows), (1, 10), "{}", source.damage());
}
