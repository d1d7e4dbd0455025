use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::comparison::Trouble;
use crate::{Answer, Comparison, Figure};

/// Something that a user would pick instead, run by a script of benches/peers.
struct Peer {
    name: &'static str,
    script: &'static str,
    /// What pip calls the packages that it takes; where one has several names, with `|` between.
    packages: &'static [&'static str],
    /// The figures that it has too, by [`Figure::task`].
    takes: &'static [&'static str],
}

const EPOCHS: &[&str] = &["seed", "mlp", "wide", "cnn"];
const EPOCHS_CTR_AND_STREAM: &[&str] = &["seed", "mlp", "wide", "cnn", "ctr", "stream", "stream memory"];

const RANKS: &[&str] = &["seed 2 ranks", "mlp 2 ranks", "wide 2 ranks", "mlp 4 ranks", "wide 4 ranks"];

const PEERS: &[Peer] = &[
    Peer { name: "jax", script: "jax_peer.py", packages: &["jax", "optax", "pyarrow"], takes: EPOCHS_CTR_AND_STREAM },
    Peer { name: "torch", script: "torch_peer.py", packages: &["torch", "pyarrow"], takes: EPOCHS_CTR_AND_STREAM },
    Peer { name: "torch-sparse", script: "torch_sparse_peer.py", packages: &["torch"], takes: &["ctr"] },
    Peer { name: "torch-ddp", script: "torch_ddp_peer.py", packages: &["torch"], takes: RANKS },
    Peer { name: "keras", script: "keras_peer.py", packages: &["keras", "tensorflow|tensorflow-cpu"], takes: EPOCHS },
    Peer {
        name: "tensorflow",
        script: "tensorflow_peer.py",
        packages: &["keras", "tensorflow|tensorflow-cpu"],
        takes: EPOCHS,
    },
    Peer {
        name: "scikit-learn",
        script: "scikit_learn_peer.py",
        packages: &["scikit-learn"],
        takes: &["seed", "mlp", "wide"],
    },
    Peer { name: "pyarrow", script: "pyarrow_peer.py", packages: &["pyarrow"], takes: &["stream decode"] },
    Peer { name: "polars", script: "polars_peer.py", packages: &["polars"], takes: &["stream decode"] },
    Peer {
        name: "vowpal-wabbit",
        script: "vowpal_wabbit_peer.py",
        packages: &["vowpalwabbit"],
        takes: &["online1 memory"],
    },
    Peer {
        name: "river",
        script: "river_peer.py",
        packages: &["river", "pyarrow"],
        takes: &["online1 memory", "online1 parquet"],
    },
];

/// The peers that a Python interpreter has.
pub struct Peers {
    python: PathBuf,
    folder: PathBuf,
    chosen: Vec<&'static Peer>,
    /// Versions of the packages that are there.
    versions: BTreeMap<String, String>,
    repeats: usize,
}

impl Peers {
    /// Asks the interpreter for its packages. Of the peers those that are named, or all.
    ///
    /// # Errors
    ///
    /// When there is no such peer, or no such interpreter.
    pub fn find(python: &Path, names: &[String], repeats: usize) -> Result<Self> {
        let known = || PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ");
        for name in names {
            ensure!(PEERS.iter().any(|peer| peer.name == name), "there is no peer {name:?}, only {}", known());
        }
        let chosen = PEERS.iter().filter(|peer| names.is_empty() || names.iter().any(|name| name == peer.name));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let mut peers =
            Self { python: python.to_owned(), folder, chosen: chosen.collect(), versions: BTreeMap::new(), repeats };
        peers.versions = peers.probe()?;
        Ok(peers)
    }

    /// Versions of the interpreter and of the peers' packages.
    pub fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }

    /// The peers of a figure, in the order in which they run; those that lack a package with what they lack.
    pub fn of(&self, figure: &Figure) -> Vec<(&'static str, Option<Trouble>)> {
        let name = figure.task();
        let takes = self.chosen.iter().filter(|peer| peer.takes.contains(&name.as_str()));
        takes.map(|peer| (peer.name, self.lacks(peer))).collect()
    }

    /// Has a peer measure the same as the figure.
    ///
    /// # Errors
    ///
    /// When it cannot, with the reason.
    pub fn take(&self, name: &str, figure: &Figure) -> Result<(Value, f64), Trouble> {
        let peer = self.chosen.iter().find(|peer| peer.name == name).ok_or("it was not chosen")?;
        let mut command = self.command(peer.script);
        command.arg(figure.workload()).args(["--threads", &figure.threads().to_string()]);
        command.args(["--repeats", &self.repeats.to_string()]);
        if figure.ranks() > 1 {
            command.args(["--ranks", &figure.ranks().to_string()]);
        }
        if let Some(mode) = figure.mode() {
            command.args(["--mode", mode.name()]);
        }
        if let Some(file) = figure.file() {
            command.arg("--file").arg(file);
        }
        if let Some(rows) = figure.rows() {
            command.args(["--rows", &rows.to_string()]);
        }
        if let Some(categories) = figure.categories() {
            command.args(["--categories", &categories.to_string()]);
        }
        match Answer::of(&mut command) {
            Ok(Answer::Figure(line, rate)) => Ok((line, rate)),
            Ok(Answer::Skipped(reason)) => Err(reason),
            Err(error) => Err(format!("failed: {error:#}")),
        }
    }

    fn lacks(&self, peer: &Peer) -> Option<Trouble> {
        let absent = |package: &&&str| !package.split('|').any(|name| self.versions.contains_key(name));
        let missing: Vec<&str> = peer.packages.iter().filter(absent).copied().collect();
        (!missing.is_empty()).then(|| format!("this Python has no {}", missing.join(", ").replace('|', " or ")))
    }

    fn probe(&self) -> Result<BTreeMap<String, String>> {
        let packages: std::collections::BTreeSet<&str> =
            self.chosen.iter().flat_map(|peer| peer.packages).flat_map(|package| package.split('|')).collect();
        let output = self.command("versions.py").args(packages).output();
        let output = output.with_context(|| format!("--peers: {} cannot be started", self.python.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "--peers: {} is no Python: {}", self.python.display(), said.trim());
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("--peers: {} does not say which packages it has", self.python.display()))
    }

    fn command(&self, script: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-B").arg(self.folder.join(script.as_ref()));
        command
    }
}

/// Compares a figure with its peers, in turn; says on stderr who runs.
///
/// # Errors
///
/// Those of our own runs.
pub fn compare(
    figure: &Figure,
    peers: &Peers,
    rounds: usize,
    ours: impl Fn(&Figure) -> Result<(Value, f64)>,
) -> Result<Comparison> {
    let note = |name: &str| crate::progress::note(format_args!("{}: {name}", figure.describe()));
    let found = Comparison::alternate(
        &peers.of(figure),
        rounds,
        || {
            note("tidemill");
            ours(figure)
        },
        |name| {
            note(name);
            peers.take(name, figure)
        },
    )?;
    for rival in &found.rivals {
        if let Some(trouble) = &rival.trouble {
            note(&format!("{} skipped, {trouble}", rival.name));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_script() {
        for peer in PEERS {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(peer.script);
            assert!(script.is_file(), "{}: {} is missing", peer.name, script.display());
        }
    }

    #[test]
    fn peers_and_interpreters_that_do_not_exist_are_refused_by_name() {
        let error = |python: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Peers::find(Path::new(python), &names, 1).err().unwrap().to_string()
        };
        assert!(error("python3", &["jax", "theano"]).starts_with("there is no peer \"theano\", only jax, torch"));
        assert!(error("no-such-python", &[]).contains("no-such-python cannot be started"));
        assert!(error("false", &[]).contains("false is no Python"));
        assert!(error("true", &[]).contains("does not say which packages"));
    }
}
