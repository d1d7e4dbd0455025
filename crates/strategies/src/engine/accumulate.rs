use std::sync::Arc;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Program, Write};
use tidemill_optim::Optimizer;

use super::{Arenas, Engine, InParts, Outputs, Running, Task, Updated};
use crate::{Error, Sums};

/// The batch in pieces of so many rows, one after the other, their gradients added before the one update: large
/// batches in little memory.
///
/// The last piece may be smaller; nothing is dropped, and the update is the whole batch's, up to rounding.
#[derive(Clone, Debug)]
pub struct Accumulate<E> {
    rows: usize,
    inner: E,
}

impl<E> Accumulate<E> {
    /// Pieces of at most `rows` rows, each computed by `inner`.
    pub fn new(rows: usize, inner: E) -> Self {
        Self { rows, inner }
    }
}

impl<T: Scalar, E: Engine<T>> Engine<T> for Accumulate<E> {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        if self.rows == 0 {
            return Err(Error::setting("accumulate", "pieces of 0 rows; expected 1 or more"));
        }
        if program.couples_rows() {
            return Err(Error::setting(
                "accumulate",
                "the model looks at several rows at once; its batch cannot be cut",
            ));
        }
        let mut inner = self.inner.start(program, self.rows.min(rows))?;
        if inner.ranks().is_some() {
            let problem = "put it inside of the distributed engine: pieces are added up before ranks are";
            return Err(Error::setting("accumulate", problem));
        }
        if inner.stepping().is_some() {
            let problem = "the engine inside takes steps of its own, and has no gradient to add up";
            return Err(Error::setting("accumulate", problem));
        }
        Ok(Box::new(Accumulating { rows: self.rows, inner }))
    }

    fn describe(&self) -> String {
        describe(self.rows, &self.inner.describe())
    }
}

fn describe(rows: usize, inner: &str) -> String {
    format!("pieces of {rows} rows, {inner}")
}

struct Accumulating<T> {
    rows: usize,
    inner: Box<dyn Running<T>>,
}

impl<T: Scalar> Accumulating<T> {
    fn pieces<'a>(&self, task: &Task<'a, T>) -> impl Iterator<Item = Task<'a, T>> + use<'a, T> {
        let (piece, rows, task) = (self.rows, task.rows.clone(), task.clone());
        let count = rows.len().div_ceil(piece).max(1);
        (0..count).map(move |i| {
            let start = rows.start + i * piece;
            Task { rows: start..rows.end.min(start + piece), ..task.clone() }
        })
    }
}

impl<T: Scalar> Running<T> for Accumulating<T> {
    fn describe(&self) -> String {
        describe(self.rows, &self.inner.describe())
    }

    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        mut outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        let mut sums = Sums::default();
        let mut write = write;
        for piece in self.pieces(task) {
            sums.add(self.inner.gradient(&piece, gradients, write, outputs.as_deref_mut()));
            write = Write::Add;
        }
        sums
    }

    fn gradient_in_parts(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        mut outputs: Option<&mut Outputs<T>>,
        parts: &mut InParts<'_, T>,
    ) -> Sums {
        let mut sums = Sums::default();
        let mut write = write;
        for piece in self.pieces(task) {
            let outputs = outputs.as_deref_mut();
            sums.add(if piece.rows.end == task.rows.end {
                self.inner.gradient_in_parts(&piece, gradients, write, outputs, parts)
            } else {
                self.inner.gradient(&piece, gradients, write, outputs)
            });
            write = Write::Add;
        }
        sums
    }

    fn reduce(&mut self, gradients: &mut [T]) {
        self.inner.reduce(gradients);
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        let mut sums = Sums::default();
        for piece in self.pieces(task) {
            sums.add(self.inner.evaluate(&piece, outputs));
        }
        sums
    }

    fn update(
        &mut self,
        optimizer: &Optimizer<T>,
        step: u64,
        scale: T,
        arenas: Arenas<'_, T>,
    ) -> Result<Updated, tidemill_collective::Error> {
        self.inner.update(optimizer, step, scale, arenas)
    }
}
