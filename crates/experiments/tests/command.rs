//! The program as people start it: what it prints, writes and answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tidemill::prelude::*;
use tidemill::tensor::Key;

/// A file of the user's: two numbers, a text, and targets of three kinds that follow from them.
fn file(folder: &Path, rows: usize) -> PathBuf {
    let random = |stream: u64, i: usize| f64::from(Key::new(5).fold(stream).block(i as u64)[0]) / 2.0_f64.powi(32);
    let (a, b) = (|i: usize| random(0, i), |i: usize| random(1, i));
    let number = |i: usize| 3.0 * a(i) - b(i);
    let place: Vec<String> = (0..rows).map(|i| format!("place {}", (4.0 * b(i)) as u32)).collect();
    let kind = |i: usize| ["low", "middle", "high"][(number(i).clamp(0.0, 2.0)) as usize];
    let path = folder.join("trips.parquet");
    let columns = [
        ("a", ValueType::F64),
        ("b", ValueType::F64),
        ("place", ValueType::Text),
        ("time", ValueType::I64),
        ("number", ValueType::F64),
        ("kind", ValueType::Text),
        ("yes", ValueType::Bool),
    ];
    let mut writer = ParquetWriter::create(&path, columns).unwrap();
    let all = 0..rows;
    writer
        .write(&[
            Values::F64(&all.clone().map(a).collect::<Vec<_>>()),
            Values::F64(&all.clone().map(b).collect::<Vec<_>>()),
            Values::Text(&place.iter().map(String::as_str).collect::<Vec<_>>()),
            Values::I64(&all.clone().map(|i| -(i as i64)).collect::<Vec<_>>()),
            Values::F64(&all.clone().map(number).collect::<Vec<_>>()),
            Values::Text(&all.clone().map(kind).collect::<Vec<_>>()),
            Values::Bool(&all.clone().map(|i| number(i) > 1.0).collect::<Vec<_>>()),
        ])
        .unwrap();
    writer.finish().unwrap();
    path
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
    command.arg("experiment").arg("--out").arg(folder.join("out"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let data = folder.join("trips.parquet");
    command(folder).arg("--data").arg(data).args(arguments).output().unwrap()
}

fn results(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out/results.json")).unwrap()).unwrap()
}

fn check(target: &str, kind: &str, more: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), 6000);
    let output = run(folder.path(), &[&["--target", target, "--quick"], more].concat());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("Batch, retrained") && printed.contains("held-out"), "{printed}");
    let results = results(folder.path());
    assert_eq!(results["task"]["kind"], kind);
    assert_eq!(results["complete"], true);
    assert_eq!(results["runs"].as_array().unwrap().len(), 4);
    let baseline = results["baseline"]["held_out"]["loss"].as_f64().unwrap();
    let retrained = results["runs"].as_array().unwrap().iter().find(|r| r["strategy"] == "retrained").unwrap();
    assert!(retrained["held_out"]["loss"].as_f64().unwrap() < baseline, "it learns: {retrained:#}");
    assert!(fs::read_to_string(folder.path().join("out/report.html")).unwrap().contains("</html>"));
    let curves = tidemill::parquet::describe(folder.path().join("out/curves.parquet")).unwrap();
    assert!(curves.rows > 8);
    folder
}

#[test]
fn a_binary_target_is_told_from_the_data() {
    check("yes", "binary", &["--order", "time"]);
}

#[test]
fn names_of_classes_are_a_target() {
    let folder = check("kind", "multiclass", &["--where", "time > -5000 and not place = 'place 3'"]);
    let results = results(folder.path());
    // Five thousand rows, about three quarters of them at another place.
    assert!((3600..3900).contains(&results["data"]["rows"].as_u64().unwrap()), "{}", results["data"]);
}

#[test]
fn numbers_are_regressed_on_in_their_own_units() {
    let folder = check("number", "regression", &[]);
    let results = results(folder.path());
    // The standard deviation of 3a - b, with a and b uniform on the unit interval.
    let baseline = results["baseline"]["held_out"]["loss"].as_f64().unwrap();
    assert!((baseline - (10.0_f64 / 12.0).sqrt()).abs() < 0.03, "{baseline}");
}

/// One clear error that names what and where, a code that is not zero, nothing half-written.
fn refused(arguments: &[&str], spoil: impl FnOnce(&Path), expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), 2400);
    spoil(&path);
    let output = run(folder.path(), arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: ") && told.trim().lines().count() == 1, "{told}");
    for part in expected {
        assert!(told.contains(part), "{part:?} in {told:?}");
    }
    for file in ["report.html", "results.json", "curves.parquet"] {
        assert!(!folder.path().join("out").join(file).exists(), "{file} is half-written");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let same = |_: &Path| ();
    refused(
        &["--target", "tip"],
        same,
        &["trips.parquet", "there is no column tip", "a, b, place, time, number, kind, yes"],
    );
    refused(&["--target", "yes", "--order", "when"], same, &["trips.parquet", "there is no column when"]);
    refused(&["--target", "kind", "--task", "regression"], same, &["column kind is text", "multiclass"]);
    refused(&["--target", "a", "--task", "binary"], same, &["column a", "two different numbers"]);
    refused(&["--target", "yes", "--strategies", "bacth"], same, &["there is no strategy bacth", "batch, online"]);
    refused(&["--target", "yes", "--where", "a >> 1"], same, &["--where", "expected a number", "`> 1`, character 4"]);
    refused(&["--target", "yes", "--where", "c > 1"], same, &["trips.parquet", "there is no column c"]);
    refused(&["--target", "yes", "--where", "a > 2"], same, &["trips.parquet", "0 rows that meet --where, too few"]);
    refused(&["--target", "yes", "--resume"], same, &["nothing to go on with"]);
    refused(&["--target", "yes"], |path| fs::remove_file(path).unwrap(), &["trips.parquet", "No such file"]);
    let truncate = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    refused(&["--target", "yes"], truncate, &["trips.parquet"]);
}

#[test]
fn batch_training_over_budget_is_refused_and_online_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), 60_000);
    let output = run(folder.path(), &["--target", "yes", "--quick", "--budget", "4", "--strategies", "batch,online"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("batch, seed 1") && told.contains("the budget is 4194304 bytes"), "{told}");
    let results = results(folder.path());
    assert_eq!(results["runs"][0]["strategy"], "online");
    assert_eq!(results["complete"], false);
}

#[test]
fn online_training_on_flights_stays_below_150_mb() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).args(["--quick", "--strategies", "online,batch-month"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results = results(folder.path());
    let run = |name: &str| results["runs"].as_array().unwrap().iter().find(|r| r["strategy"] == name).unwrap().clone();
    let online = run("online");
    if cfg!(target_os = "linux") {
        assert!(online["peak_memory_bytes"].as_u64().unwrap() < 150_000_000, "of the whole process: {online:#}");
    }
    let months: Vec<&str> =
        online["segments"].as_array().unwrap().iter().map(|s| s["label"].as_str().unwrap()).collect();
    assert_eq!(months, ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]);
    // All rows but those without an arrival delay: trained on once, or held out.
    let rows = online["rows_trained"].as_u64().unwrap() + online["held_out"]["rows"].as_u64().unwrap();
    assert_eq!(rows, 336_776 - 9_430);
    let loss = |run: &Value| run["held_out"]["loss"].as_f64().unwrap();
    assert!(loss(&run("batch-month")) > loss(&online), "the month extrapolates");
}

#[test]
fn threads_are_compared_with_one_process_where_there_is_no_mpi() {
    // Bound by steps: what a run learns does not depend on the machine.
    let folder = tempfile::tempdir().unwrap();
    let distributed = |arguments: &[&str]| {
        let output = command(folder.path()).args(["distributed", "--quick"]).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (is_well, said) = distributed(&["--strategies", "threads", "--links", "none"]);
    assert!(is_well, "{said}");
    assert!(said.contains("Serial") && said.contains("2 threads") && said.contains("\u{d7} serial"), "{said}");
    let results = results(folder.path());
    let runs = results["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4, "two ways, two tasks");
    for run in runs {
        let found = &run["found"]["Ok"];
        let (ranks, steps) = (found["ranks"].as_u64(), found["steps"].as_u64().unwrap());
        assert!(ranks == Some(1) && steps > 10 && found["seconds"].as_f64().unwrap() > 0.0, "{run}");
        let loss = found["held_out"]["loss"].as_f64().unwrap();
        assert!(loss > 0.2 && loss < 0.65, "it has learned something: {run}");
        assert_eq!(found["sent"], 0);
    }
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for word in ["Processes, threads or ranks?", "Rows in the shape of HIGGS", "<svg", "A short trial"] {
        assert!(report.contains(word), "no {word}");
    }
    // The same rows in the same steps: to rounding, the same model.
    let loss = |way: &str, task: &str| {
        let run = runs.iter().find(|run| run["way"] == way && run["task"] == task).unwrap();
        run["found"]["Ok"]["held_out"]["loss"].as_f64().unwrap()
    };
    for task in ["flights", "higgs"] {
        let steps = |way: &str| {
            let run = runs.iter().find(|run| run["way"] == way && run["task"] == task).unwrap();
            run["found"]["Ok"]["steps"].as_u64().unwrap()
        };
        assert_eq!(steps("serial"), steps("threads"), "{task}");
        assert!((loss("serial", task) - loss("threads", task)).abs() < 1e-3, "{task}");
    }
    let (is_well, said) = distributed(&["--strategies", "magic"]);
    assert!(!is_well && said.contains("there is no way magic; there are serial, threads, ranks"), "{said}");
    let (is_well, said) = distributed(&["--links", "fast"]);
    assert!(!is_well && said.contains("--links fast"), "{said}");
}

#[cfg(unix)]
#[test]
fn all_that_mpirun_says_is_shown() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    // As Open MPI refuses: a frame, with the reason inside; some of it on standard output.
    let dashes = "-".repeat(74);
    let mpirun = folder.path().join("mpirun");
    let script = format!(
        "#!/bin/sh\necho {dashes} >&2\necho 'mpirun has detected an attempt to run as root.' >&2\n\
         echo 'Set OMPI_ALLOW_RUN_AS_ROOT to override.'\necho {dashes} >&2\nexit 1\n"
    );
    fs::write(&mpirun, script).unwrap();
    fs::set_permissions(&mpirun, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = command(folder.path());
    command.args(["distributed", "--quick", "--strategies", "ranks", "--links", "none", "--most-steps", "3"]);
    let output = command.env("PATH", path).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    let results = fs::read_to_string(folder.path().join("out/results.json")).unwrap();
    for part in ["mpirun has detected an attempt to run as root.", "Set OMPI_ALLOW_RUN_AS_ROOT to override."] {
        assert!(told.contains(part) && report.contains(part) && results.contains(part), "{part:?} in {told}");
    }
}
