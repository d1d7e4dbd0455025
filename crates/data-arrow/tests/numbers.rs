//! Integers of 64 bits and times keep every digit, and dates and times are known as such, in every source.

use std::io::Cursor as Bytes;
use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, Date32Array, DictionaryArray, Int64Array, PrimitiveArray, RecordBatch, Time64NanosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_ipc::writer::StreamWriter;
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Encoder, Encoding, Source, SourceExt, Unit};
use tidemill_data_arrow::{CsvBuilder, CsvType, IpcBuilder};

const IDS: [i64; 6] = [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN, -5];

fn ipc(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap()
}

/// The digits of a column, each row as text.
fn all<T: Scalar>(mut source: impl Source<T>) -> Vec<String> {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, 4).unwrap() > 0 {}
    let number = |row| batch.columns()[0].number(row).map_or("null".into(), |number| number.to_string());
    (0..batch.rows()).map(number).collect()
}

fn check(expected: &[String], open: impl Fn() -> Vec<u8>) {
    let source = |bytes| IpcBuilder::reader("ids", Bytes::new(bytes)).columns(["v"]);
    assert_eq!(all(source(open()).build::<f64>().unwrap()), expected);
    assert_eq!(all(source(open()).build::<f32>().unwrap()), expected);
    for value in expected {
        let same: Vec<&String> = expected.iter().filter(|other| *other == value).collect();
        let condition = format!("v = {value}").parse().unwrap();
        assert_eq!(
            all(source(open()).build::<f32>().unwrap().filter(&condition).unwrap()).iter().collect::<Vec<_>>(),
            same
        );
    }
}

#[test]
fn cases_ipc_keeps_every_digit() {
    let names = IDS.map(|id| id.to_string());
    check(&names, || ipc(vec![("v", Arc::new(Int64Array::from_iter_values(IDS)))]));
    let unsigned = [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 53) + 1, 0];
    check(&unsigned.map(|id| id.to_string()), || ipc(vec![("v", Arc::new(UInt64Array::from_iter_values(unsigned)))]));
    let keys = PrimitiveArray::<Int32Type>::from_iter_values([2, 0, 1, 2]);
    let values = Arc::new(PrimitiveArray::<Int64Type>::from_iter_values(IDS));
    let dictionary = DictionaryArray::new(keys, values);
    let expected = [2, 0, 1, 2].map(|place: usize| IDS[place].to_string());
    check(&expected, || ipc(vec![("v", Arc::new(dictionary.clone()))]));
    let times = [1_704_067_200_000_000_001, 1_704_067_200_000_000_002];
    let expected = ["1704067200.000000001", "1704067200.000000002"].map(String::from);
    check(&expected, || ipc(vec![("v", Arc::new(TimestampNanosecondArray::from_iter_values(times)))]));
}

#[test]
fn cases_csv_integers_are_exact() {
    let text = || format!("v\n{}\n", IDS.map(|id| id.to_string()).join("\n"));
    let source = || CsvBuilder::reader("ids", Bytes::new(text())).columns(["v"]).column_type("v", CsvType::Integer);
    assert_eq!(all(source().build::<f64>().unwrap()), IDS.map(|id| id.to_string()));
    assert_eq!(all(source().build::<f32>().unwrap()), IDS.map(|id| id.to_string()));
    let condition = "v in (9007199254740993, -5.0)".parse().unwrap();
    assert_eq!(all(source().build::<f32>().unwrap().filter(&condition).unwrap()), ["9007199254740993", "-5"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text()).unwrap();
    let open = CsvBuilder::file(file.path()).columns(["v"]).column_type("v", CsvType::Integer);
    let (encoder, _) =
        Encoder::builder().feature("v", Encoding::category()).fit(&mut open.build::<f64>().unwrap()).unwrap();
    let mut sorted = IDS;
    sorted.sort_unstable();
    assert_eq!(encoder.categories("v").unwrap(), sorted.map(|id| id.to_string()));
}

/// Types that are told from the first rows lose no digit either: they are exact, or end the reading by name.
#[test]
fn integers_of_a_type_that_is_told_are_never_rounded() {
    let read = |text: &str, first: usize, said: Option<CsvType>| {
        let mut builder = CsvBuilder::reader("ids", Bytes::new(text.to_owned())).columns(["v"]).infer_rows(first);
        if let Some(said) = said {
            builder = builder.column_type("v", said);
        }
        let mut source = builder.build::<f64>().map_err(|error| error.to_string())?;
        let mut batch = Batch::new(Arc::clone(source.schema()));
        while source.fill(&mut batch, 100).map_err(|error| error.to_string())? > 0 {}
        let column = &batch.columns()[0];
        Ok::<_, String>((0..batch.rows()).map(|row| column.number(row).unwrap().to_string()).collect::<Vec<_>>())
    };
    let long = "v\n9007199254740993\n5\n";
    assert_eq!(read(long, 10, None).unwrap(), ["9007199254740993", "5"]);
    let unsigned = "v\n18446744073709551615\n5\n";
    for said in [None, Some(CsvType::Integer), Some(CsvType::Unsigned)] {
        assert_eq!(read(unsigned, 10, said).unwrap(), ["18446744073709551615", "5"], "{said:?}");
    }
    let late = "v\n5\n9007199254740993\n";
    let error = read(late, 1, None).unwrap_err();
    assert!(error.contains("line 3, column v") && error.contains("CsvType::Integer to keep all digits"), "{error}");
    assert_eq!(read(late, 1, Some(CsvType::Integer)).unwrap(), ["5", "9007199254740993"]);
    assert_eq!(read(late, 1, Some(CsvType::Real)).unwrap(), ["5", "9007199254740992"]);
    assert_eq!(read("v\n5\n2.5\n9007199254740992\n", 1, None).unwrap(), ["5", "2.5", "9007199254740992"]);
    let error = read("v\n5\n18446744073709551615\n", 1, Some(CsvType::Integer)).unwrap_err();
    assert!(error.contains("CsvType::Unsigned"), "{error}");
}

fn parts(mut source: impl Source<f64>, encoding: Encoding) -> Result<Vec<u32>, String> {
    let fitting = Encoder::builder().feature("v", encoding).start(source.schema());
    let mut fitting = fitting.map_err(|error| error.to_string())?;
    let mut raw = Batch::new(Arc::clone(source.schema()));
    source.fill(&mut raw, 100).unwrap();
    fitting.observe(&raw).unwrap();
    let (encoder, _) = fitting.finish().unwrap();
    source.seek(Cursor::start(0)).unwrap();
    let mut encoded = source.encode::<f32>(&encoder).unwrap();
    let mut batch = Batch::new(Arc::clone(encoded.schema()));
    encoded.fill(&mut batch, 100).unwrap();
    Ok(batch.indices(0).to_vec())
}

#[test]
fn cases_dates_and_times() {
    let column = |array: ArrayRef| {
        IpcBuilder::reader("times", Bytes::new(ipc(vec![("v", array)]))).columns(["v"]).build().unwrap()
    };
    let csv = |text: &'static str, holds| {
        CsvBuilder::reader("times", Bytes::new(text)).columns(["v"]).column_type("v", holds).build().unwrap()
    };
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values([-1, 19_723]));
    let dates = "v\n1969-12-31\n2024-01-01\n";
    assert_eq!(column(Arc::clone(&days)).schema().fields[0].unit, Unit::Days);
    assert_eq!(parts(column(Arc::clone(&days)), Encoding::day_of_week()), Ok(vec![3, 1]));
    assert_eq!(parts(csv(dates, CsvType::Date), Encoding::day_of_week()), Ok(vec![3, 1]));
    for source in [column(days), csv(dates, CsvType::Date)] {
        assert!(parts(source, Encoding::hour_of_day()).unwrap_err().contains("column v: a date has no hours"));
    }
    let times = [-1, 19_724 * 86_400_000_000_000 - 1];
    let column_of = || column(Arc::new(TimestampNanosecondArray::from_iter_values(times)));
    let texts = "v\n1969-12-31T23:59:59.999999999\n2024-01-01T23:59:59.999999999\n";
    for source in [column_of(), csv(texts, CsvType::Time)] {
        assert_eq!(source.schema().fields[0].unit, Unit::Timestamp);
        assert_eq!(parts(source, Encoding::day_of_week()), Ok(vec![3, 1]));
    }
    assert_eq!(parts(column_of(), Encoding::hour_of_day()), Ok(vec![24, 24]));
    let of_day = || column(Arc::new(Time64NanosecondArray::from_iter_values([3_599_999_999_999, 3_600_000_000_000])));
    assert_eq!(parts(of_day(), Encoding::hour_of_day()), Ok(vec![1, 2]));
    assert!(parts(of_day(), Encoding::day_of_week()).unwrap_err().contains("a time of day has no day of the week"));
    let plain = || column(Arc::new(Int64Array::from_iter_values([0, 86_400])));
    assert!(parts(plain(), Encoding::day_of_week()).unwrap_err().contains("Encoding::unit"));
    assert_eq!(parts(plain(), Encoding::day_of_week().unit(Unit::Timestamp)), Ok(vec![4, 5]));
}
