use std::hash::{BuildHasher, Hash};

/// Registers: a power of two. The estimate is wrong by about 2 %.
const REGISTERS: usize = 1 << 11;

/// About how many different values were seen, in two kilobytes.
///
/// # References
///
/// P. Flajolet et al., *HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm*, 2007.
#[derive(Clone)]
pub struct Distinct {
    registers: Box<[u8]>,
}

impl Default for Distinct {
    fn default() -> Self {
        Self { registers: vec![0; REGISTERS].into() }
    }
}

impl Distinct {
    pub fn observe(&mut self, hash: u64) {
        let register = (hash >> (64 - REGISTERS.trailing_zeros())) as usize;
        let rank = (hash << REGISTERS.trailing_zeros()).leading_zeros() + 1;
        self.registers[register] = self.registers[register].max(rank as u8);
    }

    pub fn estimate(&self) -> f64 {
        let m = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|&rank| (-f64::from(rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = self.registers.iter().filter(|&&rank| rank == 0).count();
        if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw }
    }
}

/// A hash that is the same in every process.
#[derive(Clone, Copy, Default)]
pub struct Stable;

impl Stable {
    pub fn of(self, value: &(impl Hash + ?Sized)) -> u64 {
        self.hash_one(value)
    }
}

impl BuildHasher for Stable {
    type Hasher = std::hash::DefaultHasher;

    fn build_hasher(&self) -> Self::Hasher {
        std::hash::DefaultHasher::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_near() {
        for count in [0_u64, 1, 100, 5_000, 80_000, 1_000_000] {
            let mut distinct = Distinct::default();
            (0..count).chain(0..count / 2).for_each(|value| distinct.observe(Stable.of(&value)));
            let (estimate, count) = (distinct.estimate(), count as f64);
            assert!((estimate - count).abs() <= 0.06 * count, "{estimate} for {count}");
        }
    }
}
