use std::ops::Range;
use std::sync::Arc;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Mode, Program, Run, Workspace, Write};

use super::outputs::Writer;
use super::{Engine, InParts, Outputs, Running, Task, group, share};
use crate::binding::BoundRows;
use crate::timeline::{Activity, timed};
use crate::{Error, Sums, touched};

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

    fn updates_rows(&self) -> bool {
        true
    }
}

/// One thread's program and workspace: what every engine is made of. Rows are computed in blocks whose values and
/// gradients stay in the second-level cache, and whose number depends on the model and the rows alone.
pub(crate) struct Shard<T> {
    program: Arc<Program<T>>,
    workspace: Workspace<T>,
    /// The most rows of a block, and those of groups, which stay whole.
    block: usize,
    group: usize,
    /// The row of a batch that counts as its step's first, to draw random numbers for.
    origin: usize,
}

/// What a block's values and gradients may take, of which not all is needed at once; as much as the parameters, where
/// those are more, because each block reads them all.
const BLOCK_BYTES: usize = 5 << 18;
/// Below so many rows, what a block costs beside its products shows.
const FEWEST_ROWS: usize = 16;

impl<T: Scalar> Shard<T> {
    pub(crate) fn new(program: &Arc<Program<T>>, rows: usize) -> Self {
        let bytes = BLOCK_BYTES.max(program.layout().len() * size_of::<T>());
        let fits = (bytes / program.bytes_per_row().max(1)).max(FEWEST_ROWS);
        let (block, group) = match group(program) {
            Some(group) => (program.coupling(true).whole(rows.min(fits), rows).max(group), group),
            None => (rows, rows.max(1)),
        };
        Self { program: Arc::clone(program), workspace: Workspace::new(program, block), block, group, origin: 0 }
    }

    /// The rows in blocks of nearly equal size; one empty block where there are no rows.
    fn blocks(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<T> {
        let group = self.group;
        // Without a division where there is one block: it shows in steps of one row.
        let count = match rows.len() <= self.block {
            true => 1,
            false => rows.len().div_ceil(group).div_ceil((self.block / group).max(1)),
        };
        (0..count).map(move |block| if count == 1 { rows.clone() } else { share(rows.clone(), block, count, group) })
    }

    pub(crate) fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<Writer<'_, T>>,
    ) -> Sums {
        let mut unwatched = InParts { end: 0, least: usize::MAX, whole: &mut |_, _| () };
        self.gradient_in_parts(task, gradients, write, outputs, &mut unwatched)
    }

    /// The gradient is whole, part by part, as the last block adds to it.
    fn gradient_in_parts(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<Writer<'_, T>>,
        parts: &mut InParts<'_, T>,
    ) -> Sums {
        let layout = self.program.layout();
        let tables = layout.dense_len()..layout.trainable_len();
        // They would be the first to be told of, and are the last to be whole.
        let has_whole_tables = task.touched.is_empty() && !tables.is_empty();
        match write {
            Write::Assign if has_whole_tables => gradients[tables].fill(T::zero()),
            Write::Assign => touched::clear(task.touched, gradients),
            Write::Add => {}
        }
        let mut sums = Sums::default();
        let mut write = write;
        for rows in self.blocks(task.rows.clone()) {
            let parts = (rows.end == task.rows.end && !has_whole_tables).then_some(&mut *parts);
            sums.add(self.block_gradient(task, rows, gradients, write, outputs, parts));
            write = Write::Add;
        }
        if has_whole_tables {
            (parts.whole)(0..parts.end, &mut gradients[..parts.end]);
        }
        sums
    }

    fn block_gradient(
        &mut self,
        task: &Task<'_, T>,
        rows: Range<usize>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<Writer<'_, T>>,
        parts: Option<&mut InParts<'_, T>>,
    ) -> Sums {
        let Self { program, workspace, origin, .. } = self;
        let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: rows.clone() };
        let weights = task.batch.weights().map(|weights| &weights[rows.clone()]);
        let run = |mode| Run {
            params: task.params,
            inputs: &inputs,
            rows: rows.len(),
            first_row: rows.start - *origin,
            weights,
            mode,
        };
        let shares_forward = outputs.is_some() && !program.trains_differently();
        let train = run(Mode::Train(task.key));
        timed(task.timeline, Activity::Forward, || {
            if let Some(outputs) = outputs {
                program.forward(&run(Mode::Evaluate), workspace);
                // SAFETY: whoever gave this shard its rows keeps others from them.
                unsafe { outputs.write(rows.clone(), workspace) };
            }
            if !shares_forward {
                program.forward(&train, workspace);
            }
        });
        match weights {
            Some(weights) => workspace.upstream().copy_from_slice(weights),
            None => workspace.upstream().fill(T::one()),
        }
        let sums = sum(workspace.losses(), weights);
        timed(task.timeline, Activity::Backward, || match parts {
            Some(InParts { least, whole, .. }) => {
                program.backward_in_parts(&train, workspace, gradients, write, *least, whole);
            }
            None => program.backward_by_rows(&train, workspace, gradients, write),
        });
        sums
    }

    /// Adds the gradient of rows that are a step of their own.
    pub(crate) fn step_gradient(&mut self, task: &Task<'_, T>, gradients: &mut [T]) -> Sums {
        self.origin = task.rows.start;
        let sums = self.gradient(task, gradients, Write::Add, None);
        self.origin = 0;
        sums
    }

    /// The first row of such a step whose loss in training is not finite, and the loss.
    pub(crate) fn first_non_finite(&mut self, task: &Task<'_, T>) -> Option<(usize, f64)> {
        for rows in self.blocks(task.rows.clone()) {
            let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: rows.clone() };
            let (first_row, mode) = (rows.start - task.rows.start, Mode::Train(task.key));
            let weights = task.batch.weights().map(|weights| &weights[rows.clone()]);
            let run = Run { params: task.params, inputs: &inputs, rows: rows.len(), first_row, weights, mode };
            self.program.forward(&run, &mut self.workspace);
            let losses = self.workspace.losses();
            if let Some(at) = losses.iter().position(|loss| !loss.is_finite()) {
                return Some((rows.start + at, losses[at].widen()));
            }
        }
        None
    }

    pub(crate) fn evaluate(&mut self, task: &Task<'_, T>, outputs: Writer<'_, T>) -> Sums {
        let mut sums = Sums::default();
        for rows in self.blocks(task.rows.clone()) {
            sums.add(self.block_evaluate(task, rows, outputs));
        }
        sums
    }

    fn block_evaluate(&mut self, task: &Task<'_, T>, rows: Range<usize>, outputs: Writer<'_, T>) -> Sums {
        let Self { program, workspace, .. } = self;
        let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: rows.clone() };
        let with_loss = outputs.has_losses();
        let mode = if with_loss { Mode::Evaluate } else { Mode::Predict };
        let (count, first_row) = (rows.len(), rows.start);
        let weights = task.batch.weights().map(|weights| &weights[rows.clone()]);
        let run = Run { params: task.params, inputs: &inputs, rows: count, first_row, weights, mode };
        program.forward(&run, workspace);
        // SAFETY: whoever gave this shard its rows keeps others from them.
        unsafe { outputs.write(rows, workspace) };
        if !with_loss {
            return Sums { rows: count as u64, ..Sums::default() };
        }
        sum(workspace.losses(), weights)
    }
}

impl<T: Scalar> Running<T> for Shard<T> {
    fn describe(&self) -> String {
        Engine::<T>::describe(&Serial)
    }

    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        Shard::gradient(self, task, gradients, write, outputs.map(Outputs::writer))
    }

    fn gradient_in_parts(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
        parts: &mut InParts<'_, T>,
    ) -> Sums {
        Shard::gradient_in_parts(self, task, gradients, write, outputs.map(Outputs::writer), parts)
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        Shard::evaluate(self, task, outputs.writer())
    }
}

fn sum<T: Scalar>(losses: &[T], weights: Option<&[T]>) -> Sums {
    let rows = losses.len() as u64;
    match weights {
        None => Sums { loss: losses.iter().map(|l| l.widen()).sum(), weight: rows as f64, rows },
        Some(weights) => Sums {
            loss: losses.iter().zip(weights).map(|(l, w)| weighted(l.widen(), w.widen())).sum(),
            weight: weights.iter().map(|w| w.widen()).sum(),
            rows,
        },
    }
}

/// A row of weight zero adds nothing, even where its loss is infinite.
fn weighted(loss: f64, weight: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { loss * weight }
}
