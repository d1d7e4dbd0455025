//! Every type that a column can have, with and without nulls.

mod common;

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, StringDictionaryBuilder};
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::DataType;
use common::{array, read_all, table, write};
use tidemill_data::{Batch, Column, Error, Kind, Role};
use tidemill_data_parquet::ParquetSource;

/// One column as `f64`, `None` where null, read both as `f64` and as `f32`.
fn numbers(column: ArrayRef) -> Vec<Option<f64>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.parquet");
    write(&path, &table([("x", column)]));
    let source = || ParquetSource::open(&path).feature("x");
    let wide: Batch<f64> = read_all(&mut source().build().unwrap()).unwrap();
    let narrow: Batch<f32> = read_all(&mut source().build().unwrap()).unwrap();
    for (&wide, &narrow) in wide.reals(0).iter().zip(narrow.reals(0)) {
        assert!(narrow == wide as f32 || wide.is_nan() && narrow.is_nan(), "{wide} {narrow}");
    }
    let Column::Real { values, nulls, width: 1, .. } = &wide.columns()[0] else { panic!("a real column") };
    values.iter().enumerate().map(|(row, &v)| (!nulls.is_null(row)).then_some(v)).collect()
}

#[track_caller]
fn check(column: impl Array + 'static, expected: &[Option<f64>]) {
    assert_eq!(numbers(array(column)), expected);
}

#[test]
fn integers() {
    check(Int8Array::from(vec![Some(-128), None, Some(127)]), &[Some(-128.0), None, Some(127.0)]);
    check(Int16Array::from(vec![-32_768, 32_767]), &[Some(-32_768.0), Some(32_767.0)]);
    check(Int32Array::from(vec![i32::MIN, i32::MAX]), &[Some(-2_147_483_648.0), Some(2_147_483_647.0)]);
    check(Int64Array::from(vec![Some(i64::MIN), None]), &[Some(-9_223_372_036_854_775_808.0), None]);
    check(UInt8Array::from(vec![0, 255]), &[Some(0.0), Some(255.0)]);
    check(UInt16Array::from(vec![65_535]), &[Some(65_535.0)]);
    check(UInt32Array::from(vec![u32::MAX]), &[Some(4_294_967_295.0)]);
    check(UInt64Array::from(vec![None, Some(u64::MAX)]), &[None, Some(18_446_744_073_709_551_615.0)]);
}

/// Rounded to `f64` first, this number would be a tie, which `f32` rounds down.
#[test]
fn wide_integers_are_rounded_once() {
    let number = (1i64 << 54) + (1 << 30) + 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.parquet");
    write(
        &path,
        &table([("i", array(Int64Array::from(vec![number]))), ("u", array(UInt64Array::from(vec![number as u64])))]),
    );
    let mut source = ParquetSource::open(&path).columns(["i", "u"]).build().unwrap();
    let batch: Batch<f32> = read_all(&mut source).unwrap();
    assert_ne!(number as f64 as f32, number as f32);
    assert_eq!((batch.reals(0)[0], batch.reals(1)[0]), (number as f32, number as f32));
}

#[test]
fn floats() {
    let half = |x| <Float16Type as ArrowPrimitiveType>::Native::from_f64(x);
    check(Float16Array::from(vec![Some(half(1.5)), None, Some(half(-0.0625))]), &[Some(1.5), None, Some(-0.0625)]);
    check(Float32Array::from(vec![0.1, f32::INFINITY]), &[Some(f64::from(0.1f32)), Some(f64::INFINITY)]);
    check(Float64Array::from(vec![Some(0.1), None, Some(-1e300)]), &[Some(0.1), None, Some(-1e300)]);
    let nan = numbers(array(Float64Array::from(vec![f64::NAN, -0.0])));
    assert!(nan[0].unwrap().is_nan() && nan[1].unwrap().is_sign_negative());
}

#[test]
fn decimals() {
    let small = Decimal32Array::from(vec![Some(12_345), None, Some(-1)]).with_precision_and_scale(7, 2).unwrap();
    check(small, &[Some(123.45), None, Some(-0.01)]);
    let wide = Decimal64Array::from(vec![999_999_999_999_999_999]).with_precision_and_scale(18, 4).unwrap();
    check(wide, &[Some(99_999_999_999_999.999_9)]);
    let wider = Decimal128Array::from(vec![10i128.pow(37) + 1, 7]).with_precision_and_scale(38, 10).unwrap();
    check(wider, &[Some(1e27), Some(7e-10)]);
    let widest = Decimal256Array::from(vec![i256::from_i128(i128::MAX), i256::from_i128(-25)]);
    let widest = widest.with_precision_and_scale(60, 1).unwrap();
    check(widest, &[Some(i128::MAX as f64 / 10.0), Some(-2.5)]);
    let few = Decimal256Array::from(vec![i256::from_i128(-25)]).with_precision_and_scale(10, 1).unwrap();
    check(few, &[Some(-2.5)]);
}

#[test]
fn booleans_and_nothing() {
    check(
        BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]),
        &[Some(1.0), None, Some(0.0), Some(1.0)],
    );
    check(NullArray::new(3), &[None; 3]);
}

#[test]
fn dates_and_times() {
    check(Date32Array::from(vec![Some(19_000), None, Some(-1)]), &[Some(19_000.0), None, Some(-1.0)]);
    check(Date64Array::from(vec![86_400_000 * 3, -86_400_000]), &[Some(3.0), Some(-1.0)]);
    check(Time32SecondArray::from(vec![86_399]), &[Some(86_399.0)]);
    check(Time32MillisecondArray::from(vec![62_597_094]), &[Some(62_597.094)]);
    check(Time64MicrosecondArray::from(vec![54_109_947_397]), &[Some(54_109.947397)]);
    check(Time64NanosecondArray::from(vec![None, Some(54_109_947_397_001)]), &[None, Some(54_109.947397001)]);
}

#[test]
fn timestamps() {
    check(TimestampSecondArray::from(vec![1_709_164_800, -1]), &[Some(1_709_164_800.0), Some(-1.0)]);
    check(TimestampMillisecondArray::from(vec![-638, 1_709_164_800_140]), &[Some(-0.638), Some(1_709_164_800.140)]);
    check(TimestampMicrosecondArray::from(vec![Some(853_653), None]), &[Some(0.853653), None]);
    let nanoseconds = TimestampNanosecondArray::from(vec![3_371_635_509_030_309_290, -1]).with_timezone("UTC");
    check(nanoseconds, &[Some(3_371_635_509.030_309), Some(-1e-9)]);
}

#[test]
fn texts_of_every_kind() {
    let texts = vec![Some("größe"), None, Some(""), Some("a longer text that no view holds inline"), Some("größe")];
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    texts.iter().for_each(|&text| dictionary.append_option(text));
    let columns: Vec<ArrayRef> = vec![
        array(StringArray::from(texts.clone())),
        array(LargeStringArray::from(texts.clone())),
        array(StringViewArray::from(texts.clone())),
        array(dictionary.finish()),
    ];
    for column in columns {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.parquet");
        write(&path, &table([("name", column)]));
        let mut source = ParquetSource::open(&path).target("name").build().unwrap();
        assert_eq!((&source.schema().fields[0].kind, source.schema().fields[0].role), (&Kind::Text, Role::Target));
        let batch: Batch<f32> = read_all(&mut source).unwrap();
        let read: Vec<_> = (0..batch.rows()).map(|row| batch.columns()[0].text(row)).collect();
        assert_eq!(read, texts);
    }
}

fn lists(rows: &[Option<[Option<f32>; 2]>]) -> ArrayRef {
    let mut builder = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    for row in rows {
        for item in row.unwrap_or_default() {
            builder.values().append_option(item);
        }
        builder.append(row.is_some());
    }
    array(builder.finish())
}

#[test]
fn lists_of_fixed_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.parquet");
    let rows = [Some([Some(1.0), Some(2.0)]), None, Some([Some(3.0), Some(4.0)])];
    write(&path, &table([("v", lists(&rows))]));
    let mut source = ParquetSource::open(&path).feature("v").build().unwrap();
    assert_eq!(source.schema().fields[0].kind, Kind::Real { width: 2 });
    let batch: Batch<f32> = read_all(&mut source).unwrap();
    assert_eq!(batch.reals(0), [1.0, 2.0, 0.0, 0.0, 3.0, 4.0]);
    let Column::Real { nulls, .. } = &batch.columns()[0] else { panic!("a real column") };
    assert_eq!([0, 1, 2].map(|row| nulls.is_null(row)), [false, true, false]);

    write(&path, &table([("v", lists(&[rows[0], rows[1], Some([None, Some(4.0)])]))]));
    let mut source = ParquetSource::open(&path).feature("v").build().unwrap();
    let error = read_all::<f32>(&mut source).unwrap_err().to_string();
    assert!(
        error.contains("column v") && error.contains("row 2 of the file holds a list with a null inside"),
        "{error}"
    );
}

#[test]
fn blocks_of_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.parquet");
    let rows = 2500;
    let a: Vec<f32> = (0..rows).map(|i| i as f32).collect();
    let b: Vec<Option<i16>> = (0..rows).map(|i| (i % 7 != 3).then_some(i as i16)).collect();
    let c: Vec<bool> = (0..rows).map(|i| i % 2 == 1).collect();
    let columns =
        [("a", array(Float32Array::from(a))), ("b", array(Int16Array::from(b))), ("c", array(BooleanArray::from(c)))];
    write(&path, &table(columns));
    let mut source =
        ParquetSource::open(&path).real_block("x", ["c", "a", "b", "a"]).target("a").weight("c").build().unwrap();
    let batch: Batch<f32> = read_all(&mut source).unwrap();
    let Column::Real { values, nulls, width: 4, .. } = &batch.columns()[0] else { panic!("a block of four") };
    for row in 0..rows {
        let (null, x) = (row % 7 == 3, row as f32);
        let expected = [(row % 2) as f32, x, if null { 0.0 } else { x }, x];
        assert_eq!((&values[row * 4..][..4], nulls.is_null(row)), (&expected[..], null));
    }
    assert_eq!(batch.reals(1).len(), rows);
    assert_eq!(batch.weights().unwrap()[3], 1.0);
    assert_eq!([0, 1, 2].map(|i| source.schema().fields[i].nullable), [true, false, false]);
}

#[test]
fn classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classes.parquet");
    fn write_one(path: &std::path::Path, column: impl Array + 'static) {
        common::write_groups(path, &table([("y", array(column))]), &[2, 2]);
    }
    let open = || ParquetSource::open(&path).target_index("y", 10).build();
    for data_type in [DataType::Int8, DataType::Int64, DataType::UInt8, DataType::UInt16, DataType::UInt64] {
        match data_type {
            DataType::Int8 => write_one(&path, Int8Array::from(vec![9, 0, 1, 3])),
            DataType::Int64 => write_one(&path, Int64Array::from(vec![9, 0, 1, 3])),
            DataType::UInt8 => write_one(&path, UInt8Array::from(vec![9, 0, 1, 3])),
            DataType::UInt16 => write_one(&path, UInt16Array::from(vec![9, 0, 1, 3])),
            _ => write_one(&path, UInt64Array::from(vec![9, 0, 1, 3])),
        }
        let mut source = open().unwrap();
        assert_eq!(source.schema().fields[0].kind, Kind::Index { cardinality: 10 });
        assert_eq!(read_all::<f32>(&mut source).unwrap().indices(0), [9, 0, 1, 3]);
    }
    write_one(&path, Int16Array::from(vec![9, 0, 1, 10]));
    let error = read_all::<f32>(&mut open().unwrap()).unwrap_err().to_string();
    assert!(error.contains("row group 1, column y: row 3 of the file is 10, expected 0 to 9"), "{error}");
    write_one(&path, Int32Array::from(vec![0, -1, 1, 2]));
    let error = read_all::<f32>(&mut open().unwrap()).unwrap_err().to_string();
    assert!(error.contains("row group 0, column y: row 1 of the file is -1"), "{error}");
    write_one(&path, UInt32Array::from(vec![Some(0), Some(1), None, Some(2)]));
    let error = read_all::<f32>(&mut open().unwrap()).unwrap_err();
    assert!(matches!(&error, Error::Null { column, row: 2 } if column == "y"), "{error}");
    write_one(&path, Float32Array::from(vec![0.0; 4]));
    let error = open().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("column y is float32, expected an integer"), "{error}");
}

/// Timestamps of 96 bits reach further than nanoseconds in 64 bits do.
#[test]
fn timestamps_of_96_bits() {
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("int96.parquet");
    let schema = Arc::new(parse_message_type("message m { required int96 t; }").unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let value = |day: i64, nanoseconds: u64| {
        let mut value = Int96::new();
        value.set_data(nanoseconds as u32, (nanoseconds >> 32) as u32, (day + 2_440_588) as u32);
        value
    };
    // 1970-01-01, 9999-12-31, 0001-01-01, the day before 1970.
    let values = [value(0, 1), value(2_932_896, 86_399_000_000_001), value(-719_162, 0), value(-1, 86_399_999_999_999)];
    column.typed::<Int96Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let mut source = ParquetSource::open(&path).real_block("x", ["t", "t"]).build().unwrap();
    let batch: Batch<f64> = read_all(&mut source).unwrap();
    let expected = [1e-9, 2_932_896.0 * 86_400.0 + 86_399.0, -719_162.0 * 86_400.0, -1e-9];
    for (row, expected) in batch.reals(0).chunks(2).zip(expected) {
        assert_eq!(row, [expected, expected]);
    }
}
