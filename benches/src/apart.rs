use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{Answer, Figure};

/// Measures each figure in a process of its own: this binary, run anew. So figures do not warm each other's caches, and
/// each has a peak of memory.
#[derive(Clone, Debug)]
pub struct Apart {
    binary: PathBuf,
    /// The processors that this process may use, where they can be narrowed.
    pinned: Option<Vec<usize>>,
}

impl Apart {
    /// On whatever processors the system chooses.
    ///
    /// # Errors
    ///
    /// When the system does not say which binary this is.
    pub fn new() -> Result<Self> {
        Ok(Self { binary: std::env::current_exe().context("this binary is not found")?, pinned: None })
    }

    /// On as many processors as there are threads, where the system has `taskset`.
    #[must_use]
    pub fn pinned(self) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let taskset = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let there = taskset.is_ok_and(|status| status.success());
        Self { pinned: allowed(&status).filter(|_| there), ..self }
    }

    /// How processes are bound to processors.
    pub fn describe(&self) -> &'static str {
        match self.pinned {
            Some(_) => "each measurement is pinned to as many processors as it has threads, in all ranks together",
            None => {
                "peers pin themselves to as many processors as they have threads; tidemill is not pinned, for there is no taskset"
            }
        }
    }

    /// Measures a figure.
    ///
    /// # Errors
    ///
    /// When that fails, with what the process said.
    pub fn take(&self, figure: &Figure) -> Result<(serde_json::Value, f64)> {
        let answer = Answer::of(&mut self.command(figure)).with_context(|| figure.describe())?;
        match answer {
            Answer::Figure(line, rate) => Ok((line, rate)),
            Answer::Skipped(reason) => bail!("{}: skipped, {reason}", figure.describe()),
        }
    }

    /// Does what finds nothing, such as writing a file; progress is shown.
    ///
    /// # Errors
    ///
    /// When that fails, which it has said itself.
    pub fn run(&self, figure: &Figure) -> Result<()> {
        let status = self.command(figure).status().context("this binary cannot be started anew")?;
        ensure!(status.success(), "{}: {status}", figure.describe());
        Ok(())
    }

    fn command(&self, figure: &Figure) -> Command {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        if let Some(allowed) = &self.pinned {
            let workers = figure.threads() * figure.ranks();
            let list: Vec<String> = allowed.iter().take(workers).map(usize::to_string).collect();
            words.extend(["taskset", "--cpu-list", &list.join(",")].map(Into::into));
        }
        if figure.ranks() > 1 {
            // Ranks are not bound one by one: with threads of their own they would share a processor.
            let start = ["mpirun", "--bind-to", "none", "-np", &figure.ranks().to_string()];
            words.extend(start.map(Into::into));
        }
        words.push(self.binary.clone().into());
        words.extend(figure.arguments().into_iter().map(Into::into));
        if figure.ranks() > 1 {
            words.push("--as-rank".into());
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }
}

/// The processors that Linux allows a process, from its status: `0-3,8`.
fn allowed(status: &str) -> Option<Vec<usize>> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let ranges = list.split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    Some(ranges.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_processors_are_read_where_linux_writes_them() {
        assert_eq!(allowed("Name:\tbench\nCpus_allowed_list:\t0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(allowed("Cpus_allowed_list:\t5\n"), Some(vec![5]));
        assert_eq!(allowed("Cpus_allowed_list:\tall\n"), None);
        assert_eq!(allowed(""), None);
    }
}
