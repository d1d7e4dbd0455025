use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Parser;

use crate::{Figure, Goal, Mode, Model, OneByOne, Setup, Streaming, Workload};

/// Measures training throughput, and compares it with other frameworks.
///
/// Workloads: seed (10-10-1), mlp (784-512-512-10), wide (28-256-256-1) and cnn (two convolutions of images of 28x28), in
/// epochs over rows in memory, after one to warm up; online1 (28-1, one row at a time); stream (28-256-256-1, one pass over a Parquet file with the columns label
/// and f00 to f27). All that lie in memory unless one is named; or any dense model with --dims.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub struct Options {
    /// seed, mlp, wide, cnn, online1, stream
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
    /// With --dims: rows of an epoch, 100 batches unless given. online1, stream: rows where there is no --file
    #[arg(long)]
    pub rows: Option<usize>,
    /// Threads to train on; several numbers make a table
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,..")]
    pub threads: Vec<usize>,
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
            for &threads in &self.threads {
                figures.extend(self.figures_of(name, threads)?);
            }
        }
        if let Some(dims) = &self.dims {
            let workload = self.own(dims)?;
            figures.extend(self.threads.iter().map(|&threads| Figure::Epochs(workload.clone(), self.setup(threads))));
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
        let own = self.dims.is_some();
        let meant = |given: bool, here: bool, option: &str, whose: &str| {
            ensure!(!given || here, "{option} goes with {whose}, not with {}", if own { "--dims" } else { &all });
            Ok(())
        };
        meant(self.batch.is_some(), own, "--batch", "--dims")?;
        meant(self.loss.is_some(), own, "--loss", "--dims")?;
        meant(self.rows.is_some(), own || files, "--rows", "--dims, online1 and stream")?;
        meant(self.file.is_some(), files, "--file", "online1 and stream")?;
        meant(self.keep.is_some(), files, "--keep", "online1 and stream")?;
        meant(!self.mode.is_empty(), files, "--mode", "online1 and stream")?;
        meant(self.budget.is_some(), streams, "--budget", "stream")?;
        meant(self.prefetch.is_some(), streams, "--prefetch", "stream")?;
        meant(self.epochs.is_some(), epochs, "--epochs", "epochs over rows in memory")?;
        meant(self.shards.is_some(), epochs || streams, "--shards", "batches")?;
        meant(self.repeats.is_some(), epochs || names.contains(&ONLINE1), "--repeats", "what is more than one pass")
    }

    fn figures_of(&self, name: &str, threads: usize) -> Result<Vec<Figure>> {
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
                    budget: self.budget,
                    prefetch: self.prefetch.unwrap_or(Streaming::PREFETCH),
                };
                match (self.modes(name, &knows, here)?.as_slice(), &self.keep) {
                    ([Mode::Write], Some(path)) => vec![Figure::Write(path.clone(), rows)],
                    (modes, _) => modes.iter().map(|&mode| Figure::Stream(one(mode))).collect(),
                }
            }
            name => vec![Figure::Epochs(name.parse()?, self.setup(threads))],
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

    fn setup(&self, threads: usize) -> Setup {
        Setup { threads, shards: self.shards, repeats: self.repeats(), epochs: self.epochs.unwrap_or(1) }
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
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Vec<Figure>> {
        Options::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))?.resolve()
    }

    fn names(line: &str) -> Vec<String> {
        parse(line).unwrap().iter().map(|figure| format!("{} {}", figure.name(), figure.threads())).collect()
    }

    fn check_error(line: &str, expected: &str) {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }

    #[test]
    fn names_and_options_are_understood() {
        let setup = Setup { threads: 2, ..Setup::default() };
        assert_eq!(parse("mlp --threads 2 --json").unwrap(), [Figure::Epochs("mlp".parse().unwrap(), setup)]);
        let setup = Setup { threads: 1, shards: Some(4), repeats: 3, epochs: 2 };
        let line = "seed --shards 4 --repeats 3 --epochs 2";
        assert_eq!(parse(line).unwrap(), [Figure::Epochs("seed".parse().unwrap(), setup)]);
        assert_eq!(parse("wide").unwrap(), [Figure::Epochs("wide".parse().unwrap(), Setup::default())]);
    }

    #[test]
    fn several_numbers_of_threads_and_workloads_make_a_table() {
        assert_eq!(names(""), ["seed 1", "mlp 1", "wide 1", "cnn 1", "online1 memory 1"]);
        assert_eq!(names("seed wide --threads 1,2"), ["seed 1", "seed 2", "wide 1", "wide 2"]);
        assert_eq!(names("online1"), ["online1 memory 1", "online1 parquet 1"]);
        assert_eq!(names("stream --threads 2"), ["stream 2"]);
        assert_eq!(
            names("stream online1 --mode memory,decode"),
            ["stream memory 1", "stream decode 1", "online1 memory 1"]
        );
        let compared = [
            "seed 1",
            "mlp 1",
            "wide 1",
            "cnn 1",
            "online1 memory 1",
            "stream 1",
            "stream memory 1",
            "stream decode 1",
        ];
        assert_eq!(names("--peers python"), compared);
        assert_eq!(names("--peers python mlp --threads 1,2 --rounds 2"), ["mlp 1", "mlp 2"]);
    }

    #[test]
    fn a_figure_is_asked_for_by_its_arguments() {
        for line in [
            "",
            "--dims 50,300,200,5 --batch 200 --loss ce --rows 400 --shards 3",
            "seed --repeats 2 --epochs 3 --threads 2 --shards 4",
            "online1 --mode parquet --rows 9",
            "online1 --file some.parquet",
            "stream --mode memory,stream,decode --budget 50000000 --prefetch 0 --threads 2 --shards 3",
            "stream --file some.parquet",
            "stream --mode write --keep some.parquet --rows 9",
        ] {
            for figure in parse(line).unwrap() {
                let words = figure.arguments();
                let options = Options::try_parse_from(std::iter::once("bench".to_owned()).chain(words)).unwrap();
                assert!(options.json);
                assert_eq!(options.resolve().unwrap(), [figure], "{line}");
            }
        }
    }

    #[test]
    fn a_model_of_ones_own_is_understood() {
        let model = Model::Dense(vec![50, 300, 200, 5]);
        let expected = Workload { name: "50-300-200-5".into(), model, goal: Goal::Ce, batch_size: 200, rows: 20_000 };
        let found = parse("--dims 50,300,200,5 --batch 200 --loss ce").unwrap();
        assert_eq!(found, [Figure::Epochs(expected, Setup::default())]);
        let found = parse("--dims 5,1 --batch 20 --loss mse --rows 70").unwrap();
        assert!(matches!(&found[..], [Figure::Epochs(workload, _)] if workload.rows == 60));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        check_error("resnet", "there is no workload \"resnet\", only seed, mlp, wide, cnn, online1, stream");
        check_error("mlp --dims 3,1", "give one of them");
        check_error("mlp --batch 64", "--batch goes with --dims, not with mlp");
        check_error("mlp --rows 64", "--rows goes with --dims, online1 and stream, not with mlp");
        check_error("--dims 3,1 --batch 4", "--dims needs --batch and --loss");
        check_error("--dims 3,x --batch 4 --loss bce", "'x'");
        check_error("--dims 3,1 --batch 4 --loss hinge", "possible values: ce, bce, mse");
        check_error("--dims 3,1 --batch 4 --loss ce", "2 outputs or more");
        check_error("seed --threads 0", "threads: 0");
        check_error("seed --threads two", "'two'");
        check_error("seed --threads 1,33", "cannot be cut into 33 shards");
        check_error("seed --fast", "--fast");
    }

    #[test]
    fn options_of_other_workloads_are_refused_by_name() {
        check_error("seed mlp --file rows.parquet", "--file goes with online1 and stream, not with seed, mlp");
        check_error("seed --mode memory", "--mode goes with online1 and stream");
        check_error("online1 --budget 1000", "--budget goes with stream");
        check_error("online1 --epochs 2", "--epochs goes with epochs over rows in memory");
        check_error("stream --repeats 2", "--repeats goes with what is more than one pass");
        check_error("stream --mode parquet", "--mode: stream knows stream, memory, decode, write");
        check_error("online1 --mode memory,decode", "--mode: online1 knows memory, parquet");
        check_error("stream --mode sideways", "sideways");
        check_error("stream --rows 0", "rows: 0");
        check_error("stream --file a.parquet --rows 9", "--rows is for a file that is written");
        check_error("stream --file a.parquet --keep b.parquet", "--keep is for a file that is written");
        check_error("stream --mode write", "needs --keep FILE");
        check_error("stream --mode write,stream --keep a.parquet", "give it alone");
        check_error("seed --rounds 2", "--rounds goes with --peers");
        check_error("seed --against jax", "--against goes with --peers");
        check_error("seed --peers python --rounds 0", "rounds: 0");
        check_error("--peers python --dims 3,1 --batch 4 --loss bce", "named workloads alone");
    }
}
