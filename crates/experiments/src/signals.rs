//! Signals that ask a program to save what it has and stop.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tidemill::data::Interrupt;

use crate::compare::STOPPED;

/// How many places of the program look at the interrupt and end what they do when it is set.
static ATTENDED: AtomicUsize = AtomicUsize::new(0);

/// What a second signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// It ends the process at once: whoever asks twice does not want to wait.
    Ends,
    /// Nothing: a process may get the same request from the terminal and from the process that started it.
    IsIgnored,
}

/// Sets the interrupt on Ctrl-C (`SIGINT`), `SIGTERM`, `SIGHUP`, and on `SIGUSR1`, which `mpirun` passes on to ranks and
/// Slurm sends before a time limit (`--signal=USR1@60`).
///
/// While nothing looks at the interrupt (see [`attend`]), a signal ends the process at once, with
/// [`STOPPED`]: so a program that waits for something that may never come, such as a FIFO that nobody writes to, can be
/// interrupted as if it had no handler.
///
/// # Errors
///
/// When the system refuses.
pub fn interrupt_on_signals(stop: &Interrupt, second: Second) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
    let stop = stop.clone();
    let each = move |_| {
        let is_second = stop.is_set();
        stop.set();
        if ATTENDED.load(Ordering::SeqCst) == 0 || is_second && second == Second::Ends {
            std::process::exit(i32::from(STOPPED));
        }
    };
    thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(each))?;
    Ok(())
}

/// Says that the interrupt is looked at until the guard is dropped, so that a signal need not end the process.
#[must_use]
pub fn attend() -> Attended {
    ATTENDED.fetch_add(1, Ordering::SeqCst);
    Attended(())
}

/// See [`attend`].
#[derive(Debug)]
pub struct Attended(());

impl Drop for Attended {
    fn drop(&mut self) {
        ATTENDED.fetch_sub(1, Ordering::SeqCst);
    }
}
