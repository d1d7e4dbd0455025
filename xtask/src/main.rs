//! Tidemill's commands: `cargo xtask NAME`. Standard library only; each command starts cargo.

mod bench;
mod experiment;
mod inspect;
mod run;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  experiment [NAME] [--quick] [--resume] [--data FILE --target COLUMN ...]
                     compare batch and online training; --help lists the options
  inspect FILE... [--target COLUMN] [--where CONDITION] [--scan] [--json]
                     say what is in Parquet files, and suggest how to train on them
  bench [WORKLOAD...] [--threads N,..] [--peers PYTHON] [--save NAME] [--json]
                     measure training throughput, and compare it with other frameworks;
                     --help lists workloads and options
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("experiment") => experiment::run(&rest),
        Some("inspect") => inspect::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("help" | "--help" | "-h") => match std::io::stdout().write_all(USAGE.as_bytes()) {
            // A reader that has gone away has read what it wanted.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                say(&format!("standard output cannot be written: {error}\n"));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Some(other) => {
            say(&format!("there is no command {other}\n\n{USAGE}"));
            ExitCode::from(2)
        }
        None => {
            say(USAGE);
            ExitCode::from(2)
        }
    }
}

/// Writes to standard error; where that cannot be written, there is nobody to tell.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
