use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tidemill::data::{Cursor, Interrupt, file};
use tidemill::prelude::*;

use super::memory;
use super::partial::Partial;
use super::paths::Paths;
use super::phases::{Begin, Phase, Train, phases};
use super::recorder::{Recorder, score, scores};
use crate::fault::{Fault, Faults};
use crate::inputs::Inputs;
use crate::outputs::replace;
use crate::results::{ModelState, Run, Scores, Segment};
use crate::rows;
use crate::signals::attend;
use crate::spec::Spec;

/// Held-out rows are kept in memory for the curve where they take less than this.
const HELD_OUT_BUDGET: u64 = 32 << 20;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its result is written.
    Finished,
    /// It was asked to stop; what it has so far is saved.
    Stopped,
}

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Rows, model and settings.
    pub spec: Spec,
    /// The files that the settings were made from.
    pub inputs: Inputs,
    /// Of both: see [`Inputs::fingerprint`].
    pub fingerprint: String,
    /// Name of the strategy.
    pub strategy: String,
    /// Seed of initialization, shuffling and dropout.
    pub seed: u64,
    /// Where its files are.
    pub paths: Paths,
    /// How often training is saved.
    pub save_every: Duration,
}

impl Order {
    /// Reads what [`compare`](crate::compare::compare) has written for its runs.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, by name.
    pub fn read(spec: &Path, strategy: &str, seed: u64, folder: &Path, save_every: Duration) -> Result<Self> {
        let named = |path: &Path| path.display().to_string();
        let text = fs::read_to_string(spec).with_context(|| named(spec))?;
        let path = spec.with_file_name(INPUTS);
        let inputs: Inputs =
            serde_json::from_slice(&fs::read(&path).with_context(|| named(&path))?).with_context(|| named(&path))?;
        Ok(Self {
            spec: serde_json::from_str(&text).with_context(|| named(spec))?,
            fingerprint: inputs.fingerprint(&text),
            inputs,
            strategy: strategy.to_owned(),
            seed,
            paths: Paths::new(folder, strategy, seed),
            save_every,
        })
    }
}

/// Name of the file beside a spec that tells from which files the spec was made.
pub const INPUTS: &str = "inputs.json";

/// Trains one strategy with one seed, from where an earlier process left it, and writes its result.
///
/// What an earlier process left and cannot be used is left aside, and the run is begun anew; its result notes that.
///
/// # Errors
///
/// [`Changed`](crate::inputs::Changed) when the data is not that which the comparison was prepared from; otherwise
/// whatever goes wrong with data, training or files.
pub fn run(order: &Order, stop: &Interrupt) -> Result<Outcome> {
    let faults = crate::fault::of_environment()?;
    order.inputs.unchanged()?;
    let outcome = attempt(order, &faults, stop);
    // What was read may be of other data, and so may be what went wrong with it.
    if !matches!(outcome, Ok(Outcome::Finished)) {
        order.inputs.unchanged()?;
    }
    outcome
}

fn attempt(order: &Order, faults: &[Fault], stop: &Interrupt) -> Result<Outcome> {
    if let Some(folder) = order.paths.run().parent() {
        file::remove_abandoned(folder);
    }
    let strategy = order.strategy.as_str();
    let (plain, spec) = order.spec.of(strategy);
    let Some(phases) = phases(plain, &spec) else { bail!("there is no strategy {strategy}") };
    let mut worker = Worker::new(&spec, order, faults, stop, &phases)?;
    let began = Instant::now();
    let _attended = attend();
    while worker.partial.phase < phases.len() {
        if worker.phase(&phases[worker.partial.phase])? == Outcome::Stopped {
            worker.partial.total_seconds += began.elapsed().as_secs_f64();
            worker.partial.save(&worker.trainer, &worker.state, worker.paths)?;
            return Ok(Outcome::Stopped);
        }
        // Rows of other data are not trained on for longer than a phase.
        order.inputs.unchanged()?;
    }
    worker.partial.total_seconds += began.elapsed().as_secs_f64();
    worker.finish(order)
}

struct Worker<'a> {
    spec: &'a Spec,
    seed: u64,
    paths: &'a Paths,
    save_every: Duration,
    faults: &'a [Fault],
    stop: &'a Interrupt,
    trainer: Trainer<f32>,
    held_out: Box<dyn Source<f32>>,
    partial: Partial,
    state: State<f32>,
    total_rows: u64,
}

impl<'a> Worker<'a> {
    fn new(
        spec: &'a Spec,
        order: &'a Order,
        faults: &'a [Fault],
        stop: &'a Interrupt,
        phases: &[Phase],
    ) -> Result<Self> {
        let (trainer, paths, seed) = (spec.trainer()?, &order.paths, order.seed);
        let fresh = || (Partial::new(&order.fingerprint), trainer.start_with(seed, spec.metrics()));
        let (partial, state) = match Partial::load(paths, &order.fingerprint, phases.len(), spec, &trainer) {
            Ok(saved) => saved.unwrap_or_else(fresh),
            Err(error) => {
                let (mut partial, state) = fresh();
                let path = paths.partial();
                partial.note =
                    Some(format!("Begun anew, because {} could not be gone on with: {error:#}.", path.display()));
                (partial, state)
            }
        };
        paths.remove_states_but(partial.state);
        let budget = HELD_OUT_BUDGET.min(spec.budget / 8);
        let held_out: Box<dyn Source<f32>> = match MemorySource::load(spec.rows(spec.held_out())?, budget) {
            Ok(memory) => Box::new(memory),
            Err(tidemill::data::Error::Budget { .. }) => Box::new(spec.rows(spec.held_out())?),
            Err(error) => return Err(error.into()),
        };
        let rows = |phase: &Phase| {
            let span: u64 = spec.spans[phase.spans.clone()].iter().map(|s| s.rows.end - s.rows.start).sum();
            span * if phase.train == Train::Batch { spec.epochs } else { 1 }
        };
        let total_rows = phases.iter().map(rows).sum();
        let save_every = order.save_every;
        Ok(Self { spec, seed, paths, save_every, faults, stop, trainer, held_out, partial, state, total_rows })
    }

    fn phase(&mut self, phase: &Phase) -> Result<Outcome> {
        if !std::mem::replace(&mut self.partial.has_begun, true) {
            self.begin(phase);
        }
        let mut source = self.spec.rows(phase.spans.clone())?;
        let now = Instant::now();
        let waited_before = self.partial.waiting_seconds;
        let recorder = Recorder {
            spec: self.spec,
            trainer: &self.trainer,
            paths: self.paths,
            partial: &mut self.partial,
            held_out: &mut *self.held_out,
            stop: self.stop,
            save_every: self.save_every,
            total_rows: self.total_rows,
            train: phase.train,
            rows: self.spec.spans[phase.spans.start].rows.start..self.spec.spans[phase.spans.end - 1].rows.end,
            waited_before,
            since: now,
            shown: now,
            saved: now,
        };
        let mut callbacks = (recorder, Faults::of(self.faults, 0, self.stop));
        let summary = match phase.train {
            Train::Batch => {
                let reading = source.memory_plan().total();
                let budget = self.spec.budget.saturating_sub(reading);
                let batch = Batch::new(self.spec.epochs).batch_size(self.spec.batch_size).budget(budget);
                let memory = 2 * source.schema().row_bytes(size_of::<f32>()) as u64 * self.spec.rows_of(&phase.spans);
                let summary = self.trainer.run(&batch, &mut self.state, &mut source, &mut callbacks);
                summary.map_err(|error| {
                    // With a larger budget, reading takes more as well.
                    let plenty = Spec { budget: u64::MAX, ..self.spec.clone() }.rows(phase.spans.clone());
                    let most = plenty.map_or(reading, |source| source.memory_plan().total().max(reading));
                    rows::enough(error, memory, self.spec.budget, most)
                })?
            }
            Train::Online => {
                let online = Online::new().batch_size(self.spec.batch_size);
                self.trainer.run(&online, &mut self.state, &mut source, &mut callbacks)?
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
        self.partial.has_begun = false;
        Ok(())
    }

    fn note(&mut self, span: usize, found: Scores, metrics: &Metrics<f32>) -> Result<()> {
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

    fn finish(mut self, order: &Order) -> Result<Outcome> {
        for span in self.spec.held_out() {
            let mut source = self.spec.rows(span..span + 1)?;
            let found = score(self.spec, &self.trainer, &self.state, &mut source)?;
            let segment = self.segment(span, found, ModelState::HeldOut);
            self.partial.segments.push(segment);
        }
        let held_out = score(self.spec, &self.trainer, &self.state, &mut *self.held_out)?;
        let model = Model::new(self.trainer.program().clone(), &self.state).with_encoder(self.spec.encoder.clone());
        // The rows above are held out: of the same file too.
        order.inputs.unchanged()?;
        model.save(self.paths.model())?;
        let prequential = self.prequential()?;
        let Partial { curve, segments, to_target, memory_plan, .. } = self.partial;
        let Partial { training_seconds, waiting_seconds, total_seconds, .. } = self.partial;
        let rows_trained = self.partial.rows_before + self.state.rows_trained;
        let run = Run {
            strategy: order.strategy.clone(),
            seed: self.seed,
            fingerprint: order.fingerprint.clone(),
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
            note: self.partial.note,
        };
        replace(&self.paths.run(), serde_json::to_vec_pretty(&run)?)?;
        self.paths.remove_partial();
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
