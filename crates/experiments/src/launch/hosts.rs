use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use rustix::process::Signal;

use super::note;
use crate::child::ends_with_this;

/// A machine that ranks can run on, written `NAME` or `NAME:SLOTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// As the agent and `mpirun` know it.
    pub name: String,
    /// Ranks that it takes.
    pub slots: usize,
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, slots) = text.split_once(':').unwrap_or((text, "1"));
        let slots = slots.parse().with_context(|| format!("host {text}: {slots} is no number of slots"))?;
        if name.is_empty() || slots == 0 {
            bail!("host {text:?}: expected NAME or NAME:SLOTS with 1 slot or more");
        }
        Ok(Self { name: name.to_owned(), slots })
    }
}

impl Host {
    /// The hosts of a file as `mpirun` takes it: a line each, `NAME slots=N` (Open MPI) or `NAME:N` (MPICH); comments
    /// from `#`.
    ///
    /// # Errors
    ///
    /// When a line is none of that, with its number.
    pub fn of_file(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.split('#').next().unwrap_or("").trim()));
        lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| {
                let mut words = line.split_whitespace();
                let mut host: Self = words.next().unwrap_or("").parse().with_context(|| format!("line {number}"))?;
                for word in words {
                    if let Some(slots) = word.strip_prefix("slots=") {
                        host.slots =
                            slots.parse().with_context(|| format!("line {number}: {word} is no number of slots"))?;
                    }
                }
                Ok(host)
            })
            .collect()
    }
}

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The hosts on which the agent can run a command; all are asked at once.
pub(super) fn answering(hosts: &[Host], agent: &str) -> Vec<Host> {
    let asked: Vec<(&Host, std::io::Result<Child>)> = hosts.iter().map(|host| (host, ask(host, agent))).collect();
    let until = Instant::now() + PATIENCE;
    let answered = asked.into_iter().filter_map(|(host, child)| match child.and_then(|child| wait(child, until)) {
        Ok(true) => Some(host.clone()),
        Ok(false) => {
            note(format_args!("host {} does not answer, and is left out", host.name));
            None
        }
        Err(error) => {
            note(format_args!("host {} is left out, for {agent} cannot be started: {error}", host.name));
            None
        }
    });
    answered.collect()
}

fn ask(host: &Host, agent: &str) -> std::io::Result<Child> {
    let mut words = agent.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("ssh"));
    command.args(words).args([&host.name, "true"]);
    ends_with_this(&mut command, Signal::TERM, None).map_err(std::io::Error::other)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn wait(mut child: Child, until: Instant) -> std::io::Result<bool> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_mpirun_writes_them() {
        let file = "# the cluster\nnode1 slots=4\nnode2:2 # the old one\n\nnode3 max_slots=2\n";
        let hosts = Host::of_file(file).unwrap();
        let host = |name: &str, slots| Host { name: name.into(), slots };
        assert_eq!(hosts, [host("node1", 4), host("node2", 2), host("node3", 1)]);
        let error = format!("{:#}", Host::of_file("a\nb slots=many\n").unwrap_err());
        assert!(error.starts_with("line 2: slots=many is no number"), "{error}");
        assert!("a:0".parse::<Host>().is_err() && ":3".parse::<Host>().is_err() && "a:b".parse::<Host>().is_err());
    }

    #[test]
    fn hosts_that_do_not_answer_are_left_out() {
        let hosts: Vec<Host> = ["here:2", "gone"].map(|host| host.parse().unwrap()).to_vec();
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("agent");
        std::fs::write(&agent, "[ \"$1\" = here ]\n").unwrap();
        assert_eq!(answering(&hosts, &format!("sh {}", agent.display())), hosts[..1]);
        assert_eq!(answering(&hosts, "/no/such/agent"), []);
    }
}
