//! The activations one by one: value and slope of each side by side.

use crate::Scalar;

/// Calls a generic function with the pointwise function that an activation names.
macro_rules! with_pointwise {
    ($activation:expr, $t:ident, $f:ident($($arg:expr),*)) => {{
        use $crate::kernels::Activation;
        use $crate::kernels::pointwise as p;
        match $activation {
            Activation::Identity => $f(p::Identity, $($arg),*),
            Activation::Relu => $f(p::Relu, $($arg),*),
            Activation::LeakyRelu { slope } => $f(p::Leaky($t::of(slope)), $($arg),*),
            Activation::Elu { alpha } => $f(p::Exponential { scale: $t::one(), alpha: $t::of(alpha) }, $($arg),*),
            Activation::Selu => {
                $f(p::Exponential { scale: $t::of(p::SELU_SCALE), alpha: $t::of(p::SELU_ALPHA) }, $($arg),*)
            }
            Activation::Gelu => $f(p::Gelu, $($arg),*),
            Activation::GeluTanh => $f(p::GeluTanh, $($arg),*),
            Activation::Silu => $f(p::Silu, $($arg),*),
            Activation::Sigmoid => $f(p::Sigmoid, $($arg),*),
            Activation::Tanh => $f(p::Tanh, $($arg),*),
            Activation::Softplus { beta } => {
                $f(p::Softplus { beta: $t::of(beta), reciprocal: $t::of(1.0 / beta) }, $($arg),*)
            }
            Activation::HardTanh { min, max } => $f(p::HardTanh { min: $t::of(min), max: $t::of(max) }, $($arg),*),
            Activation::Relu6 => $f(p::HardTanh { min: $t::zero(), max: $t::of(6.0) }, $($arg),*),
        }
    }};
}
pub(super) use with_pointwise;

pub(super) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
pub(super) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// A function of one number.
pub(super) trait Pointwise<T>: Copy {
    /// `f(x)`.
    fn value(self, x: T) -> T;

    /// `g f'(x)`, from `f(x)` or, where that does not determine the slope, from `x`.
    fn gradient(self, saved: T, g: T) -> T;
}

#[derive(Clone, Copy)]
pub(super) struct Identity;

impl<T: Scalar> Pointwise<T> for Identity {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x
    }

    #[inline(always)]
    fn gradient(self, _: T, g: T) -> T {
        g
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl<T: Scalar> Pointwise<T> for Relu {
    #[inline(always)]
    fn value(self, x: T) -> T {
        if x <= T::zero() { T::zero() } else { x }
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        if y <= T::zero() { T::zero() } else { g }
    }
}

/// `x` where it is positive, `slope x` elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Leaky<T>(pub T);

impl<T: Scalar> Pointwise<T> for Leaky<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        if x <= T::zero() { self.0 * x } else { x }
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        if y <= T::zero() { self.0 * g } else { g }
    }
}

/// `scale x` where it is positive, `scale alpha (eˣ - 1)` elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Exponential<T> {
    pub scale: T,
    pub alpha: T,
}

impl<T: Scalar> Pointwise<T> for Exponential<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        let negative = self.alpha * x.fast_exp_m1();
        self.scale * if x <= T::zero() { negative } else { x }
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        g * if y <= T::zero() { y + self.scale * self.alpha } else { self.scale }
    }
}

/// `x Φ(x)`, the gradient from `x`.
#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl<T: Scalar> Pointwise<T> for Gelu {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x * normal_cdf(x)
    }

    #[inline(always)]
    fn gradient(self, x: T, g: T) -> T {
        let density = T::of(0.398_942_280_401_432_7) * (T::of(-0.5) * x * x).fast_exp();
        g * (normal_cdf(x) + x * density)
    }
}

#[inline(always)]
fn normal_cdf<T: Scalar>(x: T) -> T {
    T::of(0.5) * (T::one() + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).fast_erf())
}

/// `½ x (1 + tanh u) = x σ(2u)`, `u = √(2/π) (x + 0.044715 x³)`, the gradient from `x`.
#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

impl<T: Scalar> Pointwise<T> for GeluTanh {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x * gelu_angle(x).fast_sigmoid()
    }

    #[inline(always)]
    fn gradient(self, x: T, g: T) -> T {
        // Beyond 20 the slope is zero or one and the cube could overflow.
        let x = clamp(x, T::of(-20.0), T::of(20.0));
        let (s, slope) = logistic(gelu_angle(x));
        let du = T::of(2.0 * SQRT_2_OVER_PI) * (T::one() + T::of(3.0 * CUBIC) * x * x);
        g * (s + x * slope * du)
    }
}

/// `2u`.
#[inline(always)]
fn gelu_angle<T: Scalar>(x: T) -> T {
    T::of(2.0 * SQRT_2_OVER_PI) * (x + T::of(CUBIC) * x * x * x)
}

/// `σ(x)` and its slope `σ(x) σ(-x)`, neither by a difference.
#[inline(always)]
fn logistic<T: Scalar>(x: T) -> (T, T) {
    let e = (-x.abs()).fast_exp();
    let r = T::one() / (T::one() + e);
    (if x < T::zero() { e * r } else { r }, e * r * r)
}

/// `x σ(x)`, the gradient from `x`.
#[derive(Clone, Copy)]
pub(super) struct Silu;

impl<T: Scalar> Pointwise<T> for Silu {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x * x.fast_sigmoid()
    }

    #[inline(always)]
    fn gradient(self, x: T, g: T) -> T {
        let (s, slope) = logistic(x);
        g * (s + x * slope)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl<T: Scalar> Pointwise<T> for Sigmoid {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x.fast_sigmoid()
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        g * y * (T::one() - y)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl<T: Scalar> Pointwise<T> for Tanh {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x.fast_tanh()
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        g * (T::one() - y * y)
    }
}

/// `ln (1 + e^(βx)) / β`; its slope `σ(βx)` is `1 - e^(-βy)`.
#[derive(Clone, Copy)]
pub(super) struct Softplus<T> {
    pub beta: T,
    pub reciprocal: T,
}

impl<T: Scalar> Pointwise<T> for Softplus<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        (self.beta * x).fast_softplus() * self.reciprocal
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        -g * (-self.beta * y).fast_exp_m1()
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh<T> {
    pub min: T,
    pub max: T,
}

impl<T: Scalar> Pointwise<T> for HardTanh<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        clamp(x, self.min, self.max)
    }

    #[inline(always)]
    fn gradient(self, y: T, g: T) -> T {
        if y <= self.min || y >= self.max { T::zero() } else { g }
    }
}

/// Clamps; NaN stays NaN.
#[inline(always)]
fn clamp<T: Scalar>(x: T, low: T, high: T) -> T {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}
