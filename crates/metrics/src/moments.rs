use crate::Error;
use crate::state::exactly;

/// The running mean and variance of a stream of numbers, mergeable.
///
/// `mean = Σ w x / Σ w`, `variance = Σ w (x - mean)² / Σ w`: the population variance (divisor `n`, not `n - 1`), as in
/// scikit-learn's and River's `StandardScaler`. All is counted from the first number, and squares are taken of
/// deviations, so that a large mean costs no digits.
///
/// # Example
///
/// ```
/// use tidemill_metrics::RunningMoments;
///
/// let mut moments = RunningMoments::default();
/// for x in [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0] {
///     moments.update(x);
/// }
/// assert_eq!(moments.mean(), 1e9 + 2.0);
/// assert!((moments.variance() - 2.0 / 3.0).abs() < 1e-12);
/// ```
///
/// # References
///
/// B. Welford, *Note on a method for calculating corrected sums of squares and products*, 1962; D. West, *Updating mean
/// and variance estimates: an improved method*, 1979 (weights); T. Chan, G. Golub, R. LeVeque, *Updating formulae and a
/// pairwise algorithm for computing sample variances*, 1979 (merging).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunningMoments {
    weight: f64,
    /// The first number.
    origin: f64,
    /// The mean, from the origin.
    shift: f64,
    /// Squared deviations from the mean, summed.
    squares: f64,
}

impl RunningMoments {
    /// Takes in a number.
    #[inline]
    pub fn update(&mut self, x: f64) {
        self.update_weighted(x, 1.0);
    }

    /// Takes in a number that counts `weight` times, above zero.
    #[inline]
    pub fn update_weighted(&mut self, x: f64, weight: f64) {
        if self.weight == 0.0 {
            *self = Self { weight, origin: x, shift: 0.0, squares: 0.0 };
            return;
        }
        let x = x - self.origin;
        self.weight += weight;
        let before = x - self.shift;
        self.shift += before * (weight / self.weight);
        self.squares += weight * before * (x - self.shift);
    }

    /// Takes in the numbers that another has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.weight == 0.0 {
            return;
        }
        if self.weight == 0.0 {
            *self = *other;
            return;
        }
        let weight = self.weight + other.weight;
        let apart = (other.origin - self.origin) + (other.shift - self.shift);
        let share = other.weight / weight;
        self.squares += other.squares + apart * apart * self.weight * share;
        self.shift += apart * share;
        self.weight = weight;
    }

    /// Multiplies the weights of all numbers seen so far by `factor`.
    pub fn fade(&mut self, factor: f64) {
        self.weight *= factor;
        self.squares *= factor;
    }

    /// The summed weights: how many numbers were seen.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean; NaN before the first number.
    pub fn mean(&self) -> f64 {
        if self.weight == 0.0 { f64::NAN } else { self.origin + self.shift }
    }

    /// The population variance; NaN before the first number.
    pub fn variance(&self) -> f64 {
        self.squares / self.weight
    }

    /// `Σ w (x - mean)²`.
    pub fn squared_deviations(&self) -> f64 {
        self.squares
    }

    /// All that has been learned: weight, first number, mean from there, squared deviations.
    pub fn state(&self) -> Vec<f64> {
        self.parts().to_vec()
    }

    /// Takes over a [`state`](Self::state), bit for bit.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is not four numbers.
    pub fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        *self = Self::of_parts(exactly("running moments", state)?);
        Ok(())
    }

    pub(crate) fn parts(&self) -> [f64; 4] {
        [self.weight, self.origin, self.shift, self.squares]
    }

    pub(crate) fn of_parts([weight, origin, shift, squares]: [f64; 4]) -> Self {
        Self { weight, origin, shift, squares }
    }
}
