//! CSV as people and programs write it: what is told from it, and what it says of what it is not.

use std::io::Write;
use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;
use tidemill_data::{Batch, Cursor, Error, Interrupt, Source};
use tidemill_data_arrow::{CsvBuilder, CsvHeader, CsvType, Table};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn all(mut table: Table) -> (RecordBatch, Vec<String>) {
    let mut batches = Vec::new();
    while let Some(batch) = table.next_batch().unwrap() {
        batches.push(batch);
    }
    let notes = table.notes().iter().map(ToString::to_string).collect();
    (concat_batches(table.schema(), &batches).unwrap(), notes)
}

fn table(text: impl AsRef<[u8]>, with: impl FnOnce(CsvBuilder) -> CsvBuilder) -> (RecordBatch, Vec<String>) {
    let folder = Folder::new();
    all(with(CsvBuilder::file(folder.put("t.csv", text))).table(|_| ()).unwrap())
}

fn error(text: impl AsRef<[u8]>, with: impl FnOnce(CsvBuilder) -> CsvBuilder) -> String {
    let folder = Folder::new();
    let path = folder.put("t.csv", text);
    let error = with(CsvBuilder::file(&path)).table(|_| ()).err().unwrap().to_string();
    error.replace(&path.display().to_string(), "t.csv")
}

fn types(records: &RecordBatch) -> Vec<String> {
    records.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

fn texts(records: &RecordBatch, column: usize) -> Vec<Option<String>> {
    records.column(column).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn integers(records: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    records.column(column).as_primitive::<Int64Type>().iter().collect()
}

/// Rows of an f64 column, by the source that trains.
fn reals(builder: CsvBuilder, column: &str) -> Result<Vec<f64>, Error> {
    let mut source = builder.columns([column]).build::<f64>()?;
    let mut batch = Batch::new(source.schema().clone());
    let mut rows = Vec::new();
    loop {
        batch.clear();
        if source.fill(&mut batch, 100)? == 0 {
            return Ok(rows);
        }
        rows.extend_from_slice(batch.reals(0));
    }
}

#[test]
fn cases_compressed_csv_is_read_whatever_its_name() {
    let file = include_bytes!("fixtures/rows.csv.gz");
    let (found, _) = table(file, |builder| builder);
    assert_eq!((integers(&found, 0), integers(&found, 1)), (vec![Some(1), Some(3)], vec![Some(2), Some(4)]));
    // Any row of what is compressed is gone to.
    let text: String = (0..200_000).map(|row| format!("{row}\n")).collect();
    let text = format!("a\n{text}");
    let folder = Folder::new();
    for bytes in [gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).unwrap()] {
        let path = folder.put("plain.csv", bytes);
        let mut source = CsvBuilder::file(&path).columns(["a"]).build::<f64>().unwrap();
        let mut batch = Batch::new(source.schema().clone());
        assert_eq!(source.skip(190_000).unwrap(), 190_000);
        for row in [0, 150_000, 199_999] {
            batch.clear();
            source.seek(if row == 0 { Cursor::start(0) } else { Cursor::start(0).push(row) }).unwrap();
            assert_eq!(source.fill(&mut batch, 1).unwrap(), 1);
            assert_eq!(batch.reals(0), [row as f64]);
        }
    }
    let cut = folder.put("cut.csv.gz", &gzip(text.as_bytes())[..10_000]);
    let error = CsvBuilder::file(&cut).table(|_| ()).err().unwrap().to_string();
    assert!(error.contains("cut.csv.gz") && error.contains("gzip cannot be decompressed"), "{error}");
}

/// Each type, with what is missing in between; no digit is lost.
#[test]
fn types_are_exact() {
    let text = "int,id,wide,real,flag,day,at,zoned,text\n\
                -9007199254740993,18446744073709551615,18446744073709551616,1e-3,true,2024-02-29,2024-01-01 10:00:00.5,\
                2024-01-01T10:00:00+02:00,x\n\
                NA,N/A,null,NULL,NaN,nan,,\"\",NA\n\
                9007199254740993,1,1,-inf,FALSE,1969-12-31,2024-01-01,2024-01-01T08:00Z, y \n";
    let (found, notes) = table(text, |builder| builder);
    let expected = [
        "int Int64",
        "id UInt64",
        "wide Utf8",
        "real Float64",
        "flag Boolean",
        "day Date32",
        "at Timestamp(µs)",
        "zoned Timestamp(µs, \"UTC\")",
        "text Utf8",
    ];
    assert_eq!(types(&found), expected);
    assert_eq!(notes, ["column wide: integers of more than 64 bits are kept as texts"]);
    (0..9)
        .for_each(|column| assert_eq!((found.column(column).null_count(), found.column(column).is_null(1)), (1, true)));
    assert_eq!(integers(&found, 0), [Some(-9_007_199_254_740_993), None, Some(9_007_199_254_740_993)]);
    assert_eq!(found.column(1).as_primitive::<UInt64Type>().value(0), u64::MAX);
    assert_eq!(texts(&found, 2)[0].as_deref(), Some("18446744073709551616"));
    assert_eq!(found.column(3).as_primitive::<Float64Type>().value(2), f64::NEG_INFINITY);
    assert!(found.column(4).as_boolean().value(0) && !found.column(4).as_boolean().value(2));
    // By Python's datetime.
    assert_eq!(found.column(5).as_primitive::<Date32Type>().values()[..1], [19_782]);
    let at = found.column(6).as_primitive::<TimestampMicrosecondType>();
    assert_eq!((at.value(0), at.value(2)), (1_704_103_200_500_000, 1_704_067_200_000_000));
    let zoned = found.column(7).as_primitive::<TimestampMicrosecondType>();
    assert_eq!((zoned.value(0), zoned.value(2)), (1_704_096_000_000_000, 1_704_096_000_000_000));
    assert_eq!(texts(&found, 8), [Some("x".into()), None, Some(" y ".into())]);
}

#[test]
fn types_are_told_from_all_rows() {
    let rows: String = (0..30_000).map(|row| format!("{row},{row},{row}\n")).collect();
    let (found, _) = table(format!("a,b,c\n{rows}x,0.5,NA\n"), |builder| builder);
    assert_eq!(types(&found), ["a Utf8", "b Float64", "c Int64"]);
    assert_eq!(texts(&found, 0)[29_999].as_deref(), Some("29999"));
    assert_eq!(texts(&found, 0)[30_000].as_deref(), Some("x"));
    // A source, which sees its first rows alone, says where and what to do.
    let folder = Folder::new();
    let path = folder.put("t.csv", format!("a,b,c\n{rows}x,0.5,NA\n"));
    let late = reals(CsvBuilder::file(&path), "a").unwrap_err().to_string();
    assert!(
        late.contains("line 30002, column a: it is \"x\", expected a number; say otherwise by column_type("),
        "{late}"
    );
    assert_eq!(reals(CsvBuilder::file(&path), "b").unwrap()[30_000], 0.5);
}

#[test]
fn zeros_of_codes_are_kept_where_they_are_quoted_or_asked_for() {
    let text = "a,b,c\n\"007\",007,007\n\"12\",12,12\n";
    let (found, notes) = table(text, |builder| builder.column_type("c", CsvType::Text));
    assert_eq!(types(&found), ["a Utf8", "b Int64", "c Utf8"]);
    for column in [0, 2] {
        assert_eq!(texts(&found, column), [Some("007".into()), Some("12".into())]);
    }
    assert_eq!(notes, ["column b: integers begin with zeros, which are lost as they are read as numbers"]);
    // Quotes around all numbers do not make them texts.
    assert_eq!(types(&table("\"a\",\"b\"\n\"1\",\"0.5\"\n", |builder| builder).0), ["a Int64", "b Float64"]);
    let unknown = error(text, |builder| builder.column_type("d", CsvType::Text));
    assert_eq!(unknown, "t.csv: there is no column d; it has a, b, c");
}

#[test]
fn what_is_missing_can_be_said_otherwise() {
    let text = "a,b\n1,NA\n-,x\n,\n";
    let (found, _) = table(text, |builder| builder.nulls(["-"]));
    assert_eq!(types(&found), ["a Int64", "b Utf8"]);
    assert_eq!(integers(&found, 0), [Some(1), None, None]);
    assert_eq!(texts(&found, 1), [Some("NA".into()), Some("x".into()), None]);
    let (found, _) = table("a\n1\nNaN\n", |builder| builder.nulls([""; 0]));
    let reals = found.column(0).as_primitive::<Float64Type>();
    assert!(reals.is_valid(1) && reals.value(1).is_nan());
    assert_eq!(types(&table("a,b\n1,\n2,NA\n", |builder| builder).0)[1], "b Float64", "nothing but missing values");
}

#[test]
fn the_delimiter_is_told_or_said() {
    for (byte, note) in [(',', None), ('\t', Some("tabs")), (';', Some("';'")), ('|', Some("'|'"))] {
        let text =
            "a,b,c\n1,\"x\n,;|\t\",0.5\n".replacen(',', &byte.to_string(), 2).replace("\n1,", &format!("\n1{byte}"));
        let text = text.replace(",0.5", &format!("{byte}0.5"));
        let (found, notes) = table(&text, |builder| builder);
        assert_eq!(types(&found), ["a Int64", "b Utf8", "c Float64"], "{text:?}");
        assert_eq!(texts(&found, 1), [Some("x\n,;|\t".into())]);
        assert_eq!(notes.len(), usize::from(note.is_some()));
        assert!(note.is_none_or(|note| notes[0].contains(note)), "{notes:?}");
    }
    let (found, _) = table("a:b\n1:2\n", |builder| builder.delimiter(b':'));
    assert_eq!(types(&found), ["a Int64", "b Int64"]);
    assert_eq!(types(&table("a;b\n1,5;x\n", |builder| builder).0), ["a Utf8", "b Utf8"], "decimal commas");
}

#[test]
fn a_missing_header_is_told() {
    let names = ["column_1 Int64", "column_2 Float64"];
    let (found, notes) = table("1,0.5\n2,\n", |builder| builder);
    assert_eq!((types(&found).as_slice(), found.num_rows()), (&names.map(String::from)[..], 2));
    assert!(notes[0].contains("the first line holds numbers alone"), "{notes:?}");
    let (found, notes) = table("1,0.5\n2,\n", |builder| builder.header(CsvHeader::Absent));
    assert_eq!((types(&found).as_slice(), notes.len()), (&names.map(String::from)[..], 0));
    let (found, _) = table("2023,2024\n2,\n", |builder| builder.header(CsvHeader::Present));
    assert_eq!(types(&found), ["2023 Int64", "2024 Float64"]);
    let (found, _) = table("x,1\ny,2\n", |builder| builder.header(CsvHeader::Absent));
    assert_eq!((types(&found)[0].as_str(), found.num_rows()), ("column_1 Utf8", 2));
    let (_, notes) = table("x,1\ny,2\n", |builder| builder);
    assert_eq!(notes, ["the first line is taken for the header, though it holds the number 1"]);
    assert_eq!(reals(CsvBuilder::reader("t", &b"1,2\n3,4\n"[..]), "column_2").unwrap(), [2.0, 4.0]);
}

#[test]
fn names_that_come_twice_are_numbered_or_refused() {
    let text = "a,b,a,\n1,2,3,4\n";
    let (found, notes) = table(text, |builder| builder);
    assert_eq!(types(&found), ["a Int64", "b Int64", "a_2 Int64", "column_4 Int64"]);
    assert_eq!(integers(&found, 2), [Some(3)]);
    let expected =
        ["column 4 has no name and is called column_4", "column 3 has the name a of an earlier one and is called a_2"];
    assert_eq!(notes, expected);
    let twice = reals(CsvBuilder::reader("t", text.as_bytes()), "a").unwrap_err().to_string();
    assert!(twice.starts_with("t: columns [1, 3] are all named a"), "{twice}");
    assert_eq!(reals(CsvBuilder::reader("t", text.as_bytes()), "b").unwrap(), [2.0]);
    assert_eq!(reals(CsvBuilder::reader("t", text.as_bytes()), "a_2").unwrap(), [3.0]);
}

/// Ends of lines, marks of the byte order, quotes over several lines.
#[test]
fn text_may_come_from_any_program() {
    let expected = [Some("x\n\"y\"".to_owned()), Some("z".to_owned())];
    for text in ["a,b\n1,\"x\n\"\"y\"\"\"\n\n2,z", "\u{feff}a,b\r\n1,\"x\n\"\"y\"\"\"\r\n2,z\r\n"] {
        let (found, _) = table(text, |builder| builder);
        assert_eq!(types(&found), ["a Int64", "b Utf8"]);
        assert_eq!(texts(&found, 1), expected);
    }
    assert_eq!(table("a\n1\n2\n", |builder| builder).0.num_rows(), 2, "one column");
    let (found, _) = table("a,b\n", |builder| builder);
    assert_eq!((types(&found).as_slice(), found.num_rows()), (&["a Float64", "b Float64"].map(String::from)[..], 0));
}

#[test]
fn what_is_wrong_is_told_by_line_and_byte() {
    let check = |text: &[u8], expected: &str| assert_eq!(error(text, |builder| builder), expected);
    check(b"", "t.csv: it is empty, not even a header is there");
    check(
        b"a,b\n1,2\n\"x\ny\",3\n4\n",
        "t.csv, line 5: expected fields: 2, found 1; quote fields that hold the delimiter, and remove lines of comments",
    );
    check(
        b"a,b\n1,2\n1,2,3\n",
        "t.csv, line 3: expected fields: 2, found 3; quote fields that hold the delimiter, and remove lines of comments",
    );
    check(b"a,b\n1,\"2\n", "t.csv, line 2: it ends inside quotes; is it whole?");
    let latin = "t.csv, line 3: byte 4 of the line is 0xE9, which is not UTF-8; convert the text, as from Latin-1 by \
                 `iconv -f LATIN1 -t UTF-8`";
    check(b"a,b\n1,x\n2,x\xe9\n", latin);
    let once = CsvBuilder::reader("pipe", &b"a\n1\n"[..]).table(|_| ()).err().unwrap().to_string();
    assert_eq!(once, "pipe: types are told from all rows, and it can be read once only");
}

#[test]
fn many_columns_are_read() {
    let line = |value: &dyn Fn(usize) -> String| (0..10_000).map(value).collect::<Vec<_>>().join(",") + "\n";
    let text = line(&|i| format!("c{i}")) + &(0..20).map(|row| line(&|i| (i * row).to_string())).collect::<String>();
    let (found, _) = table(&text, |builder| builder);
    assert_eq!((found.num_columns(), found.num_rows()), (10_000, 20));
    assert_eq!(integers(&found, 9_999)[19], Some(189_981));
    let small = error(&text, |builder| builder.budget(1 << 20));
    assert!(small.contains("a table of 10000 columns needs 10240000 bytes"), "{small}");
}

#[test]
fn files_have_one_header_and_types_of_all() {
    let folder = Folder::new();
    let files = [folder.put("1.csv", "a,b\n1,x\n"), folder.put("2.csv", gzip(b"a,b\n0.5,y\n"))];
    let (found, _) = all(CsvBuilder::files(&files).table(|_| ()).unwrap());
    assert_eq!((types(&found).as_slice(), found.num_rows()), (&["a Float64", "b Utf8"].map(String::from)[..], 2));
    let other = folder.put("3.csv", "a,c\n1,x\n");
    let error = CsvBuilder::files([&files[0], &other]).table(|_| ()).err().unwrap().to_string();
    assert!(error.starts_with(&format!("{}: its header is a,c, expected a,b", other.display())), "{error}");
}

#[test]
fn reading_can_be_interrupted() {
    let folder = Folder::new();
    let path = folder.put("t.csv", "a\n1\n");
    let stop = Interrupt::new();
    stop.set();
    assert!(matches!(CsvBuilder::file(&path).watch(&stop).table(|_| ()), Err(Error::Interrupted)));
}

#[test]
fn numbers_may_be_written_with_other_marks() {
    let text = "a;b;c\n1,5;1.234;x,y\n-0,25;1.234.567,5;1.5\n;12;z\n";
    let (records, _) = table(text, |csv| csv.decimal(b',').thousands(b'.'));
    assert_eq!(types(&records), ["a Float64", "b Float64", "c Utf8"]);
    let column = |column: usize| records.column(column).as_primitive::<Float64Type>().iter().collect::<Vec<_>>();
    assert_eq!(column(0), [Some(1.5), Some(-0.25), None]);
    assert_eq!(column(1), [Some(1234.0), Some(1_234_567.5), Some(12.0)]);
    assert_eq!(texts(&records, 2), ["x,y", "1.5", "z"].map(|text| Some(text.to_owned())));
    // What may have been meant as thousands is no decimal.
    let (records, _) = table("a;b\n1,5;1.500\n2;2,5\n", |csv| csv.decimal(b','));
    assert_eq!(types(&records), ["a Float64", "b Utf8"]);
    let (records, _) = table("a\tb\n12,345\t1\n1,000\t2\n", |csv| csv.thousands(b','));
    assert_eq!(
        (types(&records), integers(&records, 0)),
        (vec!["a Int64".into(), "b Int64".into()], vec![Some(12345), Some(1000)])
    );
    // A first line of such numbers is one of data.
    let (records, _) = table("0,5;1\n1,5;2\n", |csv| csv.decimal(b','));
    assert_eq!((records.num_rows(), types(&records)), (2, vec!["column_1 Float64".into(), "column_2 Int64".into()]));
    for (decimal, thousands) in [(b'a', b','), (b',', b','), (b'-', b'.')] {
        let text = error("a\n1\n", |csv| csv.decimal(decimal).thousands(thousands));
        assert!(text.contains("expected a mark"), "{text}");
    }
    let builder = CsvBuilder::reader("t", "a;y\n1,5;1\n".as_bytes()).decimal(b',').columns(["a"]).target("y");
    let mut source = builder.build::<f64>().unwrap();
    let mut batch = Batch::new(source.schema().clone());
    source.fill(&mut batch, 9).unwrap();
    assert_eq!(batch.reals(0), [1.5]);
}

#[test]
fn texts_that_look_like_numbers_or_times_are_noted() {
    let check = |values: &[&str], expected: Option<&str>| {
        let rows: String = values.iter().map(|value| format!("\"{value}\";1\n")).collect();
        let (_, notes) = table(format!("v;w\n{rows}"), |csv| csv.delimiter(b';'));
        match expected {
            Some(expected) => assert!(notes.len() == 1 && notes[0].contains(expected), "{values:?}: {notes:?}"),
            None => assert!(notes.is_empty(), "{values:?}: {notes:?}"),
        }
    };
    let numbers = ["1.5"; 20];
    check(&[&numbers[..], &["abc"]].concat(), Some("column v: 1 value of 21 is no number, such as abc"));
    check(&[&numbers[..], &["-", "-"]].concat(), Some("2 values of 22 are no numbers, such as -"));
    check(&[&numbers[..10], &["-", "?"]].concat(), None);
    check(&["1,5", "2,25"], Some("numbers written as 1,5 are kept as texts"));
    check(&["$1,500.25", "$3"], Some("numbers written as $1,500.25 are kept"));
    check(&["31.01.2021", "1.2.2021"], Some("dates or times written as 31.01.2021 are kept"));
    check(&["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], Some("all with a zone or none"));
    check(&["192.168.1.1", "10.0.0.1"], None);
    check(&["red", "green"], None);
    let (_, notes) = table("a~b\n1~2\n", |csv| csv);
    assert!(notes.len() == 1 && notes[0].starts_with("there is one column, of texts"), "{notes:?}");
    assert!(table("a~b\n1~2\n", |csv| csv.delimiter(b'~')).1.is_empty());
    let (_, notes) = table("v;w\n1,5;2\n", |csv| csv.delimiter(b';').column_type("v", CsvType::Text));
    assert!(notes.is_empty(), "{notes:?}");
}
