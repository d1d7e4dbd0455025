//! All runs of a comparison, each in a process of its own, and what is written of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tidemill::data::{Interrupt, file};

use crate::child::{Ended, ends_with_this, follow};
use crate::fault;
use crate::folder::Folder;
use crate::inputs::{Changed, Inputs};
use crate::outputs::{self, replace};
use crate::progress::Progress;
use crate::results::{Failure, Results, Setting, Settings, VERSION};
use crate::run::{self, Paths};
use crate::signals::attend;
use crate::tasks::{Effort, Prepared};
use crate::{machine, say, table, verdict};

/// How a comparison is run.
#[derive(Debug)]
pub struct Options {
    /// Where everything is written.
    pub folder: Folder,
    /// The files that all runs read, as they were when the comparison was prepared.
    pub inputs: Inputs,
    /// Seeds of each strategy.
    pub seeds: Vec<u64>,
    /// Names of the strategies to run; all when empty.
    pub strategies: Vec<String>,
    /// Full or quick.
    pub effort: Effort,
    /// Go on with an earlier comparison of the same settings.
    pub resume: bool,
    /// How often each run saves what it needs to go on.
    pub save_every: Duration,
}

/// Exit code of a run that was asked to stop and saved what it had.
pub const STOPPED: u8 = 130;

/// Exit code of a run whose data is not that which the comparison was prepared from.
pub const CHANGED: u8 = 3;

/// Runs what is missing, writes results and report after each run, and prints the table.
///
/// # Errors
///
/// When files cannot be written, an earlier comparison in the folder had other settings, or the data is replaced.
pub fn compare(prepared: &Prepared, options: &Options, stop: &Interrupt) -> Result<run::Outcome> {
    let began = Instant::now();
    let folder = options.folder.path();
    let mut results = empty(prepared, options)?;
    let settings = serde_json::to_string_pretty(&prepared.spec)?;
    let runs = Runs::new(options, &settings)?;
    let mut progress = Progress::new(results.planned());
    let _attended = attend();
    let mut changed = None;
    'runs: for &seed in &options.seeds {
        for strategy in results.strategies.clone() {
            let label = format!("{}, seed {seed}", strategy.label);
            let mut run = runs.finished(&strategy.name, seed)?;
            if run.is_none() && !stop.is_set() {
                let child = runs.start(&strategy.name, seed)?;
                let ended = follow(child, stop, |done, total| progress.run(&label, done, total))?;
                run = runs.finished(&strategy.name, seed)?;
                if let Some(reason) = why_nothing(ended, run.is_some()) {
                    results.failures.push(Failure { strategy: strategy.name.clone(), seed, reason });
                }
            }
            if let Some(run) = run {
                progress.finished(&label, &run);
                results.runs.push(run);
            }
            results.complete = results.runs.len() == results.planned();
            results.seconds = began.elapsed().as_secs_f64();
            outputs::write(&results, folder)?;
            changed = options.inputs.unchanged().err();
            if changed.is_some() {
                break 'runs;
            }
        }
    }
    progress.end();
    say::line(format_args!("{}", table::terminal(&results)));
    say::line(format_args!("{}", verdict::verdict(&results)));
    for file in outputs::FILES {
        say::line(format_args!("{}", folder.join(file).display()));
    }
    ending(&results, changed, stop)
}

fn ending(results: &Results, changed: Option<Changed>, stop: &Interrupt) -> Result<run::Outcome> {
    if let Some(changed) = changed {
        return Err(changed.into());
    }
    if results.complete {
        return Ok(run::Outcome::Finished);
    }
    if !stop.is_set() {
        let reasons: Vec<String> =
            results.failures.iter().map(|f| format!("{}, seed {}: {}", f.strategy, f.seed, f.reason)).collect();
        bail!("{} of {} runs failed:\n{}", reasons.len(), results.planned(), reasons.join("\n"));
    }
    say::line(format_args!("stopped; what was measured so far is saved. The same command with --resume goes on."));
    Ok(run::Outcome::Stopped)
}

fn why_nothing(ended: Ended, is_there: bool) -> Option<String> {
    match ended {
        _ if is_there => None,
        Ended::Well => Some("its process ended without a result".into()),
        Ended::Stopped => Some("stopped before it was finished".into()),
        Ended::Badly(_, reason) => Some(reason),
    }
}

/// The runs of a comparison: their folder, and what they are made from.
struct Runs<'a> {
    options: &'a Options,
    folder: PathBuf,
    spec: PathBuf,
    fingerprint: String,
}

impl<'a> Runs<'a> {
    /// Starts over, or goes on with what is there.
    fn new(options: &'a Options, settings: &str) -> Result<Self> {
        let folder = options.folder.path().join("runs");
        let spec = options.folder.path().join("spec.json");
        let fingerprint = options.inputs.fingerprint(settings);
        let runs = Self { options, folder, spec, fingerprint };
        if options.resume {
            runs.check(settings)?
        } else {
            runs.start_over(settings)?
        }
        file::remove_abandoned(&runs.folder);
        Ok(runs)
    }

    fn check(&self, settings: &str) -> Result<()> {
        let shown = self.options.folder.path().display();
        let before = fs::read_to_string(&self.spec)
            .with_context(|| format!("{shown}: there is nothing to go on with; run without --resume"))?;
        if before != settings {
            bail!("{shown}: the comparison there had other settings; run without --resume");
        }
        let inputs = fs::read(self.inputs()).ok().and_then(|text| serde_json::from_slice::<Inputs>(&text).ok());
        if inputs.as_ref() != Some(&self.options.inputs) {
            let why = inputs.and_then(|inputs| inputs.unchanged().err());
            let why = why.map_or_else(String::new, |changed| format!(" ({changed})"));
            bail!("{shown}: the comparison there had other data{why}; run without --resume");
        }
        fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())
    }

    /// In an order that leaves, wherever it is ended, nothing that could be gone on with by mistake.
    fn start_over(&self, settings: &str) -> Result<()> {
        let named = |path: &Path| path.display().to_string();
        file::remove(&self.spec).with_context(|| named(&self.spec))?;
        outputs::remove(self.options.folder.path())?;
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).with_context(|| named(&self.folder))?;
        }
        fs::create_dir_all(&self.folder).with_context(|| named(&self.folder))?;
        replace(&self.inputs(), serde_json::to_vec_pretty(&self.options.inputs)?)?;
        replace(&self.spec, settings)
    }

    fn inputs(&self) -> PathBuf {
        self.spec.with_file_name(run::INPUTS)
    }

    /// The result of a run, if it has one; what is left of its way there is removed. What cannot be its result is removed,
    /// and said, so that it is run again.
    fn finished(&self, strategy: &str, seed: u64) -> Result<Option<crate::results::Run>> {
        let paths = Paths::new(&self.folder, strategy, seed);
        match paths.finished(strategy, seed, &self.fingerprint) {
            Ok(run) => {
                if run.is_some() {
                    paths.remove_partial();
                }
                Ok(run)
            }
            Err(error) => {
                say::note(format_args!("{error:#}; it is run again"));
                file::remove(paths.run()).with_context(|| paths.run().display().to_string())?;
                Ok(None)
            }
        }
    }

    fn start(&self, strategy: &str, seed: u64) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("run")
            .arg(&self.spec)
            .args([strategy, &seed.to_string()])
            .arg(&self.folder)
            .args(["--save-every", &self.options.save_every.as_secs_f64().to_string()])
            .env_remove(fault::KILLED_BEFORE_FILE_STEP)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What it has saved, it has saved whole.
        ends_with_this(&mut command, Signal::KILL, Some(&self.options.folder))?;
        command.spawn().context("starting the process of a run")
    }
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
