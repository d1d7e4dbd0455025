//! Transcendental functions in `f32` without branches, so that a loop over them becomes vector code.
//!
//! The polynomials are minimax fits made for these intervals (Lawson's iteration in extended precision). All
//! multiplications and additions are rounded apart, so the results do not depend on the instruction set.
//!
//! # References
//!
//! W. Cody, W. Waite, *Software manual for the elementary functions*, 1980 (reduction of the argument);
//! J.-M. Muller, *Elementary functions: algorithms and implementation*, 2016.

/// `ln 2` in two parts; the first has so few bits that its product with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `1.5 × 2²³`: added to a number below 2²², it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;

#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let (r, half, rest) = reduce(clamp(x, -104.0, 89.0));
    (1.0 + exp_m1_reduced(r)) * half * rest
}

#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    let c = clamp(x, -18.0, 89.0);
    let (r, half, rest) = reduce(c);
    let y = (half * exp_m1_reduced(r) + (half - reciprocal(rest))) * rest;
    // Keeps the sign of zero.
    if x == 0.0 { x } else { y }
}

/// `x = n ln 2 + r` with `|r| ≤ ln 2 / 2`: gives `r` and two powers of two whose product is `2ⁿ`, which may itself lie
/// outside the normal numbers.
#[inline(always)]
fn reduce(x: f32) -> (f32, f32, f32) {
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    (r, power_of_two(half), power_of_two(n.wrapping_sub(half)))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `1 / x` of a power of two.
#[inline(always)]
fn reciprocal(x: f32) -> f32 {
    f32::from_bits(0x7f00_0000_u32.wrapping_sub(x.to_bits()))
}

/// `eʳ - 1` for `|r| ≤ ln 2 / 2`.
#[inline(always)]
fn exp_m1_reduced(r: f32) -> f32 {
    let p = polynomial(r, [0.5, 0.166_665_42, 0.041_666_277, 0.008_366_755, 0.001_394_674_8]);
    r + r * r * p
}

#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // Subnormals are scaled into the normal range.
    let small = x < f32::MIN_POSITIVE;
    let scaled = if small { x * 8_388_608.0 } else { x };
    let shift = if small { -23.0 } else { 0.0 };
    // Splits off the exponent such that the mantissa lies in [√½, √2).
    let bits = scaled.to_bits().wrapping_sub(0x3f35_04f3);
    let n = ((bits as i32) >> 23) as f32 + shift;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    // ln(1 + f) = 2 artanh(s), rearranged so that f itself is exact.
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = z * polynomial(z, [0.666_666_7, 0.4, 0.285_714_3, 0.222_222_22]);
    let square = 0.5 * f * f;
    let y = n * LN_2_HIGH + (f - (square - (s * (square + tail) + n * LN_2_LOW)));
    if x == 0.0 {
        f32::NEG_INFINITY
    } else if x < 0.0 {
        f32::NAN
    } else if x < f32::INFINITY {
        y
    } else {
        x
    }
}

#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    // What the rounding of u lost, to first order.
    let lost = if x < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let y = ln(u) + lost / u;
    if x == 0.0 || x == f32::INFINITY {
        x
    } else if x == -1.0 {
        f32::NEG_INFINITY
    } else {
        y
    }
}

#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let t = exp_m1(-2.0 * x.abs());
    (-t / (t + 2.0)).copysign(x)
}

#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let t = x.abs();
    let s = x * x;
    let near = t * polynomial(
        s,
        [
            std::f32::consts::FRAC_2_SQRT_PI,
            -0.376_126_26,
            0.112_835_854,
            -0.026_853_813,
            0.005_188_327_7,
            -8.010_193_7e-4,
            7.853_862e-5,
        ],
    );
    // 1 - e^q with q fitted to ln erfc; beyond 4 the result rounds to one.
    let q = polynomial(
        clamp(t, 1.0, 4.0),
        [-3.415_23e-4, -1.127_089_1, -0.638_144_85, -0.103_106_75, 0.021_838_063, -0.002_947_658_3, 1.863_791_9e-4],
    );
    let far = 1.0 - exp(q);
    (if t < 1.0 { near } else { far }).copysign(x)
}

/// `Σ cᵢ xⁱ` by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum * x + coefficients[i];
    }
    sum
}

/// Clamps; NaN stays NaN.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that `got` lies within so many units of the last place of `want`.
    fn check(name: &str, got: fn(f32) -> f32, want: fn(f64) -> f64, ulps: f64) {
        const LARGEST: f64 = 3.402_823e38;
        let mut worst = (0.0, 0.0);
        for x in arguments() {
            let (y, w) = (got(x), want(f64::from(x)));
            let error = if w.abs() > LARGEST {
                if f64::from(y) * w.signum() > LARGEST { 0.0 } else { f64::INFINITY }
            } else {
                (f64::from(y) - w).abs() / unit(w)
            };
            assert!(!error.is_nan() || w.is_nan(), "{name}({x:e}) gives {y:e} for {w:e}");
            if error > worst.0 {
                worst = (error, x);
            }
        }
        println!("{name}: {:.2} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= ulps, "{name}: {} ulp at {:e}", worst.0, worst.1);
        assert!(got(f32::NAN).is_nan(), "{name} loses a NaN");
    }

    /// Positive and negative numbers over all exponents, every 997th of them, and more about the origin.
    fn arguments() -> impl Iterator<Item = f32> {
        let step = if cfg!(miri) { 9_999_991 } else { 997 };
        let all = (0..0x7f80_0000_u32).step_by(step).map(f32::from_bits);
        let near = (0..if cfg!(miri) { 50 } else { 500_000 }).map(|i| i as f32 * 2e-4);
        all.chain(near).flat_map(|x| [x, -x])
    }

    fn unit(w: f64) -> f64 {
        let exponent = libm::ilogb(w).max(-126);
        libm::ldexp(1.0, exponent - 23)
    }

    #[test]
    fn exp_is_accurate() {
        check("exp", exp, f64::exp, 1.5);
        check("exp_m1", exp_m1, f64::exp_m1, 2.0);
        assert_eq!((exp(f32::NEG_INFINITY), exp(f32::INFINITY)), (0.0, f32::INFINITY));
        assert_eq!((exp_m1(f32::NEG_INFINITY), exp_m1(f32::INFINITY)), (-1.0, f32::INFINITY));
        assert_eq!((exp(0.0), exp_m1(-0.0).to_bits()), (1.0, (-0.0_f32).to_bits()));
    }

    #[test]
    fn ln_is_accurate() {
        check("ln", ln, f64::ln, 1.5);
        check("ln_1p", ln_1p, f64::ln_1p, 2.5);
        assert_eq!((ln(0.0), ln(f32::INFINITY), ln(1.0)), (f32::NEG_INFINITY, f32::INFINITY, 0.0));
        assert!(ln(-1.0).is_nan() && ln(f32::NEG_INFINITY).is_nan() && ln_1p(-1.5).is_nan());
        assert_eq!((ln_1p(-1.0), ln_1p(f32::INFINITY)), (f32::NEG_INFINITY, f32::INFINITY));
    }

    #[test]
    fn tanh_and_erf_are_accurate() {
        check("tanh", tanh, f64::tanh, 2.5);
        check("erf", erf, libm::erf, 2.5);
        for f in [tanh, erf] {
            assert_eq!((f(f32::NEG_INFINITY), f(f32::INFINITY)), (-1.0, 1.0));
            assert_eq!(f(-0.0).to_bits(), (-0.0_f32).to_bits());
        }
    }

    #[test]
    fn composed_functions_are_accurate() {
        use crate::Scalar;
        check("sigmoid", f32::fast_sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 2.5);
        check("softplus", f32::fast_softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), 3.0);
        assert_eq!((f32::NEG_INFINITY.fast_sigmoid(), f32::INFINITY.fast_sigmoid()), (0.0, 1.0));
        assert_eq!((f32::NEG_INFINITY.fast_softplus(), f32::INFINITY.fast_softplus()), (0.0, f32::INFINITY));
    }
}
