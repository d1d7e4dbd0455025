use std::fmt::{Debug, Display};
use std::iter::Sum;

use crate::conv::Convolve;
use crate::kernels::math;
use crate::matmul::Multiply;
use crate::pool::Pool;

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
    + Multiply
    + Convolve
    + Pool
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

    /// `eˣ`. In `f32` within 1.5 units of the last place, gradual underflow included, without branches; in `f64` the
    /// standard library's. So it is for the other `fast` functions.
    #[inline(always)]
    fn fast_exp(self) -> Self {
        self.exp()
    }

    /// `eˣ - 1`, accurate about zero. In `f32` within 2 units of the last place.
    #[inline(always)]
    fn fast_exp_m1(self) -> Self {
        self.exp_m1()
    }

    /// `ln x`. In `f32` within 1.5 units of the last place.
    #[inline(always)]
    fn fast_ln(self) -> Self {
        self.ln()
    }

    /// `ln (1 + x)`, accurate about zero. In `f32` within 2.5 units of the last place.
    #[inline(always)]
    fn fast_ln_1p(self) -> Self {
        self.ln_1p()
    }

    /// The hyperbolic tangent. In `f32` within 2.5 units of the last place.
    #[inline(always)]
    fn fast_tanh(self) -> Self {
        self.tanh()
    }

    /// The error function. In `f32` within 2.5 units of the last place.
    #[inline(always)]
    fn fast_erf(self) -> Self {
        self.erf()
    }

    /// `σ(x) = 1 / (1 + e⁻ˣ)`, without overflow. In `f32` within 2.5 units of the last place.
    #[inline(always)]
    fn fast_sigmoid(self) -> Self {
        let e = (-self.abs()).fast_exp();
        let numerator = if self < Self::zero() { e } else { Self::one() };
        numerator / (Self::one() + e)
    }

    /// `ln (1 + eˣ)`, without overflow. In `f32` within 3 units of the last place.
    #[inline(always)]
    fn fast_softplus(self) -> Self {
        let positive = if self < Self::zero() { Self::zero() } else { self };
        positive + (-self.abs()).fast_exp().fast_ln_1p()
    }
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

    #[inline(always)]
    fn fast_exp(self) -> Self {
        math::exp(self)
    }

    #[inline(always)]
    fn fast_exp_m1(self) -> Self {
        math::exp_m1(self)
    }

    #[inline(always)]
    fn fast_ln(self) -> Self {
        math::ln(self)
    }

    #[inline(always)]
    fn fast_ln_1p(self) -> Self {
        math::ln_1p(self)
    }

    #[inline(always)]
    fn fast_tanh(self) -> Self {
        math::tanh(self)
    }

    #[inline(always)]
    fn fast_erf(self) -> Self {
        math::erf(self)
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
