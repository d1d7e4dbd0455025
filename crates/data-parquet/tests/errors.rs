//! What goes wrong says what, where, and what to do.

mod common;

use std::fs;
use std::path::Path;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{BinaryArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use common::{array, read_all, table, write, write_groups};
use tidemill_data::Source;
use tidemill_data_parquet::{As, ListAs, ParquetSource, ParquetSourceBuilder, Usable, describe};

fn sample() -> RecordBatch {
    let inner = StructArray::from(vec![
        (Field::new("a", DataType::Int32, false).into(), array(Int32Array::from(vec![1, 2, 3]))),
        (Field::new("b", DataType::Utf8, false).into(), array(StringArray::from(vec!["x", "y", "z"]))),
    ]);
    let mut list = ListBuilder::new(Int32Builder::new());
    (0..3).for_each(|i| list.append_value([Some(i)]));
    table([
        ("x", array(Float32Array::from(vec![1.0, 2.0, 3.0]))),
        ("n", array(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ("s", array(StringArray::from(vec!["a", "b", "c"]))),
        ("pair", array(inner)),
        ("list", array(list.finish())),
        ("raw", array(BinaryArray::from_vec(vec![b"1", b"2", b"3"]))),
    ])
}

#[track_caller]
fn refused(builder: ParquetSourceBuilder, parts: &[&str]) {
    let error = builder.build::<f64>().map(|_| "no error").unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}

fn sample_file(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("sample.parquet");
    write(&path, &sample());
    path
}

#[test]
fn files_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    refused(ParquetSource::open(at("absent.parquet")).feature("x"), &["absent.parquet", "No such file"]);
    refused(ParquetSource::open(folder.path()).feature("x"), &["there is no *.parquet file"]);
    refused(ParquetSource::open(Vec::<String>::new()).feature("x"), &["empty list"]);
    fs::write(at("table.csv"), "a,b\n1,2\n3,4\n5,6\n").unwrap();
    refused(ParquetSource::open(at("table.csv")).feature("x"), &["table.csv: not a Parquet file", "PAR1"]);
    let whole = fs::read(sample_file(folder.path())).unwrap();
    fs::write(at("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    refused(
        ParquetSource::open(at("cut.parquet")).feature("x"),
        &["cut.parquet: not a Parquet file, or not all of it"],
    );
    refused(ParquetSource::open([at("sample.parquet"), at("cut.parquet")]).feature("x"), &["cut.parquet"]);
}

#[test]
fn columns_that_cannot_serve() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample_file(folder.path());
    let open = || ParquetSource::open(&path);
    refused(open(), &["no columns are chosen", "x, n, s, pair, list, raw"]);
    refused(open().feature("z"), &["sample.parquet: there is no column z; it has x, n, s"]);
    refused(
        open().feature("pair"),
        &["column pair is struct<a: int32, b: string>, expected a number, decimal", "; choose pair.a; pair.b"],
    );
    refused(open().target("list"), &["column list is list<int32>", "; choose list as Pad, First, Last, Length"]);
    refused(open().feature("raw"), &["column raw is binary", "; choose raw as Hex, Utf8"]);
    refused(open().feature("pair.c"), &["there is no column pair.c"]);
    refused(open().feature_as("x", ListAs::Length), &["column x is float32, expected lists"]);
    refused(open().feature_as("list", As::Hex), &["column list is list<int32>, expected binary"]);
    refused(open().feature_as("list", ListAs::FirstText), &["column list is list<int32>, expected lists of texts"]);
    refused(open().feature_as("raw", As::Bytes), &["column raw is binary, expected binary of a fixed size"]);
    refused(open().feature_as("list", ListAs::Pad { width: 0, fill: 0.0 }), &["expected a width of one or more"]);
    let all = || open().all_columns();
    refused(
        all(),
        &[
            "pair (struct<a: int32, b: string>), list (list<int32>), raw (binary): not all columns can",
            "or choose pair.a",
        ],
    );
    refused(all().feature("pair.a").except(["list", "raw"]), &["pair.b: not all columns can serve"]);
    refused(all().except(["pair", "list", "raw", "z"]), &["there is no column z; it has x, n, s"]);
    refused(open().feature("x").except(["n"]), &["n: only all_columns() leaves columns out"]);
    refused(all().feature("x").except(["x", "pair", "list", "raw"]), &["column x: it is chosen and left out"]);
    refused(open().real_block("v", ["x", "s"]), &["column s is string, expected one number"]);
    refused(open().weight("s"), &["column s is string, expected one number"]);
    refused(open().target_index("x", 2), &["column x is float32, expected an integer"]);
    refused(open().target_index("n", 0), &["column n", "no classes"]);
    refused(open().real_block("v", [""; 0]), &["block v", "no columns"]);
    refused(open().feature("x").target("x"), &["column x", "chosen twice"]);
    refused(open().weight("x").weight("n"), &["column n", "second weight"]);
    let batch = read_all::<f32>(&mut open().columns(["x", "n", "s"]).build().unwrap()).unwrap();
    assert_eq!(batch.rows(), 3);
}

#[test]
fn files_that_disagree() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ids = |n: i64| array(Int64Array::from_iter_values(0..n));
    write(&at("a.parquet"), &table([("id", ids(3)), ("x", ids(3))]));
    write(&at("b.parquet"), &table([("x", ids(3))]));
    write(&at("c.parquet"), &table([("id", array(StringArray::from(vec!["1"]))), ("x", ids(1))]));
    let open = |names: [&str; 2]| ParquetSource::open(names.map(at)).feature("id");
    refused(open(["a.parquet", "b.parquet"]), &["b.parquet: there is no column id; it has x"]);
    refused(
        open(["a.parquet", "c.parquet"]),
        &["c.parquet: column id is string, expected int64 as in", "a.parquet; no type holds both"],
    );
}

#[test]
fn files_that_change_after_they_were_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let rows = |n: i32| table([("x", array(Int32Array::from_iter_values(0..n)))]);
    write(&path, &rows(50));
    let open = || ParquetSource::open(&path).feature("x").build().unwrap();
    let changed = |mut source: ParquetSource| read_all::<f32>(&mut source).unwrap_err().to_string();

    let source = open();
    write(&path, &rows(60));
    let error = changed(source);
    assert!(error.contains("x.parquet: changed since it was opened"), "{error}");

    let source = open();
    fs::remove_file(&path).unwrap();
    let error = changed(source);
    assert!(error.contains("x.parquet: No such file"), "{error}");

    write(&path, &rows(50));
    let source = open();
    write(&path, &table([("x", array(StringArray::from(vec!["a"; 50])))]));
    let error = changed(source);
    assert!(error.contains("x.parquet: changed since it was opened"), "{error}");
}

/// A file that is cut while it is read: the batch is empty, and a seek can mend it.
#[test]
fn a_file_that_is_cut_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let rows = table([("x", array(Int32Array::from_iter_values((0..500).map(|i| i * i))))]);
    write_groups(&path, &rows, &[100; 5]);
    let whole = fs::read(&path).unwrap();
    let mut source = ParquetSource::open(&path).feature("x").build().unwrap();
    let mut batch = tidemill_data::Batch::<f32>::new(source.schema().clone());
    assert_eq!(source.fill(&mut batch, 150).unwrap(), 150);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = source.fill(&mut batch, 500).unwrap_err().to_string();
    assert!(error.contains("x.parquet, row group 2: "), "{error}");
    assert_eq!(batch.rows(), 0);
    fs::write(&path, &whole).unwrap();
    common::seek(&mut source, tidemill_data::Cursor::start(0).push(150)).unwrap();
    assert_eq!(source.fill(&mut batch, 500).unwrap(), 350);
    assert_eq!(batch.reals(0)[0], 150.0 * 150.0);
}

#[test]
fn files_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.parquet");
    for groups in [&[][..], &[0]] {
        write_groups(&path, &sample().slice(0, 0), groups);
        let mut source = ParquetSource::open(&path).feature("x").target("s").build().unwrap();
        assert_eq!(source.rows(), 0);
        assert_eq!(read_all::<f64>(&mut source).unwrap().rows(), 0);
        assert_eq!(Source::<f64>::skip(&mut source, 5).unwrap(), 0);
    }
}

#[test]
fn descriptions() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample_file(folder.path());
    let one = describe(&path).unwrap();
    assert_eq!((one.rows, one.row_groups), (3, 1));
    let columns: Vec<_> = one.columns.iter().map(|c| (&*c.name, &*c.data_type, c.usable, c.nulls)).collect();
    let real = Usable::Real { width: 1 };
    assert_eq!(
        columns[..3],
        [("x", "float32", real, Some(0)), ("n", "int32", real, Some(1)), ("s", "string", Usable::Text, Some(0))]
    );
    assert_eq!(columns[3], ("pair", "struct<a: int32, b: string>", Usable::Choice, None));
    assert_eq!(columns[4], ("list", "list<int32>", Usable::Choice, None));
    let choices: Vec<String> = one.columns.iter().flat_map(|c| &c.choices).map(ToString::to_string).collect();
    let list = "list as Pad, First, Last, Length, Sum, Mean, Min, Max";
    assert_eq!(choices, ["pair.a", "pair.b", list, "raw as Hex, Utf8"]);
    let two = describe([&path, &path]).unwrap();
    assert_eq!((two.rows, two.row_groups, two.columns[1].nulls), (6, 2, Some(2)));
    let text = two.to_string();
    assert!(text.starts_with("6 rows in 2 row groups\nx     float32"), "{text}");
    assert!(text.contains("by choice, nulls unknown\n      pair.a\n      pair.b\n"), "{text}");
}
