use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use tidemill_tensor::{Key, Layout, Scalar};

use crate::op::{Backward, Forward, Kernel, Place, Target, View};
use crate::{Ending, Error, Graph, Input, Inputs, Workspace, Write, plan};

/// A compiled model: immutable, shared by threads. Running it cannot fail and allocates nothing.
pub struct Program<T> {
    pub(crate) layout: Layout,
    pub(crate) inputs: Vec<Input>,
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) prediction: Place,
    pub(crate) prediction_shape: Vec<usize>,
    pub(crate) loss: Option<Place>,
    pub(crate) upstream: Place,
    pub(crate) root_step: usize,
    pub(crate) value_len: usize,
    pub(crate) gradient_len: usize,
    pub(crate) input_gradients: Vec<Option<Place>>,
    pub(crate) unwritten: Vec<Range<usize>>,
    pub(crate) couples_rows: bool,
    pub(crate) multiplications: usize,
    pub(crate) random: bool,
    pub(crate) tables: Vec<Table>,
    pub(crate) target_checks: Vec<TargetCheck>,
}

/// What an operation that reads the target, such as a loss, can be computed of. The program does not look: whoever
/// brings rows checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetCheck {
    /// Number of the input that is the target.
    pub input: usize,
    /// The operation's name.
    pub loss: &'static str,
    /// The numbers that it accepts; of a target of classes, all below the input's cardinality are.
    pub range: RangeInclusive<f64>,
}

/// A parameter of which a run reads only the rows that its categories name: an embedding's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Number of the input whose categories are the rows.
    pub input: usize,
    /// Where in the arena it lies.
    pub range: Range<usize>,
    /// Elements of a row.
    pub width: usize,
}

pub(crate) struct Step<T> {
    pub(crate) kernel: Arc<dyn Kernel<T>>,
    pub(crate) node: u64,
    pub(crate) random: bool,
    pub(crate) shape: Vec<usize>,
    pub(crate) operands: Vec<Operand>,
    pub(crate) output: Place,
    pub(crate) saved: Place,
    pub(crate) ranges: Vec<Range<usize>>,
    pub(crate) needed: Needed,
    pub(crate) gradient: Option<Place>,
    pub(crate) targets: Vec<Option<Target>>,
    pub(crate) param_writes: Vec<Write>,
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

/// With respect to what a program is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Differentiate {
    Parameters,
    ParametersAndInputs,
}

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The prediction alone; nothing random, no target needed.
    Predict,
    /// Prediction and loss; nothing random.
    Evaluate,
    /// The loss alone, with random operations (dropout) drawing from the key of this step.
    Train(Key),
}

/// What a program is run on.
#[derive(Clone, Copy)]
pub struct Run<'a, T> {
    /// The parameters, one arena of the program's layout.
    pub params: &'a [T],
    /// The rows.
    pub inputs: &'a dyn Inputs<T>,
    /// How many rows.
    pub rows: usize,
    /// Number of the first of them within the step's whole batch.
    pub first_row: usize,
    /// What for.
    pub mode: Mode,
}

impl<T: Scalar> Program<T> {
    /// Records a graph and compiles it: the way a model is made.
    ///
    /// # Errors
    ///
    /// Those of the recording; and when the graph does not end as it should.
    pub fn build(record: impl FnOnce(&mut Graph) -> Result<Ending, Error>) -> Result<Self, Error> {
        let mut graph = Graph::new();
        let ending = record(&mut graph)?;
        graph.compile(ending)
    }

    /// The parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a batch must bring.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The shape of a prediction, per row.
    pub fn prediction_shape(&self) -> &[usize] {
        &self.prediction_shape
    }

    /// Numbers of a prediction, per row.
    pub fn prediction_width(&self) -> usize {
        self.prediction.width
    }

    /// Whether it ends in a loss, and can so be trained.
    pub fn has_loss(&self) -> bool {
        self.loss.is_some()
    }

    /// Whether some operation looks at several rows at once, so that a batch must not be cut.
    pub fn couples_rows(&self) -> bool {
        self.couples_rows
    }

    /// Whether training draws random numbers, as dropout does.
    pub fn is_random(&self) -> bool {
        self.random
    }

    /// The parameters of which a run reads only some rows; no other row gets a gradient. A table that several inputs read
    /// is there once for each.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// What each operation that reads the target accepts of it.
    pub fn target_checks(&self) -> &[TargetCheck] {
        &self.target_checks
    }

    /// Bytes that a workspace takes for a row.
    pub fn bytes_per_row(&self) -> usize {
        (self.value_len + self.gradient_len) * size_of::<T>()
    }

    /// About how many multiplications a row takes forward and backward: an estimate of a step's work.
    pub fn multiplications_per_row(&self) -> usize {
        self.multiplications
    }

    /// Computes prediction and loss, as the mode says, into the workspace.
    ///
    /// # Panics
    ///
    /// When the workspace is of another program or too small, or an input has another number of elements than `rows`
    /// ask for.
    pub fn forward(&self, run: &Run<'_, T>, workspace: &mut Workspace<T>) {
        workspace.begin(self, run.rows);
        let capacity = workspace.stride;
        for step in &self.steps {
            let wanted = match run.mode {
                Mode::Predict => step.needed.prediction,
                Mode::Evaluate => true,
                Mode::Train(_) => step.needed.loss || self.loss.is_none(),
            };
            if !wanted {
                continue;
            }
            let (before, here) = workspace.values.split_at_mut(step.output.offset * capacity);
            let (output, saved) = here.split_at_mut(step.output.width * capacity);
            let before = &*before;
            step.kernel.forward(&mut Forward {
                rows: run.rows,
                first_row: run.first_row,
                shape: &step.shape,
                key: step.key(run.mode),
                output: &mut output[..step.output.width * run.rows],
                saved: &mut saved[..step.saved.width * run.rows],
                operands: &|i| step.operand(i, run, before, capacity),
                params: run.params,
                ranges: &step.ranges,
            });
        }
    }

    /// Given [`Workspace::upstream`], the gradient with respect to the loss of each row (or the prediction, where there
    /// is no loss), computes the gradient with respect to the parameters, summed over rows.
    ///
    /// `gradients` is overwritten or added to, as `write` says.
    ///
    /// # Panics
    ///
    /// As [`forward`](Program::forward), which must have run before on the same rows.
    pub fn backward(&self, run: &Run<'_, T>, workspace: &mut Workspace<T>, gradients: &mut [T], write: Write) {
        self.backward_in_parts(run, workspace, gradients, write, usize::MAX, |_, _| ());
    }

    /// As [`backward`](Program::backward), and tells of each part of the gradient when it is whole, from the end of the
    /// arena to its start: of which elements, and what they are. A part has `least` elements or more, but for the last.
    ///
    /// # Panics
    ///
    /// As [`backward`](Program::backward).
    pub fn backward_in_parts(
        &self,
        run: &Run<'_, T>,
        workspace: &mut Workspace<T>,
        gradients: &mut [T],
        write: Write,
        least: usize,
        mut whole: impl FnMut(Range<usize>, &mut [T]),
    ) {
        assert_eq!(gradients.len(), self.layout.len(), "elements of the gradient arena");
        assert_eq!(workspace.rows(), run.rows, "rows of the forward pass");
        if write == Write::Assign {
            self.unwritten.iter().for_each(|range| gradients[range.clone()].fill(T::zero()));
        }
        let capacity = workspace.stride;
        let mut whole_from = gradients.len();
        for step in self.steps[..=self.root_step].iter().rev() {
            let Some(place) = step.gradient else { continue };
            let values = &workspace.values[..];
            let (before, here) = workspace.gradients.split_at_mut(place.offset * capacity);
            step.kernel.backward(&mut Backward {
                rows: run.rows,
                first_row: run.first_row,
                shape: &step.shape,
                key: step.key(run.mode),
                upstream: &mut here[..place.width * run.rows],
                output: &values[step.output.range(capacity, run.rows)],
                saved: &values[step.saved.range(capacity, run.rows)],
                operands: &|i| step.operand(i, run, values, capacity),
                params: run.params,
                ranges: &step.ranges,
                gradients: before,
                targets: &step.targets,
                capacity,
                param_gradients: gradients,
                param_writes: &step.param_writes,
                write,
            });
            if whole_from - step.whole_from.min(whole_from) >= least {
                whole(step.whole_from..whole_from, &mut gradients[step.whole_from..whole_from]);
                whole_from = step.whole_from;
            }
        }
        if whole_from > 0 {
            whole(0..whole_from, &mut gradients[..whole_from]);
        }
    }
}

impl<T: Scalar> Step<T> {
    fn key(&self, mode: Mode) -> Option<Key> {
        match mode {
            Mode::Train(key) if self.random => Some(key.fold(self.node)),
            _ => None,
        }
    }

    fn operand<'v>(&self, i: usize, run: &Run<'v, T>, values: &'v [T], capacity: usize) -> View<'v, T> {
        match self.operands[i] {
            Operand::Value(place) => View::Value(&values[place.range(capacity, run.rows)]),
            Operand::Input { input, width } => View::Input { inputs: run.inputs, input, len: run.rows * width },
        }
    }
}

impl Graph {
    /// Checks, fuses and lays out: a program that is differentiated with respect to its parameters.
    ///
    /// # Errors
    ///
    /// When the graph does not end as it should.
    pub fn compile<T: Scalar>(&self, ending: Ending) -> Result<Program<T>, Error> {
        plan::compile(self, ending, Differentiate::Parameters)
    }

    /// As [`compile`](Graph::compile), differentiated with respect to its real features too
    /// ([`Workspace::input_gradient`]).
    ///
    /// # Errors
    ///
    /// When the graph does not end as it should.
    pub fn compile_with_input_gradients<T: Scalar>(&self, ending: Ending) -> Result<Program<T>, Error> {
        plan::compile(self, ending, Differentiate::ParametersAndInputs)
    }
}
