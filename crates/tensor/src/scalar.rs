use std::fmt::{Debug, Display};
use std::iter::Sum;

/// The name of a [`Scalar`] type, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A number that models are trained in: `f32` or `f64`.
///
/// Sealed: kernels are written for these two.
pub trait Scalar:
    private::Sealed
    + num_traits::Float
    + num_traits::NumAssign
    + ndarray::LinalgScalar
    + ndarray::ScalarOperand
    + Sum
    + Debug
    + Display
    + Default
    + Send
    + Sync
{
    /// Which of the two this is.
    const DTYPE: DType;

    /// The value nearest to `x`.
    fn of(x: f64) -> Self;

    /// The value as `f64`, exactly.
    fn widen(self) -> f64;

    /// The error function, accurate to the type's rounding.
    fn erf(self) -> Self;
}

impl Scalar for f32 {
    const DTYPE: DType = DType::F32;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn erf(self) -> Self {
        libm::erff(self)
    }
}

impl Scalar for f64 {
    const DTYPE: DType = DType::F64;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline]
    fn erf(self) -> Self {
        libm::erf(self)
    }
}
