use tidemill_tensor::{Scalar, vectorized};

use crate::Error;
use crate::error::unit;
use crate::rules::mean::{Decay, by_decay, correction};

/// An exponential moving average of the parameters, often better than the last ones: `e ← δ e + (1 − δ) p` after each
/// update. Not a transform: it looks on.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Average, Bias};
///
/// let average = Average::new(0.5, Bias::Initial)?;
/// let mut state = average.initial_state(&[0.0, 8.0]);
/// average.update(&[2.0, 4.0], &mut state);
/// assert_eq!(state, [1.0, 6.0]);
/// # Ok::<(), tidemill_optim::Error>(())
/// ```
///
/// # References
///
/// B. Polyak, A. Juditsky, *Acceleration of stochastic approximation by averaging*, 1992.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    decay: f64,
    bias: Bias,
}

/// From where an [`Average`] starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// From the initial parameters, which it forgets only slowly.
    Initial,
    /// From zero, and what is read is divided by `1 − δᵗ`, the weight of the parameters seen.
    Corrected,
}

impl Average {
    /// An average with decay `δ`.
    ///
    /// # Errors
    ///
    /// When not `0 <= decay < 1`.
    pub fn new(decay: f64, bias: Bias) -> Result<Self, Error> {
        unit("average", "decay", decay)?;
        Ok(Self { decay, bias })
    }

    /// The average before the first update.
    pub fn initial_state<T: Scalar>(&self, parameters: &[T]) -> Vec<T> {
        match self.bias {
            Bias::Initial => parameters.to_vec(),
            Bias::Corrected => vec![T::zero(); parameters.len()],
        }
    }

    /// Takes up the parameters after an update.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn update<T: Scalar>(&self, parameters: &[T], state: &mut [T]) {
        assert_eq!(parameters.len(), state.len());
        approach(state, parameters, [Decay::new(self.decay)]);
    }

    /// Writes the averaged parameters to `out`, after the update numbered `step`, from 0.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn read<T: Scalar>(&self, step: u64, state: &[T], out: &mut [T]) {
        out.copy_from_slice(state);
        if self.bias == Bias::Corrected {
            let weight = T::of(correction(self.decay, step));
            out.iter_mut().for_each(|e| *e /= weight);
        }
    }
}

vectorized! {
    fn approach<T: Scalar>(e: &mut [T], p: &[T], decay: [Decay<T>; 1]) {
        by_decay!(decay, {
            let [decay] = decay;
            for (e, &p) in e.iter_mut().zip(p) {
                *e = decay.mean(*e, p);
            }
        });
    }
}
