use crate::Scalar;
use crate::kernels::pointwise::{Pointwise, with_pointwise};

/// A function applied to each element by itself.
///
/// # Example
///
/// ```
/// use tidemill_tensor::kernels::Activation;
///
/// let mut y = [-1.0_f32, 0.5];
/// Activation::Relu.forward(&mut y);
/// let mut g = [3.0, 4.0];
/// Activation::Relu.backward(&y, &mut g);
/// assert_eq!((y, g), ([0.0, 0.5], [0.0, 4.0]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `f(x) = x`.
    Identity,
    /// `f(x) = max(0, x)`.
    Relu,
    /// `f(x) = x` where `x > 0`, else `slope x` (A. Maas et al., *Rectifier nonlinearities improve neural network
    /// acoustic models*, 2013). PyTorch's default slope is 0.01, Keras's 0.3.
    LeakyRelu {
        /// The slope below zero, not negative.
        slope: f64,
    },
    /// `f(x) = x` where `x > 0`, else `alpha (eˣ - 1)` (D.-A. Clevert et al., *Fast and accurate deep network learning
    /// by exponential linear units*, 2016). PyTorch and Keras take 1 for alpha.
    Elu {
        /// Minus the limit at minus infinity; not negative.
        alpha: f64,
    },
    /// `f(x) = λ x` where `x > 0`, else `λ α (eˣ - 1)`, with `λ = 1.0507…` and `α = 1.6732…` (G. Klambauer et al.,
    /// *Self-normalizing neural networks*, 2017).
    Selu,
    /// `f(x) = x Φ(x)`, `Φ` the normal distribution function (D. Hendrycks, K. Gimpel, *Gaussian error linear units*,
    /// 2016). PyTorch's and Keras's default form.
    Gelu,
    /// `f(x) = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))`: the approximation of [`Gelu`](Self::Gelu) that the same
    /// paper gives.
    GeluTanh,
    /// `f(x) = x σ(x)`, also called swish (S. Elfwing et al., *Sigmoid-weighted linear units*, 2018).
    Silu,
    /// `f(x) = σ(x) = 1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// `f(x) = tanh x`.
    Tanh,
    /// `f(x) = ln(1 + e^(beta x)) / beta`. Exact everywhere, as Keras; PyTorch turns linear where `beta x > 20`, which
    /// differs by less than `3e-9`.
    Softplus {
        /// The sharpness, positive.
        beta: f64,
    },
    /// `f(x) = min(max(x, min), max)`.
    HardTanh {
        /// The lower bound.
        min: f64,
        /// The upper bound, above the lower.
        max: f64,
    },
    /// `f(x) = min(max(x, 0), 6)`.
    Relu6,
}

/// A parameter with which an activation makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ActivationError {
    /// A parameter out of its range.
    #[error("{activation}: {parameter} must be {expected}, not {value}")]
    Parameter {
        /// The activation's name.
        activation: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        value: f64,
    },
    /// Bounds in the wrong order, or not numbers.
    #[error("hard tanh: min must lie below max, not {min} and {max}")]
    Bounds {
        /// The lower bound.
        min: f64,
        /// The upper bound.
        max: f64,
    },
}

impl Activation {
    /// Checks the parameters.
    ///
    /// # Errors
    ///
    /// When one is not finite or out of the range that its documentation gives.
    pub fn validate(self) -> Result<(), ActivationError> {
        let check = |holds: bool, activation, parameter, expected, value: f64| match holds && value.is_finite() {
            true => Ok(()),
            false => Err(ActivationError::Parameter { activation, parameter, expected, value }),
        };
        match self {
            Self::LeakyRelu { slope } => check(slope >= 0.0, "leaky relu", "slope", "finite and not negative", slope),
            Self::Elu { alpha } => check(alpha >= 0.0, "elu", "alpha", "finite and not negative", alpha),
            Self::Softplus { beta } => check(beta > 0.0, "softplus", "beta", "finite and positive", beta),
            Self::HardTanh { min, max } if !(min < max && min.is_finite() && max.is_finite()) => {
                Err(ActivationError::Bounds { min, max })
            }
            _ => Ok(()),
        }
    }

    /// Whether [`backward`](Self::backward) needs the input `x`; otherwise it needs the output `f(x)`.
    pub fn saves_input(self) -> bool {
        matches!(self, Self::Gelu | Self::GeluTanh | Self::Silu)
    }

    /// `x ← f(x)`.
    pub fn forward<T: Scalar>(self, x: &mut [T]) {
        with_pointwise!(self, T, forward(x));
    }

    /// `y ← f(x)`.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn forward_into<T: Scalar>(self, x: &[T], y: &mut [T]) {
        with_pointwise!(self, T, forward_into(x, y));
    }

    /// `g ← g f'(x)`, where `saved` is `x` if [`saves_input`](Self::saves_input), else `f(x)`.
    ///
    /// At a kink the slope is that of the left side, as in PyTorch.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn backward<T: Scalar>(self, saved: &[T], g: &mut [T]) {
        with_pointwise!(self, T, backward(saved, g));
    }
}

vectorized! {
    fn forward<P: Pointwise<T>, T: Scalar>(f: P, x: &mut [T]) {
        for x in x {
            *x = f.value(*x);
        }
    }
}

vectorized! {
    fn forward_into<P: Pointwise<T>, T: Scalar>(f: P, x: &[T], y: &mut [T]) {
        assert_eq!(x.len(), y.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f.value(x);
        }
    }
}

vectorized! {
    fn backward<P: Pointwise<T>, T: Scalar>(f: P, saved: &[T], g: &mut [T]) {
        assert_eq!(saved.len(), g.len());
        for (g, &saved) in g.iter_mut().zip(saved) {
            *g = f.gradient(saved, *g);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::pointwise::{SELU_ALPHA, SELU_SCALE};
    use crate::kernels::samples::{lengths, values};

    type Equation = fn(f64) -> f64;

    /// Every activation with its equation, written plainly.
    fn all() -> Vec<(Activation, Equation)> {
        let selu = |x: f64| SELU_SCALE * if x > 0.0 { x } else { SELU_ALPHA * x.exp_m1() };
        vec![
            (Activation::Identity, |x| x),
            (Activation::Relu, |x| x.max(0.0)),
            (Activation::LeakyRelu { slope: 0.25 }, |x| if x > 0.0 { x } else { 0.25 * x }),
            (Activation::Elu { alpha: 1.5 }, |x| if x > 0.0 { x } else { 1.5 * x.exp_m1() }),
            (Activation::Selu, selu),
            (Activation::Gelu, |x| 0.5 * x * libm::erfc(-x / 2.0_f64.sqrt())),
            (Activation::GeluTanh, |x| {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }),
            (Activation::Silu, |x| x / (1.0 + (-x).exp())),
            (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
            (Activation::Tanh, f64::tanh),
            (Activation::Softplus { beta: 2.0 }, |x| (2.0 * x).exp().ln_1p() / 2.0),
            (Activation::HardTanh { min: -2.0, max: 1.5 }, |x| x.clamp(-2.0, 1.5)),
            (Activation::Relu6, |x| x.clamp(0.0, 6.0)),
        ]
    }

    fn close(got: f64, want: f64, tolerance: f64, what: &str) {
        assert!((got - want).abs() <= tolerance * (1.0 + want.abs()), "{what}: {got}, not {want}");
    }

    fn check<T: Scalar>(tolerance: f64) {
        for (activation, equation) in all() {
            for n in lengths() {
                let x = values::<T>(n, 1);
                let mut y = x.clone();
                activation.forward(&mut y);
                let mut copied = vec![T::zero(); n];
                activation.forward_into(&x, &mut copied);
                assert_eq!(y, copied);
                let mut g = vec![T::of(3.0); n];
                activation.backward(if activation.saves_input() { &x } else { &y }, &mut g);
                for i in 0..n {
                    let at = x[i].widen();
                    close(y[i].widen(), equation(at), tolerance, &format!("{activation:?} at {at}"));
                    let slope = (equation(at + 1e-5) - equation(at - 1e-5)) / 2e-5;
                    // Differences are no slope at a kink.
                    if [-2.0, 0.0, 1.5].iter().all(|kink| (at - kink).abs() > 1e-4) {
                        let tolerance = tolerance.max(1e-9);
                        close(g[i].widen(), 3.0 * slope, tolerance, &format!("{activation:?} slope at {at}"));
                    }
                }
            }
        }
    }

    #[test]
    fn values_and_slopes_agree_with_the_equations() {
        check::<f64>(1e-14);
        check::<f32>(1e-6);
    }

    #[test]
    fn every_path_gives_the_same_bits() {
        for (activation, _) in all() {
            for n in lengths() {
                let (mut y, mut g) = (values::<f32>(n, 1), values::<f32>(n, 2));
                activation.forward(&mut y);
                activation.backward(&y, &mut g);
                crate::isa::on_every_path(|| {
                    let (mut y2, mut g2) = (values::<f32>(n, 1), values::<f32>(n, 2));
                    activation.forward(&mut y2);
                    activation.backward(&y2, &mut g2);
                    assert_eq!((&y2, &g2), (&y, &g), "{activation:?}, length {n}");
                });
            }
        }
    }

    #[test]
    fn large_arguments_reach_the_limits_and_nan_stays() {
        for (activation, equation) in all() {
            for x in [-1e30_f32, -1e4, -200.0, 200.0, 1e4, 1e30] {
                let (x, mut y, mut g) = ([x], [x], [1.0]);
                activation.forward(&mut y);
                activation.backward(if activation.saves_input() { &x } else { &y }, &mut g);
                let x = x[0];
                assert!(g[0].is_finite(), "{activation:?}: slope at {x}");
                if x.abs() < 1e30 && !matches!(activation, Activation::Softplus { .. }) {
                    close(f64::from(y[0]), equation(f64::from(x)), 1e-6, &format!("{activation:?} at {x}"));
                }
            }
            let mut y = [f32::NAN];
            activation.forward(&mut y);
            assert!(y[0].is_nan(), "{activation:?} loses a NaN");
        }
        let mut y = [-500.0_f64, 500.0];
        Activation::Softplus { beta: 1.0 }.forward(&mut y);
        assert!(y[0] > 0.0 && y[0] < 1e-200 && y[1] == 500.0);
    }

    #[test]
    fn impossible_parameters_are_refused_by_name() {
        for (activation, want) in [
            (Activation::LeakyRelu { slope: -0.1 }, "leaky relu: slope must be finite and not negative, not -0.1"),
            (Activation::Elu { alpha: f64::NAN }, "elu: alpha must be finite and not negative, not NaN"),
            (Activation::Softplus { beta: 0.0 }, "softplus: beta must be finite and positive, not 0"),
            (Activation::HardTanh { min: 1.0, max: 1.0 }, "hard tanh: min must lie below max, not 1 and 1"),
        ] {
            assert_eq!(activation.validate().unwrap_err().to_string(), want);
        }
        for (activation, _) in all() {
            activation.validate().unwrap();
        }
    }
}
