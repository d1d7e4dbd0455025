use std::ops::Range;

use tidemill_tensor::{Key, Scalar, Write};

use crate::Inputs;

/// The numbers of an operation, in one precision.
pub trait Kernel<T: Scalar>: Send + Sync {
    /// Writes the outputs, every element of them.
    fn forward(&self, cx: &mut Forward<'_, T>);

    /// Given the gradient with respect to the outputs, writes those with respect to operands and parameters, each
    /// through [`Backward::operand`] or [`Backward::param`], in the order of the operands.
    fn backward(&self, cx: &mut Backward<'_, T>);
}

/// Where an operand's numbers are during a run.
#[derive(Clone, Copy)]
pub(crate) enum View<'a, T> {
    Value(&'a [T]),
    /// An input, of `len` elements.
    Input {
        inputs: &'a dyn Inputs<T>,
        input: usize,
        len: usize,
    },
    /// Some of them.
    Part {
        inputs: &'a dyn Inputs<T>,
        input: usize,
        len: usize,
        start: usize,
        end: usize,
    },
}

/// What an operation's forward pass sees.
pub struct Forward<'a, T> {
    /// Rows of the batch, of this worker's part, or of the [group](crate::Coupling::Group).
    pub rows: usize,
    /// Number of the first row within the step's whole batch.
    pub first_row: usize,
    /// The first output's shape per row.
    pub shape: &'a [usize],
    /// Whether this is a pass of training, in which buffers get their numbers. An operation with frozen buffers is never
    /// in training.
    pub training: bool,
    /// The random numbers of this step, when training, of an operation that says that it
    /// [draws](crate::Bound::random); otherwise `None`. Fold in the row's number.
    pub key: Option<Key>,
    /// `[B]`: what each row weighs; `None` where all weigh 1.
    pub weights: Option<&'a [T]>,
    /// `[B, ...]`: the first output, to be written.
    pub output: &'a mut [T],
    /// The other outputs, to be written.
    pub others: Others<'a, T>,
    /// `[B, saved]`: to be written when the operation saves something.
    pub saved: &'a mut [T],
    /// What is saved of the whole batch or group: to be written when the operation saves some.
    pub saved_of_batch: &'a mut [T],
    /// Memory of this call, with any numbers in it.
    pub scratch: &'a mut [T],
    /// What each buffer gets from these rows: to be written in training.
    pub updates: Updates<'a, T>,
    pub(crate) operands: &'a dyn Fn(usize) -> View<'a, T>,
    pub(crate) params: &'a [T],
    pub(crate) ranges: &'a [Range<usize>],
    pub(crate) buffers: &'a [Range<usize>],
}

impl<'a, T: Scalar> Forward<'a, T> {
    /// The numbers of operand `i`, `[B, ...]`.
    pub fn operand(&self, i: usize) -> &'a [T] {
        reals((self.operands)(i))
    }

    /// The categories of operand `i`, `[B, ...]`.
    pub fn indices(&self, i: usize) -> &'a [u32] {
        indices((self.operands)(i))
    }

    /// The values of parameter `i`.
    pub fn param(&self, i: usize) -> &'a [T] {
        &self.params[self.ranges[i].clone()]
    }

    /// How many parameters the operation has.
    pub fn param_count(&self) -> usize {
        self.ranges.len()
    }

    /// The values of buffer `i`, as they are before this step.
    pub fn buffer(&self, i: usize) -> &'a [T] {
        &self.params[self.buffers[i].clone()]
    }
}

/// The outputs of an operation behind its first, or their gradients.
pub struct Others<'a, T> {
    pub(crate) arena: &'a mut [T],
    /// Where the arena begins, for one row of capacity.
    pub(crate) start: usize,
    pub(crate) capacity: usize,
    pub(crate) places: &'a [Place],
    pub(crate) rows: Range<usize>,
}

impl<T> Others<'_, T> {
    /// Outputs `1` to `N`, `[B, ...]` each.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub fn get<const N: usize>(&mut self) -> [&mut [T]; N] {
        let range = |i: usize| {
            let place = self.places[i + 1];
            Place { offset: place.offset - self.start, ..place }.rows(self.capacity, self.rows.clone())
        };
        self.arena.get_disjoint_mut(std::array::from_fn(range)).expect("outputs lie apart")
    }
}

/// What buffers get from some rows.
pub struct Updates<'a, T> {
    pub(crate) arena: &'a mut [T],
    pub(crate) ranges: &'a [Range<usize>],
}

impl<T> Updates<'_, T> {
    /// What buffers `0` to `N - 1` get, of the shape of each.
    ///
    /// # Panics
    ///
    /// When there are fewer, or this is no training.
    pub fn get<const N: usize>(&mut self) -> [&mut [T]; N] {
        let range = |i: usize| self.ranges[i].clone();
        self.arena.get_disjoint_mut(std::array::from_fn(range)).expect("buffers lie apart")
    }
}

/// What an operation's backward pass sees.
pub struct Backward<'a, T> {
    /// As in the forward pass.
    pub rows: usize,
    /// As in the forward pass.
    pub first_row: usize,
    /// As in the forward pass.
    pub shape: &'a [usize],
    /// As in the forward pass.
    pub training: bool,
    /// As in the forward pass.
    pub key: Option<Key>,
    /// As in the forward pass. They are in the upstream gradient already.
    pub weights: Option<&'a [T]>,
    /// `[B, ...]`: the gradient with respect to the first output. May be used as scratch.
    pub upstream: &'a mut [T],
    /// The gradients with respect to the other outputs. May be used as scratch.
    pub others: Others<'a, T>,
    /// The first output that forward gave.
    pub output: &'a [T],
    /// What forward saved of each row.
    pub saved: &'a [T],
    /// What forward saved of the batch or group.
    pub saved_of_batch: &'a [T],
    /// Memory of this call, with any numbers in it.
    pub scratch: &'a mut [T],
    pub(crate) operands: &'a dyn Fn(usize) -> View<'a, T>,
    pub(crate) other_outputs: &'a dyn Fn(usize) -> &'a [T],
    pub(crate) params: &'a [T],
    pub(crate) ranges: &'a [Range<usize>],
    pub(crate) buffers: &'a [Range<usize>],
    pub(crate) gradients: &'a mut [T],
    pub(crate) targets: &'a [Option<Target>],
    pub(crate) capacity: usize,
    pub(crate) group: Range<usize>,
    pub(crate) param_gradients: &'a mut [T],
    pub(crate) param_writes: &'a [Option<Write>],
    /// Whether parameters' gradients are added to, whatever the plan says.
    pub(crate) adds: bool,
}

/// Where an operand's gradient lies, for one row of capacity.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) write: Write,
}

/// A value's place in an arena, for one row of capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: usize,
    pub(crate) width: usize,
}

impl Place {
    pub(crate) fn range(self, capacity: usize, rows: usize) -> Range<usize> {
        self.rows(capacity, 0..rows)
    }

    pub(crate) fn rows(self, capacity: usize, rows: Range<usize>) -> Range<usize> {
        let start = self.offset * capacity;
        start + self.width * rows.start..start + self.width * rows.end
    }
}

/// Where a gradient goes, beside the gradient that it comes from.
pub struct Gradient<'g, T> {
    /// To be written, as `write` says.
    pub into: &'g mut [T],
    /// Whether to overwrite or to add.
    pub write: Write,
    /// The gradient with respect to the operation's first output.
    pub upstream: &'g mut [T],
}

/// Where the gradients with respect to two parameters go, beside the gradient that they come from.
pub struct TwoGradients<'g, T> {
    /// To be written, as `writes` say.
    pub into: [&'g mut [T]; 2],
    /// Whether to overwrite or to add.
    pub writes: [Write; 2],
    /// The gradient with respect to the operation's first output.
    pub upstream: &'g mut [T],
}

impl<'a, T: Scalar> Backward<'a, T> {
    /// The numbers of operand `i`, `[B, ...]`.
    pub fn operand_values(&self, i: usize) -> &'a [T] {
        reals((self.operands)(i))
    }

    /// The categories of operand `i`, `[B, ...]`.
    pub fn indices(&self, i: usize) -> &'a [u32] {
        indices((self.operands)(i))
    }

    /// Output `i` that forward gave.
    pub fn output_values(&self, i: usize) -> &'a [T] {
        (self.other_outputs)(i)
    }

    /// The values of parameter `i`.
    pub fn param_values(&self, i: usize) -> &'a [T] {
        &self.params[self.ranges[i].clone()]
    }

    /// How many parameters the operation has.
    pub fn param_count(&self) -> usize {
        self.ranges.len()
    }

    /// The values of buffer `i`.
    pub fn buffer(&self, i: usize) -> &'a [T] {
        &self.params[self.buffers[i].clone()]
    }

    /// The gradient with respect to operand `i`; `None` when nobody needs it.
    pub fn operand(&mut self, i: usize) -> Option<Gradient<'_, T>> {
        let Target { place, write } = self.targets[i]?;
        let range = place.rows(self.capacity, self.group.clone());
        Some(Gradient { into: &mut self.gradients[range], write, upstream: self.upstream })
    }

    /// The gradient with respect to parameter `i`; `None` when it is frozen.
    pub fn param(&mut self, i: usize) -> Option<Gradient<'_, T>> {
        let write = self.param_write(i)?;
        Some(Gradient { into: &mut self.param_gradients[self.ranges[i].clone()], write, upstream: self.upstream })
    }

    /// The gradients with respect to two parameters, for an operation that computes them at once; `None` when one of them
    /// is frozen.
    ///
    /// # Panics
    ///
    /// When both are the same parameter.
    pub fn two_params(&mut self, which: [usize; 2]) -> Option<TwoGradients<'_, T>> {
        let [first, second] = which.map(|i| self.param_write(i));
        let ranges = which.map(|i| self.ranges[i].clone());
        let writes = [first?, second?];
        let into = self.param_gradients.get_disjoint_mut(ranges).expect("two parameters of the arena");
        Some(TwoGradients { into, writes, upstream: self.upstream })
    }

    fn param_write(&self, i: usize) -> Option<Write> {
        let write = self.param_writes[i]?;
        Some(if self.adds { Write::Add } else { write })
    }
}

fn reals<T>(view: View<'_, T>) -> &[T] {
    match view {
        View::Value(values) => values,
        View::Input { inputs, input, len } => exact(inputs.reals(input), len, input),
        View::Part { inputs, input, len, start, end } => &exact(inputs.reals(input), len, input)[start..end],
    }
}

fn indices<T>(view: View<'_, T>) -> &[u32] {
    match view {
        View::Value(_) => panic!("operations give real numbers; only an input has categories"),
        View::Input { inputs, input, len } => exact(inputs.indices(input), len, input),
        View::Part { inputs, input, len, start, end } => &exact(inputs.indices(input), len, input)[start..end],
    }
}

fn exact<V>(values: &[V], len: usize, input: usize) -> &[V] {
    assert_eq!(values.len(), len, "elements of input {input}");
    values
}
