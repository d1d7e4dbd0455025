//! What the kernels' tests run on.

use crate::{Key, Scalar};

/// Lengths about every vector width, and some long ones.
pub(crate) fn lengths() -> impl Iterator<Item = usize> {
    let (short, long) = if cfg!(miri) { (20, [33, 65, 129]) } else { (70, [127, 1000, 5003]) };
    (0..short).chain(long)
}

/// Numbers between -4 and 4.
pub(crate) fn values<T: Scalar>(n: usize, salt: u64) -> Vec<T> {
    let key = Key::new(salt);
    (0..n as u64).map(|i| T::of(f64::from(f32::from(key.block(i)[0] as u16) - 32768.0) / 8192.0)).collect()
}

/// Whole numbers, many of them alike, so small that products and sums of some thousand are exact in `f32`.
pub(crate) fn whole<T: Scalar>(n: usize, salt: u64) -> Vec<T> {
    let key = Key::new(salt);
    (0..n as u64).map(|i| T::of(f64::from(key.block(i)[0] % 15) - 7.0)).collect()
}
