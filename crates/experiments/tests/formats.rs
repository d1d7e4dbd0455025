//! Data of every format that is read, by both commands, as people have it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data-arrow/tests/fixtures");

fn program(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `inspect` finds.
fn inspect(folder: &Path, arguments: &[&str]) -> Value {
    let output = program(folder, &[&["inspect", "--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `inspect` says is wrong.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder, &[&["inspect"], arguments].concat());
    assert!(!output.status.success(), "{arguments:?}");
    said(&output)
}

/// Names and types of the columns.
fn columns(found: &Value) -> Vec<String> {
    let text = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
    found["columns"].as_array().unwrap().iter().map(|c| text(c, "name") + " " + &text(c, "data_type")).collect()
}

/// Rows from which the target can be learnt.
fn rows(range: std::ops::Range<usize>) -> String {
    range.map(|row| format!("{row},{},c{},{}\n", (row * 7) % 100, row % 3, usize::from((row * 7) % 100 > 50))).collect()
}

fn csv(range: std::ops::Range<usize>) -> String {
    format!("id,speed,gear,late\n{}", rows(range))
}

fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

const COLUMNS: [&str; 4] = ["id int64", "speed int64", "gear string", "late int64"];

/// The same rows under many names; the content tells, then the name.
#[test]
fn cases_every_format_is_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::copy(format!("{FIXTURES}/rows.csv.gz"), folder.join("case.csv.gz")).unwrap();
    let found = inspect(folder, &["case.csv.gz"]);
    assert_eq!((found["rows"].as_u64(), columns(&found)), (Some(2), vec!["a int64".into(), "b int64".into()]));
    assert_eq!(found["files"][0], "case.csv.gz");
    let text = csv(0..40);
    for (name, bytes) in [
        ("a.csv", text.clone()),
        ("a.tsv", text.replace(',', "\t")),
        ("a.txt", text.replace(',', ";")),
        ("a.parquet", text.clone()),
        ("a.data", text.replace(',', "|")),
        ("crlf.csv", format!("\u{feff}{}", text.replace('\n', "\r\n"))),
    ] {
        put(folder, name, bytes);
        let found = inspect(folder, &[name]);
        assert_eq!(
            (found["rows"].as_u64(), columns(&found).as_slice()),
            (Some(40), &COLUMNS.map(String::from)[..]),
            "{name}"
        );
    }
    for name in ["rows.arrow", "rows.arrows", "zstd.arrow", "lz4.arrows", "polars.arrow"] {
        let from = format!("{FIXTURES}/{name}");
        for to in ["b.arrow", "b.csv", "b"] {
            fs::copy(&from, folder.join(to)).unwrap();
            let found = inspect(folder, &[to]);
            assert_eq!((found["rows"].as_u64(), found["files"][0].as_str()), (Some(50), Some(to)), "{name} as {to}");
        }
    }
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 10, "inspect leaves nothing behind: {left:?}");
}

#[test]
fn csv_is_read_as_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put(folder, "codes.csv", format!("zip,n\n{}", "01234,1\n00001,-\n".repeat(12)));
    let output = program(folder, &["inspect", "codes.csv"]);
    assert!(said(&output).contains("note: column zip: integers begin with zeros"), "{}", said(&output));
    assert!(said(&output).contains("keep them by --text zip"), "{}", said(&output));
    let asked = ["codes.csv", "--text", "zip", "--missing", "-"];
    assert_eq!(columns(&inspect(folder, &asked)), ["zip string", "n int64"]);
    let command = inspect(folder, &asked)["suggestion"]["command"].as_str().unwrap().to_owned();
    assert!(command.contains("experiment --data codes.csv --missing - --text zip"), "{command}");
    put(folder, "bare.csv", "1,2\n3,4\n");
    let output = program(folder, &["inspect", "bare.csv"]);
    assert!(said(&output).contains("--no-header says the same, --header the contrary"), "{}", said(&output));
    assert_eq!(columns(&inspect(folder, &["bare.csv"])), ["column_1 int64", "column_2 int64"]);
    assert_eq!(columns(&inspect(folder, &["bare.csv", "--header"])), ["1 int64", "2 int64"]);
    assert_eq!(inspect(folder, &["bare.csv", "--no-header"])["rows"], 2);
    put(folder, "odd.csv", "a^b\n1^2\n");
    assert_eq!(columns(&inspect(folder, &["odd.csv", "--delimiter", "^"])), ["a int64", "b int64"]);
    // Exact to 64 bits, as far as the converted file goes.
    put(folder, "ids.csv", "id,when,at\n9007199254740993,2024-01-01,2024-01-01 10:00:00\n");
    assert_eq!(columns(&inspect(folder, &["ids.csv"])), ["id int64", "when date", "at timestamp[us]"]);
}

/// What Parquet has no type for is left out, and said so; all other types stay as they are.
#[test]
fn types_of_arrow_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{FIXTURES}/interval.arrow");
    let expected =
        ["city dictionary<string>", "price decimal(9,2)", "at timestamp[ns, UTC]", "big uint64"].map(String::from);
    assert_eq!(columns(&inspect(folder.path(), &[&file])), expected);
    let output = program(folder.path(), &["inspect", &file]);
    assert!(said(&output).contains("note: column span is left out"), "{}", said(&output));
}

#[test]
fn folders_patterns_and_pipes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put(folder, "parts/1.csv", csv(0..20));
    put(folder, "parts/2.csv", csv(20..40));
    put(folder, "parts/_SUCCESS", "");
    for asked in ["parts", "parts/*.csv", "**/[12].csv"] {
        let found = inspect(folder, &[asked]);
        assert_eq!((found["rows"].as_u64(), found["files"][0].as_str()), (Some(40), Some(asked)));
        assert_eq!(columns(&found), COLUMNS);
    }
    assert!(refused(folder, &["parts/*.arrow"]).contains("parts/*.arrow: no file matches this pattern"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"))
        .args(["inspect", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(csv(0..30).as_bytes()).unwrap();
    let found: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((found["rows"].as_u64(), columns(&found).as_slice()), (Some(30), &COLUMNS.map(String::from)[..]));
}

#[test]
fn what_cannot_be_read_is_named_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        put(folder, name, bytes);
        let error = refused(folder, &[name]);
        assert!(error.contains(name) && error.contains(expected), "{name}: {error}");
    };
    let formats = "expected Parquet, CSV (.csv, .tsv, .txt; gzip and Zstandard are decompressed) or Arrow IPC";
    check("a.xlsx", b"PK\x03\x04\x14\0", formats);
    check("a.json", b"[{\"a\": 1, \"b\": 2},\n{\"a\": 1, \"b\": 2}]\n", formats);
    check("a.bin", &[1, 2, 0, 3], formats);
    check("a.md", b"Some words.\n", formats);
    check("words", b"Some words.\n", formats);
    check("a.csv", b"", "it is empty");
    check("latin.csv", b"a,b\n1,x\n2,caf\xe9\n", "line 3: byte 6 of the line is 0xE9, which is not UTF-8; convert");
    check("ragged.csv", b"a,b\n1,2\n3\n", "line 3: expected fields: 2, found 1");
    check("junk.parquet", &[7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 7, 0], "not a Parquet file");
    put(folder, "good.csv", csv(0..3));
    fs::copy(format!("{FIXTURES}/rows.arrow"), folder.join("good.arrow")).unwrap();
    assert!(refused(folder, &["good.csv", "good.arrow"]).contains("expected files of one format"));
    assert!(refused(folder, &["good.arrow", "--text", "a"]).contains("--text is for CSV"));
    assert!(refused(folder, &["good.csv", "--text", "none"]).contains("there is no column none; it has id, speed"));
    let error = refused(folder, &["good.csv", "--target", "none"]);
    assert!(error.contains("good.csv: there is no column none") && !error.contains("tidemill-"), "{error}");
}

/// A comparison takes what `inspect` takes, keeps the converted file, and makes it again when the data changes.
#[test]
fn cases_comparisons_are_made_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let compare = |data: &str, more: &[&str]| {
        let arguments =
            ["experiment", "--quick", "--strategies", "online", "--out", "out", "--target", "late", "--data", data];
        let output = program(folder, &[&arguments, more].concat());
        assert!(output.status.success(), "{data}: {}", said(&output));
        let results: Value = serde_json::from_slice(&fs::read(folder.join("out/results.json")).unwrap()).unwrap();
        let number = |key: &str| results["data"][key].as_u64().unwrap();
        assert_eq!(results["data"]["source"], data);
        (number("rows"), results["data"]["name"].as_str().unwrap().to_owned(), said(&output))
    };
    put(folder, "rides.csv", csv(0..400));
    assert_eq!(compare("rides.csv", &[]).0, 400);
    let again = compare("rides.csv", &[]);
    assert!(again.2.contains("is used again, as nothing has changed"), "{}", again.2);
    // A later time of writing is not needed to notice another text.
    let time = folder.join("rides.csv").metadata().unwrap().modified().unwrap();
    put(folder, "rides.csv", csv(0..300));
    fs::File::options().write(true).open(folder.join("rides.csv")).unwrap().set_modified(time).unwrap();
    let changed = compare("rides.csv", &[]);
    assert_eq!((changed.0, changed.1.as_str(), changed.2.contains("used again")), (300, "rides", false));
    let text = compare("rides.csv", &["--text", "id"]);
    assert!(!text.2.contains("used again"), "other options: {}", text.2);
    put(folder, "parts/1.csv", csv(0..100));
    put(folder, "parts/2.csv", csv(100..250));
    let parts = compare("parts/*.csv", &[]);
    assert_eq!((parts.0, parts.1.as_str()), (250, "parts"));
    // Parquet files by a pattern: those that were just made.
    fs::create_dir(folder.join("tables")).unwrap();
    fs::copy(folder.join("out/imported.parquet"), folder.join("tables/1.parquet")).unwrap();
    fs::copy(folder.join("out/imported.parquet"), folder.join("tables/2.parquet")).unwrap();
    assert_eq!(compare("tables/*.parquet", &[]).0, 500);
}

#[test]
fn folders_of_keys_are_read_as_those_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "sales/year=9007199254740992/place=a%20b/a.csv", csv(0..30));
    put(folder.path(), "sales/year=9007199254740993/place=__HIVE_DEFAULT_PARTITION__/a.csv", csv(30..50));
    let found = inspect(folder.path(), &["sales", "--target", "late"]);
    assert_eq!(columns(&found), ["id int64", "speed int64", "gear string", "late int64", "year int64", "place string"]);
    let column = |name: &str| found["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
    assert_eq!((&column("year")["seen"]["distinct"], &column("place")["nulls"]), (&2.into(), &20.into()));
    let rust = found["suggestion"]["rust"].as_str().unwrap();
    assert!(rust.contains("PathKeys::of(files)") && rust.contains("year=9007199254740993"), "{rust}");
    let one = inspect(folder.path(), &["sales", "--where", "year = 9007199254740993"]);
    assert_eq!(one["rows_read"], 20);
    let options = ["experiment", "--quick", "--data", "sales", "--target", "late", "--order", "id", "--out", "out"];
    let output = program(folder.path(), &options);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn what_is_not_read_of_a_folder_is_said() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "some/a.csv", csv(0..30));
    put(folder.path(), "some/deep/b.csv", csv(0..30));
    let output = program(folder.path(), &["inspect", "some"]);
    assert!(output.status.success() && said(&output).contains("some/deep/b.csv are not"), "{}", said(&output));
    put(folder.path(), "deep/x/a.csv", csv(0..30));
    put(folder.path(), "deep/y/b.csv", csv(30..50));
    assert_eq!(inspect(folder.path(), &["deep"])["rows"], 50);
    put(folder.path(), "none/x/a.json", "{}");
    assert!(refused(folder.path(), &["none"]).contains("none: there is no file of Parquet, CSV or Arrow IPC in it"));
}

#[test]
fn numbers_with_other_marks_are_read_by_the_options_that_a_note_names() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|row| format!("{row};{},{};{}\n", row / 4, row % 4 * 25, row % 2)).collect();
    put(folder.path(), "prices.csv", format!("id;price;y\n{rows}"));
    let output = program(folder.path(), &["inspect", "prices.csv"]);
    assert!(
        said(&output).contains("column price: numbers written as 0,0 are kept as texts; say what"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("--decimal") && said(&output).contains("--thousands"));
    let found = inspect(folder.path(), &["prices.csv", "--target", "y", "--decimal", ","]);
    assert_eq!(columns(&found)[1], "price float64");
    let rust = found["suggestion"]["rust"].as_str().unwrap();
    assert!(rust.contains(".decimal(b',')"), "{rust}");
    let command = found["suggestion"]["command"].as_str().unwrap();
    assert!(command.contains("--decimal ,"), "{command}");
    put(
        folder.path(),
        "late.csv",
        format!("id;x\n{}50;abc\n", (0..40).map(|row| format!("{row};{row}.5\n")).collect::<String>()),
    );
    let output = program(folder.path(), &["inspect", "late.csv"]);
    assert!(said(&output).contains("1 value of 41 is no number, such as abc"), "{}", said(&output));
    assert_eq!(columns(&inspect(folder.path(), &["late.csv", "--missing", "abc"]))[1], "x float64");
}

#[test]
fn a_type_that_no_encoder_knows_is_left_out_in_one_line() {
    let case = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/interval.arrow");
    let output = program(Path::new("."), &["inspect", case]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.trim(), "note: column gap is left out: Interval(MonthDayNano) cannot be read");
}
