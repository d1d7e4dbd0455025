use std::ops::Range;

use tidemill_autograd::tensor::{Scalar, kernels};
use tidemill_collective::{Collective, Error as Lost, Values};

use super::{GradientSync, SyncRun, SyncStep, Synced};
use crate::Error;

/// Combines the ranks' mean gradients by how much they agree, parameter by parameter: those that point the same way are
/// averaged, those at right angles added. Two ranks so go further in a step than one, where that is safe, and not the way
/// that one process would go. Every rank gets every other's whole gradient.
///
/// # References
///
/// S. Maleki et al., *Scaling distributed training with adaptive summation*, 2020.
#[derive(Clone, Debug, Default)]
pub struct Adasum<T> {
    /// The elements of each parameter, which are combined by themselves.
    groups: Vec<Range<usize>>,
    /// The gradient of each rank.
    of_ranks: Vec<Vec<T>>,
}

impl<T: Scalar> Adasum<T> {
    /// Combines whole gradients.
    pub fn new() -> Self {
        Self { groups: Vec::new(), of_ranks: Vec::new() }
    }
}

impl<T: Scalar> GradientSync<T> for Adasum<T> {
    fn describe(&self) -> String {
        "adasum".into()
    }

    fn start(&mut self, run: &SyncRun<'_>) -> Result<(), Error> {
        self.groups = run.layout.parameters().iter().map(|parameter| parameter.range()).collect();
        self.of_ranks = vec![vec![T::zero(); run.layout.len()]; run.ranks];
        Ok(())
    }

    fn sync(&mut self, collective: &mut dyn Collective, gradients: &mut [T], step: &SyncStep) -> Result<Synced, Lost> {
        let weight = step.own_weight;
        // Without rows the gradient is zero, which changes nothing.
        kernels::scale(gradients, if weight > 0.0 { T::of(1.0 / weight) } else { T::zero() });
        let own = collective.rank();
        for (rank, buffer) in self.of_ranks.iter_mut().enumerate() {
            if rank == own {
                buffer.copy_from_slice(gradients);
            }
            collective.broadcast(rank, Values::of(buffer))?;
        }
        let mut stride = 1;
        while stride < self.of_ranks.len() {
            for pair in self.of_ranks.chunks_mut(2 * stride) {
                if let Some((left, [right, ..])) = pair.split_at_mut_checked(stride) {
                    self.groups.iter().for_each(|group| combine(&mut left[0][group.clone()], &right[group.clone()]));
                }
            }
            stride *= 2;
        }
        gradients.copy_from_slice(&self.of_ranks[0]);
        Ok(Synced::Mean)
    }
}

/// `a ← (1 − a·b / 2a²) a + (1 − a·b / 2b²) b`
fn combine<T: Scalar>(a: &mut [T], b: &[T]) {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a.widen(), b.widen());
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    let part = |square: f64| if square > 0.0 { T::of(1.0 - ab / (2.0 * square)) } else { T::one() };
    let (of_a, of_b) = (part(aa), part(bb));
    for (a, &b) in a.iter_mut().zip(b) {
        *a = of_a * *a + of_b * b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut a = a.to_vec();
        combine(&mut a, b);
        a
    }

    #[test]
    fn as_much_as_they_agree() {
        assert_eq!(combined(&[1.0, 2.0], &[1.0, 2.0]), [1.0, 2.0], "the same twice is itself");
        assert_eq!(combined(&[1.0, 0.0], &[0.0, 3.0]), [1.0, 3.0], "at right angles, both");
        assert_eq!(combined(&[1.0, 2.0], &[0.0, 0.0]), [1.0, 2.0], "nothing changes nothing");
        // By hand: ab = 3, aa = 9, bb = 2.
        let want = [3.0 * (1.0 - 3.0 / 18.0) + (1.0 - 3.0 / 4.0), 1.0 - 3.0 / 4.0];
        assert_eq!(combined(&[3.0, 0.0], &[1.0, 1.0]), want);
    }
}
