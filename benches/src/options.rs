use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Parser;

use crate::{Figure, Goal, Mode, Model, OneByOne, Setup, Streaming, Workload};

/// Measures training throughput, and compares it with other frameworks.
///
/// Workloads: seed (10-10-1), mlp (784-512-512-10), wide (28-256-256-1), cnn (two convolutions of images of 28x28) and ctr
/// (13 numbers, and 26 categories with a vector of width 8 each; 64-32-1), in epochs over rows in memory, after one to warm
/// up; online1 (28-1, one row at a time); stream (28-256-256-1, one pass over a Parquet file with the columns label
/// and f00 to f27). All that lie in memory unless one is named; or any dense model with --dims.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub struct Options {
    /// seed, mlp, wide, cnn, ctr, online1, stream
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// A model of one's own instead: inputs, then the outputs of each layer
    #[arg(long, value_delimiter = ',', value_name = "I,H,..,O")]
    pub dims: Option<Vec<usize>>,
    /// With --dims: rows a step
    #[arg(long, value_name = "ROWS")]
    pub batch: Option<usize>,
    /// With --dims: what the outputs are compared with
    #[arg(long)]
    pub loss: Option<Goal>,
    /// With --dims: rows of an epoch, 100 batches unless given. ctr: rows of an epoch. online1, stream: rows where there is
    /// no --file
    #[arg(long)]
    pub rows: Option<usize>,
    /// ctr: categories of each column, 100000 unless given; several numbers make a table
    #[arg(long, value_delimiter = ',', value_name = "N,..")]
    pub categories: Vec<u32>,
    /// Threads to train on; several numbers make a table
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,..")]
    pub threads: Vec<usize>,
    /// Processes to train on together, over MPI: each has its part of every batch, and so many threads; several numbers
    /// make a table. Needs mpirun
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,..")]
    pub ranks: Vec<usize>,
    /// Whether this process is one of them
    #[arg(long, hide = true)]
    pub as_rank: bool,
    /// Shards to cut each batch into; as the engine chooses unless given
    #[arg(long)]
    pub shards: Option<usize>,
    /// How often to take the time, 5 unless given; the median counts. (stream is one pass)
    #[arg(long)]
    pub repeats: Option<usize>,
    /// Epochs each time
    #[arg(long)]
    pub epochs: Option<usize>,
    /// online1: memory, parquet. stream: stream, memory, decode, or write (only the file)
    #[arg(long, value_delimiter = ',', value_name = "MODE,..")]
    pub mode: Vec<Mode>,
    /// online1, stream: the Parquet file; one is written, and removed in the end, unless given
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Where to write that file instead, to stay
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
    /// stream: threads that decode; one while others train and else as many as --threads, unless given
    #[arg(long, value_name = "N")]
    pub decode_threads: Option<usize>,
    /// stream: bytes that reading may take
    #[arg(long, value_name = "BYTES")]
    pub budget: Option<u64>,
    /// stream: batches to read ahead; 8 unless given
    #[arg(long, value_name = "BATCHES")]
    pub prefetch: Option<usize>,
    /// Compare with the peers that this Python interpreter has, in turn
    #[arg(long, value_name = "PYTHON")]
    pub peers: Option<PathBuf>,
    /// With --peers: these alone
    #[arg(long, value_delimiter = ',', value_name = "PEER,..")]
    pub against: Vec<String>,
    /// With --peers: how often to run each; 3 unless given
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Keep the run, with machine, command and raw figures, as benches/runs/DATE-NAME
    #[arg(long, value_name = "NAME")]
    pub save: Option<String>,
    /// Print lines of JSON and nothing else
    #[arg(long)]
    pub json: bool,
}

/// The workload whose size is an option.
const CTR: &str = "ctr";

/// The workloads that are no epochs over rows in memory.
const ONLINE1: &str = "online1";
const STREAM: &str = "stream";

impl Options {
    /// What to measure.
    ///
    /// # Errors
    ///
    /// When the options do not say that, or what they say is impossible.
    pub fn resolve(&self) -> Result<Vec<Figure>> {
        self.check_peers()?;
        let names = self.names()?;
        self.check_meant_for(&names)?;
        let mut figures = Vec::new();
        for name in &names {
            for (&ranks, &threads) in self.ranks.iter().flat_map(|ranks| self.threads.iter().map(move |t| (ranks, t))) {
                figures.extend(self.figures_of(name, threads, ranks)?);
            }
        }
        if let Some(dims) = &self.dims {
            let workload = self.own(dims)?;
            for &ranks in &self.ranks {
                let figure = |&threads: &usize| Figure::Epochs(workload.clone(), self.setup(threads, ranks));
                figures.extend(self.threads.iter().map(figure));
            }
        }
        figures.iter().try_for_each(Figure::check)?;
        Ok(figures)
    }

    /// How often each side is run.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(3)
    }

    fn names(&self) -> Result<Vec<&str>> {
        if let (Some(name), Some(_)) = (self.workloads.first(), &self.dims) {
            bail!("--dims describes a workload of one's own, {name} has a model; give one of them");
        }
        let known: Vec<&str> = Workload::names().into_iter().chain([ONLINE1, STREAM]).collect();
        if let Some(name) = self.workloads.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("there is no workload {name:?}, only {}", known.join(", "));
        }
        Ok(match (self.workloads.is_empty(), &self.dims, &self.peers) {
            (false, ..) => self.workloads.iter().map(String::as_str).collect(),
            (true, Some(_), _) => Vec::new(),
            (true, None, Some(_)) => known,
            (true, None, None) => known.into_iter().filter(|&name| name != STREAM).collect(),
        })
    }

    fn check_peers(&self) -> Result<()> {
        if self.peers.is_none() {
            ensure!(self.rounds.is_none(), "--rounds goes with --peers");
            ensure!(self.against.is_empty(), "--against goes with --peers");
        }
        ensure!(self.rounds() > 0, "rounds: 0; expected 1 or more");
        ensure!(self.peers.is_none() || self.dims.is_none(), "--peers have the named workloads alone, not --dims");
        let write = self.mode.contains(&Mode::Write);
        ensure!(!write || self.mode.len() == 1 && self.peers.is_none(), "--mode write measures nothing; give it alone");
        ensure!(!write || self.keep.is_some(), "--mode write needs --keep FILE, where the file is to stay");
        ensure!(self.file.is_none() || self.keep.is_none(), "--keep is for a file that is written, --file is there");
        ensure!(self.file.is_none() || self.rows.is_none(), "--rows is for a file that is written, --file has its own");
        Ok(())
    }

    /// Refuses options that none of the workloads would look at.
    fn check_meant_for(&self, names: &[&str]) -> Result<()> {
        let all = names.join(", ");
        let streams = names.contains(&STREAM);
        let files = streams || names.contains(&ONLINE1);
        let epochs = self.dims.is_some() || names.iter().any(|&name| ![STREAM, ONLINE1].contains(&name));
        let (own, tables) = (self.dims.is_some(), names.contains(&CTR));
        let meant = |given: bool, here: bool, option: &str, whose: &str| {
            ensure!(!given || here, "{option} goes with {whose}, not with {}", if own { "--dims" } else { &all });
            Ok(())
        };
        meant(self.batch.is_some(), own, "--batch", "--dims")?;
        meant(self.loss.is_some(), own, "--loss", "--dims")?;
        meant(self.rows.is_some(), own || tables || files, "--rows", "--dims, ctr, online1 and stream")?;
        meant(!self.categories.is_empty(), tables, "--categories", "ctr")?;
        meant(self.file.is_some(), files, "--file", "online1 and stream")?;
        meant(self.keep.is_some(), files, "--keep", "online1 and stream")?;
        meant(!self.mode.is_empty(), files, "--mode", "online1 and stream")?;
        meant(self.decode_threads.is_some(), streams, "--decode-threads", "stream")?;
        meant(self.budget.is_some(), streams, "--budget", "stream")?;
        meant(self.prefetch.is_some(), streams, "--prefetch", "stream")?;
        meant(self.epochs.is_some(), epochs, "--epochs", "epochs over rows in memory")?;
        meant(self.ranks != [1], epochs && !files, "--ranks", "epochs over rows in memory")?;
        meant(self.shards.is_some(), epochs || streams, "--shards", "batches")?;
        meant(self.repeats.is_some(), epochs || names.contains(&ONLINE1), "--repeats", "what is more than one pass")
    }

    fn figures_of(&self, name: &str, threads: usize, ranks: usize) -> Result<Vec<Figure>> {
        let file = self.file.clone();
        Ok(match name {
            ONLINE1 => {
                let here: &[Mode] =
                    if self.workloads.is_empty() { &[Mode::Memory] } else { &[Mode::Memory, Mode::Parquet] };
                let one = |mode| OneByOne {
                    mode,
                    rows: self.rows.unwrap_or(OneByOne::ROWS),
                    file: file.clone(),
                    threads,
                    repeats: self.repeats(),
                };
                let modes = self.modes(name, &[Mode::Memory, Mode::Parquet], here)?;
                modes.into_iter().map(one).map(Figure::OneByOne).collect()
            }
            STREAM => {
                let knows = [Mode::Stream, Mode::Memory, Mode::Decode, Mode::Write];
                let here = if self.peers.is_some() { &knows[..3] } else { &knows[..1] };
                let rows = self.rows.unwrap_or(Streaming::ROWS);
                let one = |mode| Streaming {
                    mode,
                    rows,
                    file: file.clone(),
                    threads,
                    shards: self.shards,
                    decode_threads: self.decode_threads,
                    budget: self.budget,
                    prefetch: self.prefetch.unwrap_or(Streaming::PREFETCH),
                };
                match (self.modes(name, &knows, here)?.as_slice(), &self.keep) {
                    ([Mode::Write], Some(path)) => vec![Figure::Write(path.clone(), rows)],
                    (modes, _) => modes.iter().map(|&mode| Figure::Stream(one(mode))).collect(),
                }
            }
            CTR => {
                let setup = self.setup(threads, ranks);
                let one = |categories| Ok(Figure::Epochs(Workload::ctr(categories, self.rows)?, setup));
                let asked = self.categories.iter().copied().map(Some);
                let usual = self.categories.is_empty().then_some(None);
                asked.chain(usual).map(one).collect::<Result<_>>()?
            }
            name => vec![Figure::Epochs(name.parse()?, self.setup(threads, ranks))],
        })
    }

    /// Of the modes that were asked for, those that a workload knows; its own choice where none was.
    fn modes(&self, name: &str, knows: &[Mode], choice: &[Mode]) -> Result<Vec<Mode>> {
        if self.mode.is_empty() {
            return Ok(choice.to_vec());
        }
        let modes: Vec<Mode> = self.mode.iter().copied().filter(|mode| knows.contains(mode)).collect();
        let list: Vec<&str> = knows.iter().map(|mode| mode.name()).collect();
        let nobodys = self.workloads.len() == 1 && modes.len() < self.mode.len();
        ensure!(!modes.is_empty() && !nobodys, "--mode: {name} knows {}", list.join(", "));
        Ok(modes)
    }

    fn setup(&self, threads: usize, ranks: usize) -> Setup {
        Setup { threads, shards: self.shards, repeats: self.repeats(), epochs: self.epochs.unwrap_or(1), ranks }
    }

    /// How often the time is taken.
    pub fn repeats(&self) -> usize {
        self.repeats.unwrap_or(5)
    }

    fn own(&self, dims: &[usize]) -> Result<Workload> {
        let (Some(batch), Some(loss)) = (self.batch, self.loss) else {
            bail!("--dims needs --batch and --loss, such as --dims 50,300,200,5 --batch 200 --loss ce");
        };
        let name: Vec<String> = dims.iter().map(usize::to_string).collect();
        let rows = self.rows.unwrap_or(batch.saturating_mul(100));
        Workload::new(name.join("-"), Model::dense(dims.to_vec())?, loss, batch, rows)
    }
}

#[cfg(test)]
mod tests;
