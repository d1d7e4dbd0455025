use std::ops::{Range, RangeInclusive};

use tidemill_tensor::{Key, Layout, Scalar};

use crate::kernel::Place;
use crate::step::Step;
use crate::{Coupling, Error, Graph, Input, Inputs, Merge, ModelOutput, Workspace, Write, plan};

/// A compiled model: immutable, shared by threads. Running it cannot fail and allocates nothing.
pub struct Program<T> {
    pub(crate) layout: Layout,
    pub(crate) inputs: Vec<Input>,
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) heads: Vec<HeadSpec>,
    pub(crate) loss: Option<Place>,
    pub(crate) upstream: Place,
    pub(crate) root_step: usize,
    /// Numbers of a row that a workspace holds: values with what is saved, and their gradients.
    pub(crate) row_values: usize,
    pub(crate) row_gradients: usize,
    pub(crate) input_gradients: Vec<Option<Place>>,
    pub(crate) unwritten: Vec<Range<usize>>,
    pub(crate) coupling: Coupled,
    pub(crate) coupling_outside_training: Coupled,
    pub(crate) multiplications: usize,
    pub(crate) random: bool,
    pub(crate) tables: Vec<Table>,
    pub(crate) target_checks: Vec<TargetCheck>,
    /// Each buffer that is updated in training: where it lies among all of them, and how.
    pub(crate) merges: Vec<(Range<usize>, Merge)>,
}

/// How a program couples rows, and the operation that makes it so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coupled {
    pub(crate) coupling: Coupling,
    pub(crate) by: &'static str,
}

/// A head of a compiled model.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) target: Option<usize>,
    pub(crate) place: Place,
    pub(crate) loss: Option<Place>,
}

impl HeadSpec {
    /// Its name; [`Head::NAME`](crate::Head::NAME) where it was given none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of its prediction, per row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers of its prediction, per row.
    pub fn width(&self) -> usize {
        self.place.width
    }

    /// Number of the input that its loss compares the prediction with; `None` when it has no loss, or one of several
    /// targets.
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// Whether it has a loss.
    pub fn has_loss(&self) -> bool {
        self.loss.is_some()
    }
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
    /// Numbers of the inputs whose categories are the rows.
    pub inputs: Vec<usize>,
    /// Where in the arena it lies.
    pub range: Range<usize>,
    /// Elements of a row.
    pub width: usize,
}

/// Which leaves get gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Differentiate {
    Parameters,
    ParametersAndInputs,
}

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Predictions alone; nothing random, no target needed.
    Predict,
    /// Predictions and loss; nothing random.
    Evaluate,
    /// The loss alone: random operations (dropout) draw from the key of this step, and buffers get their updates.
    Train(Key),
}

/// What a program is run on.
#[derive(Clone, Copy)]
pub struct Run<'a, T> {
    /// The parameters and buffers, one arena of the program's layout.
    pub params: &'a [T],
    /// The rows.
    pub inputs: &'a dyn Inputs<T>,
    /// How many rows.
    pub rows: usize,
    /// Number of the first of them within the step's whole batch.
    pub first_row: usize,
    /// What each row weighs; 1 where absent.
    pub weights: Option<&'a [T]>,
    /// What for.
    pub mode: Mode,
}

impl<T: Scalar> Program<T> {
    /// Records a graph and compiles it: the way a model is made.
    ///
    /// # Errors
    ///
    /// Those of the recording; and when the graph does not end as it should.
    pub fn build<O: Into<ModelOutput>>(record: impl FnOnce(&mut Graph) -> Result<O, Error>) -> Result<Self, Error> {
        let mut graph = Graph::new();
        let output = record(&mut graph)?;
        graph.compile(output)
    }

    /// The parameters and buffers.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Elements of a gradient arena: those of trainable parameters, and behind them what buffers get.
    pub fn gradient_len(&self) -> usize {
        self.layout.trainable_len() + self.layout.buffer_len()
    }

    /// What a batch must bring.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The heads, in the order in which the graph ends in them.
    pub fn heads(&self) -> &[HeadSpec] {
        &self.heads
    }

    /// The number of the head of that name.
    pub fn head(&self, name: &str) -> Option<usize> {
        self.heads.iter().position(|head| head.name == name)
    }

    /// The shape of the first head's prediction, per row.
    pub fn prediction_shape(&self) -> &[usize] {
        &self.heads[0].shape
    }

    /// Numbers of the first head's prediction, per row.
    pub fn prediction_width(&self) -> usize {
        self.heads[0].width()
    }

    /// Whether it ends in a loss, and can so be trained.
    pub fn has_loss(&self) -> bool {
        self.loss.is_some()
    }

    /// How rows of a batch depend on each other in training, and outside of it otherwise.
    pub fn coupling(&self, training: bool) -> Coupling {
        if training { self.coupling.coupling } else { self.coupling_outside_training.coupling }
    }

    /// The operation by which rows depend on each other, for errors.
    pub fn coupled_by(&self, training: bool) -> &'static str {
        if training { self.coupling.by } else { self.coupling_outside_training.by }
    }

    /// Whether training computes other values than evaluation does: it draws random numbers, as dropout does, or
    /// normalises by the batch.
    pub fn trains_differently(&self) -> bool {
        self.random || !self.merges.is_empty() || self.coupling.coupling != self.coupling_outside_training.coupling
    }

    /// Whether training draws random numbers.
    pub fn is_random(&self) -> bool {
        self.random
    }

    /// The parameters of which a run reads only some rows, in the order of the arena; no other row gets a gradient.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// What each operation that reads a target accepts of it.
    pub fn target_checks(&self) -> &[TargetCheck] {
        &self.target_checks
    }

    /// Bytes that a workspace takes for a row.
    pub fn bytes_per_row(&self) -> usize {
        (self.row_values + self.row_gradients) * size_of::<T>()
    }

    /// About how many multiplications a row takes forward and backward: an estimate of a step's work.
    pub fn multiplications_per_row(&self) -> usize {
        self.multiplications
    }

    /// Computes predictions and loss, as the mode says, into the workspace.
    ///
    /// # Panics
    ///
    /// When the workspace is of another program or too small, or an input has another number of elements than `rows`
    /// ask for.
    pub fn forward(&self, run: &Run<'_, T>, workspace: &mut Workspace<T>) {
        workspace.begin(self, run.rows);
        if !self.merges.is_empty() {
            workspace.updates.fill(T::zero());
        }
        for (number, step) in self.steps.iter().enumerate() {
            let wanted = match run.mode {
                Mode::Predict => step.needed.prediction,
                Mode::Evaluate => true,
                Mode::Train(_) => step.needed.loss || self.loss.is_none(),
            };
            if wanted && step.is_plain {
                step.forward_plain(run, workspace);
            } else if wanted {
                step.calls(run).for_each(|(call, rows)| step.forward(run, number, call, rows, workspace));
            }
        }
    }

    /// Given [`Workspace::upstream`], the gradient with respect to the loss of each row (or the prediction, where there
    /// is no loss), computes the gradient with respect to the trainable parameters, summed over rows; and behind it what
    /// buffers get, each part of the batch times its weight.
    ///
    /// `gradients` is overwritten or added to, as `write` says.
    ///
    /// # Panics
    ///
    /// As [`forward`](Program::forward), which must have run before on the same rows.
    pub fn backward(&self, run: &Run<'_, T>, workspace: &mut Workspace<T>, gradients: &mut [T], write: Write) {
        assert_eq!(gradients.len(), self.gradient_len(), "elements of the gradient arena");
        if write == Write::Assign {
            gradients[self.layout.dense_len()..self.layout.trainable_len()].fill(T::zero());
        }
        self.backward_by_rows(run, workspace, gradients, write);
    }

    /// As [`backward`](Program::backward), but to the gradients of [tables](Program::tables) it adds, whatever `write`
    /// says: before the first part of a batch, the caller sets those of the rows that the batch reads to zero. So other
    /// rows cost nothing.
    ///
    /// # Panics
    ///
    /// As [`backward`](Program::backward).
    pub fn backward_by_rows(&self, run: &Run<'_, T>, workspace: &mut Workspace<T>, gradients: &mut [T], write: Write) {
        self.backward_in_parts(run, workspace, gradients, write, usize::MAX, |_, _| ());
    }

    /// As [`backward_by_rows`](Program::backward_by_rows), and tells of each part of the gradient that is in no table when
    /// it is whole, from the end of those parameters to the start of the arena: of which elements, and what they are. A part
    /// has `least` elements or more, but for the last.
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
        assert_eq!(gradients.len(), self.gradient_len(), "elements of the gradient arena");
        assert_eq!(workspace.rows(), run.rows, "rows of the forward pass");
        if write == Write::Assign {
            self.unwritten.iter().for_each(|range| gradients[range.clone()].fill(T::zero()));
        }
        write.slice(&mut gradients[self.layout.trainable_len()..], &workspace.updates);
        let mut whole_from = self.layout.dense_len();
        for (number, step) in self.steps[..=self.root_step].iter().enumerate().rev() {
            if !step.has_gradient {
                continue;
            }
            for place in &step.zeroed {
                workspace.gradients[place.range(workspace.stride, run.rows)].fill(T::zero());
            }
            if step.is_plain {
                step.backward_plain(run, workspace, gradients, write == Write::Add);
            } else {
                for (call, rows) in step.calls(run) {
                    let adds = write == Write::Add || call > 0;
                    step.backward(run, number, call, rows, workspace, gradients, adds);
                }
            }
            if whole_from - step.whole_from.min(whole_from) >= least {
                whole(step.whole_from..whole_from, &mut gradients[step.whole_from..whole_from]);
                whole_from = step.whole_from;
            }
        }
        if whole_from > 0 {
            whole(0..whole_from, &mut gradients[..whole_from]);
        }
    }

    /// Updates the buffers by what a step's rows gave: the part of the gradient arena behind the trainable parameters,
    /// summed over all parts of the batch, and the sum of the rows' weights.
    ///
    /// # Panics
    ///
    /// When a slice has another length.
    pub fn update_buffers(&self, params: &mut [T], gradients: &[T], weight: f64) {
        assert_eq!(gradients.len(), self.gradient_len(), "elements of the gradient arena");
        assert_eq!(params.len(), self.layout.len(), "elements of the parameter arena");
        let first = params.len() - self.layout.buffer_len();
        let (buffers, updates) = (&mut params[first..], &gradients[self.layout.trainable_len()..]);
        for (range, merge) in &self.merges {
            let both = buffers[range.clone()].iter_mut().zip(&updates[range.clone()]);
            match merge {
                Merge::Mean { momentum } => {
                    let (momentum, scale) = (T::of(*momentum), T::of(1.0 / weight));
                    both.for_each(|(buffer, &sum)| *buffer += momentum * (sum * scale - *buffer));
                }
                Merge::Sum => both.for_each(|(buffer, &sum)| *buffer += sum),
            }
        }
    }
}

impl Graph {
    /// Checks, fuses and lays out: a program that is differentiated with respect to its trainable parameters.
    ///
    /// # Errors
    ///
    /// When the graph does not end as it should.
    pub fn compile<T: Scalar>(&self, output: impl Into<ModelOutput>) -> Result<Program<T>, Error> {
        plan::compile(self, &output.into(), Differentiate::Parameters)
    }

    /// As [`compile`](Graph::compile), differentiated with respect to its real features too
    /// ([`Workspace::input_gradient`]).
    ///
    /// # Errors
    ///
    /// When the graph does not end as it should.
    pub fn compile_with_input_gradients<T: Scalar>(&self, output: impl Into<ModelOutput>) -> Result<Program<T>, Error> {
        plan::compile(self, &output.into(), Differentiate::ParametersAndInputs)
    }
}
