//! Tidemill's commands: `cargo xtask NAME`. Standard library only; each command starts cargo.

mod bench;
mod experiment;
mod inspect;
mod run;

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
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("there is no command {other}\n\n{USAGE}");
            ExitCode::from(2)
        }
        None => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
