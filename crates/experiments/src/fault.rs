//! What goes wrong on purpose, so that tests, and people, can see what comes of it.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tidemill::data::Interrupt;
use tidemill::prelude::*;
use tidemill::strategies::{Control, Error, Event};

/// The environment variable with the faults of `run`, a JSON list of [`Fault`].
pub const FAULTS: &str = "TIDEMILL_FAULTS";

/// The environment variable with the number, from 0, of the step of writing files before which the process is killed. It
/// is not passed on to the runs of a comparison.
pub const KILLED_BEFORE_FILE_STEP: &str = "TIDEMILL_KILLED_BEFORE_FILE_STEP";

/// Has this process killed before a step of writing files, if the environment asks for it.
pub fn arm() {
    let Some(last) = std::env::var(KILLED_BEFORE_FILE_STEP).ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let taken = AtomicU64::new(0);
    tidemill::data::file::before_each_step(move |_, _| {
        if taken.fetch_add(1, Ordering::Relaxed) == last {
            signal(Signal::KILL);
        }
    });
}

/// The faults that the environment asks for.
pub(crate) fn of_environment() -> anyhow::Result<Vec<Fault>> {
    use anyhow::Context;
    match std::env::var(FAULTS) {
        Ok(text) => serde_json::from_str(&text).context(FAULTS),
        Err(_) => Ok(Vec::new()),
    }
}

/// A fault: when and where it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// On which rank.
    pub rank: usize,
    /// After this step.
    pub step: u64,
    /// In which attempt of `launch`, from 0.
    #[serde(default)]
    pub attempt: u32,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Training fails with an error.
    Error,
    /// The rank panics.
    Panic,
    /// The process ends itself with this code.
    Exit(i32),
    /// `kill -9`.
    Kill,
    /// `SIGSTOP`: there, and silent.
    Stop,
    /// Training does not go on until it is asked to stop.
    Hold,
    /// Every step takes so many milliseconds longer.
    Slow(u64),
    /// The network interface of this name goes down.
    Cut(String),
}

/// The faults of this rank, as a callback that makes them.
pub(crate) struct Faults<'a> {
    faults: Vec<&'a Fault>,
    stop: &'a Interrupt,
}

impl<'a> Faults<'a> {
    pub(crate) fn of(all: &'a [Fault], rank: usize, stop: &'a Interrupt) -> Self {
        let attempt = std::env::var(crate::launch::ATTEMPT).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let faults = all.iter().filter(|fault| fault.rank == rank && fault.attempt == attempt).collect();
        Self { faults, stop }
    }
}

impl Callback<f32> for Faults<'_> {
    fn on_event(&mut self, event: &Event<'_, f32>, _run: &mut Control) -> Result<(), Error> {
        let Event::Step { state, .. } = event else { return Ok(()) };
        for fault in &self.faults {
            match &fault.kind {
                Kind::Slow(milliseconds) if state.step >= fault.step => {
                    thread::sleep(Duration::from_millis(*milliseconds));
                }
                kind if state.step == fault.step => happen(kind, self.stop)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn happen(kind: &Kind, stop: &Interrupt) -> Result<(), Error> {
    match kind {
        Kind::Error => {
            return Err(Error::Setting { what: "fault".into(), problem: "an error was asked for".into() });
        }
        Kind::Panic => panic!("a panic was asked for"),
        Kind::Exit(code) => std::process::exit(*code),
        Kind::Kill => signal(Signal::KILL),
        Kind::Stop => signal(Signal::STOP),
        Kind::Hold => {
            while !stop.is_set() {
                thread::yield_now();
            }
        }
        Kind::Slow(_) => {}
        Kind::Cut(interface) => {
            let cut = Command::new("ip").args(["link", "set", interface, "down"]).status();
            assert!(cut.is_ok_and(|status| status.success()), "{interface} cannot be taken down");
        }
    }
    Ok(())
}

fn signal(signal: Signal) {
    // To itself, which is there.
    let _ = kill_process(getpid(), signal);
}
