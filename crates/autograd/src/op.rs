use std::any::Any;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tidemill_tensor::kernels::Activation;
use tidemill_tensor::{DType, Scalar};

use crate::{Domain, Kernel};

/// An operation: what a graph is made of, and the one extension point of this crate.
///
/// [`bind`](Op::bind) checks what the operation is applied to and declares what it gives and needs. What is bound holds
/// the [`Kernel`]s, with the forward and backward pass, written once for both precisions.
///
/// # Example
///
/// `y = x²`:
///
/// ```
/// use tidemill_autograd::{
///     Backward, Bound, Forward, GradientCheck, Head, Kernel, Op, Scalar, Specs, check_gradients,
/// };
///
/// #[derive(Clone, Copy, Debug)]
/// struct Square;
///
/// impl Op for Square {
///     fn name(&self) -> &'static str {
///         "square"
///     }
///
///     fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
///         let [x] = specs.reals()?;
///         Ok(Bound::new(x.shape, *self))
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Square {
///     fn forward(&self, cx: &mut Forward<'_, T>) {
///         let x = cx.operand(0);
///         cx.output.iter_mut().zip(x).for_each(|(y, &x)| *y = x * x);
///     }
///
///     fn backward(&self, cx: &mut Backward<'_, T>) {
///         let values = cx.operand_values(0);
///         let Some(x) = cx.operand(0) else { return };
///         let slopes = values.iter().zip(&*x.upstream).map(|(&x, &g)| T::of(2.0) * x * g);
///         x.write.all(x.into, slopes);
///     }
/// }
///
/// check_gradients(GradientCheck::default(), |graph| {
///     let x = graph.input("x", &[3])?;
///     Ok(Head::new(graph.add(Square, &[x], &[])?))
/// })?;
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
pub trait Op: Debug + Send + Sync + 'static {
    /// What it is called in errors.
    fn name(&self) -> &'static str;

    /// Checks operands, parameters and buffers, and declares what the operation gives and needs.
    ///
    /// # Errors
    ///
    /// What does not fit, with the numbers.
    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String>;

    /// This operation with an activation that follows it built in, if it can.
    fn with_activation(&self, _activation: Activation) -> Option<Arc<dyn Op>> {
        None
    }

    /// The activation that this operation is, if it is one.
    fn as_activation(&self) -> Option<Activation> {
        None
    }
}

/// A value that an operation is applied to.
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

/// What an operation is applied to.
#[derive(Clone, Copy, Debug)]
pub struct Specs<'a> {
    /// The values.
    pub operands: &'a [Operand<'a>],
    /// The shapes of its parameters.
    pub params: &'a [&'a [usize]],
    /// The shapes of its buffers.
    pub buffers: &'a [&'a [usize]],
}

impl<'a> Specs<'a> {
    /// The operands, of which there must be `N`, all of real numbers.
    ///
    /// # Errors
    ///
    /// When there are others.
    pub fn reals<const N: usize>(&self) -> Result<[Operand<'a>; N], String> {
        let operands = self.operands()?;
        match operands.iter().find(|operand| operand.domain != Domain::Real) {
            Some(operand) => Err(format!("{} is of categories, expected real numbers", operand.label)),
            None => Ok(operands),
        }
    }

    /// The operands, of which there must be `N`.
    ///
    /// # Errors
    ///
    /// When there are more or fewer.
    pub fn operands<const N: usize>(&self) -> Result<[Operand<'a>; N], String> {
        self.operands.try_into().map_err(|_| counted(N, self.operands.len(), "operand"))
    }

    /// The shapes of the parameters, of which there must be `N`.
    ///
    /// # Errors
    ///
    /// When there are more or fewer.
    pub fn params<const N: usize>(&self) -> Result<[&'a [usize]; N], String> {
        self.params.try_into().map_err(|_| counted(N, self.params.len(), "parameter"))
    }

    /// The shapes of the buffers, of which there must be `N`.
    ///
    /// # Errors
    ///
    /// When there are more or fewer.
    pub fn buffers<const N: usize>(&self) -> Result<[&'a [usize]; N], String> {
        self.buffers.try_into().map_err(|_| counted(N, self.buffers.len(), "buffer"))
    }

    /// The one shape that all operands have.
    ///
    /// # Errors
    ///
    /// When two differ, or there is none.
    pub fn alike(&self) -> Result<&'a [usize], String> {
        let Some(first) = self.operands.first() else { return Err("takes at least one operand".into()) };
        match self.operands.iter().find(|operand| operand.shape != first.shape) {
            Some(o) => {
                Err(format!("{} is {:?}, {} is {:?}; they must be alike", o.label, o.shape, first.label, first.shape))
            }
            None => Ok(first.shape),
        }
    }
}

pub(crate) fn counted(expected: usize, given: usize, what: &str) -> String {
    match expected {
        0 => format!("takes no {what}, not {given}"),
        1 => format!("takes one {what}, not {given}"),
        _ => format!("takes {expected} {what}s, not {given}"),
    }
}

/// Which rows of a batch an operation looks at to compute one of them. Engines cut batches by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coupling {
    /// That row alone: batches may be cut anywhere.
    #[default]
    None,
    /// The rows of its group of so many consecutive ones, counted from the batch's first row; the last group of a batch
    /// may be smaller. The kernel is called for each group.
    Group(usize),
    /// All rows of the batch, which must not be cut.
    Batch,
}

impl Coupling {
    /// Where a batch may be cut that goes through both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, other) | (other, Self::None) => other,
            (Self::Batch, _) | (_, Self::Batch) => Self::Batch,
            (Self::Group(a), Self::Group(b)) => Self::Group(a / gcd(a, b) * b),
        }
    }

    /// Of `rows` rows, so many that groups are whole; at least one group, or all rows.
    #[must_use]
    pub fn whole(self, rows: usize, all: usize) -> usize {
        match self {
            Self::None => rows,
            Self::Group(size) => (rows / size).max(1) * size,
            Self::Batch => all,
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// How what a buffer gets from the parts of a batch becomes one, and changes the buffer.
///
/// Ranks that train apart take the mean of their buffers, as of their parameters, whatever the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Merge {
    /// `b ← b + momentum (Σ w u / Σ w - b)`, where `u` is what a part gives and `w` the sum of its row weights: an
    /// exponential moving average.
    Mean {
        /// How far the buffer moves to the batch's mean, from 0 to 1.
        momentum: f64,
    },
    /// `b ← b + Σ u`.
    Sum,
}

/// A bound operation: what it gives and needs, and its kernels.
#[derive(Clone)]
pub struct Bound {
    pub(crate) outputs: Vec<Vec<usize>>,
    pub(crate) saved: usize,
    pub(crate) saved_of_batch: usize,
    pub(crate) scratch: usize,
    pub(crate) scratch_of_batch: usize,
    pub(crate) merges: Vec<Merge>,
    pub(crate) coupling: Coupling,
    pub(crate) coupling_outside_training: Coupling,
    pub(crate) random: bool,
    pub(crate) multiplications: usize,
    pub(crate) target_range: RangeInclusive<f64>,
    pub(crate) reads_rows: bool,
    kernels: (Arc<dyn Kernel<f32>>, Arc<dyn Kernel<f64>>),
}

impl Bound {
    /// With one output of this shape per row.
    pub fn new(shape: impl Into<Vec<usize>>, kernel: impl Kernel<f32> + Kernel<f64> + 'static) -> Self {
        let (shape, kernel) = (shape.into(), Arc::new(kernel));
        Self {
            multiplications: shape.iter().product(),
            outputs: vec![shape],
            saved: 0,
            saved_of_batch: 0,
            scratch: 0,
            scratch_of_batch: 0,
            merges: Vec::new(),
            coupling: Coupling::None,
            coupling_outside_training: Coupling::None,
            random: false,
            target_range: f64::MIN..=f64::MAX,
            reads_rows: false,
            kernels: (kernel.clone(), kernel),
        }
    }

    /// Another output, of this shape per row.
    #[must_use]
    pub fn output(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.outputs.push(shape.into());
        self
    }

    /// Numbers a row that forward keeps for backward, besides operands and outputs.
    #[must_use]
    pub fn saves(mut self, numbers: usize) -> Self {
        self.saved = numbers;
        self
    }

    /// Numbers a batch, or group of [`Coupling::Group`], that forward keeps for backward.
    #[must_use]
    pub fn saves_of_batch(mut self, numbers: usize) -> Self {
        self.saved_of_batch = numbers;
        self
    }

    /// Numbers of scratch memory: for each row, and for the whole call.
    #[must_use]
    pub fn scratch(mut self, of_row: usize, of_batch: usize) -> Self {
        (self.scratch, self.scratch_of_batch) = (of_row, of_batch);
        self
    }

    /// A buffer, in the order of [`Specs::buffers`]: how what it gets from parts of a batch is merged.
    #[must_use]
    pub fn buffer(mut self, merge: Merge) -> Self {
        self.merges.push(merge);
        self
    }

    /// Couples rows, in training and outside of it.
    #[must_use]
    pub fn couples(mut self, coupling: Coupling) -> Self {
        (self.coupling, self.coupling_outside_training) = (coupling, coupling);
        self
    }

    /// Couples rows in training, and computes each row by itself otherwise.
    #[must_use]
    pub fn couples_in_training(mut self, coupling: Coupling) -> Self {
        (self.coupling, self.coupling_outside_training) = (coupling, Coupling::None);
        self
    }

    /// Draws random numbers in training, so that its output differs from what it predicts.
    #[must_use]
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }

    /// About how many multiplications the forward pass takes for a row, from which the work of a step is estimated; as
    /// many as the first output has elements without it.
    #[must_use]
    pub fn multiplications(mut self, of_row: usize) -> Self {
        self.multiplications = of_row;
        self
    }

    /// The numbers that it is defined for where an operand is the [target](crate::Graph::target): whoever brings rows
    /// checks them. All finite numbers without it.
    #[must_use]
    pub fn targets(mut self, range: RangeInclusive<f64>) -> Self {
        self.target_range = range;
        self
    }

    /// Its one operand names the rows of its one parameter that it reads, as an embedding's does; no other row then gets
    /// a gradient.
    #[must_use]
    pub fn reads_rows(mut self) -> Self {
        self.reads_rows = true;
        self
    }

    /// The kernel in precision `T`.
    pub(crate) fn kernel<T: Scalar>(&self) -> Arc<dyn Kernel<T>> {
        let kernel: Box<dyn Any> = match T::DTYPE {
            DType::F32 => Box::new(Arc::clone(&self.kernels.0)),
            DType::F64 => Box::new(Arc::clone(&self.kernels.1)),
        };
        *kernel.downcast().expect("DTYPE names the type that it belongs to")
    }

    pub(crate) fn check(&self, specs: &Specs<'_>) -> Result<(), String> {
        if self.merges.len() != specs.buffers.len() {
            return Err(counted(self.merges.len(), specs.buffers.len(), "buffer"));
        }
        if [self.coupling, self.coupling_outside_training].contains(&Coupling::Group(0)) {
            return Err("couples groups of 0 rows; expected 1 or more".into());
        }
        let is_momentum = |merge: &Merge| match merge {
            Merge::Mean { momentum } => (0.0..=1.0).contains(momentum),
            Merge::Sum => true,
        };
        match self.merges.iter().find(|merge| !is_momentum(merge)) {
            Some(merge) => Err(format!("a buffer is merged by {merge:?}; expected a momentum from 0 to 1")),
            None => Ok(()),
        }
    }
}
