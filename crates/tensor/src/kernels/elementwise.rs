use crate::Scalar;

vectorized! {
    /// `y ← y + a x`.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn axpy<T: Scalar>(y: &mut [T], a: T, x: &[T]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y += a * x;
        }
    }
}

vectorized! {
    /// `y ← y + x`.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn add_assign<T: Scalar>(y: &mut [T], x: &[T]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

vectorized! {
    /// `y ← y x`, element by element.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn multiply_assign<T: Scalar>(y: &mut [T], x: &[T]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y *= x;
        }
    }
}

vectorized! {
    /// `y ← y + a b`, element by element.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn multiply_add<T: Scalar>(y: &mut [T], a: &[T], b: &[T]) {
        assert!(y.len() == a.len() && y.len() == b.len(), "{}, {}, {}", y.len(), a.len(), b.len());
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y += a * b;
        }
    }
}

vectorized! {
    /// `y ← a + b`, element by element.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn add<T: Scalar>(y: &mut [T], a: &[T], b: &[T]) {
        assert!(y.len() == a.len() && y.len() == b.len(), "{}, {}, {}", y.len(), a.len(), b.len());
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a + b;
        }
    }
}

vectorized! {
    /// `y ← a - b`, element by element.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn subtract<T: Scalar>(y: &mut [T], a: &[T], b: &[T]) {
        assert!(y.len() == a.len() && y.len() == b.len(), "{}, {}, {}", y.len(), a.len(), b.len());
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a - b;
        }
    }
}

vectorized! {
    /// `y ← a b`, element by element.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn multiply<T: Scalar>(y: &mut [T], a: &[T], b: &[T]) {
        assert!(y.len() == a.len() && y.len() == b.len(), "{}, {}, {}", y.len(), a.len(), b.len());
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a * b;
        }
    }
}

vectorized! {
    /// `y ← a y`.
    pub fn scale<T: Scalar>(y: &mut [T], a: T) {
        for y in y {
            *y *= a;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::samples::{lengths, values};

    /// Compares a kernel on `(y, a, b)` with a function of one element, bit by bit, on every instruction set.
    fn check(kernel: fn(&mut [f32], &[f32], &[f32]), element: fn(f32, f32, f32) -> f32) {
        crate::isa::on_every_path(|| {
            for n in lengths() {
                let (y, a, b) = (values(n, 1), values(n, 2), values(n, 3));
                let want: Vec<f32> = (0..n).map(|i| element(y[i], a[i], b[i])).collect();
                let mut got = y.clone();
                kernel(&mut got, &a, &b);
                assert_eq!(got, want, "length {n}");
            }
        });
    }

    #[test]
    fn kernels_agree_with_plain_arithmetic() {
        check(|y, a, _| axpy(y, 0.3, a), |y, a, _| y + 0.3 * a);
        check(|y, a, _| add_assign(y, a), |y, a, _| y + a);
        check(|y, a, _| multiply_assign(y, a), |y, a, _| y * a);
        check(multiply_add, |y, a, b| y + a * b);
        check(add, |_, a, b| a + b);
        check(subtract, |_, a, b| a - b);
        check(multiply, |_, a, b| a * b);
        check(|y, _, _| scale(y, -1.7), |y, _, _| y * -1.7);
    }

    #[test]
    #[should_panic(expected = "1, 2, 1")]
    fn unequal_lengths_are_refused() {
        multiply_add(&mut [1.0_f64], &[1.0, 2.0], &[1.0]);
    }
}
