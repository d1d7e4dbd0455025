//! What a run notes while it trains.

use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use tidemill::data::{Cursor, Interrupt, Stage};
use tidemill::prelude::*;
use tidemill::strategies::{Control, Error, Event, evaluate};

use super::partial::Partial;
use super::paths::Paths;
use super::phases::Train;
use crate::results::{Planned, Point, Scores, ToTarget};
use crate::spec::Spec;

/// How often a run shows progress.
const SHOW: Duration = Duration::from_millis(100);

/// Watches one phase of training: notes the curve, shows progress, saves, stops when asked to.
pub struct Recorder<'a> {
    pub spec: &'a Spec,
    pub trainer: &'a Trainer<f32>,
    pub paths: &'a Paths,
    pub partial: &'a mut Partial,
    pub held_out: &'a mut dyn Source<f32>,
    pub stop: &'a Interrupt,
    /// How often training is saved.
    pub save_every: Duration,
    /// Rows that the whole run will train on, about.
    pub total_rows: u64,
    /// How the phase trains, and on which rows of the stream.
    pub train: Train,
    pub rows: Range<u64>,
    /// Seconds that phases before this have waited for data.
    pub waited_before: f64,
    /// When training began or went on; evaluation and saving are not training.
    pub since: Instant,
    pub shown: Instant,
    pub saved: Instant,
}

impl Recorder<'_> {
    /// Takes the time of training since the last call.
    fn pause(&mut self) {
        self.partial.training_seconds += self.since.elapsed().as_secs_f64();
    }

    fn go_on(&mut self) {
        self.since = Instant::now();
    }

    fn point(&mut self, state: &State<f32>) -> Result<(), Error> {
        let scores = score(self.spec, self.trainer, state, self.held_out)?;
        let rows_trained = self.partial.rows_before + state.rows_trained;
        let seconds = self.partial.training_seconds;
        let position = self.position(state);
        let point = Point { rows_trained, position, seconds, loss: scores.loss, score: scores.score };
        self.partial.curve.push(point);
        let reached = self.spec.target_loss.is_some_and(|target| scores.loss <= target);
        if reached && self.partial.to_target.is_none() {
            let steps = self.partial.steps_before + state.step;
            self.partial.to_target = Some(ToTarget { rows: rows_trained, steps, seconds });
        }
        Ok(())
    }

    /// Rows of the stream that have been seen: all of the phase's in batch training, which has them from the start, and
    /// those up to the present one online. An epoch that has ended counts no rows.
    fn position(&self, state: &State<f32>) -> u64 {
        match (self.train, state.epoch.rows) {
            (Train::Batch, _) | (Train::Online, 0) => self.rows.end,
            (Train::Online, rows) => self.rows.start + rows,
        }
    }

    fn show(&mut self, state: &State<f32>) {
        let rows = self.partial.rows_before + state.rows_trained;
        let told = writeln!(std::io::stdout(), "progress {rows} {}", self.total_rows.max(rows));
        // The comparison that started this process reads these lines; when it does not any more, it is gone.
        if told.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            self.stop.set();
        }
        self.shown = Instant::now();
    }
}

impl Callback<f32> for Recorder<'_> {
    fn on_event(&mut self, event: &Event<'_, f32>, run: &mut Control) -> Result<(), Error> {
        match event {
            Event::Started { memory, .. } => {
                let planned = |bytes: u64, stage: &Planned| bytes.saturating_add(stage.bytes);
                if memory.total() > self.partial.memory_plan.iter().fold(0, planned) {
                    let plan = memory.stages().iter().cloned();
                    let plan = plan.map(|Stage { name, detail, bytes }| Planned { stage: name, detail, bytes });
                    self.partial.memory_plan = plan.collect();
                }
                self.go_on();
            }
            Event::Step { state, waited, .. } => {
                self.partial.waiting_seconds = self.waited_before + waited.total.as_secs_f64();
                let rows = self.partial.rows_before + state.rows_trained;
                let due = rows >= self.partial.next_mark;
                let stopped = self.stop.is_set();
                let saves = self.saved.elapsed() >= self.save_every;
                if due || saves {
                    self.pause();
                    if due {
                        self.point(state)?;
                        self.partial.next_mark = next_mark(rows, self.total_rows, self.spec.curve_points);
                    }
                    // Where it is stopped, it is saved when it has ended.
                    if saves && !stopped {
                        self.partial.save(self.trainer, state, self.paths)?;
                        self.saved = Instant::now();
                    }
                    self.go_on();
                }
                if self.shown.elapsed() > SHOW {
                    self.show(state);
                }
                if stopped {
                    run.stop();
                }
            }
            Event::Epoch { .. } => {}
            Event::Finished { state, summary } => {
                self.pause();
                self.show(state);
                if !summary.stopped {
                    self.point(state)?;
                }
            }
        }
        Ok(())
    }

    fn interrupt(&self) -> Option<Interrupt> {
        Some(self.stop.clone())
    }
}

/// Marks lie closer together at first, where the loss falls fastest: each is a constant factor above the one before, up
/// to an even spacing.
fn next_mark(rows: u64, total: u64, points: u64) -> u64 {
    let even = total / points.max(1);
    rows + even.min(rows).max(1)
}

/// How well the model predicts the rows of a source, in the target's units.
pub fn score(
    spec: &Spec,
    trainer: &Trainer<f32>,
    state: &State<f32>,
    source: &mut dyn Source<f32>,
) -> Result<Scores, Error> {
    let mut metrics = spec.metrics();
    source.seek(Cursor::start(0))?;
    let rows = evaluate(trainer.program(), &state.params, source, &mut metrics)?.sums.rows;
    Ok(scores(spec, &metrics, rows))
}

/// The values of [`Spec::metrics`], in the target's units.
pub fn scores(spec: &Spec, metrics: &Metrics<f32>, rows: u64) -> Scores {
    let (loss, score) = (metrics[0].value() * spec.loss_scale, metrics[1].value());
    Scores { rows, loss, score, score_error: metrics[1].error_bound() }
}
