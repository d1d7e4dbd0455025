//! Processes that this one starts: they end with it, are asked to stop when it is, and are listened to until they end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tidemill::data::Interrupt;

use crate::compare::STOPPED;
use crate::folder::Folder;

/// Has a process end when this one does, even by `SIGKILL`: it then gets the signal (on Linux). A lock of a folder is
/// passed on to it, so that the folder is not free before the process has ended.
///
/// The process must be started by a thread that lives as long as it does.
pub(crate) fn ends_with_this(command: &mut Command, signal: Signal, folder: Option<&Folder>) -> Result<()> {
    let lock = folder.and_then(Folder::lock).map(std::fs::File::try_clone).transpose()?;
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;

        let parent = rustix::process::getpid();
        let prepare = move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The parent may have ended before it was asked for the signal.
            if rustix::process::getppid() != Some(parent) {
                return Err(std::io::ErrorKind::NotFound.into());
            }
            if let Some(lock) = &lock {
                rustix::io::fcntl_setfd(lock, rustix::io::FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec, only prctl, getppid and fcntl are called, which are async-signal-safe, and
        // errors are made that allocate nothing.
        unsafe { command.pre_exec(prepare) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, signal, lock);
    Ok(())
}

/// How a process ended that was [followed](follow).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With success.
    Well,
    /// It was asked to stop, and did.
    Stopped,
    /// Otherwise: with its exit code, if it had one, and what it said.
    Badly(Option<i32>, String),
}

/// How often to look whether to stop.
const SLICE: Duration = Duration::from_millis(50);
/// For how long to listen to those who hold the pipes of a process that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes of standard error that are kept, at the beginning and at the end: enough to tell what went wrong.
const KEPT: usize = 32 << 10;

/// Shows a process's progress until it ends, asks it to stop when `stop` is set, and tells how it ended.
pub(crate) fn follow(mut child: Child, stop: &Interrupt, mut progress: impl FnMut(u64, u64)) -> Result<Ended> {
    let output = child.stdout.take().context("the process has no standard output")?;
    let errors = child.stderr.take().context("the process has no standard error")?;
    let (sender, lines) = mpsc::channel();
    let said = Arc::new(Mutex::new(Said::default()));
    let reads_output = thread::spawn({
        let said = said.clone();
        move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.by_ref().take(1 << 16).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                match counts(&line) {
                    Some(counts) => {
                        let _ = sender.send(counts);
                    }
                    // What launchers say on standard output instead.
                    None => said.lock().unwrap_or_else(PoisonError::into_inner).add(&line),
                }
                line.clear();
            }
        }
    });
    let reads_errors = thread::spawn({
        let said = said.clone();
        let mut errors = errors;
        move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut buffer) {
                said.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..read]);
            }
        }
    });
    let mut is_asked = false;
    let status = loop {
        match lines.recv_timeout(SLICE) {
            Ok((done, total)) => progress(done, total),
            Err(RecvTimeoutError::Timeout) => {}
            // Its output is closed: it ends.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(1)),
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop.is_set() && !is_asked {
            is_asked = true;
            let pid = Pid::from_child(&child);
            // To a process that has ended meanwhile, nothing is to be told.
            let _ = kill_process(pid, Signal::TERM);
            // A process that was suspended would not hear it.
            let _ = kill_process(pid, Signal::CONT);
        }
    };
    let until = Instant::now() + LAST_WORDS;
    while !(reads_output.is_finished() && reads_errors.is_finished()) && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    lines.try_iter().for_each(|(done, total)| progress(done, total));
    let said = said.lock().unwrap_or_else(PoisonError::into_inner).text();
    Ok(match status.code() {
        Some(0) => Ended::Well,
        Some(code) if code == i32::from(STOPPED) => Ended::Stopped,
        code if said.is_empty() => Ended::Badly(code, format!("its process ended with {status}")),
        code => Ended::Badly(code, said),
    })
}

/// The numbers of a line `progress DONE TOTAL`.
fn counts(line: &[u8]) -> Option<(u64, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.strip_prefix("progress ")?.split_whitespace();
    let mut number = || words.next()?.parse().ok();
    Some((number()?, number()?))
}

/// What a process says: the beginning and the end of it, where it is long.
#[derive(Debug, Default)]
struct Said {
    first: Vec<u8>,
    last: std::collections::VecDeque<u8>,
    is_cut: bool,
}

impl Said {
    fn add(&mut self, bytes: &[u8]) {
        let (first, last) = bytes.split_at(bytes.len().min(KEPT - self.first.len()));
        self.first.extend(first);
        self.last.extend(last);
        let over = self.last.len().saturating_sub(KEPT);
        self.is_cut |= over > 0;
        self.last.drain(..over);
    }

    /// Without what sets errors off on a terminal.
    fn text(&self) -> String {
        let last = Vec::from(self.last.clone());
        let between: &[u8] = if self.is_cut { b"\n[...]\n" } else { b"" };
        let all = [&self.first, between, &last].concat();
        let text = String::from_utf8_lossy(&all);
        text.trim().trim_start_matches("error: ").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ends_with_this(&mut command, Signal::KILL, None).unwrap();
        command.spawn().unwrap()
    }

    #[test]
    fn progress_is_shown_and_everything_else_is_kept_whole() {
        let mut seen = Vec::new();
        let script =
            "echo progress 1 9; echo 'no progress'; printf 'caf\\351\\n' >&2; echo ---- >&2; echo why >&2; exit 4";
        let ended = follow(shell(script), &Interrupt::new(), |done, total| seen.push((done, total))).unwrap();
        assert_eq!(seen, [(1, 9)]);
        let Ended::Badly(Some(4), said) = ended else { panic!("{ended:?}") };
        for part in ["no progress", "caf\u{fffd}", "----\nwhy"] {
            assert!(said.contains(part), "{part:?} in {said:?}");
        }
        assert_eq!(follow(shell("exit 0"), &Interrupt::new(), |_, _| ()).unwrap(), Ended::Well);
        assert_eq!(follow(shell("exit 130"), &Interrupt::new(), |_, _| ()).unwrap(), Ended::Stopped);
        let ended = follow(shell("kill -9 $$"), &Interrupt::new(), |_, _| ()).unwrap();
        assert!(matches!(&ended, Ended::Badly(None, said) if said.contains("signal: 9")), "{ended:?}");
    }

    #[test]
    fn a_flood_of_words_is_cut_in_the_middle() {
        let script = "echo first >&2; head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; echo last >&2; exit 1";
        let Ended::Badly(_, said) = follow(shell(script), &Interrupt::new(), |_, _| ()).unwrap() else { panic!() };
        assert!(said.starts_with("first\n") && said.ends_with("last") && said.contains("\n[...]\n"));
        assert!(said.len() <= 2 * KEPT + 10, "{}", said.len());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_asked_to_stop_even_when_it_is_suspended() {
        let stop = Interrupt::new();
        let child = shell("trap 'exit 130' TERM; kill -STOP $$; while :; do sleep 0.01; done");
        let status = format!("/proc/{}/stat", child.id());
        thread::scope(|scope| {
            scope.spawn(|| {
                // The state stands behind the name, which is in parentheses.
                while !std::fs::read_to_string(&status).is_ok_and(|text| text.contains(") T ")) {
                    thread::yield_now();
                }
                stop.set();
            });
            assert_eq!(follow(child, &stop, |_, _| ()).unwrap(), Ended::Stopped);
        });
    }
}
