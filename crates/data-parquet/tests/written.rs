//! Tables that are written come back; sorted files are sorted.

mod common;

use std::fs;
use std::path::Path;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::*;
use common::{array, read_all, table, write_groups};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidemill_data::{Batch, Error};
use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values, sort_by};

const COLUMNS: [(&str, ValueType); 6] = [
    ("double", ValueType::F64),
    ("single", ValueType::F32),
    ("signed", ValueType::I64),
    ("unsigned", ValueType::U32),
    ("text", ValueType::Text),
    ("flag", ValueType::Bool),
];

fn write_chunk(writer: &mut ParquetWriter) -> Result<(), Error> {
    writer.write(&[
        Values::F64(&[0.1, f64::NAN]),
        Values::F32(&[0.5, -1.0]),
        Values::I64(&[i64::MIN, 7]),
        Values::U32(&[u32::MAX, 0]),
        Values::Text(&["größe", ""]),
        Values::Bool(&[true, false]),
    ])
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn written_tables_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.parquet");
    let mut writer = ParquetWriter::create(&path, COLUMNS).unwrap();
    for _ in 0..3 {
        write_chunk(&mut writer).unwrap();
    }
    assert!(!path.exists(), "the file appears when it is complete");
    writer.finish().unwrap();
    assert_eq!(names(folder.path()), ["table.parquet"]);
    let mut source = ParquetSource::open(&path).columns(COLUMNS.map(|(name, _)| name)).build().unwrap();
    assert!(source.schema().fields.iter().all(|field| !field.nullable));
    let batch: Batch<f64> = read_all(&mut source).unwrap();
    assert_eq!(batch.rows(), 6);
    assert_eq!(batch.reals(0)[4], 0.1);
    assert!(batch.reals(0)[5].is_nan());
    assert_eq!(batch.reals(1)[..2], [0.5, -1.0]);
    assert_eq!(batch.reals(2)[..2], [i64::MIN as f64, 7.0]);
    assert_eq!(batch.reals(3)[..2], [f64::from(u32::MAX), 0.0]);
    assert_eq!([batch.columns()[4].text(2), batch.columns()[4].text(5)], [Some("größe"), Some("")]);
    assert_eq!(batch.reals(5)[..3], [1.0, 0.0, 1.0]);
}

#[test]
fn nothing_is_left_of_an_unfinished_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.parquet");
    fs::write(&path, "what was there before").unwrap();
    let mut writer = ParquetWriter::create(&path, COLUMNS).unwrap();
    write_chunk(&mut writer).unwrap();
    assert_eq!(names(folder.path()).len(), 2);
    drop(writer);
    assert_eq!(names(folder.path()), ["table.parquet"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "what was there before");
    ParquetWriter::create(&path, COLUMNS).unwrap().finish().unwrap();
    assert_eq!(ParquetSource::open(&path).feature("flag").build::<f64>().unwrap().rows(), 0);
    assert_eq!(names(folder.path()), ["table.parquet"]);
}

#[test]
fn values_that_are_not_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let fails = |result: Result<(), Error>, part: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("t.parquet") && error.contains(part), "{error}");
    };
    let mut writer = ParquetWriter::create(&path, [("a", ValueType::F64), ("b", ValueType::I64)]).unwrap();
    fails(writer.write(&[Values::F64(&[1.0])]), "1 columns are given, it has 2");
    fails(writer.write(&[Values::F64(&[1.0]), Values::U32(&[1])]), "column b: values of U32 are given, it holds I64");
    fails(writer.write(&[Values::F64(&[1.0]), Values::I64(&[1, 2])]), "column b: 2 rows are given, 1 of a");
    let create = |columns: &[(&str, ValueType)]| ParquetWriter::create(&path, columns.iter().copied()).map(|_| ());
    fails(create(&[]), "at least one column");
    fails(create(&[("a", ValueType::F64), ("a", ValueType::F32)]), "two columns are named a");
    fails(ParquetWriter::create(folder.path().join("no/t.parquet"), COLUMNS).map(|_| ()), "No such file");
}

/// Times that repeat, with nulls; what else is in the row tells where it was.
fn unsorted() -> RecordBatch {
    let time = |i: i64| (i % 13 != 5).then_some(i * 37 % 20);
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    (0..300).for_each(|i| words.append_value(format!("word {}", i % 9)));
    table([
        ("place", array(Int64Array::from_iter_values(0..300))),
        ("time", array(Int64Array::from_iter((0..300).map(time)))),
        (
            "real",
            array(Float64Array::from_iter(
                (0..300).map(|i| (i % 3 > 0).then_some(if i % 7 == 0 { f64::NAN } else { -f64::from(i) })),
            )),
        ),
        ("small", array(Int8Array::from_iter_values((0..300).map(|i| (i % 100) as i8)))),
        (
            "text",
            array(LargeStringArray::from_iter((0..300).map(|i| (i % 4 > 0).then(|| format!("t{:03}", i * 7 % 300))))),
        ),
        ("word", array(words.finish())),
        ("at", array(TimestampMillisecondArray::from_iter_values(0..300).with_timezone("UTC"))),
        (
            "price",
            array(Decimal128Array::from_iter_values((0..300).map(i128::from)).with_precision_and_scale(20, 2).unwrap()),
        ),
    ])
}

fn read_arrow(path: &Path) -> (Vec<usize>, Vec<RecordBatch>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    let groups = builder.metadata().row_groups().iter().map(|group| group.num_rows() as usize).collect();
    (groups, builder.build().unwrap().map(Result::unwrap).collect())
}

#[test]
fn files_are_sorted_by_a_column() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    let rows = unsorted();
    let groups = [100, 1, 0, 150, 49];
    write_groups(&input, &rows, &groups);
    for column in ["time", "real", "text", "word", "at", "price", "small"] {
        sort_by(&input, column, &output, 16 << 20).unwrap();
        let (sizes, batches) = read_arrow(&output);
        assert_eq!(sizes, [100, 1, 150, 49], "row groups keep their sizes");
        let sorted = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(sorted.schema().fields(), rows.schema().fields());
        let places = sorted.column_by_name("place").unwrap().as_primitive::<Int64Type>().values().to_vec();
        let key = rows.column_by_name(column).unwrap();
        let options = arrow_schema::SortOptions { descending: false, nulls_first: false };
        let compare = arrow_ord::ord::make_comparator(key, key, options).unwrap();
        for pair in places.windows(2) {
            let order = compare(pair[0] as usize, pair[1] as usize);
            assert!(order.is_lt() || order.is_eq() && pair[0] < pair[1], "{column}: {pair:?}");
        }
        // The rows are whole: each is what was at its place.
        let was = arrow_select::take::take_record_batch(&rows, &Int64Array::from(places)).unwrap();
        for (name, (sorted, was)) in rows.schema().fields().iter().zip(sorted.columns().iter().zip(was.columns())) {
            let same = arrow_ord::ord::make_comparator(sorted, was, options).unwrap();
            assert!((0..300).all(|row| same(row, row).is_eq()), "sorted by {column}: {name}");
        }
    }
    let nulls = |path: &Path| read_arrow(path).1.last().unwrap().column(1).is_null(0);
    sort_by(&input, "time", &input, 16 << 20).unwrap();
    assert!(nulls(&input) || read_arrow(&input).1.last().unwrap().column(1).null_count() > 0);
    assert_eq!(names(folder.path()), ["in.parquet", "out.parquet"]);
}

#[test]
fn sorting_that_cannot_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write_groups(&input, &unsorted(), &[300]);
    let error = sort_by(&input, "when", &output, 16 << 20).unwrap_err().to_string();
    assert!(error.contains("in.parquet: there is no column when; it has place, time"), "{error}");
    let Err(Error::Budget { needed, budget: 30_000, .. }) = sort_by(&input, "time", &output, 30_000) else {
        panic!("30 kB are too little")
    };
    sort_by(&input, "time", &output, needed).unwrap();
    write_groups(&input, &unsorted().slice(0, 0), &[]);
    sort_by(&input, "time", &output, 10_000).unwrap();
    assert_eq!(read_arrow(&output).0, [0; 0]);
    assert_eq!(names(folder.path()), ["in.parquet", "out.parquet"]);
}
