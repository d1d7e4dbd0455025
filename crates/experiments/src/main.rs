//! `tidemill-experiments`: which way of training is worth it, on flights or on your own data.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tidemill::data::Interrupt;
use tidemill_experiments::compare::{self, Options, STOPPED};
use tidemill_experiments::inspect::{self, Reading};
use tidemill_experiments::results::TaskKind;
use tidemill_experiments::run::{self, Outcome, Paths};
use tidemill_experiments::tasks::{self, Effort, UserData};

/// Trains the same neural network by batch and by online training, and shows which was worth it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares the ways to train, on the flights data or on your own file.
    Experiment(Experiment),
    /// Says what is in Parquet files, and suggests how to train on them.
    Inspect(Inspect),
    /// One run of a comparison, in a process of its own; started by `experiment`.
    #[command(hide = true)]
    Run(Run),
}

#[derive(Args)]
struct Experiment {
    /// The comparison that comes with the program.
    #[arg(default_value = "flights", conflicts_with = "data")]
    name: String,
    /// A short trial: one seed, one epoch; under thirty seconds.
    #[arg(long)]
    quick: bool,
    /// Goes on where the same command was stopped.
    #[arg(long)]
    resume: bool,
    /// Your own Parquet file.
    #[arg(long, value_name = "FILE", requires = "target")]
    data: Option<PathBuf>,
    /// Its column to predict.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    target: Option<String>,
    /// What the target is; told from the data when not given.
    #[arg(long, requires = "data")]
    task: Option<Task>,
    /// The column that says in which order the rows came; the file's order when not given.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    order: Option<String>,
    /// The rows that count, such as "distance > 500 and not carrier = 'AA'".
    #[arg(long = "where", value_name = "CONDITION", requires = "data")]
    filter: Option<String>,
    /// Seeds of each strategy's runs.
    #[arg(long, value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Strategies to run, of batch, online, warm-start, retrained; all when not given.
    #[arg(long, value_delimiter = ',')]
    strategies: Vec<String>,
    /// Worker threads of a run.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// MiB that batch training and sorting may take for the rows.
    #[arg(long, default_value_t = 1024)]
    budget: u64,
    /// Where results, report and models are written.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct Inspect {
    /// Parquet files, or folders of them, of one schema.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The column to predict.
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// The rows that count, such as "distance > 500 and not carrier = 'AA'".
    #[arg(long = "where", value_name = "CONDITION")]
    filter: Option<String>,
    /// Reads all rows; up to a million of them in ten seconds when not given.
    #[arg(long, conflicts_with = "footers")]
    scan: bool,
    /// Reads no row.
    #[arg(long)]
    footers: bool,
    /// MiB that batch training may take.
    #[arg(long, default_value_t = 1024)]
    budget: u64,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Run {
    spec: PathBuf,
    strategy: String,
    seed: u64,
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    Binary,
    Multiclass,
    Regression,
}

impl From<Task> for TaskKind {
    fn from(task: Task) -> Self {
        match task {
            Task::Binary => Self::Binary,
            Task::Multiclass => Self::Multiclass,
            Task::Regression => Self::Regression,
        }
    }
}

fn main() -> ExitCode {
    let stop = Interrupt::new();
    let outcome = on_interrupt(&stop).and_then(|()| match Cli::parse().command {
        Command::Experiment(experiment) => self::experiment(experiment, &stop),
        Command::Inspect(inspect) => self::inspect(inspect, &stop),
        Command::Run(run) => self::run(run, &stop),
    });
    match outcome {
        Ok(Outcome::Finished) => ExitCode::SUCCESS,
        Ok(Outcome::Stopped) => ExitCode::from(STOPPED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_interrupt(stop: &Interrupt) -> Result<()> {
    let stop = stop.clone();
    ctrlc::set_handler(move || stop.set()).context("listening for Ctrl-C")
}

fn experiment(asked: Experiment, stop: &Interrupt) -> Result<Outcome> {
    let effort = if asked.quick { Effort::Quick } else { Effort::Full };
    if asked.data.is_none() && asked.name != "flights" {
        bail!("there is no comparison {}; there is flights, and --data FILE --target COLUMN", asked.name);
    }
    if asked.threads == 0 {
        bail!("--threads 0: expected 1 or more");
    }
    let name = match &asked.data {
        Some(file) => file.file_stem().map_or("data".into(), |stem| stem.to_string_lossy().into_owned()),
        None => asked.name.clone(),
    };
    let suffix = if asked.quick { "-quick" } else { "" };
    let folder = asked.out.unwrap_or_else(|| PathBuf::from("tidemill-out").join(format!("{name}{suffix}")));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let budget = asked.budget << 20;
    let prepared = match (asked.data, asked.target) {
        (Some(file), Some(target)) => {
            let task = asked.task.map(TaskKind::from);
            let data = UserData { file, target, task, order: asked.order, filter: asked.filter, budget };
            tasks::user(&data, &folder, effort, asked.threads)?
        }
        _ => tasks::flights(&folder, effort, asked.threads, budget)?,
    };
    let seeds = asked.seeds.unwrap_or_else(|| if asked.quick { vec![1] } else { vec![1, 2, 3] });
    let options = Options { folder, seeds, strategies: asked.strategies, effort, resume: asked.resume };
    compare::compare(&prepared, &options, stop)
}

fn inspect(asked: Inspect, stop: &Interrupt) -> Result<Outcome> {
    let reading = match (asked.scan, asked.footers) {
        (true, _) => Reading::All,
        (_, true) => Reading::Nothing,
        _ => Reading::Some,
    };
    let Inspect { files, target, filter, budget, json, .. } = asked;
    let options = inspect::Options { files, target, filter, reading, budget: budget << 20 };
    let inspection = inspect::inspect(&options, stop)?;
    if stop.is_set() {
        return Ok(Outcome::Stopped);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        print!("{}", inspect::text(&inspection));
    }
    Ok(Outcome::Finished)
}

fn run(asked: Run, stop: &Interrupt) -> Result<Outcome> {
    let text = std::fs::read(&asked.spec).with_context(|| asked.spec.display().to_string())?;
    let spec = serde_json::from_slice(&text).with_context(|| asked.spec.display().to_string())?;
    let paths = Paths::new(&asked.folder, &asked.strategy, asked.seed);
    run::run(&spec, &asked.strategy, asked.seed, &paths, stop)
}
