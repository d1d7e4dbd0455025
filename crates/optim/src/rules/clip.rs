use tidemill_tensor::{Scalar, kernels, vectorized};

use crate::error::positive;
use crate::transform::{Chunk, Coefficients, Norm, Norms, Reduction, Rule, Transform};
use crate::{Chain, Error};

/// Clips by value: every element of the updates is brought into `[−c, c]`.
pub fn clip(bound: f64) -> Chain {
    Chain::from(Clip { bound })
}

/// Clips by global norm: where `n`, the Euclidean norm of all selected updates together, exceeds `max_norm`,
/// `u ← u max_norm / (n + 1e-6)`.
///
/// This is PyTorch's `clip_grad_norm_`; [`clip_by_global_norm_with`] has other norms, and optax's rule without the 1e-6.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, adam, clip_by_global_norm};
///
/// let chain = clip_by_global_norm(1.0).then(adam(1e-3));
/// ```
///
/// # References
///
/// R. Pascanu, T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks*, 2013.
pub fn clip_by_global_norm(max_norm: f64) -> Chain {
    clip_by_global_norm_with(max_norm, Norm::L2, ClipMode::Torch)
}

/// [`clip_by_global_norm`] with a choice of norm and of rule.
pub fn clip_by_global_norm_with(max_norm: f64, norm: Norm, mode: ClipMode) -> Chain {
    Chain::from(ClipByGlobalNorm { max_norm, norm, mode })
}

/// What too long updates are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipMode {
    /// The norm plus 1e-6, as PyTorch.
    Torch,
    /// The norm, as optax and Keras.
    Exact,
}

#[derive(Clone, Debug)]
struct Clip {
    bound: f64,
}

impl Transform for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn check(&self) -> Result<(), Error> {
        positive("clip", "bound", self.bound)
    }

    fn moves_without_gradient(&self) -> bool {
        false
    }
}

impl<T: Scalar> Rule<T> for Clip {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        clamp(chunk.updates, T::of(self.bound));
    }
}

#[derive(Clone, Debug)]
struct ClipByGlobalNorm {
    max_norm: f64,
    norm: Norm,
    mode: ClipMode,
}

impl Transform for ClipByGlobalNorm {
    fn name(&self) -> &'static str {
        "clip_by_global_norm"
    }

    fn check(&self) -> Result<(), Error> {
        positive("clip_by_global_norm", "max_norm", self.max_norm)
    }

    fn moves_without_gradient(&self) -> bool {
        false
    }

    fn reduction(&self) -> Option<Reduction> {
        Some(Reduction::Global(self.norm))
    }

    fn factor(&self, norms: Norms) -> f64 {
        let divisor = match self.mode {
            ClipMode::Torch => norms.updates + 1e-6,
            ClipMode::Exact => norms.updates,
        };
        // A norm that is NaN goes through, so that the damage is seen.
        if divisor <= self.max_norm { 1.0 } else { self.max_norm / divisor }
    }
}

impl<T: Scalar> Rule<T> for ClipByGlobalNorm {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        if chunk.factor != T::one() {
            kernels::scale(chunk.updates, chunk.factor);
        }
    }
}

vectorized! {
    fn clamp<T: Scalar>(u: &mut [T], bound: T) {
        for u in u {
            let low = if *u < -bound { -bound } else { *u };
            *u = if low > bound { bound } else { low };
        }
    }
}
