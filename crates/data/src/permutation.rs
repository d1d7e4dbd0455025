use tidemill_tensor::Key;

/// A permutation of `0..n` that is a function of a key: no table, any place in any order.
///
/// A Feistel network permutes the smallest range `0..2^b` that holds `n` numbers. Where it leads out of `0..n` it is
/// applied again until it leads back, fewer than twice on average, which leaves a permutation of `0..n`.
///
/// # Example
///
/// ```
/// use tidemill_data::Permutation;
/// use tidemill_tensor::Key;
///
/// let order = Permutation::new(10, Key::new(7).fold(0));
/// let mut rows: Vec<u64> = (0..10).map(|place| order.at(place)).collect();
/// rows.sort();
/// assert_eq!(rows, (0..10).collect::<Vec<u64>>());
/// ```
///
/// # References
///
/// J. Black, P. Rogaway, *Ciphers with arbitrary finite domains*, 2002 (cycle walking).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    n: u64,
    low_bits: u32,
    low_mask: u64,
    high_mask: u64,
    rounds: [u64; Self::ROUNDS],
}

impl Permutation {
    const ROUNDS: usize = 8;

    /// The permutation of `0..n` that belongs to `key`.
    pub fn new(n: u64, key: Key) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let high_bits = bits / 2;
        let low_bits = bits - high_bits;
        let rounds = std::array::from_fn(|round| {
            let [a, b, ..] = key.block(round as u64);
            u64::from(a) | u64::from(b) << 32
        });
        Self { n, low_bits, low_mask: (1 << low_bits) - 1, high_mask: (1 << high_bits) - 1, rounds }
    }

    /// How many numbers are permuted.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The number at a place.
    ///
    /// # Panics
    ///
    /// When `place` is not below [`len`](Permutation::len).
    #[inline]
    pub fn at(&self, place: u64) -> u64 {
        assert!(place < self.n, "place {place} of a permutation of {}", self.n);
        let mut x = self.encipher(place);
        while x >= self.n {
            x = self.encipher(x);
        }
        x
    }

    /// The place of a number: the inverse of [`at`](Permutation::at).
    ///
    /// # Panics
    ///
    /// When `number` is not below [`len`](Permutation::len).
    #[inline]
    pub fn place_of(&self, number: u64) -> u64 {
        assert!(number < self.n, "number {number} of a permutation of {}", self.n);
        let mut x = self.decipher(number);
        while x >= self.n {
            x = self.decipher(x);
        }
        x
    }

    #[inline]
    fn encipher(&self, x: u64) -> u64 {
        let (mut high, mut low) = (x >> self.low_bits, x & self.low_mask);
        for keys in self.rounds.chunks_exact(2) {
            high ^= mix(low, keys[0]) & self.high_mask;
            low ^= mix(high, keys[1]) & self.low_mask;
        }
        high << self.low_bits | low
    }

    #[inline]
    fn decipher(&self, x: u64) -> u64 {
        let (mut high, mut low) = (x >> self.low_bits, x & self.low_mask);
        for keys in self.rounds.rchunks_exact(2) {
            low ^= mix(high, keys[1]) & self.low_mask;
            high ^= mix(low, keys[0]) & self.high_mask;
        }
        high << self.low_bits | low
    }
}

/// A keyed hash of half a number: its low bits depend on all bits of `half` and `key`.
#[inline]
fn mix(half: u64, key: u64) -> u64 {
    let a = (half ^ key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let b = (a ^ a >> 32 ^ key.rotate_left(32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    b >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: u64, key: Key) -> Vec<u64> {
        let permutation = Permutation::new(n, key);
        (0..n).map(|place| permutation.at(place)).collect()
    }

    #[test]
    fn every_number_comes_once() {
        for n in (0..70).chain([127, 128, 129, 1000, 4095, 4096, 4097, 65_537]) {
            for seed in 0..5 {
                let mut seen = vec![false; n as usize];
                for x in order(n, Key::new(seed)) {
                    assert!(!std::mem::replace(&mut seen[x as usize], true), "{x} comes twice, n = {n}");
                }
            }
        }
    }

    #[test]
    fn every_number_is_found_at_its_place() {
        for n in (1..70).chain([127, 128, 129, 4097, 1 << 40, u64::MAX]) {
            let permutation = Permutation::new(n, Key::new(n));
            for place in (0..n.min(200)).chain([n / 2, n - 1]) {
                assert_eq!(permutation.place_of(permutation.at(place)), place, "n = {n}");
            }
        }
    }

    #[test]
    fn large_domains_stay_inside() {
        for n in [1 << 40, (1 << 40) + 1, u64::MAX] {
            let permutation = Permutation::new(n, Key::new(1));
            assert!([0, 1, n / 2, n - 1].iter().all(|&place| permutation.at(place) < n));
        }
    }

    /// Each place takes each number equally often over many keys: chi-square against the uniform distribution.
    #[test]
    fn each_number_is_equally_likely_at_each_place() {
        for n in [2, 3, 5, 8, 10, 33, 100] {
            let keys = 400 * n;
            let mut counts = vec![0_u64; (n * n) as usize];
            for k in 0..keys {
                for (place, x) in order(n, Key::new(11).fold(k)).into_iter().enumerate() {
                    counts[place * n as usize + x as usize] += 1;
                }
            }
            assert_uniform(&counts, (n - 1) * (n - 1), &format!("places, n = {n}"));
        }
    }

    #[test]
    fn each_order_of_few_is_equally_likely() {
        for (n, orders) in [(3, 6), (4, 24)] {
            let mut counts = std::collections::BTreeMap::<Vec<u64>, u64>::new();
            (0..24_000).for_each(|k| *counts.entry(order(n, Key::new(5).fold(k))).or_default() += 1);
            assert_eq!(counts.len(), orders);
            assert_uniform(&counts.into_values().collect::<Vec<_>>(), orders as u64 - 1, &format!("orders, n = {n}"));
        }
    }

    /// Within one key: the steps between neighbours, modulo n, fall equally often into ten ranges.
    #[test]
    fn neighbours_part() {
        for n in [1000, 4096, 100_000] {
            let numbers = order(n, Key::new(3).fold(n));
            let mut counts = [0; 10];
            numbers.windows(2).for_each(|w| counts[((w[1] + n - w[0]) % n * 10 / n) as usize] += 1);
            assert_uniform(&counts, 9, &format!("steps, n = {n}"));
        }
    }

    /// Chi-square less its expectation stays within five standard deviations (normal approximation).
    fn assert_uniform(counts: &[u64], freedom: u64, what: &str) {
        let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        let chi: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
        let deviations = (chi - freedom as f64) / (2.0 * freedom as f64).sqrt();
        assert!(deviations < 5.0, "{what}: chi-square {chi} at {freedom} degrees of freedom");
    }
}
