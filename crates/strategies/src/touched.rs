//! The rows of tables, such as embeddings, that a step reads and trains.

use std::ops::Range;

use tidemill_autograd::tensor::{Scalar, kernels};
use tidemill_autograd::{Inputs, Program, Table};
use tidemill_collective::{Collective, Error as Lost, Gathered, Values};
use tidemill_data::Batch;
use tidemill_optim::{Optimizer, TableRows};

use crate::binding::{Binding, BoundRows};

/// Which rows of which tables the batch at hand reads. Nothing is allocated after it was made.
pub(crate) struct Touched<T> {
    /// None, where every step updates all parameters.
    tables: Vec<Table>,
    rows: Vec<TableRows>,
    /// Those of all ranks, while they are put together.
    of_all: Vec<TableRows>,
    mine: Vec<u8>,
    all: Gathered,
    /// The values of the rows of all ranks; or those that [`preview`](Touched::preview) has replaced.
    packed: Vec<T>,
}

impl<T: Scalar> Touched<T> {
    /// For batches of at most so many rows, on so many ranks.
    pub(crate) fn new(program: &Program<T>, optimizer: &Optimizer<T>, rows: usize, ranks: usize) -> Self {
        let tables = if optimizer.tables().is_empty() { Vec::new() } else { program.tables().to_vec() };
        let most = |table: &Table| table.inputs.len() * rows;
        let with_room = |ranks: usize| {
            let room = |table: &Table| TableRows {
                range: table.range.clone(),
                width: table.width,
                rows: Vec::with_capacity(most(table) * ranks),
            };
            tables.iter().map(room).collect::<Vec<TableRows>>()
        };
        let elements = |table: &Table| table.range.len().min(most(table) * ranks * table.width);
        let (mut mine, mut all) = (Vec::new(), Gathered::default());
        let others = if ranks > 1 { ranks } else { 0 };
        if others > 0 {
            let bytes = tables.iter().map(|table| size_of::<u32>() * (1 + most(table))).sum();
            mine.reserve(bytes);
            all.reserve(ranks, bytes * ranks);
        }
        let packed = if others > 0 || optimizer.catches_up() { tables.iter().map(elements).sum() } else { 0 };
        Self { rows: with_room(1), of_all: with_room(others), mine, all, packed: Vec::with_capacity(packed), tables }
    }

    /// The rows, table by table in the order of the arena; no table where every step updates all parameters.
    pub(crate) fn rows(&self) -> &[TableRows] {
        &self.rows
    }

    /// Finds those that some rows of a batch read.
    pub(crate) fn find(&mut self, binding: &Binding, batch: &Batch<T>, rows: Range<usize>) {
        let inputs = BoundRows { binding, batch, rows };
        for (table, touched) in self.tables.iter().zip(&mut self.rows) {
            touched.rows.clear();
            for &input in &table.inputs {
                touched.rows.extend_from_slice(Inputs::<T>::indices(&inputs, input));
            }
            touched.rows.sort_unstable();
            touched.rows.dedup();
        }
    }

    /// Makes the gradients of rows the sums over all ranks, in their order, and the rows those that any of them has touched.
    pub(crate) fn sum_over_ranks(&mut self, ranks: &mut dyn Collective, gradients: &mut [T]) -> Result<(), Lost> {
        let Self { rows, of_all, mine, all, packed, .. } = self;
        mine.clear();
        for table in &*rows {
            mine.extend((table.rows.len() as u32).to_le_bytes());
            mine.extend(table.rows.iter().flat_map(|row| row.to_le_bytes()));
        }
        ranks.gather(mine, all)?;
        of_all.iter_mut().for_each(|table| table.rows.clear());
        for message in all.iter() {
            let mut words = message.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word));
            for table in &mut *of_all {
                let count = words.next().unwrap_or(0) as usize;
                table.rows.extend(words.by_ref().take(count));
            }
        }
        packed.clear();
        for (mine, all) in rows.iter().zip(&mut *of_all) {
            all.rows.sort_unstable();
            all.rows.dedup();
            let mut own = mine.rows.iter().peekable();
            for &row in &all.rows {
                if own.next_if_eq(&&row).is_some() {
                    packed.extend_from_slice(&gradients[all.place(row)]);
                } else {
                    packed.resize(packed.len() + all.width, T::zero());
                }
            }
        }
        ranks.sum(Values::of(packed))?;
        std::mem::swap(rows, of_all);
        unpack(rows, packed, gradients);
        Ok(())
    }

    /// Brings the rows up to date for a look at them outside of a step.
    pub(crate) fn preview(&mut self, optimizer: &Optimizer<T>, params: &mut [T], memory: &[T]) {
        self.packed.clear();
        for table in &self.rows {
            table.places().for_each(|place| self.packed.extend_from_slice(&params[place]));
        }
        optimizer.preview_rows(&self.rows, params, memory);
    }

    /// Puts back what [`preview`](Touched::preview) has replaced.
    pub(crate) fn end_preview(&self, params: &mut [T]) {
        unpack(&self.rows, &self.packed, params);
    }
}

fn places(tables: &[TableRows]) -> impl Iterator<Item = Range<usize>> {
    tables.iter().flat_map(TableRows::places)
}

fn unpack<T: Scalar>(tables: &[TableRows], packed: &[T], arena: &mut [T]) {
    let mut packed = packed;
    for place in places(tables) {
        let (row, rest) = packed.split_at(place.len());
        arena[place].copy_from_slice(row);
        packed = rest;
    }
}

/// Sets the gradients of rows to zero.
pub(crate) fn clear<T: Scalar>(tables: &[TableRows], gradients: &mut [T]) {
    places(tables).for_each(|place| gradients[place].fill(T::zero()));
}

/// Multiplies the gradients of rows.
pub(crate) fn scale<T: Scalar>(tables: &[TableRows], gradients: &mut [T], factor: T) {
    places(tables).for_each(|place| kernels::scale(&mut gradients[place], factor));
}
