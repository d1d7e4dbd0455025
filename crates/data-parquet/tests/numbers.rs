//! Integers of 64 bits, decimals and times keep every digit from file to condition, split, category and file again, and
//! dates and times are known as such.

mod common;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::*;
use arrow_schema::DataType;
use common::{array, read_all, table, write_groups};
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Encoder, Encoding, MemorySource, Source, SourceExt, Split, Unit};
use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values, save, sort_by};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

const P53: i64 = 1 << 53;

/// Forty integers of which no two are the same; neighbours fall together in `f64` as well as in `f32`.
fn signed(row: usize) -> i64 {
    let near = [0, 1 << 24, P53, 1 << 60, i64::MAX - 8, -(1 << 24), -P53 - 8, i64::MIN];
    near[row / 5] + (row % 5) as i64
}

fn unsigned(row: usize) -> u64 {
    let near = [0, 1 << 24, 1 << 53, 1 << 63, u64::MAX - 8, 1 << 31, 1 << 32, (1 << 53) - 8];
    near[row / 5] + (row % 5) as u64
}

const ROWS: usize = 40;

/// The digits of the column `v`, each row as text; `null` where there is none.
fn shown<T: Scalar>(batch: &Batch<T>) -> Vec<String> {
    let column = &batch.columns()[0];
    (0..batch.rows()).map(|row| column.number(row).map_or("null".into(), |number| number.to_string())).collect()
}

fn all<T: Scalar>(mut source: impl Source<T>) -> Vec<String> {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, 7).unwrap() > 0 {}
    shown(&batch)
}

/// Reads a column in each way that there is.
fn check_read(path: &Path, expected: &[String]) {
    let open = || ParquetSource::open(path).columns(["v"]);
    assert_eq!(all(open().build::<f64>().unwrap()), expected);
    assert_eq!(all(open().build::<f32>().unwrap()), expected);
    assert_eq!(all(open().threads(3).build::<f32>().unwrap()), expected);
    assert_eq!(shown(&read_all(&mut open().build::<f64>().unwrap()).unwrap()), expected);
    let mut seek = open().build::<f64>().unwrap();
    Source::<f64>::skip(&mut seek, 11).unwrap();
    assert_eq!(all(seek), &expected[11..]);
    let mut shuffled = all(open().shuffle_blocks(3).block_rows(6).build::<f32>().unwrap());
    let mut sorted = expected.to_vec();
    shuffled.sort();
    sorted.sort();
    assert_eq!(shuffled, sorted);
    assert_eq!(all(MemorySource::load(open().build::<f32>().unwrap(), 1 << 20).unwrap()), expected);
}

/// A condition on one value takes the rows of that value alone, by the file's statistics and by an adaptor.
fn check_conditions(path: &Path, expected: &[String]) {
    for value in expected.iter().filter(|value| *value != "null") {
        let rows: Vec<String> = expected.iter().filter(|other| *other == value).cloned().collect();
        let condition = format!("v = {value}");
        let open = || ParquetSource::open(path).columns(["v"]);
        assert_eq!(all(open().filter(condition.parse().unwrap()).build::<f32>().unwrap()), rows, "{condition}");
        let filtered = open().build::<f32>().unwrap().filter(&condition.parse().unwrap()).unwrap();
        assert_eq!(all(filtered), rows, "{condition}");
        let others = format!("v != {value} or v is null");
        let left = all(open().filter(others.parse().unwrap()).build::<f64>().unwrap());
        assert_eq!(left.len(), expected.len() - rows.len(), "{others}");
        let range = format!("v between {value} and {value}");
        assert_eq!(all(open().filter(range.parse().unwrap()).build::<f64>().unwrap()), rows, "{range}");
    }
}

fn check(column: ArrayRef, expected: impl Fn(usize) -> Option<String>) {
    let expected: Vec<String> = (0..ROWS).map(|row| expected(row).unwrap_or("null".into())).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.parquet");
    write_groups(&path, &table([("v", column)]), &[13, 20, 7]);
    check_read(&path, &expected);
    check_conditions(&path, &expected);
    if expected.contains(&"null".into()) {
        return;
    }
    let again = folder.path().join("again.parquet");
    save(&mut ParquetSource::open(&path).columns(["v"]).build::<f32>().unwrap(), &again).unwrap();
    check_read(&again, &expected);
    let field = |path| ParquetSource::open(path).columns(["v"]).build::<f64>().unwrap().schema().fields[0].clone();
    assert_eq!(field(&again).unit, field(&path).unit);
}

#[test]
fn cases_integers_of_every_type_keep_every_digit() {
    let some = |row: usize| (row % 6 != 4).then_some(row);
    check(array(Int64Array::from_iter_values((0..ROWS).map(signed))), |row| Some(signed(row).to_string()));
    check(array(Int64Array::from_iter((0..ROWS).map(|row| some(row).map(signed)))), |row| {
        some(row).map(|row| signed(row).to_string())
    });
    check(array(UInt64Array::from_iter_values((0..ROWS).map(unsigned))), |row| Some(unsigned(row).to_string()));
    check(array(UInt64Array::from_iter((0..ROWS).map(|row| some(row).map(unsigned)))), |row| {
        some(row).map(|row| unsigned(row).to_string())
    });
    let narrow = |row: usize| i32::MAX - row as i32 * 3;
    check(array(Int32Array::from_iter_values((0..ROWS).map(narrow))), |row| Some(narrow(row).to_string()));
    check(array(UInt32Array::from_iter_values((0..ROWS).map(|row| u32::MAX - row as u32))), |row| {
        Some((u32::MAX - row as u32).to_string())
    });
    check(array(Int8Array::from_iter_values((0..ROWS).map(|row| row as i8 - 20))), |row| {
        Some((row as i8 - 20).to_string())
    });
    // Values that recur, by a dictionary.
    check(array(Int64Array::from_iter_values((0..ROWS).map(|row| P53 + row as i64 % 4))), |row| {
        Some((P53 + row as i64 % 4).to_string())
    });
    let keys = PrimitiveArray::<Int8Type>::from_iter_values((0..ROWS).map(|row| row as i8 % 3));
    let values = Arc::new(PrimitiveArray::<Int64Type>::from_iter_values([P53, P53 + 1, P53 + 2]));
    check(array(DictionaryArray::new(keys, values)), |row| Some((P53 + row as i64 % 3).to_string()));
}

#[test]
fn decimals_and_times_keep_every_digit() {
    let wide = |row: usize| i128::from(P53) * 1_000_000_000_000 + row as i128;
    let decimal = |digits: i128, scale: usize| {
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, part) = digits.split_at(digits.len() - scale);
        let number = format!("{whole}.{part}");
        number.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let column = Decimal128Array::from_iter_values((0..ROWS).map(wide)).with_precision_and_scale(38, 4).unwrap();
    check(array(column), |row| Some(decimal(wide(row), 4)));
    let column = Decimal64Array::from_iter_values((0..ROWS).map(|row| P53 + row as i64));
    check(array(column.with_precision_and_scale(18, 2).unwrap()), |row| {
        Some(decimal(i128::from(P53) + row as i128, 2))
    });
    let column = Decimal32Array::from_iter_values((0..ROWS).map(|row| 99_999_900 + row as i32));
    check(array(column.with_precision_and_scale(9, 3).unwrap()), |row| Some(decimal(99_999_900 + row as i128, 3)));

    let nanos = |row: usize| 1_704_067_200_000_000_000 + row as i64;
    check(array(TimestampNanosecondArray::from_iter_values((0..ROWS).map(nanos))), |row| {
        Some(decimal(nanos(row).into(), 9))
    });
    let micros = |row: usize| 1_704_067_200_000_000 + row as i64;
    check(array(TimestampMicrosecondArray::from_iter_values((0..ROWS).map(micros)).with_timezone("UTC")), |row| {
        Some(decimal(micros(row).into(), 6))
    });
    check(
        array(Time64NanosecondArray::from_iter_values((0..ROWS).map(|row| 86_399_000_000_000 + row as i64))),
        |row| Some(decimal(86_399_000_000_000 + row as i128, 9)),
    );
    check(array(Time32MillisecondArray::from_iter_values((0..ROWS).map(|row| 86_399_000 + row as i32))), |row| {
        Some(decimal(86_399_000 + row as i128, 3))
    });
}

/// Files whose types differ are read as one table, in which no digit is lost either.
#[test]
fn files_of_other_types_keep_every_digit() {
    let folder = tempfile::tempdir().unwrap();
    let check = |columns: [ArrayRef; 2], expected: &[&str]| {
        let paths = [folder.path().join("a.parquet"), folder.path().join("b.parquet")];
        for (path, column) in paths.iter().zip(&columns) {
            common::write(path, &table([("v", Arc::clone(column))]));
        }
        for order in [[0, 1], [1, 0]] {
            let files = || ParquetSource::open(order.map(|file| paths[file].clone()).to_vec()).columns(["v"]);
            let mut expected: Vec<&str> = expected.to_vec();
            expected.rotate_left(if order[0] == 0 { 0 } else { columns[0].len() });
            assert_eq!(all(files().build::<f64>().unwrap()), expected);
            assert_eq!(all(files().build::<f32>().unwrap()), expected);
        }
    };
    let big = [P53 + 1, P53 + 3];
    let bigs = || array(Int64Array::from_iter_values(big));
    let names = big.map(|big| big.to_string());
    let [a, b] = [names[0].as_str(), names[1].as_str()];
    check([array(Int8Array::from_iter_values([-3, 5])), bigs()], &["-3", "5", a, b]);
    check([array(Int32Array::from_iter_values([1 << 30])), bigs()], &["1073741824", a, b]);
    let fine = array(TimestampNanosecondArray::from_iter_values([1_704_067_200_000_000_001]));
    check(
        [array(TimestampMillisecondArray::from_iter_values([1_704_067_200_001])), fine],
        &["1704067200.001", "1704067200.000000001"],
    );
    let long = Decimal128Array::from_iter_values([90_071_992_547_409_930_001]).with_precision_and_scale(38, 4).unwrap();
    check([array(Int16Array::from_iter_values([7])), array(long)], &["7", "9007199254740993.0001"]);
}

#[test]
fn written_integers_come_back_and_are_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let (path, sorted) = (folder.path().join("t.parquet"), folder.path().join("sorted.parquet"));
    let mut writer = ParquetWriter::create(&path, [("v", ValueType::U64), ("w", ValueType::I64)]).unwrap();
    let values: Vec<u64> = (0..ROWS).rev().map(unsigned).collect();
    let others: Vec<i64> = (0..ROWS).map(signed).collect();
    writer.write(&[Values::U64(&values), Values::I64(&others)]).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        all(ParquetSource::open(&path).columns(["v"]).build::<f32>().unwrap()),
        values.iter().map(u64::to_string).collect::<Vec<_>>()
    );
    sort_by(&path, "v", &sorted, 1 << 30).unwrap();
    let mut expected = values;
    expected.sort_unstable();
    let expected: Vec<String> = expected.iter().map(u64::to_string).collect();
    assert_eq!(all(ParquetSource::open(&sorted).columns(["v"]).build::<f64>().unwrap()), expected);
}

#[test]
fn cases_big_ids() {
    let path = case("big-ids.parquet");
    let open = || ParquetSource::open(&path).columns(["id"]).target("y");
    for id in 0..8 {
        let condition = format!("id = {}", 1_500_000_000_000_000_000_i64 + id);
        assert_eq!(all(open().filter(condition.parse().unwrap()).build::<f64>().unwrap()).len(), 50, "{condition}");
    }
    let ids = all(open().build::<f32>().unwrap());
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (400, 8));
    let split = Split::by_key("id", 1, [("train", 0.5), ("test", 0.5)]).unwrap();
    let [train, test] = ["train", "test"].map(|part| all(open().build::<f64>().unwrap().part(&split, part).unwrap()));
    assert!(train.iter().collect::<HashSet<_>>().is_disjoint(&test.iter().collect()));
    assert!(
        [train.len(), test.len()].iter().all(|rows| (50..=350).contains(rows)),
        "{} and {}",
        train.len(),
        test.len()
    );
    let encoder = Encoder::builder().feature("id", Encoding::category()).target("y", Encoding::above(0.5));
    let (encoder, _) = encoder.fit(&mut open().build::<f64>().unwrap()).unwrap();
    let names: Vec<String> = (0..8).map(|id| (1_500_000_000_000_000_000_i64 + id).to_string()).collect();
    assert_eq!(encoder.categories("id").unwrap(), names);
}

#[test]
fn cases_neighbours_of_2_53_are_two() {
    let open = |name| ParquetSource::open(case(name));
    let ids = all(open("int64-2p53.parquet").columns(["id"]).build::<f64>().unwrap());
    assert_eq!(ids, [P53, P53 + 1, P53 - 1].map(|id| id.to_string()));
    for (id, rows) in [(P53 - 1, 1), (P53, 1), (P53 + 1, 1), (P53 + 2, 0)] {
        let condition = format!("id = {id}").parse().unwrap();
        assert_eq!(
            all(open("int64-2p53.parquet").columns(["id"]).filter(condition).build::<f32>().unwrap()).len(),
            rows
        );
    }
    let mut classes = open("int64-target-2p53.parquet").columns(["x"]).target("y").build::<f64>().unwrap();
    let (encoder, _) =
        Encoder::builder().feature("x", Encoding::real()).target("y", Encoding::class()).fit(&mut classes).unwrap();
    let found = encoder.classes().unwrap();
    assert!([P53, P53 + 1, P53 + 2].iter().all(|class| found.contains(&class.to_string())), "{found:?}");
    let distinct: HashSet<String> =
        all(open("int64-target-2p53.parquet").columns(["y"]).build::<f64>().unwrap()).into_iter().collect();
    assert_eq!(found.len(), distinct.len());
}

#[test]
fn cases_zeros_are_one_class() {
    let mut source =
        ParquetSource::open(case("negative-zero-target.parquet")).columns(["x"]).target("y").build().unwrap();
    let rows = read_all::<f64>(&mut source).unwrap();
    assert!(rows.reals(1).iter().any(|y| y.to_bits() == (-0.0_f64).to_bits()) && rows.reals(1).contains(&0.0));
    Source::<f64>::seek(&mut source, Cursor::start(0)).unwrap();
    let encoder = Encoder::builder().feature("x", Encoding::real()).target("y", Encoding::class());
    assert_eq!(encoder.fit(&mut source).unwrap().0.classes().unwrap(), ["0", "1"]);
}

fn parts(path: &Path, encoding: Encoding) -> Result<Vec<u32>, String> {
    let open = || ParquetSource::open(path).columns(["day"]).build::<f64>().unwrap();
    let fitted = Encoder::builder().feature("day", encoding).fit(&mut open()).map_err(|error| error.to_string())?;
    let rows = MemorySource::load(open().encode::<f32>(&fitted.0).unwrap(), 1 << 20).unwrap();
    Ok(rows.data().indices(0).to_vec())
}

#[test]
fn cases_dates() {
    let path = case("dates.parquet");
    assert_eq!(parts(&path, Encoding::day_of_week()).unwrap()[..8], [1, 2, 3, 4, 5, 6, 7, 1]);
    let error = parts(&path, Encoding::hour_of_day()).unwrap_err();
    assert_eq!(error, "encoding of column day: a date has no hours; day_of_week is what it has");
    for (condition, rows) in [
        ("day = '2024-01-03'", 1),
        ("day >= date '2024-01-08'", 7),
        ("day < '2024-01-03'", 2),
        ("day in ('2024-01-01', '2024-01-14', '2025-01-01')", 2),
        ("day > '2030-01-01'", 0),
        ("day = 19723", 1),
        ("day >= timestamp '2024-01-13 00:00:01'", 1),
    ] {
        let source = ParquetSource::open(&path).columns(["day"]).filter(condition.parse().unwrap());
        assert_eq!(all(source.build::<f64>().unwrap()).len(), rows, "{condition}");
    }
}

/// All types of dates and times, before 1970 too; a Saturday and two others.
#[test]
fn cases_dates_and_times_of_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("times.parquet");
    // 1960-05-14 was a Saturday, 2000-02-29 a Tuesday.
    let days = [-3_519, 11_016, 11_017];
    let seconds = |row: usize| days[row] * 86_400 + [23 * 3600 + 3_599, 0, 3_600 * 13 + 5][row];
    let each = |per: i64, more: i64| (0..3).map(move |row| seconds(row) * per + more);
    let (weekdays, hours) = ([6, 2, 3], [24, 1, 14]);
    let check = |column: ArrayRef, unit: Unit, weekdays: Option<[u32; 3]>, hours: Option<[u32; 3]>| {
        let name = column.data_type().clone();
        common::write(&path, &table([("day", column)]));
        let source = ParquetSource::open(&path).columns(["day"]).build::<f32>().unwrap();
        assert_eq!(source.schema().fields[0].unit, unit, "{name}");
        let found = parts(&path, Encoding::day_of_week()).map_err(|_| ());
        assert_eq!(found, weekdays.map(Vec::from).ok_or(()), "{name}");
        let found = parts(&path, Encoding::hour_of_day()).map_err(|_| ());
        assert_eq!(found, hours.map(Vec::from).ok_or(()), "{name}");
    };
    let (both, neither) = ((Some(weekdays), Some(hours)), (None, None));
    let time = |column, (weekdays, hours)| check(column, Unit::Timestamp, weekdays, hours);
    check(array(Date32Array::from_iter_values(days.map(|day| day as i32))), Unit::Days, Some(weekdays), None);
    check(array(Date64Array::from_iter_values(days.map(|day| day * 86_400_000))), Unit::Days, Some(weekdays), None);
    time(array(TimestampSecondArray::from_iter_values(each(1, 0))), both);
    time(array(TimestampMillisecondArray::from_iter_values(each(1_000, 999))), both);
    time(array(TimestampMicrosecondArray::from_iter_values(each(1_000_000, 999_999))), both);
    time(array(TimestampNanosecondArray::from_iter_values(each(1_000_000_000, 999_999_999))), both);
    time(array(TimestampMillisecondArray::from_iter_values(each(1_000, 1)).with_timezone("UTC")), both);
    time(
        array(TimestampNanosecondArray::from_iter_values(each(1_000_000_000, 999_999_999)).with_timezone("+02:00")),
        both,
    );
    let of_day = [86_399, 0, 13 * 3600 + 5];
    let clock = |column| check(column, Unit::TimeOfDay, None, Some(hours));
    clock(array(Time32SecondArray::from_iter_values(of_day)));
    clock(array(Time32MillisecondArray::from_iter_values(of_day.map(|s| s * 1_000 + 999))));
    clock(array(Time64MicrosecondArray::from_iter_values(of_day.map(|s| i64::from(s) * 1_000_000 + 999_999))));
    clock(array(Time64NanosecondArray::from_iter_values(of_day.map(|s| i64::from(s) * 1_000_000_000 + 999_999_999))));
    check(array(Int64Array::from_iter_values(each(1, 0))), Unit::None, neither.0, neither.1);
    check(array(Float64Array::from_iter_values(each(1, 0).map(|s| s as f64))), Unit::None, neither.0, neither.1);
    let duration = array(DurationSecondArray::from_iter_values(each(1, 0)));
    assert_eq!(*duration.data_type(), DataType::Duration(arrow_schema::TimeUnit::Second));
    check(duration, Unit::Duration, neither.0, neither.1);
}
