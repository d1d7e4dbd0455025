use std::hash::{BuildHasherDefault, Hasher};

/// A hash map whose hashes are the same in every process; fast for short keys.
pub(super) type StableMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<StableHasher>>;

/// FNV-1a of 64 bits with the finalizer of MurmurHash3, so that every bit of the result depends on every bit hashed.
///
/// # References
///
/// G. Fowler, L. Noll, K. Vo, D. Eastlake, *The FNV non-cryptographic hash algorithm*, 2011.
#[derive(Clone, Copy, Debug)]
pub(super) struct StableHasher(u64);

impl Default for StableHasher {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Hasher for StableHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// What 64 bits hold is hashed as such: half the work.
    #[inline]
    fn write_i128(&mut self, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.write(&value.to_le_bytes()),
            Err(_) => self.write(&value.to_le_bytes()),
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        let mut h = self.0;
        h = (h ^ h >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        h = (h ^ h >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        h ^ h >> 33
    }
}

/// The hash of bytes; part of what a saved encoder means, so it must never change.
#[inline]
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hasher = StableHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The raw state before the finalizer is FNV-1a as published, for its published test strings.
    #[test]
    fn the_state_is_fnv_1a() {
        let check = |text: &str, want: u64| {
            let mut hasher = StableHasher::default();
            hasher.write(text.as_bytes());
            assert_eq!(hasher.0, want, "{text}");
        };
        check("", 0xcbf2_9ce4_8422_2325);
        check("a", 0xaf63_dc4c_8601_ec8c);
        check("foobar", 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_hash_does_not_change() {
        assert_eq!(stable_hash(b"carrier"), 0x117a_29c3_676c_a50c);
    }
}
