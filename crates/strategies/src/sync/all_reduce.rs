use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Values};

use super::{GradientSync, Overlap, Sharing, SyncStep, Synced};

/// Gradients are added up in the order of the ranks: the bits depend on the values and the number of ranks alone. Of a large
/// model, each rank adds up and updates its share, and all get the parameters.
///
/// # References
///
/// A. Sergeev, M. Del Balso, *Horovod: fast and easy distributed deep learning in TensorFlow*, 2018. S. Rajbhandari et
/// al., *ZeRO: memory optimizations toward training trillion parameter models*, 2020 (each rank updates its share).
#[derive(Clone, Copy, Debug, Default)]
pub struct AllReduce;

impl AllReduce {
    /// Begins to add up parts of the gradient, of at least so many bytes, while the rest is still computed.
    pub fn overlap(self, bytes: usize) -> Overlap {
        Overlap::new(bytes)
    }
}

/// Fewer parameters than this each rank updates itself: one message less.
const WORTH_SHARING: usize = 4096;

impl<T: Scalar> GradientSync<T> for AllReduce {
    fn describe(&self) -> String {
        "sums in rank order".into()
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], step: &SyncStep) -> Result<Synced, Lost> {
        if step.sharing == Sharing::Possible && gradient.len() >= WORTH_SHARING && ranks.size() > 1 {
            return ranks.sum_shares(Values::of(gradient)).map(|()| Synced::Share);
        }
        ranks.sum(Values::of(gradient)).map(|()| Synced::Sum)
    }
}

/// Gradients are added up in whatever order is fastest: possibly to other bits in another world, though the same on all
/// ranks. Each rank updates all parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct FastAllReduce;

impl<T: Scalar> GradientSync<T> for FastAllReduce {
    fn describe(&self) -> String {
        "sums in any order".into()
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], _step: &SyncStep) -> Result<Synced, Lost> {
        ranks.fast_sum(Values::of(gradient)).map(|()| Synced::Sum)
    }
}
