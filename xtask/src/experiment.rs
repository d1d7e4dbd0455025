use std::process::ExitCode;

/// Compares the ways to train.
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<String> = std::iter::once("experiment".to_owned()).chain(arguments.iter().cloned()).collect();
    crate::run::release("tidemill-experiments", &arguments)
}
