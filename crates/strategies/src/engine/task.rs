use std::ops::Range;

use tidemill_autograd::tensor::{Key, Scalar};
use tidemill_data::Batch;
use tidemill_optim::TableRows;

use crate::{Binding, Timeline};

/// Rows to compute on.
#[derive(Clone)]
pub struct Task<'a, T> {
    /// The parameters.
    pub params: &'a [T],
    /// The rows of the step. Those of weight zero have been left out: what is NaN or infinite in a row is so in the
    /// gradient, whatever the row weighs.
    pub batch: &'a Batch<T>,
    /// Which of its columns feed which inputs.
    pub binding: &'a Binding,
    /// Which of its rows.
    pub rows: Range<usize>,
    /// The rows of the batch among those that were read.
    pub read: ReadRows<'a>,
    /// The rows of tables that they read, in the order of the arena: the others' gradients are not looked at. No table,
    /// where every step updates all parameters.
    pub touched: &'a [TableRows],
    /// The step's number, from zero.
    pub step: u64,
    /// What learning rates are multiplied by: for engines that take steps while they compute.
    pub learning_rate_factor: f64,
    /// This step's random numbers.
    pub key: Key,
    /// The key of which the steps' keys are children, by their numbers.
    pub keys: Key,
    /// Optional profiler.
    pub timeline: Option<&'a Timeline>,
}

impl<'a, T: Scalar> Task<'a, T> {
    /// All rows of a batch, as step 0 of seed 0.
    pub fn new(params: &'a [T], batch: &'a Batch<T>, binding: &'a Binding) -> Self {
        let (rows, key) = (0..batch.rows(), Key::new(0));
        let read = ReadRows { count: rows.len(), kept: None };
        Self {
            params,
            batch,
            binding,
            rows,
            read,
            touched: &[],
            step: 0,
            learning_rate_factor: 1.0,
            key,
            keys: key,
            timeline: None,
        }
    }
}

/// Which of the rows that were read are in a batch, those of weight zero being left out.
#[derive(Clone, Copy, Debug)]
pub struct ReadRows<'a> {
    /// Rows that were read.
    pub count: usize,
    /// The places of the batch's rows among them; `None` where all are in the batch.
    pub kept: Option<&'a [usize]>,
}

impl ReadRows<'_> {
    /// Where in the batch the rows are that were read as these.
    pub fn kept_of(&self, read: Range<usize>) -> Range<usize> {
        let Some(places) = self.kept else { return read };
        let at = |row| places.partition_point(|&place| place < row);
        at(read.start)..at(read.end)
    }
}
