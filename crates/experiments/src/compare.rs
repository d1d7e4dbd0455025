//! All runs of a comparison, each in a process of its own, and what is written of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tidemill::data::Interrupt;
use tidemill::parquet::{ParquetWriter, ValueType, Values};

use crate::progress::Progress;
use crate::results::{Failure, Results, Run, Setting, Settings, VERSION};
use crate::run::{self, Paths};
use crate::tasks::{Effort, Prepared};
use crate::{curves, machine, report, table, verdict};

/// How a comparison is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is written.
    pub folder: PathBuf,
    /// Seeds of each strategy.
    pub seeds: Vec<u64>,
    /// Names of the strategies to run; all when empty.
    pub strategies: Vec<String>,
    /// Full or quick.
    pub effort: Effort,
    /// Go on with an earlier comparison of the same settings.
    pub resume: bool,
}

/// Exit code of a run that was asked to stop and saved what it had.
pub const STOPPED: u8 = 130;

/// Runs what is missing, writes results and report after each run, and prints the table.
///
/// # Errors
///
/// When files cannot be written, or an earlier comparison in the folder had other settings.
pub fn compare(prepared: &Prepared, options: &Options, stop: &Interrupt) -> Result<run::Outcome> {
    let began = Instant::now();
    let runs = options.folder.join("runs");
    let spec = options.folder.join("spec.json");
    let mut results = empty(prepared, options)?;
    start_over_or_go_on(prepared, options, &runs, &spec)?;
    let mut progress = Progress::new(results.planned());
    for &seed in &options.seeds {
        for strategy in results.strategies.clone() {
            let paths = Paths::new(&runs, &strategy.name, seed);
            let label = format!("{}, seed {seed}", strategy.label);
            if !paths.run().exists() && !stop.is_set() {
                let child = start(&spec, &strategy.name, seed, &runs)?;
                if let Some(reason) = follow(child, |done, total| progress.run(&label, done, total))? {
                    results.failures.push(Failure { strategy: strategy.name.clone(), seed, reason });
                }
            }
            if paths.run().exists() {
                let run = read_run(&paths.run())?;
                progress.finished(&label, &run);
                results.runs.push(run);
            }
            results.complete = results.runs.len() == results.planned();
            results.seconds = began.elapsed().as_secs_f64();
            write(&results, &options.folder)?;
        }
    }
    progress.end();
    println!("{}", table::terminal(&results));
    println!("{}", verdict::verdict(&results));
    for file in ["report.html", "results.json", "curves.parquet"] {
        println!("{}", options.folder.join(file).display());
    }
    if results.complete {
        return Ok(run::Outcome::Finished);
    }
    if !stop.is_set() {
        let reasons: Vec<String> =
            results.failures.iter().map(|f| format!("{}, seed {}: {}", f.strategy, f.seed, f.reason)).collect();
        bail!("{} of {} runs failed:\n{}", reasons.len(), results.planned(), reasons.join("\n"));
    }
    println!("stopped; what was measured so far is saved. The same command with --resume goes on.");
    Ok(run::Outcome::Stopped)
}

fn start_over_or_go_on(prepared: &Prepared, options: &Options, runs: &Path, spec: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(&prepared.spec)?;
    if options.resume {
        let before = fs::read_to_string(spec).with_context(|| {
            format!("{}: there is nothing to go on with; run without --resume", options.folder.display())
        })?;
        if before != json {
            bail!("{}: the comparison there had other settings; run without --resume", options.folder.display());
        }
        return Ok(());
    }
    if runs.exists() {
        fs::remove_dir_all(runs).with_context(|| runs.display().to_string())?;
    }
    fs::create_dir_all(runs).with_context(|| runs.display().to_string())?;
    fs::write(spec, json).with_context(|| spec.display().to_string())
}

fn empty(prepared: &Prepared, options: &Options) -> Result<Results> {
    let spec = &prepared.spec;
    let mut strategies = run::strategies(spec, &prepared.data.segment);
    if let Some(unknown) = options.strategies.iter().find(|name| !strategies.iter().any(|s| s.name == **name)) {
        let names: Vec<&str> = strategies.iter().map(|s| s.name.as_str()).collect();
        bail!("there is no strategy {unknown}; there are {}", names.join(", "));
    }
    if !options.strategies.is_empty() {
        strategies.retain(|strategy| options.strategies.contains(&strategy.name));
    }
    let hidden: Vec<String> = spec.hidden.iter().map(usize::to_string).collect();
    Ok(Results {
        version: VERSION,
        title: prepared.title.clone(),
        notice: None,
        task: prepared.task.clone(),
        data: prepared.data.clone(),
        machine: machine::machine(),
        settings: Settings {
            model: format!("dense {}, ReLU; categories embedded", hidden.join("-")),
            parameters: Some(spec.program()?.layout().len() as u64),
            optimizer: format!("Adam, lr {}", spec.learning_rate),
            batch_size: spec.batch_size as u64,
            epochs: spec.epochs,
            seeds: options.seeds.clone(),
            quick: options.effort == Effort::Quick,
            more: vec![Setting {
                name: "Memory budget of batch training".into(),
                value: format!("{} MiB", spec.budget >> 20),
            }],
        },
        metrics: spec.task.metrics(spec.target_loss),
        baseline: Some(prepared.baseline.clone()),
        strategies,
        runs: Vec::new(),
        failures: Vec::new(),
        notes: prepared.notes.clone(),
        started: machine::now(),
        seconds: 0.0,
        complete: false,
    })
}

fn start(spec: &Path, strategy: &str, seed: u64, folder: &Path) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("run")
        .arg(spec)
        .args([strategy, &seed.to_string()])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the process of a run")
}

/// Shows a run's progress until its process ends; says why when it gave nothing.
pub(crate) fn follow(mut child: Child, mut progress: impl FnMut(u64, u64)) -> Result<Option<String>> {
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || errors.map(std::io::read_to_string).transpose());
    for line in BufReader::new(output.context("the run has no output")?).lines() {
        let line = line?;
        let mut words = line.split(' ');
        if let (Some("progress"), Some(Ok(done)), Some(Ok(total))) =
            (words.next(), words.next().map(str::parse), words.next().map(str::parse))
        {
            progress(done, total);
        }
    }
    let status = child.wait()?;
    let errors = reader.join().unwrap_or(Ok(None))?.unwrap_or_default();
    Ok(match status.code() {
        Some(0) => None,
        Some(code) if code == i32::from(STOPPED) => Some("stopped before it was finished".into()),
        _ if errors.trim().is_empty() => Some(format!("its process ended with {status}")),
        _ => Some(errors.trim().trim_start_matches("error: ").to_owned()),
    })
}

fn read_run(path: &Path) -> Result<Run> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Writes results, report and curves, each whole or not at all.
fn write(results: &Results, folder: &Path) -> Result<()> {
    replace(&folder.join("results.json"), &results.to_json()?)?;
    replace(&folder.join("report.html"), &report::html(results))?;
    let curves = curves::curves(results);
    let path = folder.join("curves.parquet");
    let mut writer = ParquetWriter::create(
        &path,
        [
            ("strategy", ValueType::Text),
            ("seed", ValueType::I64),
            ("rows_trained", ValueType::I64),
            ("position", ValueType::I64),
            ("seconds", ValueType::F64),
            ("loss", ValueType::F64),
            ("score", ValueType::F64),
        ],
    )?;
    let strategies: Vec<&str> = curves.strategy.iter().map(String::as_str).collect();
    let [seed, rows, position] =
        [&curves.seed, &curves.rows_trained, &curves.position].map(|c| c.iter().map(|&n| n as i64).collect::<Vec<_>>());
    writer.write(&[
        Values::Text(&strategies),
        Values::I64(&seed),
        Values::I64(&rows),
        Values::I64(&position),
        Values::F64(&curves.seconds),
        Values::F64(&curves.loss),
        Values::F64(&curves.score),
    ])?;
    Ok(writer.finish()?)
}

/// Writes a file, whole or not at all.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, text).with_context(|| temporary.display().to_string())?;
    fs::rename(&temporary, path).with_context(|| path.display().to_string())
}
