//! `inspect` as people start it: what it prints and answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tidemill::prelude::*;

const ROWS: usize = 3000;

/// Columns that call for different treatment, in order of `id`.
fn file(folder: &Path) -> PathBuf {
    let path = folder.join("rides.parquet");
    let all = all_rows;
    let columns = [
        ("id", ValueType::I64),
        ("constant", ValueType::F64),
        ("skewed", ValueType::F64),
        ("even", ValueType::F64),
        ("flag", ValueType::Bool),
        ("city", ValueType::Text),
        ("street", ValueType::Text),
        ("receipt", ValueType::Text),
        ("fare", ValueType::F64),
    ];
    let texts = |text: &dyn Fn(usize) -> String| all().map(text).collect::<Vec<_>>();
    let (cities, streets) =
        (texts(&|i| ["Oslo", "Rome", "Nice"][i % 3].into()), texts(&|i| format!("street {}", i % 50)));
    let receipts = texts(&|i| format!("receipt {i}"));
    fn view(texts: &[String]) -> Vec<&str> {
        texts.iter().map(String::as_str).collect()
    }
    let mut writer = ParquetWriter::create(&path, columns).unwrap();
    writer
        .write(&[
            Values::I64(&all().map(|i| i as i64 + 10).collect::<Vec<_>>()),
            Values::F64(&[7.0; ROWS]),
            Values::F64(&all().map(|i| if i == 5 { 1e6 } else { (i % 10) as f64 }).collect::<Vec<_>>()),
            Values::F64(&all().map(|i| (i * i % 101) as f64 / 2.0).collect::<Vec<_>>()),
            Values::Bool(&all().map(|i| i % 4 == 0).collect::<Vec<_>>()),
            Values::Text(&view(&cities)),
            Values::Text(&view(&streets)),
            Values::Text(&view(&receipts)),
            Values::F64(&all().map(|i| (i % 7) as f64 + 0.5).collect::<Vec<_>>()),
        ])
        .unwrap();
    writer.finish().unwrap();
    path
}

fn all_rows() -> std::ops::Range<usize> {
    0..ROWS
}

fn inspect(file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemill-experiments")).arg("inspect").arg(file).args(arguments).output().unwrap()
}

fn json(file: &Path, arguments: &[&str]) -> Value {
    let output = inspect(file, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_column_is_told_and_treated_by_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let found = json(&file(folder.path()), &["--target", "fare"]);
    assert_eq!((&found["rows"], &found["rows_read"], &found["read_all"]), (&3000.into(), &3000.into(), &true.into()));
    // Six columns of numbers and three of texts.
    assert_eq!(found["memory_f32"], 3000 * (6 * 4 + 3 * 4));
    assert_eq!(found["memory_f64"], 3000 * (6 * 8 + 3 * 4));
    let column = |name: &str| found["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone();
    assert_eq!(column("street")["seen"]["distinct"], 50);
    assert_eq!(column("city")["seen"]["most_frequent"][0], serde_json::json!(["Nice", 1000]));
    assert_eq!(column("skewed")["seen"]["numbers"]["max"], 1e6);
    assert_eq!(column("even")["nulls"], 0);
    assert!(column("receipt")["bytes"].as_u64().unwrap() > column("constant")["bytes"].as_u64().unwrap());
    let suggestion = &found["suggestion"];
    let encoding = |name: &str| {
        let used = suggestion["used"].as_array().unwrap().iter().find(|used| used["column"] == name);
        used.map(|used| used["encoding"].as_str().unwrap().to_owned())
    };
    assert_eq!(encoding("even").unwrap(), "standardize()");
    assert_eq!(encoding("skewed").unwrap(), "robust().clip(0.001, 0.999)");
    assert_eq!(encoding("flag").unwrap(), "real()");
    assert_eq!(encoding("city").unwrap(), "one_hot()");
    assert_eq!(encoding("street").unwrap(), "category()");
    let left_out: Vec<&str> =
        suggestion["left_out"].as_array().unwrap().iter().map(|l| l["column"].as_str().unwrap()).collect();
    assert_eq!(left_out, ["id", "constant", "receipt"]);
    assert_eq!(suggestion["strategy"], "batch");
    assert!(suggestion["rust"].as_str().unwrap().contains(r#".target("fare", Encoding::standardize())"#));
}

#[test]
fn conditions_pass_over_and_small_budgets_call_for_online_training() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let large = folder.path().join("large.parquet");
    let names = ["a", "b", "c", "d"];
    let mut writer = ParquetWriter::create(&large, names.map(|name| (name, ValueType::F64))).unwrap();
    let values: Vec<f64> = (0..200_000).map(|row| f64::from(row % 11)).collect();
    writer.write(&names.map(|_| Values::F64(&values))).unwrap();
    writer.finish().unwrap();
    // Four columns of 200,000 numbers of four bytes, twice.
    assert_eq!(json(&large, &["--budget", "7"])["suggestion"]["strategy"], "batch");
    assert_eq!(json(&large, &["--budget", "6"])["suggestion"]["strategy"], "online");
    let found = json(&path, &["--where", "even >= 0 and id < 1010"]);
    assert_eq!((&found["rows_read"], &found["row_groups_passed_over"]), (&1000.into(), &0.into()));
    assert!(found["suggestion"]["command"].as_str().unwrap().contains("--where 'even >= 0 and id < 1010'"));
    let none = json(&path, &["--where", "id > 99999", "--scan"]);
    assert_eq!((&none["row_groups_passed_over"], &none["rows_passed_over"]), (&1.into(), &3000.into()));
    assert_eq!(none["rows_read"], 0);
    let footers = json(&path, &["--footers"]);
    assert_eq!((&footers["rows_read"], &footers["columns"][0]["seen"]), (&0.into(), &Value::Null));
}

#[test]
fn the_text_is_aligned_and_what_it_suggests_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let output = inspect(&path, &["--target", "fare", "--scan"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let table: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("column ")).take(11).collect();
    let types = table[0].find("type").unwrap();
    for line in table.iter().filter(|line| !line.starts_with('-')) {
        assert!(
            line.is_char_boundary(types) && line.as_bytes()[types - 1] == b' ' && line.as_bytes()[types] != b' ',
            "{text}"
        );
    }
    assert!(text.contains("3,000 rows in 1 row group of up to 3,000 rows"), "{text}");
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    let command = text.lines().find(|line| line.starts_with("tidemill-experiments ")).unwrap();
    let arguments = command.split(' ').skip(1).chain(["--quick", "--strategies", "online", "--out"]);
    let mut run = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
    let output = run.args(arguments).arg(folder.path().join("out")).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let refused = |path: &Path, arguments: &[&str], expected: &[&str]| {
        let output = inspect(path, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.starts_with("error: ") && told.trim().lines().count() == 1, "{told}");
        assert!(output.stdout.is_empty());
        expected.iter().for_each(|part| assert!(told.contains(part), "{part:?} in {told:?}"));
    };
    refused(&path, &["--target", "fear"], &["rides.parquet", "there is no column fear", "fare"]);
    refused(&path, &["--where", "fare >"], &["--where", "expected a number or a text", "the end"]);
    refused(&path, &["--where", "fear > 1"], &["rides.parquet", "there is no column fear"]);
    refused(&folder.path().join("none.parquet"), &[], &["none.parquet", "No such file"]);
    let bytes = fs::read(&path).unwrap();
    let half = folder.path().join("half.parquet");
    fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    refused(&half, &[], &["half.parquet", "not a Parquet file"]);
    assert_eq!(inspect(&path, &["--scan", "--footers"]).status.code(), Some(2));
}

/// Runs the command that an inspection prints, in a short comparison, as a shell takes it.
fn run_suggested(command: &str, out: &Path) -> Output {
    let script = command.replacen("tidemill-experiments", "\"$0\"", 1);
    let script = format!("{script} --quick --strategies online --out \"$1\"");
    let program = env!("CARGO_BIN_EXE_tidemill-experiments");
    Command::new("bash").args(["-c", &script, program]).arg(out).output().unwrap()
}

/// What is suggested runs, and does what was suggested; where nothing is, there is a reason. Says which it was.
fn check_suggested(path: &Path, target: &str, more: &[&str]) -> bool {
    let found = json(path, &[&[format!("--target={target}").as_str()], more].concat());
    let suggestion = &found["suggestion"];
    let what = format!("{} {target} {more:?}: {suggestion:#}", path.display());
    let Some(command) = suggestion["command"].as_str() else {
        assert!(!suggestion["obstacle"].as_str().unwrap().is_empty(), "{what}");
        return false;
    };
    let folder = tempfile::tempdir().unwrap();
    let output = run_suggested(command, folder.path());
    assert!(output.status.success(), "{}\n{what}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&fs::read(folder.path().join("results.json")).unwrap()).unwrap();
    let notes: Vec<&str> = results["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    let list = |key: &str, first: &str, second: &str| {
        let entries = suggestion[key].as_array().unwrap().iter();
        entries
            .map(|e| (e[first].as_str().unwrap().to_owned(), e[second].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let used: Vec<String> =
        list("used", "column", "encoding").iter().map(|(column, encoding)| format!("{column} {encoding}")).collect();
    assert!(notes.contains(&format!("Columns used: {}.", used.join(", ")).as_str()), "{notes:#?}\n{what}");
    let left_out: Vec<String> =
        list("left_out", "column", "why").iter().map(|(column, why)| format!("{column} ({why})")).collect();
    let expected = format!("Columns left out: {}.", left_out.join(", "));
    assert!(left_out.is_empty() || notes.contains(&expected.as_str()), "{notes:#?}\n{what}");
    let target_kind = results["task"]["kind"].as_str().unwrap();
    let rust = suggestion["rust"].as_str().unwrap();
    let encoding = match target_kind {
        "binary" => "Encoding::above(",
        "multiclass" => "Encoding::class()",
        _ => "Encoding::standardize()",
    };
    assert!(rust.contains(&format!(".target({target:?}, {encoding}")), "{target_kind}\n{what}");
    true
}

fn parquet_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    files.sort();
    files
}

#[test]
fn cases_all_that_is_suggested_for_the_cases_runs_and_does_what_was_said() {
    let mut run = 0;
    for path in parquet_files("tests/cases") {
        let description = tidemill::parquet::describe(&path).unwrap();
        for column in &description.columns {
            run += usize::from(check_suggested(&path, &column.name, &[]));
        }
    }
    assert!(run > 40, "{run} commands");
}

/// Files of other writers; a few of their many columns as targets, others of each file.
#[test]
fn all_that_is_suggested_for_files_of_other_writers_runs() {
    let mut run = 0;
    for (place, path) in parquet_files("../data-parquet/tests/corpus/files").iter().enumerate() {
        let description = tidemill::parquet::describe(path).unwrap();
        for column in description.columns.iter().skip(place % 7).step_by(7) {
            run += usize::from(check_suggested(path, &column.name, &[]));
        }
    }
    assert!(run > 10, "{run} commands");
}

#[test]
fn conditions_and_folders_are_part_of_what_is_suggested() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    assert!(check_suggested(&path, "fare", &["--where", "city = 'Oslo' or fare > 3"]));
    assert!(check_suggested(&path, "city", &["--where", "even > 3"]));
    assert!(check_suggested(folder.path(), "fare", &[]));
    let other = folder.path().join("it's another.parquet");
    fs::copy(&path, &other).unwrap();
    assert!(check_suggested(&other, "fare", &[]));
    // All files of a folder are one comparison's; some of them are not.
    let of = |files: &[&Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
        let output = command.arg("inspect").args(files).args(["--target", "fare", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["suggestion"].clone()
    };
    let both = of(&[&path, &other]);
    assert!(both["command"].as_str().unwrap().contains(&format!("--data {} ", folder.path().display())), "{both}");
    fs::copy(&path, folder.path().join("third.parquet")).unwrap();
    assert!(of(&[&path, &other])["obstacle"].as_str().unwrap().contains("all files of one folder"));
}

/// Weekdays and hours where a column has several, and nothing of times that go on.
#[test]
fn cases_times_are_encoded_where_it_makes_sense() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let used = |name: &str| {
        let found = json(&cases.join(name), &["--target", "y"]);
        let used = found["suggestion"]["used"].as_array().unwrap().clone();
        used.iter().map(|u| format!("{} {}", u["column"], u["encoding"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(
        used("times.parquet"),
        [
            "hourly hour_of_day()",
            "hourly day_of_week()",
            "midnights day_of_week()",
            "date day_of_week()",
            "time hour_of_day()",
            "lasts standardize()",
            "x standardize()"
        ]
    );
    assert_eq!(used("dates.parquet"), ["day day_of_week()"]);
    let found = json(&cases.join("one-time.parquet"), &["--target", "y"]);
    assert!(found["suggestion"]["command"].as_str().unwrap().contains("--order when"));
    assert_eq!(used("one-time.parquet"), ["when hour_of_day()", "when day_of_week()", "x standardize()"]);
}

/// Numbers too long for floating point are told apart, and are names rather than amounts.
#[test]
fn cases_long_integers_are_counted_exactly() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let found = json(&cases.join("big-ids.parquet"), &["--target", "y"]);
    let id = &found["columns"][0];
    assert_eq!((&id["name"], &id["seen"]["distinct"]), (&"id".into(), &8.into()));
    assert_eq!(found["suggestion"]["used"][0]["encoding"], "one_hot()");
}

fn numbers(path: &Path, columns: &[(&str, Vec<f64>)]) {
    let mut writer = ParquetWriter::create(path, columns.iter().map(|(name, _)| (*name, ValueType::F64))).unwrap();
    writer.write(&columns.iter().map(|(_, values)| Values::F64(values)).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_few_rows_are_looked_at_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.parquet");
    numbers(&path, &[("x", vec![1.0, 2.0]), ("c", vec![3.0, 3.0]), ("y", vec![0.0, 1.0])]);
    let found = json(&path, &["--target", "y"]);
    let suggestion = &found["suggestion"];
    assert_eq!(suggestion["used"][0]["column"], "x");
    assert_eq!(suggestion["left_out"][0]["column"], "c");
    assert_eq!(suggestion["left_out"][0]["why"], "every row to train on has the same value");
    assert!(suggestion["obstacle"].as_str().unwrap().contains("there are 2 rows"), "{suggestion}");
    // Of many, those that are trained on tell.
    let path = folder.path().join("many.parquet");
    let step = |row: u32| f64::from(u8::from(row >= 80));
    numbers(&path, &[("late", (0..100).map(step).collect()), ("y", (0..100).map(|row| f64::from(row % 2)).collect())]);
    let found = json(&path, &["--target", "y"]);
    assert_eq!(found["suggestion"]["left_out"][0]["why"], "every row to train on has the same value");
}

#[test]
fn columns_that_the_first_file_lacks_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir_all(data.join("k=1")).unwrap();
    numbers(&data.join("a.parquet"), &[("x", vec![1.0, 2.0])]);
    numbers(&data.join("k=1/b.parquet"), &[("x", vec![1.0, 2.0])]);
    let output = inspect(&data, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("note: column k of") && said.contains("a.parquet, has no such column"), "{said}");
}
