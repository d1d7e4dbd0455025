//! One operation of a program, and how its kernel is called.

use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::{Key, Scalar};

use crate::kernel::{Backward, Forward, Kernel, Others, Place, Target, Updates, View};
use crate::{Coupling, Merge, Mode, Run, Workspace, Write};

pub(crate) struct Step<T> {
    pub(crate) kernel: Arc<dyn Kernel<T>>,
    /// What the step's random numbers are told apart by.
    pub(crate) number: u64,
    pub(crate) random: bool,
    pub(crate) shape: Vec<usize>,
    pub(crate) operands: Vec<Operand>,
    /// The first output, whose gradient has this place among gradients.
    pub(crate) output: Place,
    pub(crate) gradient: Place,
    /// Whether its outputs have gradients.
    pub(crate) has_gradient: bool,
    /// Whether it has one output, no buffers and no scratch memory, saves nothing of batches and couples no groups, as most
    /// operations. It is then called with less ado, which shows where steps are small.
    pub(crate) is_plain: bool,
    /// Consecutive, and followed by what is saved.
    pub(crate) outputs: Vec<Place>,
    pub(crate) saved: Place,
    /// Numbers that are saved of each batch or group.
    pub(crate) of_batch: usize,
    /// Numbers of scratch memory of each row, and beside.
    pub(crate) scratch: [usize; 2],
    pub(crate) ranges: Vec<Range<usize>>,
    /// Where buffers lie in the arena of parameters, and in that of updates.
    pub(crate) buffers: Vec<Range<usize>>,
    pub(crate) updates: Vec<Range<usize>>,
    pub(crate) merges: Vec<Merge>,
    /// Whether it computes in training as it predicts.
    pub(crate) frozen: bool,
    pub(crate) coupling: Coupling,
    pub(crate) coupling_outside_training: Coupling,
    pub(crate) needed: Needed,
    pub(crate) gradients: Vec<Option<Place>>,
    /// Gradients of outputs that nothing writes.
    pub(crate) zeroed: Vec<Place>,
    pub(crate) targets: Vec<Option<Target>>,
    pub(crate) param_writes: Vec<Option<Write>>,
    /// Once backward has done this step, nothing is added any more to gradients of parameters from here on.
    pub(crate) whole_from: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Operand {
    Input { input: usize, width: usize },
    Value(Place),
}

/// What a step of the program is there for.
#[derive(Clone, Copy)]
pub(crate) struct Needed {
    pub(crate) prediction: bool,
    pub(crate) loss: bool,
}

impl<T: Scalar> Step<T> {
    pub(crate) fn scratch_len(&self, capacity: usize) -> usize {
        self.scratch[0] * capacity + self.scratch[1]
    }

    pub(crate) fn of_batch_len(&self, capacity: usize) -> usize {
        let groups = |coupling| match coupling {
            Coupling::Group(size) => capacity.div_ceil(size),
            _ => 1,
        };
        self.of_batch * groups(self.coupling).max(groups(self.coupling_outside_training))
    }

    fn trains(&self, mode: Mode) -> bool {
        matches!(mode, Mode::Train(_)) && !self.frozen
    }

    fn key(&self, mode: Mode) -> Option<Key> {
        match mode {
            Mode::Train(key) if self.random => Some(key.fold(self.number)),
            _ => None,
        }
    }

    /// The kernel's calls: their numbers, and the rows of each.
    pub(crate) fn calls(&self, run: &Run<'_, T>) -> impl Iterator<Item = (usize, Range<usize>)> + use<T> {
        let coupling = if self.trains(run.mode) { self.coupling } else { self.coupling_outside_training };
        let rows = run.rows;
        let (count, size) = match coupling {
            Coupling::Group(size) => (rows.div_ceil(size).max(1), size),
            _ => (1, rows),
        };
        (0..count).map(move |call| (call, call * size..rows.min((call + 1) * size)))
    }

    fn operand<'v>(
        &self,
        i: usize,
        run: &Run<'v, T>,
        values: &'v [T],
        stride: usize,
        rows: &Range<usize>,
    ) -> View<'v, T> {
        match self.operands[i] {
            Operand::Value(place) => View::Value(&values[place.rows(stride, rows.clone())]),
            Operand::Input { input, width } => View::Part {
                inputs: run.inputs,
                input,
                len: run.rows * width,
                start: rows.start * width,
                end: rows.end * width,
            },
        }
    }

    fn of_batch_range(&self, starts: &[usize], number: usize, call: usize) -> Range<usize> {
        let start = starts[number] + call * self.of_batch;
        start..start + self.of_batch
    }

    /// The forward pass of an operation that is plain.
    pub(crate) fn forward_plain(&self, run: &Run<'_, T>, workspace: &mut Workspace<T>) {
        let stride = workspace.stride;
        let (before, here) = workspace.values.split_at_mut(self.output.offset * stride);
        let (output, saved) = here.split_at_mut(self.output.width * stride);
        let before = &*before;
        self.kernel.forward(&mut Forward {
            rows: run.rows,
            first_row: run.first_row,
            shape: &self.shape,
            training: matches!(run.mode, Mode::Train(_)),
            key: self.key(run.mode),
            weights: run.weights,
            output: &mut output[..self.output.width * run.rows],
            others: Others { arena: &mut [], start: 0, capacity: 0, places: &[], rows: 0..0 },
            saved: &mut saved[..self.saved.width * run.rows],
            saved_of_batch: &mut [],
            scratch: &mut [],
            updates: Updates { arena: &mut [], ranges: &[] },
            operands: &|i| self.whole_operand(i, run, before, stride),
            params: run.params,
            ranges: &self.ranges,
            buffers: &[],
        });
    }

    /// The backward pass of an operation that is plain.
    pub(crate) fn backward_plain(
        &self,
        run: &Run<'_, T>,
        workspace: &mut Workspace<T>,
        param_gradients: &mut [T],
        adds: bool,
    ) {
        let stride = workspace.stride;
        let (before, here) = workspace.gradients.split_at_mut(self.gradient.offset * stride);
        let values = &workspace.values[..];
        self.kernel.backward(&mut Backward {
            rows: run.rows,
            first_row: run.first_row,
            shape: &self.shape,
            training: matches!(run.mode, Mode::Train(_)),
            key: self.key(run.mode),
            weights: run.weights,
            upstream: &mut here[..self.gradient.width * run.rows],
            others: Others { arena: &mut [], start: 0, capacity: 0, places: &[], rows: 0..0 },
            output: &values[self.output.range(stride, run.rows)],
            saved: &values[self.saved.range(stride, run.rows)],
            saved_of_batch: &[],
            scratch: &mut [],
            operands: &|i| self.whole_operand(i, run, values, stride),
            other_outputs: &|_| &values[self.output.range(stride, run.rows)],
            params: run.params,
            ranges: &self.ranges,
            buffers: &[],
            gradients: before,
            targets: &self.targets,
            capacity: stride,
            group: 0..run.rows,
            param_gradients,
            param_writes: &self.param_writes,
            adds,
        });
    }

    fn whole_operand<'v>(&self, i: usize, run: &Run<'v, T>, values: &'v [T], stride: usize) -> View<'v, T> {
        match self.operands[i] {
            Operand::Value(place) => View::Value(&values[place.range(stride, run.rows)]),
            Operand::Input { input, width } => View::Input { inputs: run.inputs, input, len: run.rows * width },
        }
    }

    pub(crate) fn forward(
        &self,
        run: &Run<'_, T>,
        number: usize,
        call: usize,
        rows: Range<usize>,
        workspace: &mut Workspace<T>,
    ) {
        let stride = workspace.stride;
        let first = self.outputs[0];
        let (before, here) = workspace.values.split_at_mut(first.offset * stride);
        let (outputs, saved) = here.split_at_mut((self.saved.offset - first.offset) * stride);
        let (output, others) = outputs.split_at_mut(first.width * stride);
        let (before, training) = (&*before, self.trains(run.mode));
        let of_batch = self.of_batch_range(&workspace.starts, number, call);
        let scratch = self.scratch_len(rows.len());
        self.kernel.forward(&mut Forward {
            rows: rows.len(),
            first_row: run.first_row + rows.start,
            shape: &self.shape,
            training,
            key: self.key(run.mode),
            weights: run.weights.map(|weights| &weights[rows.clone()]),
            output: &mut output[first.width * rows.start..first.width * rows.end],
            others: Others {
                arena: others,
                start: first.offset + first.width,
                capacity: stride,
                places: &self.outputs,
                rows: rows.clone(),
            },
            saved: &mut saved[self.saved.width * rows.start..self.saved.width * rows.end],
            saved_of_batch: &mut workspace.of_batch[of_batch],
            scratch: &mut workspace.scratch[..scratch],
            updates: Updates { arena: &mut workspace.update, ranges: &self.updates },
            operands: &|i| self.operand(i, run, before, stride, &rows),
            params: run.params,
            ranges: &self.ranges,
            buffers: &self.buffers,
        });
        if training && !self.updates.is_empty() && !rows.is_empty() {
            self.take_updates(run, rows, workspace);
        }
    }

    /// Adds what buffers got in a call to what they get of all rows.
    fn take_updates(&self, run: &Run<'_, T>, rows: Range<usize>, workspace: &mut Workspace<T>) {
        let weight = match run.weights {
            Some(weights) => weights[rows].iter().map(|weight| weight.widen()).sum(),
            None => rows.len() as f64,
        };
        for (range, merge) in self.updates.iter().zip(&self.merges) {
            let factor = if matches!(merge, Merge::Mean { .. }) { T::of(weight) } else { T::one() };
            let both = workspace.updates[range.clone()].iter_mut().zip(&workspace.update[range.clone()]);
            both.for_each(|(sum, &update)| *sum += factor * update);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a call of one step sees")]
    pub(crate) fn backward(
        &self,
        run: &Run<'_, T>,
        number: usize,
        call: usize,
        rows: Range<usize>,
        workspace: &mut Workspace<T>,
        param_gradients: &mut [T],
        adds: bool,
    ) {
        let stride = workspace.stride;
        let first = self.gradients[0].expect("all outputs of a step on the way have gradients");
        let (before, here) = workspace.gradients.split_at_mut(first.offset * stride);
        let (upstream, others) = here.split_at_mut(first.width * stride);
        let values = &workspace.values[..];
        let of_batch = self.of_batch_range(&workspace.starts, number, call);
        let scratch = self.scratch_len(rows.len());
        self.kernel.backward(&mut Backward {
            rows: rows.len(),
            first_row: run.first_row + rows.start,
            shape: &self.shape,
            training: self.trains(run.mode),
            key: self.key(run.mode),
            weights: run.weights.map(|weights| &weights[rows.clone()]),
            upstream: &mut upstream[first.width * rows.start..first.width * rows.end],
            others: Others {
                arena: others,
                start: self.outputs[0].offset + first.width,
                capacity: stride,
                places: &self.outputs,
                rows: rows.clone(),
            },
            output: &values[self.outputs[0].rows(stride, rows.clone())],
            saved: &values[self.saved.rows(stride, rows.clone())],
            saved_of_batch: &workspace.of_batch[of_batch],
            scratch: &mut workspace.scratch[..scratch],
            operands: &|i| self.operand(i, run, values, stride, &rows),
            other_outputs: &|i| &values[self.outputs[i].rows(stride, rows.clone())],
            params: run.params,
            ranges: &self.ranges,
            buffers: &self.buffers,
            gradients: before,
            targets: &self.targets,
            capacity: stride,
            group: rows.clone(),
            param_gradients,
            param_writes: &self.param_writes,
            adds,
        });
    }
}
