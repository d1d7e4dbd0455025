//! What the program says on standard output and standard error, either of which may be closed or full.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Why nothing more can be written to standard output.
static PROBLEM: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line to standard output. After the first failure nothing more is written; [`problem`] tells of it.
pub fn line(what: Arguments<'_>) {
    text(format_args!("{what}\n"));
}

/// Writes text to standard output, as [`line()`] does, without a line break behind it.
pub fn text(what: Arguments<'_>) {
    let mut problem = PROBLEM.lock().unwrap_or_else(PoisonError::into_inner);
    if problem.is_none() {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(what.to_string().as_bytes()).and_then(|()| stdout.flush());
        *problem = written.err();
    }
}

/// Writes a line to standard error; where that cannot be written, there is nobody to tell.
pub fn note(what: Arguments<'_>) {
    let _ = io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// Why standard output could not be written, if that is an error: a reader that has gone away, such as `head`, has read
/// what it wanted.
pub fn problem() -> Option<io::Error> {
    let problem = PROBLEM.lock().unwrap_or_else(PoisonError::into_inner).take();
    problem.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}
