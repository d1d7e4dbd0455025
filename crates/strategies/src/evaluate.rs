use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::{Key, Scalar};
use tidemill_data::{Batch, Role, Source};
use tidemill_metrics::Metric;

use crate::binding::{Binding, Need};
use crate::engine::{Engine, Outputs, Serial, Task};
use crate::strategy::scored;
use crate::{Error, Sums};

/// Rows at a time in evaluation and prediction: enough for the matrix products, little memory.
const CHUNK: usize = 1024;

/// What [`evaluate`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Losses, weights and rows.
    pub sums: Sums,
}

impl Evaluation {
    /// The mean loss; NaN of no rows.
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

/// Computes the loss over the rest of a source's epoch, and updates the metrics.
///
/// # Errors
///
/// When the source's columns do not fit the model, or its data is not as declared.
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
        if let Some(target) = target {
            let rows = scored(program.prediction_width(), batch, target, outputs)?;
            metrics.iter_mut().try_for_each(|metric| metric.update(&rows))?;
        }
        Ok(())
    })?;
    Ok(Evaluation { sums })
}

/// Predicts the rest of a source's epoch, a chunk of rows at a time. The source needs no target.
///
/// # Errors
///
/// Those of `each_chunk`; and when the source's columns do not fit the model, or its data is not as declared.
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
    let mut batch = Batch::new(source.schema().clone());
    let mut outputs = Outputs::default();
    let mut sums = Sums::default();
    loop {
        batch.clear();
        let rows = source.fill(&mut batch, CHUNK)?;
        if rows == 0 {
            return Ok(sums);
        }
        outputs.resize(program, rows, need);
        let task = Task { params, batch: &batch, binding: &binding, rows: 0..rows, key: Key::new(0), timeline: None };
        sums.add(engine.evaluate(&task, &mut outputs));
        found(&batch, &outputs)?;
    }
}
