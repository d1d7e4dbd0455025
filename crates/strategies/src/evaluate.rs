use std::sync::Arc;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Coupling, HeadSpec, Program};
use tidemill_data::{Batch, Source};

use crate::binding::{Binding, Need};
use crate::engine::{Engine, Outputs, Serial, Task};
use crate::rows::{Checked, StepRows};
use crate::scores::update;
use crate::{Error, Metrics, Sums};

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
#[derive(Clone, Copy)]
pub struct Predictions<'a, T> {
    /// Of the first head, `[B, width]`, in the target's terms.
    pub values: &'a [T],
    /// Numbers a row.
    pub width: usize,
    /// The rows that were predicted.
    pub batch: &'a Batch<T>,
    heads: &'a [HeadSpec],
    outputs: &'a Outputs<T>,
}

impl<'a, T: Scalar> Predictions<'a, T> {
    pub(crate) fn new(program: &'a Program<T>, outputs: &'a Outputs<T>, batch: &'a Batch<T>) -> Self {
        Self { values: outputs.head(0), width: outputs.width(0), batch, heads: program.heads(), outputs }
    }

    /// Of the head of this name, `[B, ...]`, in its target's terms; `None` when the model has no such head.
    pub fn head(&self, name: &str) -> Option<&'a [T]> {
        let head = self.heads.iter().position(|head| head.name() == name)?;
        Some(self.outputs.head(head))
    }
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
    metrics: &mut Metrics<T>,
) -> Result<Evaluation, Error> {
    evaluate_batches(program, params, source, metrics, None)
}

/// As [`evaluate`], so many rows at a time.
pub(crate) fn evaluate_batches<T: Scalar>(
    program: &Arc<Program<T>>,
    params: &[T],
    source: &mut dyn Source<T>,
    metrics: &mut Metrics<T>,
    rows: Option<usize>,
) -> Result<Evaluation, Error> {
    if !program.has_loss() {
        return Err(Error::setting("evaluate", "the model ends in no loss"));
    }
    let scored = metrics.bind(program, &Binding::new(program, source.schema(), Need::Target)?)?;
    let sums = each(program, params, source, Need::Target, rows, |batch, outputs| {
        if batch.rows() == 0 { Ok(()) } else { update(metrics, &scored, batch, outputs) }
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
    each_chunk: impl FnMut(Predictions<'_, T>) -> Result<(), Error>,
) -> Result<u64, Error> {
    predict_batches(program, params, source, None, each_chunk)
}

/// As [`predict`], so many rows at a time.
pub(crate) fn predict_batches<T: Scalar>(
    program: &Arc<Program<T>>,
    params: &[T],
    source: &mut dyn Source<T>,
    rows: Option<usize>,
    mut each_chunk: impl FnMut(Predictions<'_, T>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let sums = each(program, params, source, Need::Features, rows, |batch, outputs| {
        each_chunk(Predictions::new(program, outputs, batch))
    })?;
    Ok(sums.rows)
}

/// Rows at a time: those that were asked for, or as many as are good for speed, in whole groups.
fn chunk<T: Scalar>(program: &Program<T>, rows: Option<usize>, need: Need) -> Result<usize, Error> {
    let what = if need == Need::Target { "evaluate" } else { "predict" };
    match (rows, program.coupling(false)) {
        (Some(0), _) => Err(Error::setting(what, "batches of 0 rows; expected 1 or more")),
        (Some(rows), _) => Ok(rows),
        (None, Coupling::Batch) => {
            let by = program.coupled_by(false);
            let problem = format!("{by} looks at all rows of a batch; say how many those are by `Model::batch_size`");
            Err(Error::setting(what, problem))
        }
        (None, coupling) => Ok(coupling.whole(CHUNK, CHUNK)),
    }
}

fn each<T: Scalar>(
    program: &Arc<Program<T>>,
    params: &[T],
    source: &mut dyn Source<T>,
    need: Need,
    rows: Option<usize>,
    mut found: impl FnMut(&Batch<T>, &Outputs<T>) -> Result<(), Error>,
) -> Result<Sums, Error> {
    let binding = Binding::new(program, source.schema(), need)?;
    let most = chunk(program, rows, need)?;
    let mut engine = Serial.start(program, most)?;
    let mut step = StepRows::new(program, source.schema(), &binding, need);
    let mut outputs = Outputs::new(program);
    let mut sums = Sums::default();
    let began = source.cursor();
    loop {
        let read = source.fill(step.filling(), most)?;
        if read == 0 {
            break;
        }
        step.admit(sums.rows, Checked::Now)?;
        let rows = step.batch().rows();
        outputs.resize(rows, need);
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
