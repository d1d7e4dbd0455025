use std::ops::Range;
use std::sync::Arc;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Mode, Program, Run, Workspace, Write};

use super::{Engine, Outputs, Running, Task};
use crate::binding::BoundRows;
use crate::{Error, Sums};

/// The whole batch at once, on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl<T: Scalar> Engine<T> for Serial {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        Ok(Box::new(Shard::new(program, rows)))
    }

    fn describe(&self) -> String {
        "serial".into()
    }
}

/// One thread's program and workspace: what every engine is made of.
pub(crate) struct Shard<T> {
    program: Arc<Program<T>>,
    workspace: Workspace<T>,
}

impl<T: Scalar> Shard<T> {
    pub(crate) fn new(program: &Arc<Program<T>>, rows: usize) -> Self {
        Self { program: Arc::clone(program), workspace: Workspace::new(program, rows) }
    }

    pub(crate) fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<RowOutputs<'_, T>>,
    ) -> Sums {
        let Self { program, workspace } = self;
        let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: task.rows.clone() };
        let run = |mode| Run {
            params: task.params,
            inputs: &inputs,
            rows: task.rows.len(),
            first_row: task.rows.start,
            mode,
        };
        let shares_forward = outputs.is_some() && !program.is_random();
        if let Some(outputs) = outputs {
            program.forward(&run(Mode::Evaluate), workspace);
            outputs.take(workspace);
        }
        let train = run(Mode::Train(task.key));
        if !shares_forward {
            program.forward(&train, workspace);
        }
        let weights = task.batch.weights().map(|weights| &weights[task.rows.clone()]);
        match weights {
            Some(weights) => workspace.upstream().copy_from_slice(weights),
            None => workspace.upstream().fill(T::one()),
        }
        let sums = sum(workspace.losses(), weights);
        program.backward(&train, workspace, gradients, write);
        sums
    }

    pub(crate) fn evaluate(&mut self, task: &Task<'_, T>, outputs: RowOutputs<'_, T>) -> Sums {
        let Self { program, workspace } = self;
        let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: task.rows.clone() };
        let with_loss = outputs.losses.is_some();
        let mode = if with_loss { Mode::Evaluate } else { Mode::Predict };
        let (rows, first_row) = (task.rows.len(), task.rows.start);
        program.forward(&Run { params: task.params, inputs: &inputs, rows, first_row, mode }, workspace);
        outputs.take(workspace);
        if !with_loss {
            return Sums { rows: rows as u64, ..Sums::default() };
        }
        sum(workspace.losses(), task.batch.weights().map(|weights| &weights[task.rows.clone()]))
    }
}

impl<T: Scalar> Running<T> for Shard<T> {
    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        let outputs = outputs.map(|o| RowOutputs::of(o, task.rows.clone(), self.program.prediction_width()));
        Shard::gradient(self, task, gradients, write, outputs)
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        let outputs = RowOutputs::of(outputs, task.rows.clone(), self.program.prediction_width());
        Shard::evaluate(self, task, outputs)
    }
}

/// The part of [`Outputs`] that belongs to some rows.
pub(crate) struct RowOutputs<'a, T> {
    pub(crate) predictions: &'a mut [T],
    pub(crate) losses: Option<&'a mut [T]>,
}

impl<'a, T: Scalar> RowOutputs<'a, T> {
    fn of(outputs: &'a mut Outputs<T>, rows: Range<usize>, width: usize) -> Self {
        let predictions = &mut outputs.predictions[rows.start * width..rows.end * width];
        let losses = (!outputs.losses.is_empty()).then_some(&mut outputs.losses[..]);
        Self { predictions, losses: losses.map(|losses| &mut losses[rows]) }
    }

    fn take(self, workspace: &Workspace<T>) {
        self.predictions.copy_from_slice(workspace.prediction());
        if let Some(losses) = self.losses {
            losses.copy_from_slice(workspace.losses());
        }
    }
}

fn sum<T: Scalar>(losses: &[T], weights: Option<&[T]>) -> Sums {
    let rows = losses.len() as u64;
    match weights {
        None => Sums { loss: losses.iter().map(|l| l.widen()).sum(), weight: rows as f64, rows },
        Some(weights) => Sums {
            loss: losses.iter().zip(weights).map(|(l, w)| l.widen() * w.widen()).sum(),
            weight: weights.iter().map(|w| w.widen()).sum(),
            rows,
        },
    }
}
