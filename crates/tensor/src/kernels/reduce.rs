use crate::Scalar;

/// Partial sums held at once. A constant, so that the order of summation depends on nothing but the length.
const LANES: usize = 16;

vectorized! {
    /// `Σ xᵢ`, in `f64` and in an order that depends on the length alone.
    pub fn sum<T: Scalar>(x: &[T]) -> f64 {
        let (blocks, rest) = x.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane += x.widen();
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += x.widen();
        }
        fold(lanes)
    }
}

vectorized! {
    /// `Σ aᵢ bᵢ`, in `f64` and in an order that depends on the length alone.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> f64 {
        assert_eq!(a.len(), b.len());
        let ((a_blocks, a_rest), (b_blocks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut lanes = [0.0; LANES];
        for (a, b) in a_blocks.iter().zip(b_blocks) {
            for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += a.widen() * b.widen();
            }
        }
        for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
            *lane += a.widen() * b.widen();
        }
        fold(lanes)
    }
}

/// `Σ xᵢ²`, in `f64` and in an order that depends on the length alone.
pub fn sum_of_squares<T: Scalar>(x: &[T]) -> f64 {
    dot(x, x)
}

vectorized! {
    /// Whether no element is infinite or NaN. Stops at the first block that has one.
    pub fn all_finite<T: Scalar>(x: &[T]) -> bool {
        x.chunks(1024).all(|block| block.iter().fold(true, |finite, x| finite & x.is_finite()))
    }
}

/// Adds the lanes in pairs.
#[inline(always)]
fn fold(mut lanes: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::samples::{lengths, values};

    #[test]
    fn sums_agree_with_plain_loops_and_do_not_depend_on_the_path() {
        for n in lengths() {
            let (a, b) = (values::<f32>(n, 1), values::<f32>(n, 2));
            let (first, second) = (sum(&a), dot(&a, &b));
            crate::isa::on_every_path(|| {
                assert_eq!((sum(&a).to_bits(), dot(&a, &b).to_bits()), (first.to_bits(), second.to_bits()));
            });
            let want: f64 = a.iter().map(|&x| f64::from(x)).sum();
            assert!((first - want).abs() <= 1e-12 * n as f64, "length {n}: {first}, not {want}");
            let want: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            assert!((second - want).abs() <= 1e-12 * n as f64, "length {n}: {second}, not {want}");
            assert_eq!(sum_of_squares(&a), dot(&a, &a));
        }
    }

    #[test]
    fn sums_do_not_depend_on_alignment() {
        let x = values::<f32>(1000, 1);
        for offset in 0..17 {
            let copy: Vec<f32> = [vec![9.0; offset], x.clone()].concat();
            assert_eq!(sum(&copy[offset..]), sum(&x));
        }
    }

    #[test]
    fn every_value_that_is_not_finite_is_found() {
        crate::isa::on_every_path(|| {
            for n in lengths() {
                let mut x = values::<f32>(n, 1);
                assert!(all_finite(&x));
                for i in (0..n).step_by(1 + n / 80) {
                    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let kept = std::mem::replace(&mut x[i], bad);
                        assert!(!all_finite(&x), "{bad} at {i} of {n}");
                        x[i] = kept;
                    }
                }
            }
        });
        assert!(all_finite(&[f64::MAX, f64::MIN_POSITIVE, -0.0]) && !all_finite(&[0.0, f64::NAN]));
    }
}
