use std::process::ExitCode;

/// Measures training throughput.
pub fn run(arguments: &[String]) -> ExitCode {
    crate::run::release("tidemill-benches", arguments)
}
