/// Count, mean, spread and range of numbers that are seen once, in pieces.
///
/// Each piece is passed twice, then merged by the pairwise formula of Chan et al.; a column of equal numbers has
/// exactly their mean and no variance.
///
/// # References
///
/// T. Chan, G. Golub, R. LeVeque, *Algorithms for computing the sample variance*, 1983; B. Welford, *Note on a method
/// for calculating corrected sums of squares and products*, 1962.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    pub count: u64,
    pub mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    pub min: f64,
    pub max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    /// Adds the numbers of a piece.
    pub fn observe(&mut self, values: impl Iterator<Item = f64> + Clone) {
        let Some(first) = values.clone().next() else { return };
        let mut piece = Self::default();
        let mut sum = 0.0;
        for value in values.clone() {
            piece.count += 1;
            sum += value - first;
            piece.min = piece.min.min(value);
            piece.max = piece.max.max(value);
        }
        piece.mean = first + sum / piece.count as f64;
        piece.squares = values.map(|value| (value - piece.mean).powi(2)).sum();
        self.merge(&piece);
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        self.count += other.count;
        let part = theirs / self.count as f64;
        self.mean = if ours == 0.0 { other.mean } else { self.mean + distance * part };
        self.squares += other.squares + distance * distance * ours * part;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The standard deviation of the population.
    pub fn std(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], piece: usize) -> Moments {
        let mut moments = Moments::default();
        values.chunks(piece).for_each(|piece| moments.observe(piece.iter().copied()));
        moments
    }

    #[test]
    fn pieces_do_not_matter() {
        let values: Vec<f64> = (0..1000).map(|i| 1e6 + f64::from(i * i % 37)).collect();
        let mean = values.iter().sum::<f64>() / 1000.0;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1000.0).sqrt();
        for piece in [1, 7, 64, 1000] {
            let found = of(&values, piece);
            assert!((found.mean - mean).abs() < 1e-8 && (found.std() - std).abs() < 1e-8, "{found:?}");
            assert_eq!((found.count, found.min, found.max), (1000, 1e6, 1e6 + 36.0));
            let mut halves = of(&values[..300], piece);
            halves.merge(&of(&values[300..], piece));
            assert!((halves.mean - mean).abs() < 1e-8 && (halves.std() - std).abs() < 1e-8, "{halves:?}");
        }
    }

    #[test]
    fn equal_numbers_have_no_variance() {
        let found = of(&[0.1; 1000], 7);
        assert_eq!((found.mean, found.std()), (0.1, 0.0));
        assert_eq!((Moments::default().mean, Moments::default().std()), (0.0, 0.0));
    }
}
