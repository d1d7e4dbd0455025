//! Columns by a choice, all columns but some, and files whose types differ.

mod common;

use std::path::Path;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::types::Int8Type;
use arrow_array::*;
use arrow_schema::{DataType, Field};
use common::{array, read_all, table, write};
use tidemill_data::{Batch, Column, Kind, Role};
use tidemill_data_parquet::{ListAs, NullItems, ParquetSource, ParquetSourceBuilder};

fn lists(rows: &[Option<&[f64]>]) -> ArrayRef {
    let mut builder = ListBuilder::new(Float64Builder::new());
    for row in rows {
        match row {
            Some(items) => {
                builder.values().append_slice(items);
                builder.append(true);
            }
            None => builder.append(false),
        }
    }
    array(builder.finish())
}

fn read(source: ParquetSourceBuilder) -> Batch<f64> {
    read_all(&mut source.build().unwrap()).unwrap()
}

fn error(source: ParquetSourceBuilder) -> String {
    source.build().and_then(|mut source| read_all::<f64>(&mut source)).unwrap_err().to_string()
}

fn nulls(column: &Column<f64>, rows: usize) -> Vec<bool> {
    let (Column::Real { nulls, .. } | Column::Text { nulls, .. }) = column else { panic!("a column with nulls") };
    (0..rows).map(|row| nulls.is_null(row)).collect()
}

#[test]
fn lists_of_any_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.parquet");
    write(&path, &table([("v", lists(&[Some(&[1.0, 2.0, 3.0]), None, Some(&[]), Some(&[4.0])]))]));
    let open = |list: ListAs| ParquetSource::open(&path).target_as("v", list);
    for (list, expected, null) in [
        (
            ListAs::Pad { width: 3, fill: -1.0 },
            vec![1.0, 2.0, 3.0, 0.0, 0.0, 0.0, -1.0, -1.0, -1.0, 4.0, -1.0, -1.0],
            1,
        ),
        (ListAs::First { width: 2, fill: 9.0 }, vec![1.0, 2.0, 0.0, 0.0, 9.0, 9.0, 4.0, 9.0], 1),
        (ListAs::Last { width: 2, fill: 9.0 }, vec![2.0, 3.0, 0.0, 0.0, 9.0, 9.0, 9.0, 4.0], 1),
        (ListAs::Length, vec![3.0, 0.0, 0.0, 1.0], 1),
        (ListAs::Sum, vec![6.0, 0.0, 0.0, 4.0], 1),
        (ListAs::Mean, vec![2.0, 0.0, 0.0, 4.0], 2),
    ] {
        let mut source = open(list.clone()).build().unwrap();
        let field = &source.schema().fields[0];
        assert_eq!((&field.kind, field.role), (&Kind::Real { width: expected.len() / 4 }, Role::Target), "{list:?}");
        let batch: Batch<f64> = read_all(&mut source).unwrap();
        assert_eq!(batch.reals(0), expected, "{list:?}");
        assert_eq!(nulls(&batch.columns()[0], 4), [false, true, null == 2, false], "{list:?}");
    }
    let error = error(open(ListAs::Pad { width: 2, fill: 0.0 }));
    assert!(
        error.contains("row group 0, column v: row 0 of the file holds a list of 3, expected 2 or fewer"),
        "{error}"
    );
}

/// Fields are null where their struct is.
#[test]
fn fields_of_structs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("structs.parquet");
    let fields = vec![Field::new("a", DataType::Int32, false), Field::new("b", DataType::Utf8, true)];
    let columns =
        vec![array(Int32Array::from(vec![1, 2, 3])), array(StringArray::from(vec![Some("x"), Some("y"), None]))];
    let valid = vec![true, false, true];
    let pairs = StructArray::new(fields.into(), columns, Some(valid.into()));
    write(&path, &table([("pair", array(pairs)), ("pair.c", array(Int8Array::from(vec![7, 8, 9])))]));
    let source =
        ParquetSource::open(&path).columns(["pair.a", "pair.b", "pair.c"]).real_block("both", ["pair.c", "pair.a"]);
    let batch = read(source);
    assert_eq!((batch.reals(0), batch.reals(2)), (&[1.0, 0.0, 3.0][..], &[7.0, 8.0, 9.0][..]));
    assert_eq!(nulls(&batch.columns()[0], 3), [false, true, false]);
    assert_eq!([0, 1, 2].map(|row| batch.columns()[1].text(row)), [Some("x"), None, None]);
    assert_eq!(batch.reals(3), [7.0, 1.0, 8.0, 0.0, 9.0, 3.0]);
    let error = error(ParquetSource::open(&path).target_index("pair.a", 9));
    assert!(error.contains("column pair.a is null in row 1"), "{error}");
}

#[test]
fn all_columns_but_some() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ids = |n| array(Int64Array::from_iter_values(0..n));
    write(
        &at("a.parquet"),
        &table([("x", ids(2)), ("v", lists(&[Some(&[1.0]), Some(&[])])), ("y", ids(2)), ("z", ids(2))]),
    );
    write(
        &at("b.parquet"),
        &table([("z", ids(1)), ("y", ids(1)), ("x", ids(1)), ("v", lists(&[None])), ("w", ids(1))]),
    );
    let names = |source: ParquetSourceBuilder| {
        let schema = source.build::<f64>().unwrap().schema().clone();
        schema.fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let one = || ParquetSource::open(at("a.parquet")).all_columns();
    assert_eq!(names(one().target("y").except(["v"])), "y x z");
    assert_eq!(names(one().feature_as("v", ListAs::Length).real_block("b", ["z", "y"])), "v b x");
    let both = || ParquetSource::open(["a.parquet", "b.parquet"].map(at)).all_columns();
    let text = error(both().except(["v"]));
    assert!(text.contains("b.parquet: column w") && text.contains("leave it out by except"), "{text}");
    let batch = read(both().except(["v", "w"]));
    assert_eq!((batch.rows(), batch.reals(0)), (3, &[0.0, 1.0, 0.0][..]));
}

/// Writes a column to a file each, and reads them as one.
fn joined(folder: &Path, columns: &[ArrayRef]) -> Result<Batch<f64>, String> {
    let paths: Vec<_> = (0..columns.len()).map(|i| folder.join(format!("{i}.parquet"))).collect();
    for (path, column) in paths.iter().zip(columns) {
        write(path, &table([("c", column.clone())]));
    }
    let source = ParquetSource::open(paths).feature("c").build().map_err(|error| error.to_string());
    source.and_then(|mut source| read_all(&mut source).map_err(|error| error.to_string()))
}

#[test]
fn files_of_other_widths() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |columns: &[ArrayRef]| joined(folder.path(), columns).map(|batch| batch.reals(0).to_vec());
    let third = 1.0f32 / 3.0;
    for (columns, expected) in [
        (
            vec![array(Int32Array::from(vec![1])), array(Int64Array::from(vec![1 << 40]))],
            vec![1.0, (1i64 << 40) as f64],
        ),
        (vec![array(UInt8Array::from(vec![255])), array(Int8Array::from(vec![-1]))], vec![255.0, -1.0]),
        (vec![array(Float64Array::from(vec![0.1])), array(Float32Array::from(vec![third]))], vec![0.1, third.into()]),
        (vec![array(Date32Array::from(vec![5])), array(Date64Array::from(vec![86_400_000]))], vec![5.0, 1.0]),
        (
            vec![array(TimestampMillisecondArray::from(vec![1500])), array(TimestampMicrosecondArray::from(vec![2]))],
            vec![1.5, 2e-6],
        ),
        (vec![array(NullArray::new(1)), array(Int16Array::from(vec![3]))], vec![0.0, 3.0]),
    ] {
        assert_eq!(numbers(&columns), Ok(expected));
    }
    for (columns, found) in [
        ([array(Int64Array::from(vec![1])), array(Float64Array::from(vec![0.5]))], "float64, expected int64"),
        ([array(StringArray::from(vec!["1"])), array(Int8Array::from(vec![1]))], "int8, expected string"),
        ([array(BooleanArray::from(vec![true])), array(Int8Array::from(vec![1]))], "int8, expected bool"),
    ] {
        let error = numbers(&columns).unwrap_err();
        assert!(error.contains("1.parquet: column c is") && error.contains(found), "{error}");
        assert!(error.contains("0.parquet; no type holds both without loss"), "{error}");
    }
    let dictionary: DictionaryArray<Int8Type> = [Some("b"), None].into_iter().collect();
    let texts = [array(NullArray::new(1)), array(StringArray::from(vec!["a"])), array(dictionary)];
    let batch = joined(folder.path(), &texts).unwrap();
    let read: Vec<_> = (0..4).map(|row| batch.columns()[0].text(row)).collect();
    assert_eq!(read, [None, Some("a"), Some("b"), None]);
    let large = [array(LargeStringArray::from(vec!["a"])), array(StringArray::from(vec!["b"]))];
    assert_eq!(joined(folder.path(), &large).unwrap().columns()[0].text(1), Some("b"));
}

/// Nulls inside lists are told from null lists, however they are chosen.
#[test]
fn nulls_inside_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holes.parquet");
    let mut builder = ListBuilder::new(Float64Builder::new());
    builder.append_value([Some(1.0), None, Some(2.0)]);
    builder.append_null();
    write(&path, &table([("v", array(builder.finish()))]));
    let pad = ListAs::Pad { width: 3, fill: 0.5 };
    let open = |nulls| ParquetSource::open(&path).feature_as("v", pad.clone().nulls(nulls));
    assert_eq!(read(open(NullItems::Fill(-7.0))).reals(0), [1.0, -7.0, 2.0, 0.0, 0.0, 0.0]);
    assert_eq!(read(open(NullItems::Skip)).reals(0), [1.0, 2.0, 0.5, 0.0, 0.0, 0.0]);
    let error = error(open(NullItems::Refuse));
    assert!(error.contains("column v: row 0 of the file holds a list with a null inside"), "{error}");
}
