//! Processes that are killed, stopped, suspended and not listened to, and files that change under them.
//!
//! Nothing here waits for a time: a run suspends itself after a step (`TIDEMILL_FAULTS`), and a process is killed before
//! a step of writing its files (`TIDEMILL_KILLED_BEFORE_FILE_STEP`).
#![cfg(target_os = "linux")]

mod changes;
mod ends;
mod kills;
mod leftovers;
mod pipes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tidemill::prelude::*;
use tidemill_experiments::fault::{FAULTS, KILLED_BEFORE_FILE_STEP};

/// A folder with `rows.parquet`, whose column `y` follows from `a` and `b`, and with what is made of it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(rows: usize) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        write_rows(&place.data(), rows, 0.0);
        place
    }

    fn data(&self) -> PathBuf {
        self.at("rows.parquet")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `experiment` on the rows, with one strategy and what else is given, into the folder `out`.
    fn experiment(&self, strategies: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
        command.arg("experiment").arg("--data").arg(self.data()).args(["--target", "y", "--quick"]);
        command.arg("--out").arg(self.at("out")).args(["--strategies", strategies]).args(more);
        command
    }

    /// One run of the comparison in `out`, into a folder of its own.
    fn run(&self, strategy: &str, folder: &Path) -> Command {
        fs::create_dir_all(folder).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
        command.arg("run").arg(self.at("out/spec.json")).args([strategy, "1"]).arg(folder);
        command
    }

    fn results(&self) -> Value {
        json(&self.at("out/results.json"))
    }
}

/// Other rows of the same number give a file of other bytes.
fn write_rows(path: &Path, rows: usize, shift: f64) {
    let columns = [("a", ValueType::F64), ("b", ValueType::F64), ("y", ValueType::F64)];
    let mut writer = ParquetWriter::create(path, columns).unwrap();
    let a: Vec<f64> = (0..rows).map(|i| (i * 37 % 101) as f64 / 101.0 + shift).collect();
    let b: Vec<f64> = (0..rows).map(|i| (i * 53 % 97) as f64 / 97.0).collect();
    let y: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a * b + (6.0 * a).sin()).collect();
    writer.write(&[Values::F64(&a), Values::F64(&b), Values::F64(&y)]).unwrap();
    writer.finish().unwrap();
}

fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What does not depend on time, of a run.
fn measured(run: &Value) -> Vec<Value> {
    let fields = ["strategy", "seed", "held_out", "prequential", "segments", "rows_trained", "steps", "to_target"];
    let curve = run["curve"].as_array().unwrap().iter().map(|point| point["loss"].clone());
    let target = run["to_target"]["steps"].clone();
    fields[..7].iter().map(|field| run[*field].clone()).chain([target]).chain(curve).collect()
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Has runs suspend themselves after a step.
fn suspended_after(command: &mut Command, step: u64) -> &mut Command {
    faulty(command, "stop", step)
}

/// The same; when they go on, they wait until they are asked to stop.
fn suspended_and_held_after(command: &mut Command, step: u64) -> &mut Command {
    let fault = |kind: &str| format!(r#"{{"kind":"{kind}","rank":0,"step":{step}}}"#);
    command.env(FAULTS, format!("[{},{}]", fault("stop"), fault("hold")))
}

/// Has runs do something after a step.
fn faulty<'a>(command: &'a mut Command, kind: &str, step: u64) -> &'a mut Command {
    command.env(FAULTS, format!(r#"[{{"kind":"{kind}","rank":0,"step":{step}}}]"#))
}

fn killed_before(command: &mut Command, step: u64) -> &mut Command {
    command.env(KILLED_BEFORE_FILE_STEP, step.to_string())
}

/// A comparison whose first run has suspended itself.
struct Suspended {
    parent: Child,
    run: Pid,
}

impl Suspended {
    fn start(command: &mut Command) -> Self {
        let mut parent = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        loop {
            if let Some(status) = parent.try_wait().unwrap() {
                panic!("{status}: {}", said(&parent.wait_with_output().unwrap()));
            }
            let children = fs::read_to_string(&children).unwrap_or_default();
            let mut pids = children.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap());
            if let Some(run) = pids.find(|&pid| state(pid) == Some('T')) {
                return Self { parent, run };
            }
            std::thread::yield_now();
        }
    }

    fn parent(&self) -> Pid {
        Pid::from_child(&self.parent)
    }

    fn go_on(&self) {
        kill_process(self.run, Signal::CONT).unwrap();
    }

    /// Its code, if it has one, and what it said.
    fn ended(self) -> (Option<i32>, String) {
        let output = self.parent.wait_with_output().unwrap();
        (output.status.code(), said(&output))
    }
}

/// The state of a process, as `ps` shows it; `None` when it is gone.
fn state(pid: Pid) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// Waits until a process is gone, or nothing is left of it but its exit code.
fn gone(pid: Pid) {
    while !matches!(state(pid), None | Some('Z' | 'X')) {
        std::thread::yield_now();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
