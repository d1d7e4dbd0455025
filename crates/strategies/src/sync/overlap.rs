use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Values};

use super::{GradientSync, SyncRun, SyncStep, Synced};
use crate::Error;

/// As [`AllReduce`](super::AllReduce), to the same bits; but parts of the gradient begin to be added up as soon as they are
/// whole, from the end of the arena, while the rest is still computed. Each rank updates all parameters.
///
/// It pays where messages take long and processors are not all busy: over a network.
///
/// # References
///
/// S. Li et al., *PyTorch distributed: experiences on accelerating data parallel training*, 2020 (buckets).
#[derive(Clone, Debug)]
pub struct Overlap {
    bytes: usize,
    /// Parts whose sums have begun, in that order.
    begun: Vec<Range<usize>>,
}

impl Overlap {
    /// Parts of at least so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, begun: Vec::new() }
    }

    fn end<T: Scalar>(&mut self, ranks: &mut dyn Collective, gradient: &mut [T]) -> Result<(), Lost> {
        self.begun.drain(..).try_for_each(|range| ranks.end_sum(Values::of(&mut gradient[range])))
    }
}

impl<T: Scalar> GradientSync<T> for Overlap {
    fn describe(&self) -> String {
        format!("sums of {} bytes begun early", self.bytes)
    }

    fn start(&mut self, _run: &SyncRun<'_>) -> Result<(), Error> {
        self.begun.clear();
        Ok(())
    }

    fn part_bytes(&self, _step: u64) -> Option<usize> {
        Some(self.bytes)
    }

    fn begin(&mut self, ranks: &mut dyn Collective, range: Range<usize>, part: &mut [T]) -> Result<(), Lost> {
        ranks.begin_sum(Values::of(part))?;
        self.begun.push(range);
        Ok(())
    }

    fn cancel(&mut self, ranks: &mut dyn Collective, gradient: &mut [T]) -> Result<(), Lost> {
        self.end(ranks, gradient)
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], _step: &SyncStep) -> Result<Synced, Lost> {
        self.end(ranks, gradient).map(|()| Synced::Sum)
    }
}
