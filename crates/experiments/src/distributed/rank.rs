//! What each process of a run does.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tidemill::collective::Error as Lost;
use tidemill::data::Interrupt;
use tidemill::mpi;
use tidemill::prelude::*;
use tidemill::strategies::{Activity, Error};

use super::way::Way;
use crate::fault::{Fault, Faults};
use crate::inputs::Inputs;
use crate::outputs::replace;
use crate::results::{Point, Scores, ToTarget};
use crate::run::score;
use crate::say;
use crate::spec::Spec;

/// What all ranks of a run are told, as a file that each reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Rows, model and settings.
    #[serde(with = "crate::any_path")]
    pub spec: PathBuf,
    /// How it is spread.
    pub way: Way,
    /// Of initial parameters and the order of rows.
    pub seed: u64,
    /// The files that the settings were made from.
    #[serde(default)]
    pub inputs: Inputs,
    /// Ends the run before its epochs are over.
    pub most_seconds: Option<f64>,
    /// Ends the run after so many steps.
    #[serde(default)]
    pub most_steps: Option<u64>,
    /// Ends the run when the target loss is reached.
    pub to_target: bool,
    /// Rows between looks at the held-out rows; none: only in the end.
    pub look_every: Option<u64>,
    /// Where a checkpoint is saved, and gone on from when it is there.
    #[serde(with = "crate::any_path::optional", default)]
    pub checkpoint: Option<PathBuf>,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Where rank 0 writes what came of it.
    #[serde(with = "crate::any_path::optional", default)]
    pub result: Option<PathBuf>,
    /// Where each rank writes what it spent its time on.
    #[serde(with = "crate::any_path::optional", default)]
    pub traces: Option<PathBuf>,
    /// How long to wait for other ranks.
    pub deadline_seconds: f64,
    /// What goes wrong on purpose.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Processes that took part.
    pub ranks: usize,
    /// Parameters of the model.
    pub parameters: u64,
    /// Steps taken.
    pub steps: u64,
    /// Rows trained on by all ranks together.
    pub rows: u64,
    /// Seconds of training, looks at the held-out rows left out.
    pub seconds: f64,
    /// When the target loss was first seen.
    pub to_target: Option<ToTarget>,
    /// How well the held-out rows were predicted in the end.
    pub held_out: Scores,
    /// Bytes that rank 0 has sent.
    pub sent: u64,
    /// Seconds that rank 0 spent on what.
    pub spent: Vec<(String, f64)>,
    /// How well the held-out rows were predicted meanwhile.
    pub curve: Vec<Point>,
}

/// Exit code of a rank whose job or settings are impossible; to start it again changes nothing.
pub const IMPOSSIBLE: i32 = 2;

/// Trains as one rank of the world that the launcher has made, and ends the process.
///
/// Ranks end together: with 0 when the run has finished, with [`STOPPED`](crate::compare::STOPPED) when it was asked to
/// stop, and otherwise with a message that names rank, host, step and cause.
pub fn rank(job: &std::path::Path, stop: &Interrupt) -> ! {
    let _attended = crate::signals::attend();
    // A rank ends with what started it: mpirun, its daemon on this host, or the comparison.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let prepared = fs::read(job).map_err(anyhow::Error::from).and_then(|text| Ok(serde_json::from_slice(&text)?));
    let job: Job = match prepared.with_context(|| job.display().to_string()) {
        Ok(job) => job,
        Err(error) => fail(None, &error, IMPOSSIBLE),
    };
    let options = mpi::Options { deadline: Duration::from_secs_f64(job.deadline_seconds), ..mpi::Options::default() };
    let world = match mpi::world(options) {
        Ok(world) => world,
        Err(error) => {
            let code = mpi::status(&error);
            fail(None, &error.into(), code)
        }
    };
    let name = world.peer(world.rank()).to_string();
    match train(&job, world, stop) {
        Ok(Ended::Finished) => mpi::exit(0),
        Ok(Ended::Stopped) => mpi::exit(i32::from(crate::compare::STOPPED)),
        Err(error) => {
            let code = match error.downcast_ref::<Error>() {
                Some(Error::Ranks { source: Lost::Differs { .. }, .. }) => IMPOSSIBLE,
                Some(Error::Ranks { source, .. }) => mpi::status(source),
                Some(Error::StateLost { source, .. }) => mpi::status(source),
                Some(_) => 1,
                None => IMPOSSIBLE,
            };
            fail(Some(&name), &error, code)
        }
    }
}

fn fail(name: Option<&str>, error: &anyhow::Error, code: i32) -> ! {
    say::note(format_args!("tidemill: {}{error:#}", name.map(|name| format!("{name}: ")).unwrap_or_default()));
    mpi::exit(code)
}

/// How training ended, as the first rank sees it.
enum Ended {
    Finished,
    Stopped,
}

fn train(job: &Job, world: Box<dyn tidemill::collective::Collective>, stop: &Interrupt) -> Result<Ended> {
    let text = fs::read_to_string(&job.spec).with_context(|| job.spec.display().to_string())?;
    let spec: Spec = serde_json::from_str(&text).with_context(|| job.spec.display().to_string())?;
    // Another host may have a copy of its own.
    job.inputs.same_contents()?;
    let (rank, ranks) = (world.rank(), world.size());
    let timeline = match &job.traces {
        Some(folder) => Timeline::to_file(folder.join(format!("rank-{rank}.json")))?,
        None => Timeline::new(),
    };
    let trainer = Trainer::new(spec.program()?, adam(spec.learning_rate))?.timeline(timeline.clone());
    let agreed = agreed(&text, &spec)?;
    let trainer = job.way.engine(trainer, world, &agreed);
    let (mut source, batch_size) = job.way.rows(spec.rows(0..spec.training_spans)?, spec.batch_size, (rank, ranks))?;
    let mut state = match &job.checkpoint {
        // The others take over what the first one has.
        Some(path) if rank == 0 && path.exists() => trainer.resume(path, Metrics::new())?,
        _ => trainer.start(job.seed),
    };
    if ranks == 1 && !job.way.is_alone() {
        // The last one that is left has nobody to tell what compression or averages had kept.
        state.forget_rank_memory();
    }
    let strategy = Batch::new(spec.epochs).batch_size(batch_size).budget(spec.budget);
    let mut watcher = match rank {
        0 => Some(Watcher::new(job, &spec, &trainer)?),
        _ => None,
    };
    let checkpoints = job.checkpoint.as_ref().map(|path| Checkpoints::new(path, job.save_every));
    let mut callbacks = (checkpoints, (&mut watcher, (Faults::of(&job.faults, rank, stop), stop.clone())));
    let summary = trainer.run(&strategy, &mut state, &mut source, &mut callbacks)?;
    say::note(format_args!("tidemill: rank {rank} of {ranks}: {timeline}"));
    job.inputs.same_contents()?;
    // The first rank says that it was stopped, when it has saved; the others wait for it.
    let Some(watcher) = watcher else { return Ok(Ended::Finished) };
    let was_stopped = summary.stopped && !watcher.is_done;
    if let Some(path) = job.result.as_ref().filter(|_| !was_stopped) {
        let found = watcher.found(&state, ranks, &timeline)?;
        replace(path, serde_json::to_vec_pretty(&found)?)?;
    }
    Ok(if was_stopped { Ended::Stopped } else { Ended::Finished })
}

/// What must be the same on all ranks: every setting, and how large the file is.
fn agreed(text: &str, spec: &Spec) -> Result<Vec<(String, String)>> {
    let settings: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    let about = fs::metadata(&spec.data).with_context(|| spec.data.display().to_string())?;
    let size = ("size of the data file".to_owned(), about.len().to_string());
    Ok(settings.into_iter().map(|(name, value)| (name, value.to_string())).chain([size]).collect())
}

/// Looks at the held-out rows from time to time, and ends the run when it has gone on long enough.
struct Watcher<'a> {
    job: &'a Job,
    spec: &'a Spec,
    trainer: &'a Trainer<f32>,
    held_out: MemorySource<f32>,
    curve: Vec<Point>,
    to_target: Option<ToTarget>,
    training: Duration,
    since: Instant,
    next_look: u64,
    shown: Instant,
    total: u64,
    /// Whether it was this that ended the run.
    is_done: bool,
}

/// How often progress is told.
const SHOW: Duration = Duration::from_millis(100);

impl<'a> Watcher<'a> {
    fn new(job: &'a Job, spec: &'a Spec, trainer: &'a Trainer<f32>) -> Result<Self> {
        let held_out = MemorySource::load(spec.rows(spec.held_out())?, spec.budget)?;
        let trained: u64 = spec.spans[..spec.training_spans].iter().map(|s| s.rows.end - s.rows.start).sum();
        Ok(Self {
            job,
            spec,
            trainer,
            held_out,
            curve: Vec::new(),
            to_target: None,
            training: Duration::ZERO,
            since: Instant::now(),
            next_look: job.look_every.unwrap_or(u64::MAX),
            shown: Instant::now(),
            total: trained * spec.epochs,
            is_done: false,
        })
    }

    fn look(&mut self, state: &State<f32>) -> Result<(), Error> {
        let scores = score(self.spec, self.trainer, state, &mut self.held_out)?;
        let (rows, seconds) = (state.rows_trained, self.training.as_secs_f64());
        self.curve.push(Point { rows_trained: rows, position: rows, seconds, loss: scores.loss, score: scores.score });
        if self.to_target.is_none() && self.spec.target_loss.is_some_and(|target| scores.loss <= target) {
            self.to_target = Some(ToTarget { rows, steps: state.step, seconds });
        }
        Ok(())
    }

    fn found(mut self, state: &State<f32>, ranks: usize, timeline: &Timeline) -> Result<Found> {
        let held_out = score(self.spec, self.trainer, state, &mut self.held_out)?;
        let spent = |activity: Activity| (activity.name().to_owned(), timeline.total(activity).as_secs_f64());
        Ok(Found {
            ranks,
            parameters: state.params.len() as u64,
            steps: state.step,
            rows: state.rows_trained,
            seconds: self.training.as_secs_f64(),
            to_target: self.to_target,
            held_out,
            sent: timeline.sent(),
            spent: Activity::ALL.map(spent).to_vec(),
            curve: self.curve,
        })
    }
}

impl Callback<f32> for Watcher<'_> {
    fn on_event(&mut self, event: &Event<'_, f32>, run: &mut Control) -> Result<(), Error> {
        let (state, is_last) = match event {
            Event::Started { .. } => {
                self.since = Instant::now();
                return Ok(());
            }
            Event::Step { state, .. } => (state, false),
            Event::Finished { state, .. } => (state, true),
            _ => return Ok(()),
        };
        let is_due = state.rows_trained >= self.next_look;
        if is_due || is_last {
            self.training += self.since.elapsed();
            if is_due {
                self.look(state)?;
                self.next_look = state.rows_trained + self.job.look_every.unwrap_or(u64::MAX / 2);
            }
            self.since = Instant::now();
        }
        if self.shown.elapsed() > SHOW || is_last {
            self.shown = Instant::now();
            // Whoever started the job reads lines; when nobody does, there is nobody to tell.
            let _ = writeln!(std::io::stdout(), "progress {} {}", state.rows_trained, self.total);
        }
        let so_far = (self.training + self.since.elapsed()).as_secs_f64();
        self.is_done |= self.job.to_target && self.to_target.is_some()
            || self.job.most_seconds.is_some_and(|most| so_far > most)
            || self.job.most_steps.is_some_and(|most| state.step >= most);
        if self.is_done && !is_last {
            run.stop();
        }
        Ok(())
    }
}
