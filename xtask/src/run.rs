use std::process::{Command, ExitCode};

/// Builds a package for release and runs its binary with these arguments, in the folder where the user is.
pub fn release(package: &str, arguments: &[String]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--release", "--quiet", "--package", package, "--"]).args(arguments);
    become_it(command)
}

/// Cargo takes the place of this process, as the binary then takes that of cargo: signals reach it, and nothing is left
/// running when it is killed.
#[cfg(unix)]
fn become_it(mut command: Command) -> ExitCode {
    cannot_start(&std::os::unix::process::CommandExt::exec(&mut command))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> ExitCode {
    match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => cannot_start(&error),
    }
}

fn cannot_start(error: &std::io::Error) -> ExitCode {
    crate::say(&format!("cargo could not be started: {error}\n"));
    ExitCode::FAILURE
}
