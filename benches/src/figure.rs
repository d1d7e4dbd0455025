use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use crate::found::counted;
use crate::{Found, Model, OneByOne, Setup, Streaming, Workload, clicks, higgs};

/// Where rows come from, or what is done with them, in workloads that know several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// From memory.
    Memory,
    /// online1: from a Parquet file.
    Parquet,
    /// stream: trained on as they come from a Parquet file.
    Stream,
    /// stream: decoded, and nothing else.
    Decode,
    /// stream: only written, to the file of --keep.
    Write,
}

impl Mode {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Parquet => "parquet",
            Self::Stream => "stream",
            Self::Decode => "decode",
            Self::Write => "write",
        }
    }
}

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Epochs over rows in memory.
    Epochs(Workload, Setup),
    /// One row at a time.
    OneByOne(OneByOne),
    /// One pass over a file.
    Stream(Streaming),
    /// The file for such passes.
    Write(PathBuf, usize),
}

impl Figure {
    /// Measures it, in this process.
    ///
    /// # Errors
    ///
    /// Those of what is measured; none for a file that was written, of which nothing is found.
    pub fn take(&self) -> Result<Option<Found>> {
        match self {
            Self::Epochs(workload, setup) => setup.measure(workload),
            Self::OneByOne(workload) => workload.measure().map(Some),
            Self::Stream(workload) => workload.measure().map(Some),
            Self::Write(path, rows) => higgs::write(path, *rows).map(|()| None),
        }
    }

    /// Whether it can be measured, before anything is built.
    ///
    /// # Errors
    ///
    /// When it cannot, with the option to change.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Epochs(workload, setup) => setup.check(workload),
            Self::OneByOne(workload) => workload.check(),
            Self::Stream(workload) => workload.check(),
            Self::Write(..) => Ok(()),
        }
    }

    /// The workload's name.
    pub fn workload(&self) -> &str {
        match self {
            Self::Epochs(workload, _) => &workload.name,
            Self::OneByOne(_) => "online1",
            Self::Stream(_) | Self::Write(..) => "stream",
        }
    }

    /// The way, where there are several.
    pub fn mode(&self) -> Option<Mode> {
        match self {
            Self::Epochs(..) => None,
            Self::OneByOne(workload) => Some(workload.mode),
            Self::Stream(workload) => Some(workload.mode),
            Self::Write(..) => Some(Mode::Write),
        }
    }

    /// Processes that it is measured on together.
    pub fn ranks(&self) -> usize {
        match self {
            Self::Epochs(_, setup) => setup.ranks,
            Self::OneByOne(_) | Self::Stream(_) | Self::Write(..) => 1,
        }
    }

    /// Threads that it is measured on, of each process.
    pub fn threads(&self) -> usize {
        match self {
            Self::Epochs(_, setup) => setup.threads,
            Self::OneByOne(workload) => workload.threads,
            Self::Stream(workload) => workload.threads,
            Self::Write(..) => 1,
        }
    }

    /// The file that it reads, where it has one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::OneByOne(workload) => workload.file.as_deref(),
            Self::Stream(workload) => workload.file.as_deref(),
            Self::Epochs(..) | Self::Write(..) => None,
        }
    }

    /// Categories of each column, where there are such columns.
    pub fn categories(&self) -> Option<u32> {
        match self {
            Self::Epochs(workload, _) => workload.model.categories(),
            Self::OneByOne(_) | Self::Stream(_) | Self::Write(..) => None,
        }
    }

    /// Rows of a pass, where an option and no file says so.
    pub fn rows(&self) -> Option<usize> {
        match self {
            Self::OneByOne(workload) if workload.file.is_none() => Some(workload.rows),
            Self::Epochs(workload, _) if workload.model.categories().is_some() => Some(workload.rows),
            _ => None,
        }
    }

    /// Where it reads a file and has none yet: the rows that one should have.
    pub fn lacks_file_of(&self) -> Option<usize> {
        match self {
            Self::OneByOne(workload) if workload.mode == Mode::Parquet && workload.file.is_none() => {
                Some(workload.rows)
            }
            Self::Stream(workload) if workload.file.is_none() => Some(workload.rows),
            _ => None,
        }
    }

    /// It, reading this file if it lacks one.
    #[must_use]
    pub fn reading(mut self, path: &Path) -> Self {
        if self.lacks_file_of().is_some() {
            match &mut self {
                Self::OneByOne(workload) => workload.file = Some(path.to_owned()),
                Self::Stream(workload) => workload.file = Some(path.to_owned()),
                Self::Epochs(..) | Self::Write(..) => {}
            }
        }
        self
    }

    /// What it is called: `mlp`, `mlp 2 ranks`, `stream memory`, `ctr 26x1000`.
    pub fn name(&self) -> String {
        match self.categories() {
            Some(categories) => format!("{} {}x{categories}", self.task(), clicks::COLUMNS),
            None => self.task(),
        }
    }

    /// The same without its size, where that is an option.
    pub fn task(&self) -> String {
        if self.ranks() > 1 {
            return format!("{} {}", self.workload(), counted(self.ranks(), "rank"));
        }
        match self.mode() {
            Some(mode) if mode.name() != self.workload() => format!("{} {}", self.workload(), mode.name()),
            _ => self.workload().to_owned(),
        }
    }

    /// What is said while it is measured: `mlp (784-512-512-10, batch 128, 12800 rows), 2 threads`.
    pub fn describe(&self) -> String {
        let name = match self {
            Self::Epochs(workload, _) => workload.to_string(),
            Self::OneByOne(_) => format!("{} (28-1, one row at a time)", self.name()),
            Self::Stream(_) => format!("{} (28-256-256-1, batch 1024, one pass)", self.name()),
            Self::Write(_, rows) => return format!("a file for stream and online1 ({rows} rows)"),
        };
        let threads = counted(self.threads(), "thread");
        if self.ranks() > 1 {
            return format!("{name}, {} with {threads} each", counted(self.ranks(), "rank"));
        }
        format!("{name}, {threads}")
    }

    /// The command line that asks for this figure, as one line of JSON.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = Words(vec!["--json".to_owned()]);
        match self {
            Self::Epochs(workload, Setup { threads, shards, repeats, epochs, ranks }) => {
                words.model(workload);
                words.option("--threads", threads).options("--shards", shards.as_ref());
                words.option("--repeats", repeats).option("--epochs", epochs);
                if *ranks > 1 {
                    words.option("--ranks", ranks);
                }
            }
            Self::OneByOne(OneByOne { mode, rows, file, threads, repeats }) => {
                words.word("online1").option("--mode", mode.name());
                words.option("--threads", threads).option("--repeats", repeats);
                words.file_or_rows(file.as_deref(), *rows);
            }
            Self::Stream(Streaming { mode, file, rows, threads, shards, decode_threads, budget, prefetch }) => {
                words.word("stream").option("--mode", mode.name());
                words.option("--threads", threads).options("--shards", shards.as_ref());
                words.options("--decode-threads", decode_threads.as_ref());
                words.options("--budget", budget.as_ref()).option("--prefetch", prefetch);
                words.file_or_rows(file.as_deref(), *rows);
            }
            Self::Write(path, rows) => {
                words.word("stream").option("--mode", Mode::Write.name());
                words.option("--rows", rows).option("--keep", path.display());
            }
        }
        words.0
    }
}

/// The words of a command line.
struct Words(Vec<String>);

impl Words {
    fn word(&mut self, word: &str) -> &mut Self {
        self.0.push(word.to_owned());
        self
    }

    fn option(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.word(name).word(&value.to_string())
    }

    fn options(&mut self, name: &str, value: Option<&impl ToString>) -> &mut Self {
        match value {
            Some(value) => self.option(name, value.to_string()),
            None => self,
        }
    }

    fn file_or_rows(&mut self, file: Option<&Path>, rows: usize) -> &mut Self {
        match file {
            Some(file) => self.option("--file", file.display()),
            None => self.option("--rows", rows),
        }
    }

    fn model(&mut self, workload: &Workload) -> &mut Self {
        match &workload.model {
            Model::Dense(dims) if workload.name.parse::<Workload>().is_err() => {
                let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
                self.option("--dims", dims.join(",")).option("--loss", workload.goal.name());
                self.option("--batch", workload.batch_size).option("--rows", workload.rows)
            }
            Model::Tables { categories } => {
                self.word(&workload.name).option("--categories", categories).option("--rows", workload.rows)
            }
            _ => self.word(&workload.name),
        }
    }
}
