use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tidemill::data::{Cursor, Interrupt};
use tidemill::prelude::*;
use tidemill::strategies::Error;

use super::memory;
use super::phases::{Begin, Phase, Train, phases};
use super::recorder::{Recorder, score, scores};
use crate::results::{ModelState, Planned, Point, Run, Scores, Segment, ToTarget};
use crate::spec::Spec;

/// Held-out rows are kept in memory for the curve where they take less than this.
const HELD_OUT_BUDGET: u64 = 32 << 20;

/// Where a run keeps its files.
#[derive(Clone, Debug)]
pub struct Paths {
    folder: PathBuf,
    name: String,
}

impl Paths {
    /// In this folder, for this strategy and seed.
    pub fn new(folder: &Path, strategy: &str, seed: u64) -> Self {
        Self { folder: folder.to_owned(), name: format!("{strategy}-{seed}") }
    }

    /// The finished run.
    pub fn run(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    /// What is known of a run that goes on.
    pub fn partial(&self) -> PathBuf {
        self.folder.join(format!("{}.partial.json", self.name))
    }

    /// The trained model.
    pub fn model(&self) -> PathBuf {
        self.folder.join(format!("{}.model.safetensors", self.name))
    }

    fn state(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.state-{number}.safetensors", self.name))
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its result is written.
    Finished,
    /// It was asked to stop; what it has so far is saved.
    Stopped,
}

/// What is known of a run before it is finished; with the state of training, all that is needed to go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Partial {
    phase: usize,
    /// Number of the state file that belongs to this.
    state: Option<u64>,
    pub(super) rows_before: u64,
    pub(super) steps_before: u64,
    pub(super) training_seconds: f64,
    #[serde(default)]
    pub(super) waiting_seconds: f64,
    total_seconds: f64,
    pub(super) next_mark: u64,
    pub(super) curve: Vec<Point>,
    segments: Vec<Segment>,
    pub(super) to_target: Option<ToTarget>,
    #[serde(default)]
    pub(super) memory_plan: Vec<Planned>,
    /// Sums over the segments tested before they were trained on.
    prequential: Vec<Vec<f64>>,
    prequential_rows: u64,
}

impl Partial {
    fn load(paths: &Paths) -> Result<Self> {
        match fs::read(paths.partial()) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| paths.partial().display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| paths.partial().display().to_string()),
        }
    }

    /// Saves the state under a new name, then this, which names it, then drops the state before.
    pub(super) fn save(&mut self, trainer: &Trainer<f32>, state: &State<f32>, paths: &Paths) -> Result<(), Error> {
        let old = self.state;
        let number = old.map_or(0, |n| n + 1);
        trainer.save(state, paths.state(number))?;
        self.state = Some(number);
        self.write(paths)?;
        if let Some(old) = old {
            let _ = fs::remove_file(paths.state(old));
        }
        Ok(())
    }

    fn write(&self, paths: &Paths) -> Result<(), Error> {
        let failed = |source| Error::File { path: paths.partial(), source };
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let temporary = paths.partial().with_extension("tmp");
        fs::write(&temporary, json).map_err(failed)?;
        fs::rename(temporary, paths.partial()).map_err(failed)
    }
}

/// Trains one strategy with one seed, from where an earlier process left it, and writes its result.
///
/// # Errors
///
/// Whatever goes wrong with data, training or files.
pub fn run(spec: &Spec, strategy: &str, seed: u64, paths: &Paths, stop: &Interrupt) -> Result<Outcome> {
    let (plain, spec) = spec.of(strategy);
    let Some(phases) = phases(plain, &spec) else { bail!("there is no strategy {strategy}") };
    let mut worker = Worker::new(&spec, seed, paths, stop, &phases)?;
    let began = Instant::now();
    while worker.partial.phase < phases.len() {
        if worker.phase(&phases[worker.partial.phase])? == Outcome::Stopped {
            worker.partial.total_seconds += began.elapsed().as_secs_f64();
            worker.partial.write(paths)?;
            return Ok(Outcome::Stopped);
        }
    }
    worker.partial.total_seconds += began.elapsed().as_secs_f64();
    worker.finish(strategy)
}

struct Worker<'a> {
    spec: &'a Spec,
    seed: u64,
    paths: &'a Paths,
    stop: &'a Interrupt,
    trainer: Trainer<f32>,
    held_out: Box<dyn Source<f32>>,
    partial: Partial,
    state: State<f32>,
    total_rows: u64,
    /// Whether the state is in the middle of the present phase.
    resumed: bool,
}

impl<'a> Worker<'a> {
    fn new(spec: &'a Spec, seed: u64, paths: &'a Paths, stop: &'a Interrupt, phases: &[Phase]) -> Result<Self> {
        let trainer = spec.trainer()?;
        let partial = Partial::load(paths)?;
        let state = match partial.state {
            Some(number) => trainer.resume(paths.state(number), spec.metrics())?,
            None => trainer.start_with(seed, spec.metrics()),
        };
        let held_out: Box<dyn Source<f32>> = match MemorySource::load(spec.rows(spec.held_out())?, HELD_OUT_BUDGET.min(spec.budget / 8)) {
            Ok(memory) => Box::new(memory),
            Err(tidemill::data::Error::Budget { .. }) => Box::new(spec.rows(spec.held_out())?),
            Err(error) => return Err(error.into()),
        };
        let rows = |phase: &Phase| {
            let span: u64 = spec.spans[phase.spans.clone()].iter().map(|s| s.rows.end - s.rows.start).sum();
            span * if phase.train == Train::Batch { spec.epochs } else { 1 }
        };
        let total_rows = phases.iter().map(rows).sum();
        let resumed = partial.state.is_some();
        Ok(Self { spec, seed, paths, stop, trainer, held_out, partial, state, total_rows, resumed })
    }

    fn phase(&mut self, phase: &Phase) -> Result<Outcome> {
        if !std::mem::take(&mut self.resumed) {
            self.begin(phase);
        }
        let mut source = self.spec.rows(phase.spans.clone())?;
        let now = Instant::now();
        let waited_before = self.partial.waiting_seconds;
        let mut recorder = Recorder {
            spec: self.spec,
            trainer: &self.trainer,
            paths: self.paths,
            partial: &mut self.partial,
            held_out: &mut *self.held_out,
            stop: self.stop,
            total_rows: self.total_rows,
            train: phase.train,
            rows: self.spec.spans[phase.spans.start].rows.start..self.spec.spans[phase.spans.end - 1].rows.end,
            waited_before,
            since: now,
            shown: now,
            saved: now,
        };
        let summary = match phase.train {
            Train::Batch => {
                let budget = self.spec.memory_for_rows(&source);
                let batch = Batch::new(self.spec.epochs).batch_size(self.spec.batch_size).budget(budget);
                self.trainer.run(&batch, &mut self.state, &mut source, &mut recorder)?
            }
            Train::Online => {
                let online = Online::new().batch_size(self.spec.batch_size);
                self.trainer.run(&online, &mut self.state, &mut source, &mut recorder)?
            }
        };
        if summary.stopped {
            return Ok(Outcome::Stopped);
        }
        self.end(phase, summary.last_epoch.rows)?;
        Ok(Outcome::Finished)
    }

    fn begin(&mut self, phase: &Phase) {
        if phase.begin == Begin::Fresh {
            self.partial.rows_before += self.state.rows_trained;
            self.partial.steps_before += self.state.step;
            self.state = self.trainer.start_with(self.seed, self.spec.metrics());
        }
        self.state.cursor = Cursor::start(0);
        self.state.metrics = self.spec.metrics();
    }

    /// Notes how well the phase's rows, or the span after them, were predicted.
    fn end(&mut self, phase: &Phase, rows: u64) -> Result<()> {
        if phase.train == Train::Online {
            let span = phase.spans.start;
            let found = scores(self.spec, &self.state.metrics, rows);
            let metrics = std::mem::take(&mut self.state.metrics);
            self.note(span, found, &metrics)?;
        }
        if let Some(span) = phase.then_predict {
            let mut source = self.spec.rows(span..span + 1)?;
            let mut metrics = self.spec.metrics();
            let sums =
                tidemill::strategies::evaluate(self.trainer.program(), &self.state.params, &mut source, &mut metrics)?
                    .sums;
            let found = scores(self.spec, &metrics, sums.rows);
            self.note(span, found, &metrics)?;
        }
        self.partial.phase += 1;
        Ok(())
    }

    fn note(&mut self, span: usize, found: Scores, metrics: &[Box<dyn Metric<f32>>]) -> Result<()> {
        self.partial.segments.push(self.segment(span, found, ModelState::Prequential));
        let mut all = self.spec.metrics();
        for (i, (all, new)) in all.iter_mut().zip(metrics).enumerate() {
            if let Some(before) = self.partial.prequential.get(i) {
                all.restore(before)?;
            }
            all.merge(&new.state())?;
        }
        self.partial.prequential = all.iter().map(|metric| metric.state()).collect();
        self.partial.prequential_rows += found.rows;
        Ok(())
    }

    fn segment(&self, span: usize, found: Scores, state: ModelState) -> Segment {
        let span = &self.spec.spans[span];
        Segment {
            label: span.label.clone(),
            first_row: span.rows.start,
            rows: found.rows,
            loss: found.loss,
            score: found.score,
            state,
        }
    }

    fn finish(mut self, strategy: &str) -> Result<Outcome> {
        for span in self.spec.held_out() {
            let mut source = self.spec.rows(span..span + 1)?;
            let found = score(self.spec, &self.trainer, &self.state, &mut source)?;
            let segment = self.segment(span, found, ModelState::HeldOut);
            self.partial.segments.push(segment);
        }
        let held_out = score(self.spec, &self.trainer, &self.state, &mut *self.held_out)?;
        let model = Model::new(self.trainer.program().clone(), &self.state).with_encoder(self.spec.encoder.clone());
        model.save(self.paths.model())?;
        let prequential = self.prequential()?;
        let Partial { curve, segments, to_target, memory_plan, .. } = self.partial;
        let Partial { training_seconds, waiting_seconds, total_seconds, .. } = self.partial;
        let rows_trained = self.partial.rows_before + self.state.rows_trained;
        let run = Run {
            strategy: strategy.into(),
            seed: self.seed,
            threads: self.spec.threads as u64,
            curve,
            segments,
            held_out,
            prequential,
            to_target,
            rows_trained,
            steps: self.partial.steps_before + self.state.step,
            training_seconds,
            waiting_seconds,
            total_seconds,
            rows_per_second: rows_trained as f64 / training_seconds,
            peak_memory_bytes: memory::peak(),
            memory_plan,
            note: None,
        };
        fs::write(self.paths.run(), serde_json::to_vec_pretty(&run)?)?;
        let _ = fs::remove_file(self.paths.partial());
        if let Some(number) = self.partial.state {
            let _ = fs::remove_file(self.paths.state(number));
        }
        Ok(Outcome::Finished)
    }

    fn prequential(&self) -> Result<Option<Scores>> {
        if self.partial.prequential.is_empty() {
            return Ok(None);
        }
        let mut metrics = self.spec.metrics();
        for (metric, state) in metrics.iter_mut().zip(&self.partial.prequential) {
            metric.restore(state)?;
        }
        Ok(Some(scores(self.spec, &metrics, self.partial.prequential_rows)))
    }
}
