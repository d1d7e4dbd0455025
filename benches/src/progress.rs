//! What a long run is at, for who waits: on stderr, so that what it found stays alone on stdout.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says on stderr what is being done.
pub fn note(what: impl std::fmt::Display) {
    // Where it cannot be written, there is nobody to tell.
    let _ = io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// Writes a line of what was found to standard output. A reader that has gone away has read what it wanted.
///
/// # Errors
///
/// When the line cannot be written.
pub fn found(what: impl std::fmt::Display) -> io::Result<()> {
    match io::stdout().write_all(format!("{what}\n").as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A count on its way to a total; shown on a terminal alone, a few times a second.
pub struct Progress {
    what: &'static str,
    total: usize,
    shown: Option<Instant>,
}

impl Progress {
    const EVERY: Duration = Duration::from_millis(200);

    /// Towards `total`.
    pub fn new(what: &'static str, total: usize) -> Self {
        Self { what, total, shown: io::stderr().is_terminal().then(Instant::now) }
    }

    /// So far.
    pub fn reached(&mut self, count: usize) {
        if let Some(shown) = self.shown.filter(|shown| shown.elapsed() > Self::EVERY || count == self.total) {
            let end = if count == self.total { "\n" } else { "" };
            // Nobody is helped by an error about a progress line.
            let _ = write!(io::stderr(), "\r{}: {count} of {}{end}", self.what, self.total);
            self.shown = if shown.elapsed() > Self::EVERY { Some(Instant::now()) } else { self.shown };
        }
    }
}
