use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Gathered};
use tidemill_data::{Batch, Kind};
use tidemill_metrics::{Rows, Target};

use crate::Error;
use crate::engine::Outputs;

/// Predictions of all ranks beside their targets, for metrics that see every row.
#[derive(Debug, Default)]
pub(crate) struct Scores<T> {
    mine: Vec<u8>,
    all: Gathered,
    predictions: Vec<T>,
    losses: Vec<T>,
    weights: Vec<T>,
    reals: Vec<T>,
    indices: Vec<u32>,
}

impl<T: Scalar> Scores<T> {
    /// Takes in what this rank predicted of its rows of a batch.
    pub(crate) fn push(&mut self, width: usize, batch: &Batch<T>, rows: Range<usize>, target: usize, out: &Outputs<T>) {
        let bytes = &mut self.mine;
        bytes.extend((rows.len() as u64).to_le_bytes());
        let mut reals = |values: &[T]| bytes.extend(values.iter().flat_map(|value| value.widen().to_le_bytes()));
        reals(&out.predictions[rows.start * width..rows.end * width]);
        reals(&out.losses[rows.clone()]);
        if let Some(weights) = batch.weights() {
            reals(&weights[rows.clone()]);
        }
        match batch.schema().fields[target].kind {
            Kind::Real { width } => reals(&batch.reals(target)[rows.start * width..rows.end * width]),
            _ => bytes.extend(batch.indices(target)[rows].iter().flat_map(|index| index.to_le_bytes())),
        }
    }

    /// Gives all ranks what each has taken in, and forgets it here.
    pub(crate) fn gather(&mut self, collective: &mut dyn Collective) -> Result<(), Lost> {
        collective.gather(&self.mine, &mut self.all)?;
        self.mine.clear();
        Ok(())
    }

    /// Calls `score` with the rows of each rank, in the order of the ranks. `like` is a batch of the same columns.
    pub(crate) fn each(
        &mut self,
        width: usize,
        like: &Batch<T>,
        target: usize,
        mut score: impl FnMut(&Rows<'_, T>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Self { all, predictions, losses, weights, reals, indices, .. } = self;
        for mut bytes in all.iter() {
            while let Some((rows, rest)) = bytes.split_first_chunk() {
                bytes = rest;
                let rows = u64::from_le_bytes(*rows) as usize;
                let mut take = |values: &mut Vec<T>, count: usize| {
                    let (these, rest) = bytes.as_chunks::<8>().0.split_at(count);
                    values.clear();
                    values.extend(these.iter().map(|&value| T::of(f64::from_le_bytes(value))));
                    bytes = &bytes[count * 8..];
                    debug_assert!(rest.len() * 8 <= bytes.len());
                };
                take(predictions, rows * width);
                take(losses, rows);
                if like.weights().is_some() {
                    take(weights, rows);
                }
                let target = match like.schema().fields[target].kind {
                    Kind::Real { width } => {
                        take(reals, rows * width);
                        Target::Real(reals)
                    }
                    _ => {
                        indices.clear();
                        let these = &bytes.as_chunks::<4>().0[..rows];
                        indices.extend(these.iter().map(|&index| u32::from_le_bytes(index)));
                        bytes = &bytes[rows * 4..];
                        Target::Index(indices)
                    }
                };
                if rows > 0 {
                    let scored = Rows::new(predictions, width, target)?.with_losses(losses)?;
                    let weights = like.weights().is_some().then_some(&weights[..]);
                    score(&match weights {
                        Some(weights) => scored.with_weights(weights)?,
                        None => scored,
                    })?;
                }
            }
        }
        Ok(())
    }
}
