use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tidemill::data::Interrupt;

use super::{ATTEMPT, Ended, Host, Options};
use crate::child::ends_with_this;

/// One attempt that is under way.
pub(super) struct Job {
    child: Child,
    /// Whether a rank has said that it ends the job.
    is_falling: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

/// How often to look whether it is over.
const SLICE: Duration = Duration::from_millis(20);

/// That a host is cut off, Open MPI's daemons notice after as long; its own setting is eight minutes.
const KEEPALIVE: [(&str, &str); 3] = [
    ("OMPI_MCA_oob_tcp_keepalive_time", "5"),
    ("OMPI_MCA_oob_tcp_keepalive_intvl", "2"),
    ("OMPI_MCA_oob_tcp_keepalive_probes", "3"),
];

impl Job {
    pub(super) fn start(options: &Options, hosts: &[Host], ranks: usize, attempt: u32) -> Result<Self> {
        let [mpirun, arguments @ ..] = &options.mpirun[..] else { anyhow::bail!("--mpirun is empty") };
        let mut command = Command::new(mpirun);
        command.args(arguments).args(["-np", &ranks.to_string()]);
        if !hosts.is_empty() {
            // Open MPI takes no variables to other hosts but those it is told.
            let options: &[&str] = if is_mpich(mpirun)? { &["-hosts"] } else { &["-x", ATTEMPT, "-host"] };
            let hosts: Vec<String> = hosts.iter().map(|host| format!("{}:{}", host.name, host.slots)).collect();
            command.args(options).arg(hosts.join(","));
        }
        for (name, value) in KEEPALIVE {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        command.args(&options.command).env(ATTEMPT, attempt.to_string());
        // mpirun ends its ranks when it is asked to, and has no time to when it is killed.
        ends_with_this(&mut command, Signal::TERM, None)?;
        // In a group of its own: Ctrl-C reaches this process alone, which passes on what lets ranks save.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{mpirun} cannot be started"))?;
        let is_falling = Arc::new(AtomicBool::new(false));
        let errors = child.stderr.take().context("mpirun has no standard error")?;
        let reader = thread::spawn({
            let is_falling = is_falling.clone();
            move || pass_on(errors, &is_falling)
        });
        Ok(Self { child, is_falling, reader })
    }

    /// Waits until it is over, or ends it where it does not end by itself.
    pub(super) fn watch(mut self, grace: Duration, stop: &Interrupt) -> Result<Ended> {
        let (mut asked, mut falling) = (None, None);
        let ended = loop {
            if let Some(status) = self.child.try_wait()? {
                break match Ended::of(status) {
                    // Whatever mpirun makes of ranks that were asked to stop.
                    Ended::Fell(_) if asked.is_some() => Ended::Killed,
                    ended => ended,
                };
            }
            if asked.is_none() && stop.is_set() {
                super::note(format_args!("asking the ranks to save and stop"));
                kill_process(self.pid(), Signal::USR1).context("asking mpirun to pass on a signal")?;
                asked = Some(Instant::now());
            }
            if falling.is_none() && self.is_falling.load(Ordering::Relaxed) {
                falling = Some(Instant::now());
            }
            if asked.is_some_and(|since: Instant| since.elapsed() > grace) {
                self.end()?;
                break Ended::Killed;
            }
            if falling.is_some_and(|since: Instant| since.elapsed() > grace) {
                self.end()?;
                break Ended::Hung;
            }
            thread::sleep(SLICE);
        };
        // What mpirun has left behind may still hold its standard error open.
        let until = Instant::now() + Duration::from_secs(1);
        while !self.reader.is_finished() && Instant::now() < until {
            thread::sleep(SLICE);
        }
        Ok(ended)
    }

    /// Asks `mpirun` to end its ranks, then ends all that is of its group.
    fn end(&mut self) -> Result<ExitStatus> {
        let _ = kill_process(self.pid(), Signal::TERM);
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                break;
            }
            thread::sleep(SLICE);
        }
        let _ = kill_process_group(self.pid(), Signal::KILL);
        Ok(self.child.wait()?)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// Passes on what the ranks say, and notes when one ends the job.
fn pass_on(errors: ChildStderr, is_falling: &AtomicBool) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    while errors.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if String::from_utf8_lossy(&line).contains(tidemill::mpi::ENDS_THE_JOB) {
            is_falling.store(true, Ordering::Relaxed);
        }
        let _ = std::io::stderr().write_all(&line);
        line.clear();
    }
}

fn is_mpich(mpirun: &str) -> Result<bool> {
    let output = Command::new(mpirun).arg("--version").output().with_context(|| format!("{mpirun} --version"))?;
    Ok(String::from_utf8_lossy(&output.stdout).contains("HYDRA"))
}
