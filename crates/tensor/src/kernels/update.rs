use crate::Scalar;

/// A function of three numbers, for [`update`]. Methods should be `#[inline(always)]`, or no vector code comes of them.
pub trait Update<T>: Copy {
    /// `f(y, a, b)`.
    fn apply(self, y: T, a: T, b: T) -> T;
}

vectorized! {
    /// `y ← f(y, a, b)`, element by element, for functions that are not among the kernels here.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn update<F: Update<T>, T: Scalar>(f: F, y: &mut [T], a: &[T], b: &[T]) {
        assert!(y.len() == a.len() && y.len() == b.len(), "{}, {}, {}", y.len(), a.len(), b.len());
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f.apply(*y, a, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::samples::{lengths, values};

    #[derive(Clone, Copy)]
    struct Example;

    impl<T: Scalar> Update<T> for Example {
        #[inline(always)]
        fn apply(self, y: T, a: T, b: T) -> T {
            y * a.fast_softplus() - b
        }
    }

    #[test]
    fn a_function_of_ones_own_gives_the_same_bits_on_every_path() {
        for n in lengths() {
            let (y, a, b) = (values::<f32>(n, 1), values::<f32>(n, 2), values::<f32>(n, 3));
            let want: Vec<f32> = (0..n).map(|i| Example.apply(y[i], a[i], b[i])).collect();
            crate::isa::on_every_path(|| {
                let mut got = y.clone();
                update(Example, &mut got, &a, &b);
                assert_eq!(got, want, "length {n}");
            });
        }
    }

    #[test]
    #[should_panic]
    fn lengths_must_be_alike() {
        update(Example, &mut [0.0_f32; 2], &[0.0; 2], &[0.0; 3]);
    }
}
