//! `tidemill-experiments`: which way of training is worth it, on flights or on your own data.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tidemill::data::Interrupt;
use tidemill_experiments::columns::Unseen;
use tidemill_experiments::compare::{self, CHANGED, Options, STOPPED};
use tidemill_experiments::distributed::{self, Link};
use tidemill_experiments::folder::Folder;
use tidemill_experiments::import::{self, CsvOptions, Keep};
use tidemill_experiments::inputs::{Changed, Inputs};
use tidemill_experiments::inspect::{self, Reading};
use tidemill_experiments::launch::{self, Host};
use tidemill_experiments::results::TaskKind;
use tidemill_experiments::run::{self, Order, Outcome};
use tidemill_experiments::signals::{Second, attend, interrupt_on_signals};
use tidemill_experiments::tasks::{self, Effort, UserData};
use tidemill_experiments::{fault, printable, rows, say};

/// Trains the same neural network by batch and by online training, and shows which was worth it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares the ways to train, on the flights data or on your own file; or processes, threads and ranks.
    Experiment(Experiment),
    /// Starts the ranks of a program by mpirun, and starts them again from their last checkpoint when they fall.
    Launch(Launch),
    /// Says what is in files of Parquet, CSV or Arrow IPC, and suggests how to train on them.
    Inspect(Inspect),
    /// One run of a comparison, in a process of its own; started by `experiment`.
    #[command(hide = true)]
    Run(Run),
    /// One process of a job of ranks; started by `experiment distributed`, or by `launch`.
    #[command(hide = true)]
    Rank {
        /// What the ranks do.
        job: PathBuf,
    },
}

#[derive(Args)]
struct Experiment {
    /// The comparison that comes with the program: flights, or distributed (serial, threads and ranks over MPI).
    #[arg(default_value = "flights", conflicts_with = "data")]
    name: String,
    /// A short trial: one seed, one epoch; under thirty seconds.
    #[arg(long)]
    quick: bool,
    /// Goes on where the same command was stopped.
    #[arg(long)]
    resume: bool,
    /// Your own data: a file of Parquet, CSV or Arrow IPC, a folder of them, a quoted pattern, or - for standard input.
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
    /// Columns that are no features.
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',', requires = "data")]
    except: Vec<String>,
    /// What happens to held-out rows whose target is a class that no training row has: an error, or they are left out
    /// and counted.
    #[arg(long, value_enum, default_value_t = OnUnseen::Error, requires = "data")]
    unseen: OnUnseen,
    /// Seeds of each strategy's runs.
    #[arg(long, value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Strategies to run, of batch, online, warm-start, retrained; of serial, threads, ranks, local, half, top with
    /// distributed, and overlap, signs, adasum, which are run when they are named alone; all others when not given.
    #[arg(long, value_delimiter = ',')]
    strategies: Vec<String>,
    /// Worker threads of a run; with distributed, threads or ranks: 2 unless given.
    #[arg(long, value_parser = threads)]
    threads: Option<usize>,
    /// With distributed: what lies between ranks, of none (one host), and Mbit/s between two hosts that are network
    /// namespaces, for which root's rights are needed.
    #[arg(long, value_delimiter = ',', value_name = "MBIT/S,..", default_value = "none,1000,50")]
    links: Vec<String>,
    /// With distributed: most seconds of a run; 60 when not given, and no limit with --quick.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    most_seconds: Option<f64>,
    /// With distributed: most steps of a run; no limit when not given, and 200 with --quick.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    most_steps: Option<u64>,
    /// How often each run saves what --resume goes on from; 0 is after every step.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = interval)]
    save_every: f64,
    /// MiB that sorting, reading, and the rows of batch training may take.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = budget)]
    budget: u64,
    /// Where results, report and models are written.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    csv: CsvOptions,
}

#[derive(Args)]
struct Inspect {
    /// Files of Parquet, CSV or Arrow IPC, folders of them, quoted patterns, or - for standard input; of one schema.
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
    /// MiB that reading, and the rows of batch training, may take.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = budget)]
    budget: u64,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    csv: CsvOptions,
}

#[derive(Args)]
struct Launch {
    /// Ranks; as many as the hosts have slots when not given, or 2.
    #[arg(long, short = 'n', value_parser = threads)]
    ranks: Option<usize>,
    /// Where they run: NAME or NAME:SLOTS. Each is asked before every start; those that do not answer are left out.
    #[arg(long, value_delimiter = ',', value_name = "HOST,..")]
    hosts: Vec<Host>,
    /// The same from a file, as mpirun takes it.
    #[arg(long, value_name = "FILE", conflicts_with = "hosts")]
    hostfile: Option<PathBuf>,
    /// What reaches a host: AGENT HOST COMMAND.
    #[arg(long, default_value = "ssh")]
    agent: String,
    /// What starts ranks, with its own arguments.
    #[arg(long, default_value = "mpirun")]
    mpirun: String,
    /// The checkpoint that the program saves and goes on from.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// How often to start again without a newer checkpoint.
    #[arg(long, default_value_t = 0)]
    restarts: u32,
    /// Seconds that ranks may take to save and stop, or mpirun to end when a rank has fallen.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS", value_parser = seconds)]
    grace: f64,
    /// The program of each rank, and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<String>,
}

#[derive(Args)]
struct Run {
    spec: PathBuf,
    strategy: String,
    seed: u64,
    folder: PathBuf,
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = interval)]
    save_every: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    Binary,
    Multiclass,
    Regression,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnUnseen {
    Error,
    Skip,
}

/// MiB whose bytes can be counted.
fn budget(text: &str) -> Result<u64, String> {
    let most = u64::MAX >> 20;
    match text.parse::<u64>() {
        Ok(mebibytes) if (1..=most).contains(&mebibytes) => Ok(mebibytes),
        _ => Err(format!("expected MiB from 1 to {most}")),
    }
}

/// Threads or ranks.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
        _ => Err(format!("expected 1 to {MOST_THREADS}")),
    }
}

/// More are a mistake, and would take all memory.
const MOST_THREADS: usize = 4096;

/// A time that is not over before it begins.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MOST_SECONDS => Ok(seconds),
        _ => Err(format!("expected seconds above 0, {MOST_SECONDS} at most")),
    }
}

/// Seconds between two savings.
fn interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MOST_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err(format!("expected seconds from 0 to {MOST_SECONDS}")),
    }
}

/// Thirty years.
const MOST_SECONDS: f64 = 1e9;

/// What was given more than once.
fn once<T: PartialEq + std::fmt::Display>(option: &str, values: &[T]) -> Result<()> {
    match values.iter().enumerate().find(|(place, value)| values[..*place].contains(value)) {
        Some((_, twice)) => bail!("{option}: {twice} is given twice; expected each once"),
        None => Ok(()),
    }
}

impl From<OnUnseen> for Unseen {
    fn from(unseen: OnUnseen) -> Self {
        match unseen {
            OnUnseen::Error => Self::Error,
            OnUnseen::Skip => Self::Skip,
        }
    }
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

/// What decoders panic with becomes an error, which is told as such.
fn tell_no_guarded_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !tidemill::arrow::is_guarded() {
            told(panic);
        }
    }));
}

fn main() -> ExitCode {
    tell_no_guarded_panics();
    fault::arm();
    let command = Cli::parse().command;
    let stop = Interrupt::new();
    // What starts runs and ranks, asks them to stop: they may be asked twice.
    let second = match &command {
        Command::Run(_) | Command::Rank { .. } => Second::IsIgnored,
        _ => Second::Ends,
    };
    let outcome = interrupt_on_signals(&stop, second).context("listening for signals").and_then(|()| match command {
        Command::Experiment(experiment) if experiment.name == "distributed" => distributed(experiment, &stop),
        Command::Experiment(experiment) => self::experiment(experiment, &stop),
        Command::Launch(launch) => self::launch(launch, &stop),
        Command::Inspect(inspect) => self::inspect(inspect, &stop),
        Command::Run(run) => self::run(run, &stop),
        Command::Rank { job } => distributed::rank(&job, &stop),
    });
    let code = match &outcome {
        Ok(Outcome::Finished) => None,
        Ok(Outcome::Stopped) => Some(STOPPED),
        Err(error) => {
            say::note(format_args!("error: {}", printable::printable_lines(&format!("{error:#}"))));
            Some(if error.is::<Changed>() { CHANGED } else { 1 })
        }
    };
    let problem = say::problem();
    if let Some(problem) = &problem {
        say::note(format_args!("error: standard output cannot be written: {problem}"));
    }
    ExitCode::from(code.unwrap_or(u8::from(problem.is_some())))
}

fn experiment(asked: Experiment, stop: &Interrupt) -> Result<Outcome> {
    let effort = if asked.quick { Effort::Quick } else { Effort::Full };
    if asked.data.is_none() && asked.name != "flights" {
        bail!(
            "there is no comparison {}; there are flights and distributed, and --data FILE --target COLUMN",
            asked.name
        );
    }
    if asked.data.is_none()
        && let Some(option) = asked.csv.arguments().first()
    {
        bail!("{option} says how CSV is read, for which --data FILE is needed");
    }
    let threads = asked.threads.unwrap_or(1);
    once("--strategies", &asked.strategies)?;
    once("--seeds", asked.seeds.as_deref().unwrap_or_default())?;
    let name = match &asked.data {
        Some(file) => import::name(file),
        None => asked.name.clone(),
    };
    let suffix = if asked.quick { "-quick" } else { "" };
    let folder = asked.out.unwrap_or_else(|| PathBuf::from("tidemill-out").join(format!("{name}{suffix}")));
    let save_every = Duration::try_from_secs_f64(asked.save_every).context("--save-every")?;
    let folder = Folder::take(folder)?;
    let budget = asked.budget << 20;
    // The comparison is prepared in several passes, which must see the same data.
    let mut seen_first = Inputs::default();
    let prepared = match (asked.data, asked.target) {
        (Some(file), Some(target)) => {
            let task = asked.task.map(TaskKind::from);
            let imported = match import::import(&[file], &asked.csv, Keep::In(folder.path()), budget, stop) {
                Err(_) if stop.is_set() => return Ok(Outcome::Stopped),
                imported => imported?,
            };
            show_notes(&imported.notes);
            let file = imported.one(folder.path())?;
            seen_first = Inputs::of(&[&file])?;
            let (order, filter, except, unseen) = (asked.order, asked.filter, asked.except, asked.unseen.into());
            let data = UserData { file, target, task, order, filter, except, unseen, budget };
            let prepared = tasks::user(&data, folder.path(), effort, threads);
            let prepared = prepared.map_err(|error| imported.restated(rows::advised(error, budget)));
            let mut prepared = prepared?;
            imported.describe(&mut prepared);
            prepared
        }
        _ => tasks::flights(folder.path(), effort, threads, budget).map_err(|error| rows::advised(error, budget))?,
    };
    let seeds = asked.seeds.unwrap_or_else(|| if asked.quick { vec![1] } else { vec![1, 2, 3] });
    let inputs = Inputs::of(&[&prepared.spec.data])?;
    seen_first.unchanged()?;
    let (strategies, resume) = (asked.strategies, asked.resume);
    let options = Options { folder, inputs, seeds, strategies, effort, resume, save_every };
    compare::compare(&prepared, &options, stop)
}

/// As much as `tc` can be told.
const MOST_MEGABITS: u64 = 10_000_000;

fn show_notes(notes: &[String]) {
    notes.iter().for_each(|note| say::note(format_args!("note: {}", printable::printable(note))));
}

fn distributed(asked: Experiment, stop: &Interrupt) -> Result<Outcome> {
    once("--strategies", &asked.strategies)?;
    once("--links", &asked.links)?;
    once("--seeds", asked.seeds.as_deref().unwrap_or_default())?;
    let workers = asked.threads.unwrap_or(2);
    if workers < 2 {
        bail!("--threads {workers}: to compare threads and ranks takes 2 or more");
    }
    let name = if asked.quick { "distributed-quick" } else { "distributed" };
    let folder = asked.out.unwrap_or_else(|| PathBuf::from("tidemill-out").join(name));
    let link = |text: &String| match (text.as_str(), text.parse::<u64>()) {
        ("none", _) => Ok(Link::Memory),
        (_, Ok(megabits)) if (1..=MOST_MEGABITS).contains(&megabits) => Ok(Link::Network(Some(megabits * 1_000_000))),
        _ => bail!("--links {text}: expected none, or Mbit/s from 1 to {MOST_MEGABITS}"),
    };
    let links = asked.links.iter().map(link).collect::<Result<_>>()?;
    let options = distributed::Options {
        folder: Folder::take(folder)?,
        seeds: asked.seeds.unwrap_or_else(|| vec![1]),
        effort: if asked.quick { Effort::Quick } else { Effort::Full },
        workers,
        links,
        mpirun: vec!["mpirun".into(), "--bind-to".into(), "none".into()],
        ways: asked.strategies,
        most_seconds: asked.most_seconds.or((!asked.quick).then_some(60.0)),
        most_steps: asked.most_steps.or(asked.quick.then_some(200)),
    };
    distributed::compare(&options, stop)
}

fn launch(asked: Launch, stop: &Interrupt) -> Result<Outcome> {
    let _attended = attend();
    let hosts = match &asked.hostfile {
        None => asked.hosts,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Host::of_file(&text).with_context(|| path.display().to_string())?
        }
    };
    let options = launch::Options {
        ranks: asked.ranks.or_else(|| hosts.is_empty().then_some(2)),
        hosts,
        command: asked.command,
        agent: asked.agent,
        mpirun: asked.mpirun.split_whitespace().map(str::to_owned).collect(),
        checkpoint: asked.checkpoint,
        restarts: asked.restarts,
        grace: Duration::try_from_secs_f64(asked.grace).context("--grace")?,
    };
    std::process::exit(i32::from(launch::launch(&options, stop)?.code()))
}

fn inspect(asked: Inspect, stop: &Interrupt) -> Result<Outcome> {
    let reading = match (asked.scan, asked.footers) {
        (true, _) => Reading::All,
        (_, true) => Reading::Nothing,
        _ => Reading::Some,
    };
    let Inspect { files, target, filter, budget, json, csv, .. } = asked;
    let imported = match import::import(&files, &csv, Keep::Temporarily, budget << 20, stop) {
        Err(_) if stop.is_set() => return Ok(Outcome::Stopped),
        imported => imported?,
    };
    show_notes(&imported.notes);
    let (asked, arguments, files) = (files, csv.arguments(), imported.files.clone());
    let options = inspect::Options { files, asked, arguments, target, filter, reading, budget: budget << 20 };
    let inspection = inspect::inspect(&options, stop);
    let mut inspection = inspection.map_err(|error| imported.restated(rows::advised(error, options.budget)))?;
    imported.restate(&mut inspection);
    show_notes(&inspection.notes);
    if stop.is_set() {
        return Ok(Outcome::Stopped);
    }
    if json {
        say::line(format_args!("{}", printable::printable_json(&serde_json::to_string_pretty(&inspection)?)));
    } else {
        say::text(format_args!("{}", printable::printable_lines(&inspect::text(&inspection))));
    }
    Ok(Outcome::Finished)
}

fn run(asked: Run, stop: &Interrupt) -> Result<Outcome> {
    let save_every = Duration::try_from_secs_f64(asked.save_every).context("--save-every")?;
    let order = Order::read(&asked.spec, &asked.strategy, asked.seed, &asked.folder, save_every)?;
    run::run(&order, stop).map_err(|error| rows::advised(error, order.spec.budget))
}
