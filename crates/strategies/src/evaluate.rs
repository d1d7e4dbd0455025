use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Batch, Role, Source};
use tidemill_metrics::Metric;

use crate::binding::{Binding, Need};
use crate::engine::{Engine, Outputs, Serial, Task};
use crate::rows::{Checked, StepRows};
use crate::session::scored;
use crate::{Error, Sums};

/// Rows at a time in evaluation and prediction: enough for the matrix products, little memory.
const CHUNK: usize = 1024;

/// What [`evaluate`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Losses, weights and rows; rows of weight zero are counted, and are in nothing else.
    pub sums: Sums,
}

impl Evaluation {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.sums.mean_loss()
    }
}

/// Predictions of some rows.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a, T> {
    /// `[B, width]`, in the target's terms.
    pub values: &'a [T],
    /// Numbers a row.
    pub width: usize,
    /// The rows that were predicted.
    pub batch: &'a Batch<T>,
}

/// Computes the loss over the rest of a source's epoch, and updates the metrics. Rows of weight zero contribute to
/// neither, whatever is in them.
///
/// The source goes back to where it stood, if it can, so that a second evaluation finds the same; a stream cannot.
///
/// # Errors
///
/// When the source's columns do not fit the model, its data is not as declared, a target is none that the loss is
/// defined for, or no row with a weight is left.
pub fn evaluate<T: Scalar>(
    program: &Arc<Program<T>>,
    params: &[T],
    source: &mut dyn Source<T>,
    metrics: &mut [Box<dyn Metric<T>>],
) -> Result<Evaluation, Error> {
    if !program.has_loss() {
        return Err(Error::setting("evaluate", "the model ends in no loss"));
    }
    let target = source.schema().role(Role::Target);
    let sums = each(program, params, source, Need::Target, |batch, outputs| {
        if batch.rows() == 0 {
            return Ok(());
        }
        if let Some(target) = target {
            let rows = scored(program.prediction_width(), batch, target, outputs)?;
            metrics.iter_mut().try_for_each(|metric| metric.update(&rows))?;
        }
        Ok(())
    })?;
    if sums.weight > 0.0 {
        return Ok(Evaluation { sums });
    }
    let problem = match sums.rows {
        0 => "the source has no rows".to_owned(),
        rows => format!("all {rows} rows have the weight 0, so there is no mean loss"),
    };
    Err(Error::setting("evaluate", problem))
}

/// Predicts the rest of a source's epoch, a chunk of rows at a time, rows of weight zero too. The source needs no target.
///
/// The source goes back to where it stood, as after [`evaluate`].
///
/// # Errors
///
/// Those of `each_chunk`; and when the source's columns do not fit the model, its data is not as declared, or it stands
/// at the end of its epoch.
pub fn predict<T: Scalar>(
    program: &Arc<Program<T>>,
    params: &[T],
    source: &mut dyn Source<T>,
    mut each_chunk: impl FnMut(Predictions<'_, T>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let width = program.prediction_width();
    let sums = each(program, params, source, Need::Features, |batch, outputs| {
        each_chunk(Predictions { values: &outputs.predictions, width, batch })
    })?;
    Ok(sums.rows)
}

fn each<T: Scalar>(
    program: &Arc<Program<T>>,
    params: &[T],
    source: &mut dyn Source<T>,
    need: Need,
    mut found: impl FnMut(&Batch<T>, &Outputs<T>) -> Result<(), Error>,
) -> Result<Sums, Error> {
    let binding = Binding::new(program, source.schema(), need)?;
    let mut engine = Serial.start(program, CHUNK)?;
    let mut step = StepRows::new(program, source.schema(), &binding, need);
    let mut outputs = Outputs::default();
    let mut sums = Sums::default();
    let began = source.cursor();
    loop {
        let read = source.fill(step.filling(), CHUNK)?;
        if read == 0 {
            break;
        }
        step.admit(sums.rows, Checked::Now)?;
        let rows = step.batch().rows();
        outputs.resize(program, rows, need);
        let batch = step.batch();
        let task = Task::new(params, batch, &binding);
        let found_sums = if rows > 0 { engine.evaluate(&task, &mut outputs) } else { Sums::default() };
        sums.add(StepRows::<T>::sums_of(found_sums, 0..read));
        found(batch, &outputs)?;
    }
    if sums.rows == 0 && !began.is_start() {
        let problem = format!("it stands at the end of its epoch ({began}); go back by seek(Cursor::start(0))");
        return Err(Error::setting("source", problem));
    }
    // A stream cannot go back; it says so itself when it is asked for more.
    let _ = source.seek(began);
    Ok(sums)
}
