use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Gathered};
use tidemill_data::{Batch, Kind};
use tidemill_metrics::{Rows, Target};

use crate::engine::Outputs;
use crate::metrics::ScoredHead;
use crate::{Error, Metrics};

/// Has metrics take in a batch's outputs.
pub(crate) fn update<T: Scalar>(
    metrics: &mut Metrics<T>,
    scored: &[ScoredHead],
    batch: &Batch<T>,
    outputs: &Outputs<T>,
) -> Result<(), Error> {
    for (metric, of) in metrics.iter_mut().zip(scored) {
        let target = match batch.schema().fields[of.target].kind {
            Kind::Index { .. } => Target::Index(batch.indices(of.target)),
            _ => Target::Real(batch.reals(of.target)),
        };
        let rows = Rows::new(outputs.head(of.head), outputs.width(of.head), target)?;
        let rows = rows.with_losses(outputs.head_losses(of.head))?;
        metric.update(&match batch.weights() {
            Some(weights) => rows.with_weights(weights)?,
            None => rows,
        })?;
    }
    Ok(())
}

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
    /// Takes in what this rank predicted of its rows of a batch, of each of these heads.
    pub(crate) fn push(&mut self, scored: &[ScoredHead], batch: &Batch<T>, rows: Range<usize>, out: &Outputs<T>) {
        let bytes = &mut self.mine;
        bytes.extend((rows.len() as u64).to_le_bytes());
        let reals = |bytes: &mut Vec<u8>, values: &[T]| {
            bytes.extend(values.iter().flat_map(|value| value.widen().to_le_bytes()));
        };
        if let Some(weights) = batch.weights() {
            reals(bytes, &weights[rows.clone()]);
        }
        for (number, of) in scored.iter().enumerate() {
            if scored[..number].contains(of) {
                continue;
            }
            let width = out.width(of.head);
            reals(bytes, &out.head(of.head)[rows.start * width..rows.end * width]);
            reals(bytes, &out.head_losses(of.head)[rows.clone()]);
            match batch.schema().fields[of.target].kind {
                Kind::Real { width } => {
                    reals(bytes, &batch.reals(of.target)[rows.start * width..rows.end * width]);
                }
                _ => bytes.extend(batch.indices(of.target)[rows.clone()].iter().flat_map(|index| index.to_le_bytes())),
            }
        }
    }

    /// Gives all ranks what each has taken in, and forgets it here.
    pub(crate) fn gather(&mut self, collective: &mut dyn Collective) -> Result<(), Lost> {
        collective.gather(&self.mine, &mut self.all)?;
        self.mine.clear();
        Ok(())
    }

    /// Has metrics take in the rows of each rank, in the order of the ranks. `like` is a batch of the same columns.
    pub(crate) fn update(
        &mut self,
        metrics: &mut Metrics<T>,
        scored: &[ScoredHead],
        like: &Batch<T>,
        out: &Outputs<T>,
    ) -> Result<(), Error> {
        let Self { all, predictions, losses, weights, reals, indices, .. } = self;
        for mut bytes in all.iter() {
            while let Some((rows, rest)) = bytes.split_first_chunk() {
                bytes = rest;
                let rows = u64::from_le_bytes(*rows) as usize;
                if like.weights().is_some() {
                    take(&mut bytes, weights, rows);
                }
                for (number, of) in scored.iter().enumerate() {
                    if scored[..number].contains(of) {
                        continue;
                    }
                    take(&mut bytes, predictions, rows * out.width(of.head));
                    take(&mut bytes, losses, rows);
                    let target = match like.schema().fields[of.target].kind {
                        Kind::Real { width } => {
                            take(&mut bytes, reals, rows * width);
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
                    if rows == 0 {
                        continue;
                    }
                    let found = Rows::new(predictions, out.width(of.head), target)?.with_losses(losses)?;
                    let found = match like.weights() {
                        Some(_) => found.with_weights(weights)?,
                        None => found,
                    };
                    let all = metrics.iter_mut().zip(scored).filter(|(_, other)| *other == of);
                    all.map(|(metric, _)| metric).try_for_each(|metric| metric.update(&found))?;
                }
            }
        }
        Ok(())
    }
}

/// Takes numbers off the front.
fn take<T: Scalar>(bytes: &mut &[u8], values: &mut Vec<T>, count: usize) {
    values.clear();
    values.extend(bytes.as_chunks::<8>().0[..count].iter().map(|&value| T::of(f64::from_le_bytes(value))));
    *bytes = &bytes[count * 8..];
}
