//! Signals that ask a program to save what it has and stop.

use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tidemill::data::Interrupt;

/// Sets the interrupt on Ctrl-C (`SIGINT`), `SIGTERM`, `SIGHUP`, and on `SIGUSR1`, which `mpirun` passes on to ranks and
/// Slurm sends before a time limit (`--signal=USR1@60`).
///
/// # Errors
///
/// When the system refuses.
pub fn interrupt_on_signals(stop: &Interrupt) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
    let stop = stop.clone();
    thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(|_| stop.set()))?;
    Ok(())
}
