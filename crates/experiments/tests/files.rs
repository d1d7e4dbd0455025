//! Ordinary and odd files of a user's: each gives a comparison, or an error that says what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tidemill::data::Batch;
use tidemill::prelude::*;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidemill-experiments");

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

/// A short comparison by one way of training.
fn experiment(data: &Path, out: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["experiment", "--quick", "--strategies", "online", "--data"]).arg(data).arg("--out").arg(out);
    command.args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The results of a comparison that is well.
fn compared(data: &Path, arguments: &[&str]) -> Compared {
    let folder = tempfile::tempdir().unwrap();
    let output = experiment(data, folder.path(), arguments);
    assert!(output.status.success(), "{}: {}", data.display(), text(&output.stderr));
    let (results, spec) = (json(&folder.path().join("results.json")), json(&folder.path().join("spec.json")));
    Compared { results, spec, _folder: folder }
}

struct Compared {
    results: Value,
    spec: Value,
    _folder: TempDir,
}

impl Compared {
    fn notes(&self) -> String {
        self.results["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note.as_str().unwrap())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn loss(&self) -> f64 {
        let loss = self.results["runs"][0]["held_out"]["loss"].as_f64();
        loss.unwrap_or_else(|| panic!("no finite loss: {}", self.results["runs"][0]))
    }

    fn kind(&self) -> &str {
        self.results["task"]["kind"].as_str().unwrap()
    }

    fn note_has(&self, parts: &[&str]) {
        let notes = self.notes();
        parts.iter().for_each(|part| assert!(notes.contains(part), "{part:?} in {notes}"));
    }
}

/// A comparison that cannot be: one line that names all of `expected`, and only options that exist.
fn refused(data: &Path, arguments: &[&str], expected: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = experiment(data, folder.path(), arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: ") && told.trim().lines().count() == 1, "{told}");
    expected.iter().for_each(|part| assert!(told.contains(part), "{part:?} in {told}"));
    let help = text(&Command::new(PROGRAM).args(["experiment", "--help"]).output().unwrap().stdout);
    for word in told.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|word| word.starts_with("--")) {
        assert!(help.contains(word), "{word} is an option: {told}");
    }
    assert!(!folder.path().join("results.json").exists());
    told
}

/// A file of numbers.
fn numbers(folder: &Path, columns: &[(&str, &dyn Fn(usize) -> f64)], rows: usize) -> PathBuf {
    let path = folder.join("numbers.parquet");
    let mut writer = ParquetWriter::create(&path, columns.iter().map(|(name, _)| (*name, ValueType::F64))).unwrap();
    let values: Vec<Vec<f64>> = columns.iter().map(|(_, value)| (0..rows).map(value).collect()).collect();
    writer.write(&values.iter().map(|values| Values::F64(values)).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    path
}

/// Some numbers that look like noise.
fn noise(row: usize) -> f64 {
    (row as f64 * 12.9898).sin() * 3.0
}

#[test]
fn cases_the_order_that_is_asked_for_is_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let segments = |order: &str, out: &Path| {
        let output = experiment(&case("two-orders.parquet"), out, &["--target", "y", "--order", order]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        json(&out.join("results.json"))["runs"][0]["held_out"].clone()
    };
    let shared = folder.path().join("shared");
    let a = segments("a", &shared);
    let b = segments("b", &shared);
    assert_ne!(a, b);
    assert_eq!(b, segments("b", &folder.path().join("fresh")), "as in a folder that knows no other order");
    assert_eq!(segments("a", &shared), a);
}

#[test]
fn cases_another_file_of_the_same_name_is_read_though_it_is_older() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, case_name: &str| {
        fs::create_dir(folder.path().join(name)).unwrap();
        let path = folder.path().join(name).join("sales.parquet");
        fs::copy(case(case_name), &path).unwrap();
        path
    };
    let (a, b) = (file("A", "sales-a.parquet"), file("B", "sales-b.parquet"));
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&b).unwrap().set_modified(old).unwrap();
    let held_out = |data: &Path, out: &str| {
        let out = folder.path().join(out);
        let output = experiment(data, &out, &["--target", "y", "--order", "t"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        json(&out.join("results.json"))["runs"][0]["held_out"].clone()
    };
    let first = held_out(&a, "out");
    let second = held_out(&b, "out");
    assert_ne!(first, second);
    assert_eq!(second, held_out(&b, "fresh"));
    // The same file with other rows, though its time is set back.
    fs::copy(&a, &b).unwrap();
    fs::File::options().write(true).open(&b).unwrap().set_modified(old).unwrap();
    assert_eq!(held_out(&b, "out"), first);
}

/// Class 2 begins at row 60,000, behind all that is trained on.
#[test]
fn cases_a_class_that_comes_late_is_refused_or_left_out_as_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let class = |row: usize| if row < 60_000 { f64::from(u8::from(noise(row) > 0.0)) } else { (row % 3) as f64 };
    let path = numbers(folder.path(), &[("x", &noise), ("y", &class)], 80_000);
    let told =
        refused(&path, &["--target", "y"], &["column y is 2 in row 60002", "hold 0 and 1 alone", "--unseen skip"]);
    assert!(told.contains("--task regression"), "{told}");
    let skipped = compared(&path, &["--target", "y", "--unseen", "skip"]);
    assert_eq!(skipped.kind(), "binary");
    let late = (60_000..80_000).filter(|row| row % 3 == 2).count() as u64;
    assert_eq!(skipped.results["runs"][0]["held_out"]["rows"], 20_000 - late);
    assert_eq!(late, 6666);
    skipped.note_has(&["none of the values trained on (0 and 1): 6,666 of 20,000"]);
}

#[test]
fn cases_targets_that_change_their_kind_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    // 0 and 1 in the rows trained on, then any number.
    let target = |row: usize| if row < 150 { (row % 2) as f64 } else { noise(row) };
    let path = numbers(folder.path(), &[("x", &noise), ("y", &target)], 200);
    refused(&path, &["--target", "y"], &["column y", "row 150", "hold 0 and 1 alone", "--task regression"]);
    assert_eq!(compared(&path, &["--target", "y", "--task", "regression"]).kind(), "regression");
    // More values within the rows trained on, but not among the first.
    let target = |row: usize| if row < 60_000 { (row % 2) as f64 } else { (row % 7) as f64 + 0.5 };
    let path = numbers(folder.path(), &[("x", &noise), ("y", &target)], 100_000);
    assert_eq!(compared(&path, &["--target", "y"]).kind(), "regression");
    // A text that comes first in the rows held out.
    let path = folder.path().join("texts.parquet");
    let mut writer = ParquetWriter::create(&path, [("x", ValueType::F64), ("y", ValueType::Text)]).unwrap();
    let texts: Vec<&str> = (0..200).map(|row| if row == 170 { "late" } else { ["a", "b"][row % 2] }).collect();
    writer.write(&[Values::F64(&(0..200).map(noise).collect::<Vec<_>>()), Values::Text(&texts)]).unwrap();
    writer.finish().unwrap();
    refused(&path, &["--target", "y"], &["column y is 'late' in row 170", "'a' and 'b'", "--unseen skip"]);
    let skipped = compared(&path, &["--target", "y", "--unseen", "skip"]);
    assert_eq!((skipped.kind(), &skipped.results["data"]["held_out_rows"]), ("multiclass", &49.into()));
}

/// Targets are told apart by value: equal numbers are one class, different ones two.
#[test]
fn cases_targets_are_values_not_bits() {
    let zero = compared(&case("negative-zero-target.parquet"), &["--target", "y"]);
    assert_eq!(zero.kind(), "binary");
    assert_eq!(zero.spec["targets"]["known"]["numbers"], serde_json::json!(["0", "1"]));
    let long = compared(&case("int64-target-2p53.parquet"), &["--target", "y"]);
    assert_eq!(long.kind(), "multiclass");
    // The baseline is the share of each of the three among the rows trained on, counted here.
    let mut source = ParquetSource::open(case("int64-target-2p53.parquet")).columns(["y"]).build::<f64>().unwrap();
    let mut batch = Batch::new(source.schema().clone());
    while source.fill(&mut batch, 1000).unwrap() > 0 {}
    let values: Vec<i128> = (0..600).map(|row| batch.columns()[0].number(row).unwrap().whole().unwrap()).collect();
    let share = |value: i128| values[..450].iter().filter(|&&other| other == value).count() as f64 / 450.0;
    let loss = values[450..].iter().map(|&value| -share(value).ln()).sum::<f64>() / 150.0;
    let found = long.results["baseline"]["held_out"]["loss"].as_f64().unwrap();
    assert!((found - loss).abs() < 1e-6, "{found} and {loss}");
    assert!((1..4).all(|value| share((1 << 53) + value - 1) > 0.3));
    // Of two, the threshold parts them exactly.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.parquet");
    let mut writer = ParquetWriter::create(&path, [("x", ValueType::F64), ("y", ValueType::I64)]).unwrap();
    let targets: Vec<i64> = (0..240).map(|row| (1 << 53) + i64::from(row % 3 == 0)).collect();
    writer.write(&[Values::F64(&(0..240).map(noise).collect::<Vec<_>>()), Values::I64(&targets)]).unwrap();
    writer.finish().unwrap();
    let two = compared(&path, &["--target", "y"]);
    assert_eq!(two.kind(), "binary");
    let known = serde_json::json!(["9007199254740992", "9007199254740993"]);
    assert_eq!(two.spec["targets"]["known"]["numbers"], known);
    let (rare, often) = (1.0_f64 / 3.0, 2.0_f64 / 3.0);
    let found = two.results["baseline"]["held_out"]["loss"].as_f64().unwrap();
    assert!((found + rare * rare.ln() + often * often.ln()).abs() < 1e-6, "{found}");
}

#[test]
fn cases_missing_values_are_dealt_with_and_reported() {
    let nan = compared(&case("nan-feature.parquet"), &["--target", "y"]);
    nan.note_has(&["Null, NaN and infinity are missing values", "MeanWithIndicator"]);
    assert!(nan.loss().is_finite());
    let named = compared(&case("text-column-named-x.parquet"), &["--target", "y"]);
    assert_eq!(named.results["data"]["features"], 2);
    let all_named = compared(&case("named.parquet"), &["--target", "y"]);
    assert_eq!(all_named.results["data"]["features"], 4);
    let infinite = compared(&case("infinite.parquet"), &["--target", "y"]);
    // Eleven of 120 targets, every tenth x of the first 90.
    infinite.note_has(&["9 of 90 training rows, 2 of 30 held-out rows", "Infinite values in training rows: 9 in x"]);
    infinite.note_has(&["huge (numbers up to", "big (numbers up to"]);
    assert_eq!(infinite.results["runs"][0]["held_out"]["rows"], 28);
    let nulls = compared(&case("nulls.parquet"), &["--target", "y", "--order", "order"]);
    nulls.note_has(&[
        "Rows left out because y is null",
        "none (no row to train on has a value)",
        "order (the order of the rows",
    ]);
    let texts = compared(&case("nulls.parquet"), &["--target", "k"]);
    assert_eq!(texts.kind(), "multiclass");
    texts.note_has(&["18 of 90 training rows, 6 of 30 held-out rows"]);
    // The first 35 rows have no target: what is left of the spans is trained on.
    assert_eq!(compared(&case("nulls.parquet"), &["--target", "y"]).results["runs"][0]["rows_trained"], 47);
}

#[test]
fn cases_where_there_is_nothing_to_learn_or_to_test_that_is_said() {
    refused(&case("constant-target.parquet"), &["--target", "y"], &["nothing to learn", "column y is 3", "--target"]);
    refused(&case("one-class.parquet"), &["--target", "y"], &["nothing to learn", "column y is 1", "--order"]);
    let hint = "--where 'y is not null'";
    refused(&case("null-heldout-target.parquet"), &["--target", "y"], &["no held-out row has a target", hint]);
    let there = compared(&case("null-heldout-target.parquet"), &["--target", "y", "--where", "y is not null"]);
    assert!(there.loss().is_finite());
    refused(&case("nulls.parquet"), &["--target", "none"], &["no training row has a target"]);
    refused(&case("infinite.parquet"), &["--target", "big"], &["column big", "beyond the range of 32 bits", "--where"]);
    refused(&case("dates.parquet"), &["--target", "y"], &["14 rows", "24 or more"]);
    refused(&case("nested.parquet"), &["--target", "s"], &["column s is struct<a: float64>", "--target"]);
    refused(&case("nested.parquet"), &["--target", "f"], &["column f is list<float64>[3]"]);
    refused(&case("keys.parquet"), &["--target", "y", "--where", "id < 20"], &["10 rows that meet --where"]);
    refused(&case("keys.parquet"), &["--target", "y", "--except", "x,y"], &["--except y: it is the --target"]);
    let except = "shuffled,key,count,x";
    let told = refused(&case("keys.parquet"), &["--target", "y", "--except", except], &["left out are id (it numbers"]);
    assert!(told.contains("shuffled (asked for by --except)"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let alone = numbers(folder.path(), &[("y", &noise)], 100);
    let told = refused(&alone, &["--target", "y"], &["no column to learn from; it has none beside y"]);
    assert!(!told.contains("left out"), "{told}");
    for (arguments, option) in
        [(["--target", "z"], "--target"), (["--order", "z"], "--order"), (["--except", "z"], "--except")]
    {
        let arguments = [&["--target", "y"][..], &arguments].concat();
        let arguments = if option == "--target" { &arguments[2..] } else { &arguments };
        refused(&alone, arguments, &["there is no column z", option, "it has y"]);
    }
    refused(&case("keys.parquet"), &["--target", "x", "--task", "multiclass"], &["not whole", "--task regression"]);
    refused(
        &case("keys.parquet"),
        &["--target", "x", "--task", "binary"],
        &["a binary target has two different numbers", "--task regression"],
    );
    refused(&case("nulls.parquet"), &["--target", "k", "--task", "regression"], &["is text", "--task multiclass"]);
    refused(&case("nulls.parquet"), &["--target", "k", "--task", "binary"], &["is text", "--task multiclass"]);
}

/// What the numbers of options may be; nothing panics, wraps around or is taken twice.
#[test]
fn extremes_of_options_are_refused_by_name() {
    let data = case("keys.parquet");
    let data = data.to_str().unwrap();
    let own = ["experiment", "--quick", "--data", data, "--target", "y"];
    let check = |command: &[&str], arguments: &[&str], expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(PROGRAM).args(command).args(arguments).current_dir(folder.path()).output().unwrap();
        let told = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {told}");
        assert!(
            told.contains(arguments[0].split('=').next().unwrap()) && told.contains(expected),
            "{arguments:?}: {told}"
        );
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is written for {arguments:?}");
    };
    for huge in ["17592186044416", "18446744073709551615", "99999999999999999999999", "0", "NaN", "1e3", ""] {
        check(&own, &["--budget", huge], "expected MiB from 1 to 17592186044415");
        check(&["inspect", data], &["--budget", huge], "expected MiB from 1 to");
    }
    check(&own, &["--budget=-1"], "expected MiB");
    for threads in ["0", "4097", "99999999999999999999", "-0.5"] {
        check(&own, &[&format!("--threads={threads}")], "expected 1 to 4096");
        check(&["launch"], &[&format!("--ranks={threads}"), "--", "true"], "expected 1 to 4096");
    }
    check(&own, &["--seeds", "1,1"], "1 is given twice");
    check(&own, &["--seeds", "2,3,2"], "2 is given twice");
    check(&own, &["--seeds", "18446744073709551616"], "invalid value");
    check(&own, &["--seeds=-1"], "invalid value");
    check(&own, &["--strategies", "online,online"], "online is given twice");
    let distributed = ["experiment", "distributed", "--quick"];
    for seconds in ["NaN", "inf", "0", "-1", "1e300", "x"] {
        check(&distributed, &[&format!("--most-seconds={seconds}")], "expected seconds above 0");
        check(&["launch"], &[&format!("--grace={seconds}"), "--", "true"], "expected seconds above 0");
    }
    for links in ["0", "18446744073709551615", "18446744073710", "-1", "NaN"] {
        check(&distributed, &[&format!("--links={links}")], "expected none, or Mbit/s from 1 to");
    }
    check(&distributed, &["--links", "none,none"], "none is given twice");
    check(&distributed, &["--seeds", "5,5"], "5 is given twice");
}

/// The largest seed, and the largest budget, are ordinary.
#[test]
fn the_largest_numbers_work() {
    let last = ["--target", "y", "--seeds", "18446744073709551615", "--budget", "17592186044415"];
    assert!(compared(&case("keys.parquet"), &last).loss().is_finite());
}

/// A file is read in the memory that it needs, and refused with the option that gives it as much.
#[test]
fn wide_files_are_read_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..400).map(|column| format!("c{column}")).collect();
    let columns: Vec<(&str, &dyn Fn(usize) -> f64)> = names.iter().map(|name| (name.as_str(), &noise as _)).collect();
    let path = numbers(folder.path(), &columns, 2000);
    let told = refused(&path, &["--target", "c0", "--budget", "1"], &["needs", "--budget "]);
    let enough = told.split("--budget ").nth(1).unwrap().split(',').next().unwrap();
    assert!(compared(&path, &["--target", "c0", "--budget", enough]).loss().is_finite());
    // As little leaves no room for all rows at once, which that run says of itself.
    let out = folder.path().join("out");
    let batch = ["experiment", "--quick", "--strategies", "batch", "--target", "c0", "--budget", enough, "--data"];
    let output = Command::new(PROGRAM).args(batch).arg(&path).arg("--out").arg(&out).output().unwrap();
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("rows in memory") && told.contains("--budget "), "{told}");
    let more = told.rsplit("--budget ").next().unwrap().split(',').next().unwrap();
    let more = ["experiment", "--quick", "--strategies", "batch", "--target", "c0", "--budget", more, "--data"];
    let output = Command::new(PROGRAM).args(more).arg(&path).arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Nothing that a terminal obeys comes out of a name, whatever is printed.
#[test]
fn names_cannot_steer_a_terminal() {
    let path = case("odd-names.parquet");
    let is_safe = |output: &Output| {
        for bytes in [&output.stdout, &output.stderr] {
            let printed = text(bytes);
            let bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!printed.contains(bad), "{printed:?}");
        }
    };
    let inspect = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).arg("inspect").arg(&path).args(arguments).output().unwrap();
        is_safe(&output);
        output
    };
    let target = "y\u{9b}\u{202e}";
    assert!(text(&inspect(&["--target", target]).stdout).contains("a\\u{1b}[31m\\n"));
    let found: Value = serde_json::from_slice(&inspect(&["--json", "--target", target]).stdout).unwrap();
    assert_eq!(found["columns"][0]["name"], "a\u{1b}[31m\n");
    assert!(text(&inspect(&["--target", "\u{1b}[2J"]).stderr).contains("there is no column \\u{1b}[2J"));
    let folder = tempfile::tempdir().unwrap();
    let output = experiment(&path, folder.path(), &["--target", target, "--except=-dash"]);
    is_safe(&output);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(!report.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    is_safe(&experiment(&path, folder.path(), &["--target", "a\u{1b}[31m\n", "--order", "\u{1b}[2J"]));
}
