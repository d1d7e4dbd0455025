use tidemill_tensor::{Arena, Scalar};

use crate::Program;
use crate::kernel::Place;

/// The memory of a run: values and gradients between operations. Belongs to one thread.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    capacity: usize,
    /// Rows that there is room for, so many that every value begins with a cache line.
    pub(crate) stride: usize,
    rows: usize,
    pub(crate) values: Arena<T>,
    pub(crate) gradients: Arena<T>,
    /// What operations save of whole batches or groups.
    pub(crate) of_batch: Arena<T>,
    /// Where those of each step begin.
    pub(crate) starts: Vec<usize>,
    pub(crate) scratch: Arena<T>,
    /// What buffers get from one call of a kernel, and from all rows of the last forward pass.
    pub(crate) update: Arena<T>,
    pub(crate) updates: Arena<T>,
    heads: Vec<(Place, Option<Place>)>,
    loss: Option<Place>,
    upstream: Place,
    input_gradients: Vec<Option<Place>>,
}

impl<T: Scalar> Workspace<T> {
    /// A workspace for batches of at most `capacity` rows.
    pub fn new(program: &Program<T>, capacity: usize) -> Self {
        let stride = capacity.next_multiple_of(16);
        let scratch = program.steps.iter().map(|step| step.scratch_len(capacity)).max().unwrap_or(0);
        let (mut of_batch, mut starts) = (0, Vec::with_capacity(program.steps.len()));
        for step in &program.steps {
            starts.push(of_batch);
            of_batch += step.of_batch_len(capacity);
        }
        let buffers = program.layout.buffer_len();
        Self {
            capacity,
            stride,
            rows: 0,
            values: Arena::zeros(program.row_values * stride),
            gradients: Arena::zeros(program.row_gradients * stride),
            of_batch: Arena::zeros(of_batch),
            starts,
            scratch: Arena::zeros(scratch),
            update: Arena::zeros(buffers),
            updates: Arena::zeros(buffers),
            heads: program.heads.iter().map(|head| (head.place, head.loss)).collect(),
            loss: program.loss,
            upstream: program.upstream,
            input_gradients: program.input_gradients.clone(),
        }
    }

    /// The most rows it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Rows of the last forward pass.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The last prediction of the first head, `[B, ...]`.
    pub fn prediction(&self) -> &[T] {
        self.head(0)
    }

    /// The last prediction of a head, by its number in [`Program::heads`], `[B, ...]`.
    pub fn head(&self, head: usize) -> &[T] {
        &self.values[self.heads[head].0.range(self.stride, self.rows)]
    }

    /// The last losses of a head, `[B]`, without its weight; `None` when it has no loss.
    pub fn head_losses(&self, head: usize) -> Option<&[T]> {
        Some(&self.values[self.heads[head].1?.range(self.stride, self.rows)])
    }

    /// The last losses, `[B]`: those of all heads, each times its weight.
    ///
    /// # Panics
    ///
    /// When the program has no loss.
    pub fn losses(&self) -> &[T] {
        let loss = self.loss.expect("the program ends in a loss");
        &self.values[loss.range(self.stride, self.rows)]
    }

    /// What backward starts from, to be written before: the gradient of what is minimised with respect to each row's
    /// loss — the row's weight — or to the first head's prediction, where there is no loss. Backward uses it up.
    ///
    /// A row whose gradient is zero adds zero times its values to the gradients of parameters: nothing, unless one of them
    /// is NaN or infinite. Rows that must not count whatever is in them are to be left out of the run.
    pub fn upstream(&mut self) -> &mut [T] {
        let range = self.upstream.range(self.stride, self.rows);
        &mut self.gradients[range]
    }

    /// The gradient with respect to an input, `[B, ...]`; `None` when the program was not compiled for it.
    pub fn input_gradient(&self, input: usize) -> Option<&[T]> {
        let place = self.input_gradients[input]?;
        Some(&self.gradients[place.range(self.stride, self.rows)])
    }

    pub(crate) fn begin(&mut self, program: &Program<T>, rows: usize) {
        assert!(rows <= self.capacity, "{rows} rows in a workspace for {}", self.capacity);
        assert_eq!(self.values.len(), program.row_values * self.stride, "a workspace of this program");
        self.rows = rows;
    }
}
