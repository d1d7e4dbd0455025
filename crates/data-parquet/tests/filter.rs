//! A condition gives the rows that looking at all of them gives, whatever the file's statistics are.

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::*;
use common::{array, table};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Column, Cursor, Error, Predicate, Source, SourceExt};
use tidemill_data_parquet::{FilteredSource, ParquetSource, PassedOver, Usable, describe};

const ROWS: usize = 600;
const GROUP: usize = 60;

/// Columns of many types that rise with the row, but for nulls and NaN.
fn rows() -> RecordBatch {
    let present = |row: usize| row % 7 != 3 && !(120..180).contains(&row);
    let some = |row: usize| present(row).then_some(row as i64);
    let each = || 0..ROWS;
    let texts = |row: usize| format!("a long beginning that all texts share, and then {row:05}");
    table([
        ("row", array(Int64Array::from_iter_values(each().map(|row| row as i64)))),
        ("int", array(Int32Array::from_iter(each().map(|row| some(row).map(|v| v as i32 - 300))))),
        ("unsigned", array(UInt32Array::from_iter_values(each().map(|row| (row as u32) << 22)))),
        ("long", array(UInt64Array::from_iter(each().map(|row| some(row).map(|v| (v as u64) << 54))))),
        (
            "nan",
            array(Float64Array::from_iter_values(each().map(|r| if r % 5 == 0 { f64::NAN } else { r as f64 / 10.0 }))),
        ),
        ("single", array(Float32Array::from_iter(each().map(|row| some(row).map(|v| v as f32 * 0.1))))),
        ("flag", array(BooleanArray::from_iter(each().map(|row| Some(row >= 300))))),
        ("day", array(Date32Array::from_iter_values(each().map(|row| 15_000 + row as i32)))),
        (
            "time",
            array(TimestampMicrosecondArray::from_iter_values(
                each().map(|row| 1_000_000_000_000_000 + row as i64 * 3_700_000),
            )),
        ),
        (
            "decimal",
            array(
                Decimal128Array::from_iter_values(each().map(|row| row as i128))
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
        ("text", array(StringArray::from_iter(each().map(|row| present(row).then(|| texts(row)))))),
        (
            "word",
            array(
                each()
                    .map(|row| present(row).then(|| ["ant", "bee", "cow", "dog"][row / 150]))
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
    ])
}

fn write(path: &Path, rows: &RecordBatch, statistics: EnabledStatistics) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP))
        .set_data_page_row_count_limit(16)
        .set_write_batch_size(16)
        .set_statistics_enabled(statistics)
        .set_statistics_truncate_length(Some(12))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// Rows as texts: equal ones are equal bits.
fn texts<T: Scalar>(source: &mut impl Source<T>, size: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, size).unwrap() > 0 {
        for row in 0..batch.rows() {
            let value = |column: &Column<T>| match column {
                Column::Real { nulls, .. } if nulls.is_null(row) => "null".into(),
                Column::Real { width, values, .. } => format!("{:?}", &values[row * width..][..*width]),
                Column::Index { values } => format!("#{}", values[row]),
                Column::Text { .. } => format!("{:?}", column.text(row)),
            };
            all.push(batch.columns().iter().map(value).collect::<Vec<_>>().join(" "));
        }
        batch.clear();
    }
    all
}

/// The chosen columns of the rows for which the condition is true, from a source of all columns.
fn reference(path: &Path, chosen: &[&str], condition: &Predicate) -> Vec<String> {
    let columns = [chosen, &condition.columns()].concat();
    let mut columns: Vec<&str> = columns.clone();
    columns.dedup();
    let mut seen = std::collections::BTreeSet::new();
    columns.retain(|column| seen.insert(*column));
    let all = ParquetSource::open(path).columns(columns).build::<f64>().unwrap();
    let rows = texts(&mut all.filter(condition).unwrap(), 100);
    rows.iter().map(|row| row.split(' ').take(chosen.len()).collect::<Vec<_>>().join(" ")).collect()
}

fn filtered<T: Scalar>(path: &Path, chosen: &[&str], condition: &Predicate) -> Result<FilteredSource<T>, Error> {
    ParquetSource::open(path).columns(chosen.iter().copied()).filter(condition.clone()).build()
}

#[test]
fn rows_are_those_that_match_and_row_groups_without_any_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [EnabledStatistics::Chunk, EnabledStatistics::None].map(|statistics| {
        let path = folder.path().join(format!("{statistics:?}.parquet"));
        write(&path, &rows(), statistics);
        path
    });
    let check = |text: &str, groups: usize| {
        let condition: Predicate = text.parse().unwrap();
        let expected = reference(&paths[0], &["row", "single"], &condition);
        for path in &paths {
            let mut source = filtered::<f64>(path, &["row", "single"], &condition).unwrap();
            assert_eq!(texts(&mut source, 37), expected, "{text}");
            let PassedOver { row_groups, rows } = source.passed_over();
            let known = if path == &paths[0] { groups } else { 0 };
            assert_eq!((row_groups, rows), (known, (known * GROUP) as u64), "{text}");
            assert_eq!(source.rows_looked_at(), ((ROWS - known * GROUP) as u64, expected.len() as u64), "{text}");
            let mut narrow = filtered::<f32>(path, &["row"], &condition).unwrap();
            assert_eq!(texts(&mut narrow, 1000).len(), expected.len(), "{text}");
        }
    };
    check("row >= 120", 2);
    check("row < 0", 10);
    check("row = 60 or row = 599", 8);
    check("row != 5", 0);
    check("int > 0", 5);
    check("int is null", 0);
    check("int is not null", 1);
    check("not (int > 0)", 5);
    check("unsigned > 2147483648", 8);
    check("unsigned < 1000000000", 6);
    check("long > 9223372036854775808", 8);
    check("nan > 55", 9);
    check("nan is null", 0);
    check("nan is not null", 0);
    check("nan = 0.1 or single > 59.85", 8);
    check("single <= 0.1", 9);
    check("flag = true", 5);
    check("flag = false and row > 100", 6);
    check("day = date '2011-01-27'", 9);
    check("time > timestamp '2001-09-09 02:20:00'", 9);
    check("decimal > 5.5", 0);
    check("text = 'a long beginning that all texts share, and then 00077'", 1);
    check("text < 'a long'", 10);
    check("text is null and row > 400", 6);
    check("word = 'dog'", 7);
    check("word in ('ant', 'cow') and not row between 100 and 350", 5);
    check("word > 'z' or flag = true", 5);
}

#[test]
fn any_cursor_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write(&path, &rows(), EnabledStatistics::Chunk);
    let condition: Predicate = "word != 'bee' and int is not null and nan is not null".parse().unwrap();
    for shuffled in [false, true] {
        let open = || {
            let rows = ParquetSource::open(&path).columns(["row", "text"]);
            let rows = if shuffled { rows.shuffle_blocks(7).block_rows(25) } else { rows };
            rows.filter(condition.clone()).build::<f64>().unwrap()
        };
        let mut whole = open();
        whole.seek(Cursor::start(1)).unwrap();
        let all = texts(&mut whole, 1000);
        assert!(all.len() > 200);
        for size in [1, 7, 64] {
            let (mut source, mut batch) = (open(), Batch::new(Arc::clone(open().schema())));
            source.seek(Cursor::start(1)).unwrap();
            let mut given = 0;
            while given < all.len() {
                batch.clear();
                given += source.fill(&mut batch, size).unwrap();
                if given % 3 == 0 {
                    given += source.skip(2).unwrap() as usize;
                }
                let mut fresh = open();
                fresh.seek(source.cursor()).unwrap();
                assert_eq!(fresh.cursor(), source.cursor());
                let next = texts(&mut fresh.clone().take(9), 5);
                assert_eq!(next, all[given..all.len().min(given + 9)], "after {given} rows");
            }
        }
    }
}

/// Statistics are in a file's own type, conditions in what all files are read as.
#[test]
fn files_of_different_types_are_filtered_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let each = || 0..150_i32;
    let names = ["a.parquet", "b.parquet", "c.parquet"].map(|name| folder.path().join(name));
    let whole = array(Int32Array::from_iter_values(each()));
    let halves = array(Float64Array::from_iter(each().map(|row| (row % 3 > 0).then_some(f64::from(row) + 0.5))));
    let small = array(UInt8Array::from_iter_values(each().map(|row| row as u8)));
    for (path, column) in names.iter().zip([whole, halves, small]) {
        write(path, &table([("x", column)]), EnabledStatistics::Chunk);
    }
    for (text, groups) in [
        ("x > 120", 6),
        ("x = 7.5", 8),
        ("x = 7.0000000000000000001", 6),
        ("x = 130", 6),
        ("x is null", 6),
        ("not x < 149.2", 8),
    ] {
        let condition: Predicate = text.parse().unwrap();
        let all = ParquetSource::open(names.as_slice()).feature("x").build::<f64>().unwrap();
        let expected = texts(&mut all.filter(&condition).unwrap(), 100);
        let mut source = ParquetSource::open(names.as_slice()).feature("x").filter(condition).build::<f64>().unwrap();
        assert_eq!(texts(&mut source, 9), expected, "{text}");
        assert_eq!(source.passed_over().row_groups, groups, "{text}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write(&path, &rows(), EnabledStatistics::Chunk);
    let refused = |condition: &str, expected: &str| {
        let error = filtered::<f32>(&path, &["row"], &condition.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused("rwo = 1", "rows.parquet: there is no column rwo; it has row, int,");
    refused("text > 5", "condition: column text is text, expected a number to compare with a number");
    refused("int = '7'", "condition: column int is real, expected a text to compare with a text");
    let expected = "condition: column day is dates (days since 1970), expected a date such as '2013-07-01' to compare";
    refused("day = 'soon'", expected);
    let small = |budget| {
        let source = ParquetSource::open(&path).columns(["row", "text"]).budget(budget);
        source.filter("word = 'ant' and decimal > 1".parse().unwrap()).build::<f32>()
    };
    let Err(Error::Budget { needed, budget: 1000, .. }) = small(1000) else { panic!("refused") };
    let enough = (1..4).fold(needed, |needed, _| match small(needed) {
        Err(Error::Budget { needed, .. }) => needed,
        _ => needed,
    });
    assert_eq!(texts(&mut small(enough).unwrap(), 50).len(), 16);

    let mut source = small(1 << 20).unwrap();
    assert!(source.memory_plan().total() > 1 << 16, "{}", source.memory_plan());
    let Err(Error::Budget { needed, budget: 1000, .. }) = Source::<f32>::limit(&mut source, 1000) else {
        panic!("refused")
    };
    assert!(needed > 1000);
    source.limit(1 << 19).unwrap();
    assert_eq!(texts(&mut source, 50).len(), 16);
}

/// Of files by other writers: each column with conditions made of its own values.
#[test]
fn corpus_files_are_filtered_like_their_rows() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let folder = std::env::var_os("TIDEMILL_PARQUET_CORPUS").map_or_else(|| PathBuf::from(own), PathBuf::from);
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("files.json")).unwrap()).unwrap();
    let (mut checked, mut passed_over) = (0, 0);
    for file in index["files"].as_array().unwrap() {
        let path = folder.join(file["file"].as_str().unwrap());
        let Ok(description) = describe(&path) else { continue };
        for column in
            description.columns.iter().filter(|c| matches!(c.usable, Usable::Text | Usable::Real { width: 1 }))
        {
            let name = column.name.as_str();
            let Ok(mut source) = ParquetSource::open(&path).feature(name).build::<f64>() else { continue };
            let mut batch = Batch::new(Arc::clone(source.schema()));
            if source.fill(&mut batch, 100_000).is_err() || batch.rows() == 0 {
                continue;
            }
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            let value = |row: usize| match &batch.columns()[0] {
                column @ Column::Text { .. } => column.text(row).map(|text| format!("'{}'", text.replace('\'', "''"))),
                Column::Real { values, nulls, .. } => {
                    (!nulls.is_null(row) && values[row].is_finite()).then(|| format!("{:?}", values[row]))
                }
                Column::Index { .. } => None,
            };
            let mut conditions = vec![format!("{quoted} is null"), format!("{quoted} is not null")];
            for value in [0, batch.rows() / 2].into_iter().filter_map(value) {
                conditions.extend(["=", "!=", "<", "<=", ">", ">="].map(|sign| format!("{quoted} {sign} {value}")));
                conditions.push(format!("not {quoted} in ({value})"));
            }
            for text in conditions {
                let condition: Predicate = text.parse().unwrap();
                let mut chosen = Vec::new();
                condition.bind(batch.schema()).unwrap().select(&batch, &mut chosen);
                let mut source = filtered::<f64>(&path, &[name], &condition).unwrap();
                let mut found = Batch::new(Arc::clone(source.schema()));
                while source.fill(&mut found, 50).unwrap() > 0 {}
                let mut expected = Batch::new(Arc::clone(batch.schema()));
                expected.gather(&batch, &chosen);
                let bits = |batch: &Batch<f64>| format!("{:?}", batch.columns());
                assert_eq!(found.rows(), expected.rows(), "{}: {text}", path.display());
                if found.columns()[0] != expected.columns()[0] {
                    assert_eq!(bits(&found), bits(&expected), "{}: {text}", path.display());
                }
                passed_over += source.passed_over().row_groups;
                checked += 1;
            }
        }
    }
    println!("{checked} conditions, {passed_over} row groups passed over");
    assert!(checked > 500 && passed_over > 50, "{checked} conditions, {passed_over} row groups");
}
