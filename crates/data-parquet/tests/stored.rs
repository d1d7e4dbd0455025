//! The arrow schema that writers store beside the Parquet schema: used where the two agree, never believed where they
//! do not, and no reason to panic.

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use common::read_all;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tidemill_data::{Batch, Column};
use tidemill_data_parquet::{As, ListAs, ParquetSource, ParquetSourceBuilder, describe};

/// Writes one column `t` of a Parquet type with three rows, and a stored schema as given.
fn write(path: &Path, column: &str, stored: Option<String>, dictionary: bool) {
    write_far(path, column, stored, dictionary, 2_000_000_000);
}

/// The same, with the day of a date that is far away.
fn write_far(path: &Path, column: &str, stored: Option<String>, dictionary: bool, far: i32) {
    let note = stored.map(|text| KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), text));
    let properties = WriterProperties::builder()
        .set_key_value_metadata(note.map(|note| vec![note]))
        .set_dictionary_enabled(dictionary)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {column} }}")).unwrap());
    let nulls = column.starts_with("optional");
    let levels = nulls.then_some(&[1, 0, 1][..]);
    let (first, last) = (0, if nulls { 2 } else { 3 });
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut chunk) = group.next_column().unwrap() {
        match chunk.untyped() {
            ColumnWriter::BoolColumnWriter(w) => w.write_batch(&[true, false, true][first..last], levels, None),
            ColumnWriter::Int32ColumnWriter(w) => w.write_batch(&[7, 86_399, -3][first..last], levels, None),
            ColumnWriter::Int64ColumnWriter(w) => {
                w.write_batch(&[7_000_000_000, 86_399, -3_000][first..last], levels, None)
            }
            ColumnWriter::Int96ColumnWriter(w) => {
                let day = |day: i32, nanos: u64| {
                    let mut value = Int96::new();
                    value.set_data(nanos as u32, (nanos >> 32) as u32, (day + 2_440_588) as u32);
                    value
                };
                // 1970, some 5 million years later, and 1960.
                let values = [day(1, 5_000_000_001), day(far, 0), day(-3516, 1_000)];
                w.write_batch(&values[first..last], levels, None)
            }
            ColumnWriter::FloatColumnWriter(w) => w.write_batch(&[0.5, 1.5, -2.0][first..last], levels, None),
            ColumnWriter::DoubleColumnWriter(w) => w.write_batch(&[0.5, 1.5, -2.0][first..last], levels, None),
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let values = ["a", "a longer text that no view holds inline", "ü"].map(ByteArray::from);
                w.write_batch(&values[first..last], levels, None)
            }
            ColumnWriter::FixedLenByteArrayColumnWriter(w) => {
                let bytes = w.get_descriptor().type_length() as usize;
                let values = [1u8, 2, 3].map(|byte| FixedLenByteArray::from([vec![0; bytes - 1], vec![byte]].concat()));
                w.write_batch(&values[first..last], levels, None)
            }
        }
        .unwrap();
        chunk.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn stored(data_type: &DataType) -> String {
    encode_arrow_schema(&Schema::new(vec![Field::new("t", data_type.clone(), true)]))
}

/// What rows hold: numbers, or texts.
#[derive(Debug, PartialEq)]
enum Rows {
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

fn rows(builder: ParquetSourceBuilder) -> Result<Rows, String> {
    let batch: Result<Batch<f64>, _> = builder.build().and_then(|mut source| read_all(&mut source));
    let batch = batch.map_err(|error| error.to_string())?;
    Ok(match &batch.columns()[0] {
        Column::Real { width, values, nulls, .. } => Rows::Numbers(
            values.iter().enumerate().map(|(place, &value)| (!nulls.is_null(place / width)).then_some(value)).collect(),
        ),
        text => Rows::Texts((0..batch.rows()).map(|row| text.text(row).map(str::to_owned)).collect()),
    })
}

/// The column in every way in which it may be asked for.
fn ways(path: &Path) -> Vec<Result<Rows, String>> {
    let open = || ParquetSource::open(path);
    vec![
        rows(open().feature("t")),
        rows(open().feature_as("t", ListAs::Pad { width: 4, fill: -1.0 })),
        rows(open().feature_as("t", ListAs::Sum)),
        rows(open().feature_as("t", ListAs::Length)),
        rows(open().feature_as("t", ListAs::FirstText)),
        rows(open().feature_as("t", As::Utf8)),
        rows(open().feature_as("t", As::Hex)),
    ]
}

const PARQUET: [&str; 27] = [
    "boolean t",
    "int32 t",
    "int32 t (INTEGER(8,true))",
    "int32 t (INTEGER(16,false))",
    "int32 t (INTEGER(32,false))",
    "int32 t (DATE)",
    "int32 t (TIME(MILLIS,true))",
    "int32 t (DECIMAL(9,2))",
    "int64 t",
    "int64 t (INTEGER(64,false))",
    "int64 t (TIME(MICROS,false))",
    "int64 t (TIME(NANOS,true))",
    "int64 t (TIMESTAMP(MILLIS,true))",
    "int64 t (TIMESTAMP(MICROS,false))",
    "int64 t (TIMESTAMP(NANOS,false))",
    "int64 t (TIMESTAMP(NANOS,true))",
    "int64 t (DECIMAL(18,4))",
    "int96 t",
    "float t",
    "double t",
    "binary t",
    "binary t (STRING)",
    "binary t (JSON)",
    "binary t (ENUM)",
    "fixed_len_byte_array(2) t (FLOAT16)",
    "fixed_len_byte_array(16) t (DECIMAL(20,3))",
    "fixed_len_byte_array(5) t",
];

/// Types of all kinds, in and out of lists and dictionaries.
fn arrow_types() -> Vec<DataType> {
    use DataType::*;
    let mut types = vec![Null, Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64];
    types.extend([Float16, Float32, Float64, Date32, Date64, Utf8, LargeUtf8, Utf8View]);
    types.extend([Binary, LargeBinary, BinaryView, FixedSizeBinary(5), FixedSizeBinary(1), FixedSizeBinary(-1)]);
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        types.extend([Timestamp(unit, None), Timestamp(unit, Some("UTC".into())), Timestamp(unit, Some("no".into()))]);
        types.extend([Duration(unit)]);
    }
    types.extend([Time32(TimeUnit::Second), Time32(TimeUnit::Millisecond)]);
    types.extend([Time64(TimeUnit::Microsecond), Time64(TimeUnit::Nanosecond)]);
    types.extend([IntervalUnit::YearMonth, IntervalUnit::DayTime, IntervalUnit::MonthDayNano].map(Interval));
    for (precision, scale) in [(9, 2), (9, 4), (18, 4), (18, -4), (20, 3), (20, 5), (38, 0)] {
        types.extend([Decimal32(precision, scale), Decimal64(precision, scale)]);
        types.extend([Decimal128(precision, scale), Decimal256(precision, scale)]);
    }
    let values = types.clone();
    types.extend(values.iter().map(|value| Dictionary(Int8.into(), value.clone().into())));
    let item = |data_type: &DataType| Arc::new(Field::new("item", data_type.clone(), true));
    for value in [Int32, Int64, Timestamp(TimeUnit::Second, None), Utf8] {
        types.extend([
            List(item(&value)),
            LargeList(item(&value)),
            ListView(item(&value)),
            LargeListView(item(&value)),
        ]);
        types.extend([-1, 0, 1, 3, i32::MAX].map(|width| FixedSizeList(item(&value), width)));
        types.push(FixedSizeList(item(&FixedSizeList(item(&value), i32::MAX)), i32::MAX));
        types.push(Struct(vec![item(&value)].into()));
        types.push(Struct(Fields::empty()));
    }
    types
}

/// Where the stored type says more than the Parquet type: how many of the numbers make one of what is read.
fn finer(parquet: &str, data_type: &DataType) -> Option<f64> {
    use DataType::{Date64, Dictionary, Duration, Time32, Time64, Timestamp};
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1.0,
        TimeUnit::Millisecond => 1e3,
        TimeUnit::Microsecond => 1e6,
        TimeUnit::Nanosecond => 1e9,
    };
    match (parquet, data_type) {
        (parquet, Dictionary(_, values)) => finer(parquet, values),
        ("int64 t", Timestamp(of, _) | Duration(of) | Time64(of)) | ("int32 t", Time32(of)) => Some(unit(of)),
        ("int64 t", Date64) => Some(86_400_000.0),
        _ => None,
    }
}

fn in_new_folder(check: impl Fn(PathBuf)) {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path().join("t.parquet"));
}

#[test]
fn stored_types_never_change_values_that_the_parquet_type_gives() {
    let types = arrow_types();
    in_new_folder(|path| {
        let mut as_said = 0;
        for (place, parquet) in PARQUET.iter().enumerate() {
            let column = |place: usize| ["required", "optional"][place % 2].to_owned() + " " + parquet + ";";
            let plain: Vec<_> = (0..2)
                .map(|place| {
                    write(&path, &column(place), None, true);
                    ways(&path)
                })
                .collect();
            for (turn, data_type) in types.iter().enumerate() {
                let turn = place + turn;
                write(&path, &column(turn), Some(stored(data_type)), turn % 3 > 0);
                let found = ways(&path);
                for (way, (found, plain)) in found.iter().zip(&plain[turn % 2]).enumerate() {
                    let what = format!("{parquet}, stored as {data_type}, way {way}");
                    match (found, plain) {
                        (Err(problem), _) if problem.contains("gave up") => panic!("{what}: {problem}"),
                        (Ok(Rows::Numbers(found)), Ok(Rows::Numbers(plain))) => {
                            let per = finer(parquet, data_type).unwrap_or(1.0);
                            for (found, plain) in found.iter().zip(plain) {
                                assert_eq!(found.is_some(), plain.is_some(), "{what}");
                                let (found, plain) = (found.unwrap_or(0.0), plain.unwrap_or(0.0) / per);
                                assert!((found - plain).abs() <= plain.abs() * 1e-15, "{what}: {found}, not {plain}");
                            }
                            as_said += 1;
                        }
                        (Ok(Rows::Texts(texts)), Err(_)) if parquet.starts_with("binary") && way == 0 => {
                            assert!(data_type.to_string().contains("Utf8"), "{what}: {texts:?}");
                        }
                        (Ok(found), Ok(plain)) => assert_eq!(found, plain, "{what}"),
                        (Err(_), Err(_)) => {}
                        // A binary column that is stored as text is no binary any more.
                        (Err(_), Ok(_)) if way > 4 && data_type.to_string().contains("Utf8") => {}
                        (found, plain) => panic!("{what}: {found:?}, not {plain:?}"),
                    }
                }
                describe(&path).unwrap();
            }
        }
        assert!(as_said > 2000, "only {as_said} columns were read");
    });
}

#[test]
fn stored_types_of_lists_and_structs_never_change_values() {
    use DataType::{Decimal32, Float32, Int32, Int64, List, Map, Struct, Timestamp};
    let field = |name: &str, data_type: DataType| Arc::new(Field::new(name, data_type, true));
    let entries = |key, value| Struct(vec![field("key", key), field("value", value)].into());
    let mut types = arrow_types();
    types.extend([
        Struct(vec![field("a", Int32), field("b", Int64)].into()),
        Struct(vec![field("b", Int64), field("a", Int32)].into()),
        Struct(vec![field("a", Timestamp(TimeUnit::Second, None)), field("b", Decimal32(9, 2))].into()),
        Struct(vec![field("a", List(field("item", Int32))), field("b", Float32)].into()),
        Map(field("entries", entries(Int32, Int64)), true),
        Map(field("entries", Struct(vec![field("key", Int32)].into())), false),
        Map(field("entries", Int32), false),
    ]);
    let groups = [
        "optional group t { optional int32 a; optional int64 b (TIMESTAMP(NANOS,false)); }",
        "optional group t { optional int96 a; required binary b (JSON); }",
        "optional group t (LIST) { repeated group list { optional int32 item; } }",
        "optional group t (LIST) { repeated group list { optional int96 item; } }",
        "optional group t (LIST) { repeated group list { optional int64 item (TIMESTAMP(NANOS,false)); } }",
        "optional group t (LIST) { repeated group list { optional binary item (JSON); } }",
        "optional group t (MAP) { repeated group key_value { required int32 key; optional int64 value; } }",
        "repeated int32 t;",
    ];
    in_new_folder(|path| {
        for group in groups {
            let ways = |path: &Path| {
                let mut found = ways(path);
                for part in ["t.a", "t.b"] {
                    found.push(rows(ParquetSource::open(path).feature(part)));
                }
                found.push(rows(ParquetSource::open(path).feature_as("t.value", ListAs::Sum)));
                found
            };
            write_group(&path, group, None);
            let plain = ways(&path);
            for data_type in &types {
                write_group(&path, group, Some(stored(data_type)));
                for (way, (found, plain)) in ways(&path).iter().zip(&plain).enumerate() {
                    let what = format!("{group}, stored as {data_type}, way {way}");
                    match (found, plain) {
                        (Err(problem), _) if problem.contains("gave up") => panic!("{what}: {problem}"),
                        // Lists that are all of one length, or are not, by the stored schema.
                        (_, _) if data_type.to_string().contains("FixedSizeList") => {}
                        (Ok(found), Ok(plain)) => assert_eq!(found, plain, "{what}"),
                        (Err(_), Err(_)) => {}
                        (found, plain) => panic!("{what}: {found:?}, not {plain:?}"),
                    }
                }
                describe(&path).unwrap();
            }
        }
    });
}

/// Two rows, the second null or without items.
fn write_group(path: &Path, column: &str, stored: Option<String>) {
    let note = stored.map(|text| KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), text));
    let properties = WriterProperties::builder().set_key_value_metadata(note.map(|note| vec![note])).build();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {column} }}")).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut chunk) = group.next_column().unwrap() {
        macro_rules! two {
            ($writer:expr, $values:expr) => {{
                let most = $writer.get_descriptor().max_def_level();
                let list = $writer.get_descriptor().max_rep_level() > 0;
                $writer.write_batch(&$values, Some(&[most, 0]), list.then_some(&[0, 0][..]))
            }};
        }
        match chunk.untyped() {
            ColumnWriter::Int32ColumnWriter(w) => two!(w, [7]),
            ColumnWriter::Int64ColumnWriter(w) => two!(w, [7_000_000_000]),
            ColumnWriter::Int96ColumnWriter(w) => two!(w, [Int96::from(vec![5, 0, 2_440_589])]),
            ColumnWriter::ByteArrayColumnWriter(w) => two!(w, [ByteArray::from("a text")]),
            _ => unreachable!("no other leaves"),
        }
        .unwrap();
        chunk.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn stored_schemas_that_are_none_are_passed_over() {
    in_new_folder(|path| {
        let two = Schema::new(vec![Field::new("t", DataType::Int64, true), Field::new("u", DataType::Int64, true)]);
        let other = Schema::new(vec![Field::new("u", DataType::Int64, true)]);
        let mut cut = stored(&DataType::Int64);
        cut.truncate(60);
        let none = encode_arrow_schema(&Schema::empty());
        let texts = ["".into(), "no base64!".into(), "AAAA".into(), cut, none, encode_arrow_schema(&two)];
        for text in texts.into_iter().chain([encode_arrow_schema(&other)]) {
            write(&path, "required int64 t;", Some(text.clone()), true);
            let expected = Rows::Numbers([7e9, 86_399.0, -3_000.0].map(Some).into());
            assert_eq!(rows(ParquetSource::open(&path).feature("t")), Ok(expected), "{text}");
        }
    });
}

/// One is some 5 million years from now: microseconds do not fit into 64 bits, let alone nanoseconds.
#[test]
fn timestamps_of_96_bits_in_every_stored_unit_cases() {
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    in_new_folder(|path| {
        for (turn, unit) in units.into_iter().cycle().take(16).enumerate() {
            let zone = (turn % 8 > 3).then(|| "Europe/Berlin".into());
            for dictionary in [false, true] {
                let stored = (turn < 12).then(|| stored(&DataType::Timestamp(unit, zone.clone())));
                for (column, expected) in [
                    ("required int96 t;", [Some(86_405.000000001), Some(FAR), Some(-303_782_399.999999)]),
                    ("optional int96 t;", [Some(86_405.000000001), None, Some(FAR)]),
                ] {
                    write(&path, column, stored.clone(), dictionary);
                    let found = rows(ParquetSource::open(&path).feature("t"));
                    assert_eq!(found, Ok(Rows::Numbers(expected.into())), "{column} {unit:?} {zone:?}");
                }
            }
        }
    });
    let found = numbers("int96-us.parquet");
    assert_eq!(found, [-303_732_900.0, 951_805_800.0].map(Some).repeat(20));
}

#[test]
fn timestamps_of_96_bits_by_other_writers() {
    let near = [Some(-303_732_899.75), None, Some(951_805_800.0), Some(9_183_110_400.0)];
    for unit in ["ms", "us", "ns"] {
        assert_eq!(numbers(&format!("writers/pandas_spark_{unit}.parquet")), near, "{unit}");
    }
    assert_eq!(numbers("writers/pandas_spark_s.parquet"), near.map(|t| t.map(f64::floor)));
    assert_eq!(numbers("writers/fastparquet_int96.parquet"), near);
}

/// Nanoseconds of these dates overflow.
#[test]
fn timestamps_of_96_bits_are_sorted_by_their_dates() {
    in_new_folder(|path| {
        for stored in [None, Some(stored(&DataType::Timestamp(TimeUnit::Nanosecond, None)))] {
            write_far(&path, "required int96 t;", stored, false, 100_000_000);
            let sorted = path.with_file_name("sorted.parquet");
            tidemill_data_parquet::sort_by(&path, "t", &sorted, 1 << 20).unwrap();
            let Ok(Rows::Numbers(found)) = rows(ParquetSource::open(&sorted).feature("t")) else { panic!("numbers") };
            assert_eq!(found, [-303_782_399.999999, 86_405.0, NEAR].map(Some));
        }
    });
}

/// The first column of a file of another writer.
fn numbers(file: &str) -> Vec<Option<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let name = describe(&path).unwrap().columns[0].name.clone();
    match rows(ParquetSource::open(&path).feature(name)) {
        Ok(Rows::Numbers(numbers)) => numbers,
        other => panic!("{file}: {other:?}"),
    }
}

/// Seconds of a day behind 1970 that milliseconds hold, and no finer unit.
const FAR: f64 = 2_000_000_000.0 * 86_400.0;

/// Microseconds hold this one.
const NEAR: f64 = 100_000_000.0 * 86_400.0;
