//! Two hosts on one machine, and a link of a known rate between them: Linux network namespaces.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// What lies between ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Nothing: they are on one host.
    Memory,
    /// A network of so many bits a second, both ways at once; none: as fast as the kernel is.
    Network(Option<u64>),
}

impl Link {
    /// As readers see it.
    pub fn label(self) -> String {
        match self {
            Self::Memory => "one host".into(),
            Self::Network(None) => "two hosts".into(),
            Self::Network(Some(bits)) if bits.is_multiple_of(1_000_000_000) => {
                format!("{} Gbit/s", bits / 1_000_000_000)
            }
            Self::Network(Some(bits)) => format!("{} Mbit/s", bits / 1_000_000),
        }
    }

    /// For file names.
    pub fn name(self) -> String {
        self.label().replace(' ', "-").replace('/', "p")
    }
}

/// Two hosts, until this is dropped. Needs the rights of root, and `ip`, `tc` and `unshare`.
#[derive(Debug)]
pub struct Hosts {
    names: [String; 2],
    /// Holds the scripts.
    folder: TempDir,
}

/// The interface of each host that leads to the other.
pub const INTERFACE: &str = "eth0";

impl Hosts {
    /// Makes them, and the link.
    ///
    /// # Errors
    ///
    /// When the system does not let it, with what it says.
    pub fn new(bits: Option<u64>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |host: u32| format!("tm{}-{}", std::process::id(), 2 * number + host);
        let hosts = Self { names: [name(0), name(1)], folder: tempfile::tempdir()? };
        let [a, b] = &hosts.names;
        let net = format!("10.{}.{}", 64 + std::process::id() % 128, number % 256);
        let table = format!("127.0.0.1 localhost\n{net}.1 {a}\n{net}.2 {b}\n");
        for host in &hosts.names {
            run(&["ip", "netns", "add", host])?;
            run(&["ip", "-n", host, "link", "set", "lo", "up"])?;
            let folder = hosts_file(host);
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            fs::write(folder.join("hosts"), &table)?;
        }
        run(&["ip", "link", "add", INTERFACE, "netns", a, "type", "veth", "peer", "name", INTERFACE, "netns", b])?;
        for (i, host) in hosts.names.iter().enumerate() {
            run(&["ip", "-n", host, "addr", "add", &format!("{net}.{}/24", i + 1), "dev", INTERFACE])?;
            run(&["ip", "-n", host, "link", "set", INTERFACE, "up"])?;
            if let Some(bits) = bits {
                let rate = format!("{bits}bit");
                let shape = ["root", "tbf", "rate", &rate, "burst", "128kb", "latency", "50ms"];
                run(&[&["tc", "-n", host, "qdisc", "add", "dev", INTERFACE][..], &shape].concat())?;
            }
        }
        let agent = format!(
            "while [ \"${{1#-}}\" != \"$1\" ]; do shift; done; host=$1; shift\n\
             [ -n \"$(ip -n \"$host\" link show {INTERFACE} up)\" ] || exit 255\n\
             exec ip netns exec \"$host\" unshare --uts sh -c 'hostname \"$0\"; eval \"$1\"' \"$host\" \"$*\"\n"
        );
        hosts.script("agent", &agent)?;
        // Connections in pairs, so that both directions flow at once; nobody is bound to a processor, for the hosts have
        // the same ones; who waits, yields.
        let mpirun = format!(
            "exec ip netns exec {a} unshare --uts sh -c 'hostname \"$0\"; exec mpirun \"$@\"' {a} --bind-to none \\\n\
             --mca plm_rsh_agent {} --mca mpi_yield_when_idle 1 --mca btl_tcp_links 2 \"$@\"\n",
            hosts.agent()
        );
        hosts.script("mpirun", &mpirun)?;
        Ok(hosts)
    }

    fn script(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).with_context(|| path.display().to_string())?;
        run(&["chmod", "+x", &path.display().to_string()])
    }

    /// Their names.
    pub fn names(&self) -> &[String; 2] {
        &self.names
    }

    /// What runs a command on a host, in place of `ssh`: `AGENT HOST COMMAND`. It fails where the host is cut off.
    pub fn agent(&self) -> String {
        self.folder.path().join("agent").display().to_string()
    }

    /// `mpirun` (of Open MPI) as it is started on the first host, to reach the second one over the link.
    pub fn mpirun(&self) -> String {
        self.folder.path().join("mpirun").display().to_string()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &self.names {
            // What is left of a failed run is ended with its host.
            if let Ok(left) = Command::new("ip").args(["netns", "pids", host]).output() {
                for pid in String::from_utf8_lossy(&left.stdout).split_whitespace() {
                    let _ = Command::new("kill").args(["-9", pid]).status();
                }
            }
            let _ = Command::new("ip").args(["netns", "del", host]).output();
            let _ = fs::remove_dir_all(hosts_file(host));
        }
    }
}

fn hosts_file(host: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(host)
}

fn run(words: &[&str]) -> Result<()> {
    let output = Command::new(words[0]).args(&words[1..]).output().with_context(|| words.join(" "))?;
    if !output.status.success() {
        bail!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
