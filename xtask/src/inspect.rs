use std::process::ExitCode;

/// Says what is in Parquet files.
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<String> = std::iter::once("inspect".to_owned()).chain(arguments.iter().cloned()).collect();
    crate::run::release("tidemill-experiments", &arguments)
}
