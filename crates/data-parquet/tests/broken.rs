//! Broken files give an error or data: never a panic or an abort, and never much memory. Each is read in a process of
//! its own, which may die alone.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::read_all;
use serde_json::Value;
use tidemill_data::{Batch, Error, Source};
use tidemill_data_parquet::{ParquetSource, Usable, describe};

const FILE: &str = "TIDEMILL_BROKEN_FILE";

/// What the corpus advises: 256 MiB for a whole process.
const PEAK_KIB: u64 = 256 << 10;

/// This test binary with that one test, where addresses and processor time end early.
fn limited(test: &str, path: &Path) -> Output {
    let binary = std::env::current_exe().unwrap();
    let mut child = if cfg!(target_os = "linux") {
        let mut shell = Command::new("sh");
        // Threads reserve far more than they use.
        shell.args(["-c", r#"ulimit -v 1000000; ulimit -t 20; exec "$@""#, "sh"]).arg(binary);
        shell
    } else {
        Command::new(binary)
    };
    child.args(["--exact", test, "--nocapture"]).env(FILE, path).output().unwrap()
}

#[test]
fn corpus_broken_files_give_errors() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let folder = std::env::var_os("TIDEMILL_PARQUET_CORPUS").map_or_else(|| own.into(), PathBuf::from);
    let index: Value = serde_json::from_str(&fs::read_to_string(folder.join("broken.json")).unwrap()).unwrap();
    let mut failures = Vec::new();
    let files = index["files"].as_array().unwrap();
    for file in files {
        let path = folder.join(file["file"].as_str().unwrap());
        let output = limited("reads_one_file_in_a_process_of_its_own", &path);
        let text = String::from_utf8_lossy(&output.stdout);
        let said = |what: &str| {
            text.lines().find_map(|line| line.trim_start_matches("test ").split_once(what)).map(|(_, rest)| rest)
        };
        let error = said("outcome error: ");
        println!("{}: {}", file["file"], error.or(said("outcome ")).unwrap_or("died"));
        let peak: u64 = said("peak KiB: ").map_or(0, |kib| kib.parse().unwrap());
        let fine = output.status.success()
            && peak < PEAK_KIB
            && match file["expect"].as_str() {
                Some("error") => error.is_some_and(|e| e.contains(&*path.to_string_lossy())),
                _ => said("outcome ").is_some(),
            };
        if !fine {
            let whole = String::from_utf8_lossy(&output.stderr);
            failures.push(format!("{} ({}), peak {peak} KiB:\n{text}{whole}", file["file"], file["why"]));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), files.len(), failures.join("\n"));
    assert!(files.len() >= 20);
}

/// What the test above starts.
#[test]
fn reads_one_file_in_a_process_of_its_own() {
    let Some(path) = std::env::var_os(FILE) else { return };
    match read(Path::new(&path)) {
        Ok(rows) => println!("outcome {rows} rows"),
        Err(error) => println!("outcome error: {error}"),
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        println!("peak KiB: {}", peak.trim().trim_end_matches(" kB"));
    }
}

/// What a fuzzer has found to reach different code: see `fuzz/README.md`.
#[test]
fn files_of_the_fuzzer_give_errors_or_data() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/parquet");
    let output = limited("reads_a_folder_in_a_process_of_its_own", &folder);
    let text = String::from_utf8_lossy(&output.stdout);
    let tail: Vec<&str> = text.lines().rev().take(5).collect();
    assert!(output.status.success(), "{tail:?}\n{}", String::from_utf8_lossy(&output.stderr));
    let read = text.lines().filter(|line| line.contains("outcome")).count();
    assert!(read > 100, "{read} files");
}

/// What the test above starts.
#[test]
fn reads_a_folder_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(FILE) else { return };
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        println!("{}", file.display());
        match read(&file) {
            Ok(rows) => println!("outcome {rows} rows"),
            Err(error) => println!("outcome error: {error}"),
        }
    }
}

/// Reads what columns can be used, as far as a file goes that says how long it is.
fn read(path: &Path) -> Result<usize, Error> {
    let columns = describe(path)?.columns;
    let usable = columns.into_iter().filter(|c| matches!(c.usable, Usable::Real { .. } | Usable::Text)).map(|c| c.name);
    let mut source = ParquetSource::open(path).columns(usable).build::<f64>()?;
    let mut batch = Batch::new(source.schema().clone());
    let mut rows = 0;
    for _ in 0..100 {
        batch.clear();
        match source.fill(&mut batch, 300)? {
            0 => break,
            more => rows += more,
        }
    }
    Ok(rows)
}

#[test]
fn truncated_and_flipped_files_give_errors_or_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.parquet");
    let rows = arrow_array::Int32Array::from_iter((0..200).map(|i| (i % 9 != 4).then_some(i % 50)));
    common::write_groups(&path, &common::table([("x", common::array(rows))]), &[100, 100]);
    let whole = fs::read(&path).unwrap();
    let read = || {
        let mut source = ParquetSource::open(&path).feature("x").build()?;
        read_all::<f32>(&mut source)
    };
    assert_eq!(read().unwrap().rows(), 200);
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        let error = read().unwrap_err().to_string();
        assert!(error.contains("broken.parquet"), "{length} bytes: {error}");
    }
    for at in (4..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        match read() {
            Ok(batch) => assert_eq!(batch.rows(), 200),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
