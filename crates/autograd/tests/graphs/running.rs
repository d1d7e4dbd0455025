//! The numbers that models are run on, and how.

use std::ops::Range;

use tidemill_autograd::{Domain, Inputs, Key, Mode, Program, Role, Run, Scalar, Workspace, Write};

/// Rows for a program's inputs.
pub struct Table<T> {
    reals: Vec<Vec<T>>,
    indices: Vec<Vec<u32>>,
    pub rows: usize,
}

impl<T: Scalar> Table<T> {
    /// Numbers between -2 and 2, categories of all kinds, targets 0 or 1.
    pub fn draw(program: &Program<T>, rows: usize) -> Self {
        let (mut reals, mut indices) = (Vec::new(), Vec::new());
        for (i, input) in program.inputs().iter().enumerate() {
            let key = Key::new(5).fold(i as u64);
            let bits = (0..(rows * input.width()) as u64).map(|j| key.block(j)[0]);
            let (mut numbers, mut categories) = (Vec::new(), Vec::new());
            match (input.domain, input.role) {
                (Domain::Index { cardinality }, _) => categories = bits.map(|b| b % cardinality).collect(),
                (Domain::Real, Role::Target) => numbers = bits.map(|b| T::of(f64::from(b & 1))).collect(),
                (Domain::Real, Role::Feature) => numbers = bits.map(|b| T::of(f64::from(b as i32) / 2e9)).collect(),
            }
            reals.push(numbers);
            indices.push(categories);
        }
        Self { reals, indices, rows }
    }

    /// Some of the rows, in a table of their own.
    pub fn part(&self, rows: Range<usize>) -> Self {
        fn cut<V: Clone>(columns: &[Vec<V>], of: usize, rows: &Range<usize>) -> Vec<Vec<V>> {
            let width = |column: &Vec<V>| column.len() / of;
            columns.iter().map(|c| c[rows.start * width(c)..rows.end * width(c)].to_vec()).collect()
        }
        Self {
            reals: cut(&self.reals, self.rows, &rows),
            indices: cut(&self.indices, self.rows, &rows),
            rows: rows.len(),
        }
    }

    pub fn run<'a>(&'a self, params: &'a [T], first_row: usize, mode: Mode) -> Run<'a, T> {
        Run { params, inputs: self, rows: self.rows, first_row, weights: None, mode }
    }
}

impl<T> Inputs<T> for Table<T> {
    fn reals(&self, input: usize) -> &[T] {
        &self.reals[input]
    }

    fn indices(&self, input: usize) -> &[u32] {
        &self.indices[input]
    }
}

pub fn params<T: Scalar>(program: &Program<T>) -> Vec<T> {
    program.layout().initialize(Key::new(11))
}

/// What the program's root gives: its losses, or its predictions where it has no loss.
pub fn root<'w, T: Scalar>(program: &Program<T>, workspace: &'w Workspace<T>) -> &'w [T] {
    if program.has_loss() { workspace.losses() } else { workspace.prediction() }
}

/// A forward and a backward pass; the upstream gradient of a row depends on its number within the whole batch. Gives the
/// root's values.
pub fn step<T: Scalar>(
    program: &Program<T>,
    run: &Run<'_, T>,
    workspace: &mut Workspace<T>,
    gradients: &mut [T],
    write: Write,
) -> Vec<T> {
    program.forward(run, workspace);
    let values = root(program, workspace).to_vec();
    let width = values.len() / run.rows.max(1);
    for (i, g) in workspace.upstream().iter_mut().enumerate() {
        *g = T::of(0.5 + ((run.first_row * width + i) as f64).sin());
    }
    program.backward(run, workspace, gradients, write);
    values
}
