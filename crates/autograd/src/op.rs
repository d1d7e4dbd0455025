use std::any::Any;
use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use tidemill_tensor::kernels::Activation;
use tidemill_tensor::{DType, Key, Scalar, Write};

use crate::{Domain, Inputs};

/// A value that an operation is applied to, as its shape check sees it.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Its shape per row.
    pub shape: &'a [usize],
    /// Real numbers or categories.
    pub domain: Domain,
    /// Its name, for errors.
    pub label: &'a str,
}

impl Operand<'_> {
    /// Elements a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An operation: what a graph is made of. Forward and backward are in [`Kernel`], written once for both precisions.
pub trait Op: Kernel<f32> + Kernel<f64> + Debug + 'static {
    /// What it is called in errors.
    fn name(&self) -> &'static str;

    /// The shape of what it gives, per row.
    ///
    /// # Errors
    ///
    /// What does not fit, with the numbers.
    fn output_shape(&self, operands: &[Operand<'_>], params: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// Numbers a row that forward keeps for backward, besides operands and output.
    fn saved(&self, _output: &[usize]) -> usize {
        0
    }

    /// About how many multiplications the forward pass takes for a row: what the work of a step is estimated from.
    fn multiplications(&self, output: &[usize], _params: &[&[usize]]) -> usize {
        output.iter().product()
    }

    /// Whether a row's output depends on other rows of the batch. Engines cut no batch of such a program.
    fn couples_rows(&self) -> bool {
        false
    }

    /// Whether it draws random numbers in training, so that its output differs from what it predicts.
    fn is_random(&self) -> bool {
        false
    }

    /// Whether its operand names the rows of its one parameter that it reads, as an embedding's does; no other row then
    /// gets a gradient.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The numbers that it can be computed of where an operand is the [target](crate::Graph::target): a loss says here
    /// what whoever brings rows has to check. All finite numbers, unless one says otherwise.
    fn target_range(&self) -> RangeInclusive<f64> {
        f64::MIN..=f64::MAX
    }

    /// This operation with an activation that follows it built in, if it can.
    fn with_activation(&self, _activation: Activation) -> Option<Arc<dyn Op>> {
        None
    }

    /// The activation that this operation is, if it is one.
    fn as_activation(&self) -> Option<Activation> {
        None
    }
}

/// The numbers of an operation, in one precision.
pub trait Kernel<T: Scalar>: Send + Sync {
    /// Writes the output, every element of it.
    fn forward(&self, cx: &mut Forward<'_, T>);

    /// Given the gradient with respect to the output, writes those with respect to operands and parameters, each
    /// through [`Backward::operand`] or [`Backward::param`], in the order of the operands.
    fn backward(&self, cx: &mut Backward<'_, T>);
}

/// Where an operand's numbers are during a run.
#[derive(Clone, Copy)]
pub(crate) enum View<'a, T> {
    Value(&'a [T]),
    Input { inputs: &'a dyn Inputs<T>, input: usize, len: usize },
}

/// What an operation's forward pass sees.
pub struct Forward<'a, T> {
    /// Rows of the batch, or of this worker's part.
    pub rows: usize,
    /// Number of the first row within the step's whole batch.
    pub first_row: usize,
    /// The output's shape per row.
    pub shape: &'a [usize],
    /// The random numbers of this step, when training, of an operation that says it [draws](Op::is_random); otherwise
    /// `None`. Fold in the row's number.
    pub key: Option<Key>,
    /// `[B, ...]`: to be written.
    pub output: &'a mut [T],
    /// `[B, saved]`: to be written when the operation saves something.
    pub saved: &'a mut [T],
    pub(crate) operands: &'a dyn Fn(usize) -> View<'a, T>,
    pub(crate) params: &'a [T],
    pub(crate) ranges: &'a [Range<usize>],
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
    pub key: Option<Key>,
    /// `[B, ...]`: the gradient with respect to the output. May be used as scratch.
    pub upstream: &'a mut [T],
    /// What forward gave.
    pub output: &'a [T],
    /// What forward saved.
    pub saved: &'a [T],
    pub(crate) operands: &'a dyn Fn(usize) -> View<'a, T>,
    pub(crate) params: &'a [T],
    pub(crate) ranges: &'a [Range<usize>],
    pub(crate) gradients: &'a mut [T],
    pub(crate) targets: &'a [Option<Target>],
    pub(crate) capacity: usize,
    pub(crate) param_gradients: &'a mut [T],
    pub(crate) param_writes: &'a [Write],
    pub(crate) write: Write,
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
        let start = self.offset * capacity;
        start..start + self.width * rows
    }
}

/// Where a gradient goes, beside the gradient that it comes from.
pub struct Gradient<'g, T> {
    /// To be written, as `write` says.
    pub into: &'g mut [T],
    /// Whether to overwrite or to add.
    pub write: Write,
    /// The gradient with respect to the operation's output.
    pub upstream: &'g mut [T],
}

/// Where the gradients with respect to two parameters go, beside the gradient that they come from.
pub struct TwoGradients<'g, T> {
    /// To be written, as `writes` say.
    pub into: [&'g mut [T]; 2],
    /// Whether to overwrite or to add.
    pub writes: [Write; 2],
    /// The gradient with respect to the operation's output.
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

    /// The values of parameter `i`.
    pub fn param_values(&self, i: usize) -> &'a [T] {
        &self.params[self.ranges[i].clone()]
    }

    /// How many parameters the operation has.
    pub fn param_count(&self) -> usize {
        self.ranges.len()
    }

    /// The gradient with respect to operand `i`; `None` when nobody needs it.
    pub fn operand(&mut self, i: usize) -> Option<Gradient<'_, T>> {
        let Target { place, write } = self.targets[i]?;
        let range = place.range(self.capacity, self.rows);
        Some(Gradient { into: &mut self.gradients[range], write, upstream: self.upstream })
    }

    /// The gradient with respect to parameter `i`.
    pub fn param(&mut self, i: usize) -> Gradient<'_, T> {
        let write = self.param_write(i);
        Gradient { into: &mut self.param_gradients[self.ranges[i].clone()], write, upstream: self.upstream }
    }

    /// The gradients with respect to two parameters, for an operation that computes them at once.
    ///
    /// # Panics
    ///
    /// When both are the same parameter.
    pub fn two_params(&mut self, which: [usize; 2]) -> TwoGradients<'_, T> {
        let writes = which.map(|i| self.param_write(i));
        let ranges = which.map(|i| self.ranges[i].clone());
        let into = self.param_gradients.get_disjoint_mut(ranges).expect("two parameters of the arena");
        TwoGradients { into, writes, upstream: self.upstream }
    }

    fn param_write(&self, i: usize) -> Write {
        if self.write == Write::Add { Write::Add } else { self.param_writes[i] }
    }
}

fn reals<T>(view: View<'_, T>) -> &[T] {
    match view {
        View::Value(values) => values,
        View::Input { inputs, input, len } => exact(inputs.reals(input), len, input),
    }
}

fn indices<T>(view: View<'_, T>) -> &[u32] {
    match view {
        View::Value(_) => panic!("operations give real numbers; only an input has categories"),
        View::Input { inputs, input, len } => exact(inputs.indices(input), len, input),
    }
}

fn exact<V>(values: &[V], len: usize, input: usize) -> &[V] {
    assert_eq!(values.len(), len, "elements of input {input}");
    values
}

/// The kernel of an operation in precision `T`.
pub(crate) fn kernel<T: Scalar>(op: &Arc<dyn Op>) -> Arc<dyn Kernel<T>> {
    let kernel: Box<dyn Any> = match T::DTYPE {
        DType::F32 => Box::new(Arc::clone(op) as Arc<dyn Kernel<f32>>),
        DType::F64 => Box::new(Arc::clone(op) as Arc<dyn Kernel<f64>>),
    };
    *kernel.downcast().expect("DTYPE names the type that it belongs to")
}
