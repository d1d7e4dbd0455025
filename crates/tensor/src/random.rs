use ndarray_rand::rand::RngCore;

/// A source of random numbers that is a value: what is drawn from it is a function of the key alone.
///
/// Keys form a tree: [`fold`](Key::fold) derives a child for a step, an operation, a row. So a random value never
/// depends on threads, ranks or the order of evaluation.
///
/// # Example
///
/// ```
/// use tidemill_tensor::Key;
///
/// let step = Key::new(42).fold(17);
/// assert_eq!(step.fold(3).block(0), Key::new(42).fold(17).fold(3).block(0));
/// assert_ne!(step.fold(3).block(0), step.fold(4).block(0));
/// ```
///
/// # References
///
/// J. Salmon, M. Moraes, R. Dror, D. Shaw, *Parallel random numbers: as easy as 1, 2, 3*, 2011 (Philox4x32-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u32; 2]);

/// The upper half of a counter: apart for values and for derived keys, so that neither repeats the other.
const VALUES: u64 = 0;
const CHILDREN: u64 = 1;

impl Key {
    /// The root key of a seed.
    pub fn new(seed: u64) -> Self {
        Self([seed as u32, (seed >> 32) as u32])
    }

    /// The child key numbered `index`.
    #[inline]
    pub fn fold(self, index: u64) -> Self {
        let [a, b, ..] = philox(self.0, index, CHILDREN);
        Self([a, b])
    }

    /// The 128 random bits numbered `index`.
    #[inline]
    pub fn block(self, index: u64) -> [u32; 4] {
        philox(self.0, index, VALUES)
    }

    /// A generator of this key's bits in order, for `rand`'s distributions.
    pub fn rng(self) -> Philox {
        Philox { key: self, next: 0, block: [0; 4], used: 4 }
    }
}

/// A key's bits in order; made by [`Key::rng`].
#[derive(Clone, Debug)]
pub struct Philox {
    key: Key,
    next: u64,
    block: [u32; 4],
    used: usize,
}

impl RngCore for Philox {
    fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = self.key.block(self.next);
            self.next += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_u32().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[inline(always)]
fn philox(key: [u32; 2], low: u64, high: u64) -> [u32; 4] {
    let mut c = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
    let mut k = key;
    for _ in 0..10 {
        let p = u64::from(c[0]) * 0xD251_1F53;
        let q = u64::from(c[2]) * 0xCD9E_8D57;
        c = [(q >> 32) as u32 ^ c[1] ^ k[0], q as u32, (p >> 32) as u32 ^ c[3] ^ k[1], p as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the authors' Random123 library, version 1.09 (file `kat_vectors`).
    #[test]
    fn philox_gives_the_authors_answers() {
        let check = |counter: [u32; 4], key: [u32; 2], want: [u32; 4]| {
            let half = |a: u32, b: u32| u64::from(a) | u64::from(b) << 32;
            assert_eq!(philox(key, half(counter[0], counter[1]), half(counter[2], counter[3])), want);
        };
        check([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        check([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        check(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    #[test]
    fn the_generator_reads_the_blocks_in_order() {
        let key = Key::new(9);
        let mut rng = key.rng();
        let drawn: Vec<u32> = (0..8).map(|_| rng.next_u32()).collect();
        assert_eq!(drawn, [key.block(0), key.block(1)].concat());
    }
}
