/// A sum in two parts, its rounded value and what rounding lost, so that adding many numbers costs no digits.
///
/// # References
///
/// T. Ogita, S. Rump, S. Oishi, *Accurate sum and dot product*, 2005 (algorithm Sum2; TwoSum is Knuth's).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    rounded: f64,
    lost: f64,
}

impl Sum {
    #[inline(always)]
    pub(crate) fn add(&mut self, x: f64) {
        let sum = self.rounded + x;
        let from_x = sum - self.rounded;
        self.lost += (self.rounded - (sum - from_x)) + (x - from_x);
        self.rounded = sum;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.rounded);
        self.lost += other.lost;
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.rounded *= factor;
        self.lost *= factor;
    }

    pub(crate) fn total(self) -> f64 {
        // What an infinite sum lost is NaN and means nothing.
        if self.rounded.is_finite() { self.rounded + self.lost } else { self.rounded }
    }

    pub(crate) fn parts(self) -> [f64; 2] {
        [self.rounded, self.lost]
    }

    pub(crate) fn of_parts([rounded, lost]: [f64; 2]) -> Self {
        Self { rounded, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_survive_beside_large_ones() {
        let mut sum = Sum::default();
        for x in [1e16, 1.0, 1.0, -1e16] {
            sum.add(x);
        }
        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn an_infinite_sum_is_infinite() {
        let mut sum = Sum::default();
        sum.add(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.total(), f64::INFINITY);
    }
}
