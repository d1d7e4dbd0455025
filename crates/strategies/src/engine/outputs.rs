use std::marker::PhantomData;
use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Program, Workspace};

use crate::Need;

/// Predictions and losses of each row of a batch, in the batch's order.
#[derive(Clone, Debug)]
pub struct Outputs<T> {
    heads: Vec<HeadOutputs<T>>,
    losses: Vec<T>,
    place: Place<T>,
}

/// Those of one head.
#[derive(Clone, Debug)]
struct HeadOutputs<T> {
    width: usize,
    predictions: Vec<T>,
    /// Empty where no loss is computed.
    losses: Vec<T>,
    has_loss: bool,
    places: [Place<T>; 2],
}

impl<T: Scalar> Outputs<T> {
    /// Of a program's heads, for no rows yet.
    pub fn new(program: &Program<T>) -> Self {
        let head = |head: &tidemill_autograd::HeadSpec| HeadOutputs {
            width: head.width(),
            predictions: Vec::new(),
            losses: Vec::new(),
            has_loss: head.has_loss(),
            places: [Place::NONE; 2],
        };
        Self { heads: program.heads().iter().map(head).collect(), losses: Vec::new(), place: Place::NONE }
    }

    /// Makes room for the rows of a batch.
    pub(crate) fn resize(&mut self, rows: usize, need: Need) {
        let rows_of_losses = if need == Need::Target { rows } else { 0 };
        for head in &mut self.heads {
            head.predictions.resize(rows * head.width, T::zero());
            head.losses.resize(if head.has_loss { rows_of_losses } else { 0 }, T::zero());
        }
        self.losses.resize(rows_of_losses, T::zero());
    }

    /// The first head's predictions, `[B, ...]`.
    pub fn predictions(&self) -> &[T] {
        self.head(0)
    }

    /// A head's predictions, `[B, ...]`.
    pub fn head(&self, head: usize) -> &[T] {
        &self.heads[head].predictions
    }

    /// Numbers of a head's prediction, per row.
    pub fn width(&self, head: usize) -> usize {
        self.heads[head].width
    }

    /// A head's losses, `[B]`, without its weight; empty where none are computed.
    pub fn head_losses(&self, head: usize) -> &[T] {
        &self.heads[head].losses
    }

    /// The losses, `[B]`: those of all heads, each times its weight; empty where none are computed.
    pub fn losses(&self) -> &[T] {
        &self.losses
    }

    /// For workers, each of which writes what it computes of its own rows.
    pub(crate) fn writer(&mut self) -> Writer<'_, T> {
        for head in &mut self.heads {
            head.places = [Place(head.predictions.as_mut_ptr()), Place(head.losses.as_mut_ptr())];
        }
        self.place = Place(self.losses.as_mut_ptr());
        Writer { outputs: self, borrow: PhantomData }
    }
}

/// Where a vector's elements lie while a [`Writer`] has them.
#[derive(Clone, Copy, Debug)]
struct Place<T>(*mut T);

impl<T> Place<T> {
    const NONE: Self = Self(std::ptr::null_mut());
}

// SAFETY: it is used by a `Writer` alone, whose callers promise that no two threads write the same elements.
unsafe impl<T: Send> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Place<T> {}

/// Where several threads write outputs of different rows.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a, T> {
    outputs: *const Outputs<T>,
    borrow: PhantomData<&'a mut Outputs<T>>,
}

// SAFETY: the outputs are borrowed for 'a by the writer alone, which reads where vectors lie and how long they are, and
// writes elements of rows, of which callers of `write` promise that no two threads write the same.
unsafe impl<T: Send> Send for Writer<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Writer<'_, T> {}

impl<T: Scalar> Writer<'_, T> {
    /// Whether losses are wanted.
    pub(crate) fn has_losses(&self) -> bool {
        // SAFETY: the outputs are borrowed, and nothing but elements changes meanwhile.
        !unsafe { &(*self.outputs).losses }.is_empty()
    }

    /// Takes over the outputs of rows of the batch from a workspace that has computed them, and no others.
    ///
    /// # Safety
    ///
    /// No other thread writes any of these rows at the same time.
    pub(crate) unsafe fn write(&self, rows: Range<usize>, workspace: &Workspace<T>) {
        // SAFETY: the outputs are borrowed, and nothing but elements changes meanwhile.
        let outputs = unsafe { &*self.outputs };
        for (number, head) in outputs.heads.iter().enumerate() {
            let elements = rows.start * head.width..rows.end * head.width;
            // SAFETY: the place is this vector's, and the caller keeps others from these rows.
            unsafe { put(head.places[0], head.predictions.len(), elements, workspace.head(number)) };
            if !head.losses.is_empty() {
                let values = workspace.head_losses(number).expect("a head that has losses");
                // SAFETY: as above.
                unsafe { put(head.places[1], head.losses.len(), rows.clone(), values) };
            }
        }
        if !outputs.losses.is_empty() {
            // SAFETY: as above.
            unsafe { put(outputs.place, outputs.losses.len(), rows, workspace.losses()) };
        }
    }
}

/// Copies values to a part of a vector of that length.
///
/// # Safety
///
/// The vector's elements lie at `place`, and nobody else reads or writes that part.
unsafe fn put<T: Copy>(place: Place<T>, len: usize, range: Range<usize>, values: &[T]) {
    assert!(range.start <= range.end && range.end <= len && range.len() == values.len(), "rows of the outputs");
    // SAFETY: the part lies within the vector and is as long as the values, which lie elsewhere; the caller keeps it apart.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), place.0.add(range.start), values.len()) };
}
