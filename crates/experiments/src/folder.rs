//! The folder that a comparison writes to, which no other comparison may write to meanwhile.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};
use tidemill::data::file;

use crate::say;

/// A folder that this process has locked.
///
/// The lock is one of the operating system (`flock`) on the file `.lock`, and is gone with the last process that holds
/// it: this one, and the runs that it starts, which inherit it. So a killed comparison is no obstacle to the next one, and
/// its runs, where they outlive it for a moment, are waited for. The file itself stays and means nothing.
///
/// Locks of this kind work between hosts over NFS (Linux 2.6.12 and later; not where it is mounted with `nolock` or
/// `local_lock`), Lustre (mounted with `flock`), CephFS and GPFS. On a file system that has none, a warning is given, and
/// it is up to the user that no two comparisons share a folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: Option<File>,
}

/// How often to look whether the runs of a killed comparison have ended.
const SLICE: Duration = Duration::from_millis(20);

impl Folder {
    /// Makes the folder where it is missing, locks it, and removes temporary files of killed processes.
    ///
    /// # Errors
    ///
    /// When another comparison is under way there, with the number of its process, or the folder cannot be made.
    pub fn take(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        let name = path.join(".lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name);
        let mut file = file.with_context(|| name.display().to_string())?;
        let mut is_waiting = false;
        let lock = loop {
            match file.try_lock() {
                Ok(()) => {
                    Owner::this().write(&mut file).with_context(|| name.display().to_string())?;
                    break Some(file);
                }
                Err(TryLockError::WouldBlock) => {
                    let owner = Owner::read(&name);
                    if owner.as_ref().is_none_or(Owner::may_live) {
                        let owner = owner.map_or("another process".into(), |owner| owner.to_string());
                        bail!(
                            "{}: {owner} is running a comparison there; wait until it has ended, or choose another \
                             folder with --out",
                            path.display()
                        );
                    }
                    if !is_waiting {
                        say::note(format_args!("{}: waiting for runs of a killed comparison to end", path.display()));
                        is_waiting = true;
                    }
                    std::thread::sleep(SLICE);
                }
                Err(TryLockError::Error(error)) => {
                    say::note(format_args!(
                        "warning: {} cannot be locked ({error}); do not start a second comparison there",
                        path.display()
                    ));
                    break None;
                }
            }
        };
        file::remove_abandoned(&path);
        Ok(Self { path, lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock, for processes that write to the folder too.
    pub(crate) fn lock(&self) -> Option<&File> {
        self.lock.as_ref()
    }
}

/// The process that holds a lock, as the lock file names it.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: i32,
    host: String,
}

impl Owner {
    fn this() -> Self {
        Self { pid: getpid().as_raw_nonzero().get(), host: host() }
    }

    fn write(&self, file: &mut File) -> std::io::Result<()> {
        file.set_len(0)?;
        file.write_all(format!("{} {}\n", self.pid, self.host).as_bytes())
    }

    /// `None` where the file names nobody, as in the moment after the lock was taken.
    fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        File::open(path).ok()?.take(1 << 10).read_to_string(&mut text).ok()?;
        let (pid, host) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, host: host.into() })
    }

    /// Whether the process is there, as far as this host can tell.
    fn may_live(&self) -> bool {
        let is_there = |pid| test_kill_process(pid) != Err(Errno::SRCH);
        self.host != host() || Pid::from_raw(self.pid).is_none_or(is_there)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.host != host() { write!(f, " on {}", self.host) } else { Ok(()) }
    }
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    name.map_or_else(|_| "unknown".into(), |name| name.trim().to_owned())
}
