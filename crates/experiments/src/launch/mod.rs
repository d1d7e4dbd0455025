//! A job of several ranks that is started again from its last checkpoint when it falls.
//!
//! [`launch`] starts `mpirun`, watches it, and starts it again. It knows nothing of what the ranks do, but for three
//! things: where their checkpoint is, that they save one and stop on `SIGUSR1`, and what their exit codes mean
//! ([`Ended`]).

mod ended;
mod hosts;
mod job;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use tidemill::data::Interrupt;

pub use ended::Ended;
pub use hosts::Host;
use job::Job;

/// What is launched.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program and its arguments, the same for every rank.
    pub command: Vec<String>,
    /// Ranks; as many as the hosts have slots when absent.
    pub ranks: Option<usize>,
    /// Where ranks run; on this machine when empty.
    pub hosts: Vec<Host>,
    /// What reaches a host: `AGENT HOST COMMAND`.
    pub agent: String,
    /// The program that starts ranks, and its own arguments.
    pub mpirun: Vec<String>,
    /// The checkpoint that the ranks save and go on from.
    pub checkpoint: Option<PathBuf>,
    /// How often to start again without a newer checkpoint.
    pub restarts: u32,
    /// How long a job that falls, or that was asked to stop, may take to end by itself.
    pub grace: Duration,
}

/// The variable in which ranks find the number of the attempt, from 0.
pub const ATTEMPT: &str = "TIDEMILL_ATTEMPT";

/// Runs the job until it has finished, was stopped, or has fallen too often.
///
/// Ranks find the number of the attempt in the environment, as [`ATTEMPT`].
///
/// # Errors
///
/// When no host answers or `mpirun` cannot be started.
pub fn launch(options: &Options, stop: &Interrupt) -> Result<Ended> {
    if options.command.is_empty() {
        bail!("there is nothing to launch; give the program of a rank behind --");
    }
    let mut left = options.restarts;
    let mut saved = last_saved(options.checkpoint.as_deref());
    for attempt in 0.. {
        let hosts = hosts::answering(&options.hosts, &options.agent);
        if hosts.is_empty() && !options.hosts.is_empty() {
            bail!("none of the {} host(s) answers {} HOST true", options.hosts.len(), options.agent);
        }
        let slots = hosts.iter().map(|host| host.slots).sum();
        let ranks = match options.ranks {
            Some(ranks) if hosts.is_empty() => ranks,
            Some(ranks) => ranks.min(slots),
            None => slots.max(1),
        };
        let began = Instant::now();
        let ended = Job::start(options, &hosts, ranks, attempt)?.watch(options.grace, stop)?;
        let newest = last_saved(options.checkpoint.as_deref());
        let is_newer = newest.is_some() && newest != saved;
        if is_newer {
            (saved, left) = (newest, options.restarts);
        }
        let so_far = format!("attempt {} {ended} after {:.1} s", attempt + 1, began.elapsed().as_secs_f64());
        if !ended.may_go_on() {
            if !matches!(ended, Ended::Finished) {
                note(format_args!("{so_far}"));
            }
            return Ok(ended);
        }
        let from = match (&options.checkpoint, newest) {
            (Some(path), Some(_)) if is_newer => format!("a new checkpoint was saved to {}", path.display()),
            (Some(path), Some(_)) => format!("no newer checkpoint was saved to {}", path.display()),
            _ => "there is no checkpoint".into(),
        };
        if left == 0 {
            note(format_args!("{so_far}; {from}; not started again after {} restart(s)", options.restarts));
            return Ok(ended);
        }
        left -= 1;
        note(format_args!("{so_far}; {from}; starting again ({left} more left without a newer one)"));
        pause(attempt, stop);
    }
    unreachable!("attempts do not end by themselves")
}

/// A job that falls at once is not started again at once.
fn pause(attempt: u32, stop: &Interrupt) {
    let until = Instant::now() + Duration::from_millis(250 << attempt.min(6));
    while Instant::now() < until && !stop.is_set() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// When the checkpoint was last saved.
fn last_saved(checkpoint: Option<&Path>) -> Option<SystemTime> {
    std::fs::metadata(checkpoint?).and_then(|about| about.modified()).ok()
}

fn note(what: std::fmt::Arguments<'_>) {
    crate::say::note(format_args!("launch: {what}"));
}
