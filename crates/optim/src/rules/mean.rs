//! Running means whose decay may be closer to 1 than the numbers of a kernel can say.

use tidemill_tensor::Scalar;

/// The decay `β` of a running mean `x ← β x + (1 − β) y`, in the precision of a kernel.
///
/// What counts is `1 − β`, and subtracting in the kernel's precision loses it: in `f32`, 0.9999999 rounds to
/// 1 − 1.19e-7 and 0.99999999 to 1. So `1 − β` is computed in `f64`, and the mean as `x + (1 − β)(y − x)`. The decay in
/// effect is then that of the declaration to the precision of the numbers, which is what a bias correction computed from
/// `β` in `f64` assumes. Below `β = ½`, where the difference could be larger than the result, the mean is
/// `β x + (1 − β) y` as it stands.
///
/// Both are `kept x + rest (y − share x)`: with `kept = share = 1`, or `kept = β`, `share = 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay<T> {
    kept: T,
    share: T,
    rest: T,
}

impl<T: Scalar> Decay<T> {
    pub(crate) fn new(beta: f64) -> Self {
        let rest = T::of(1.0 - beta);
        if beta < 0.5 { Self { kept: T::of(beta), share: T::zero(), rest } } else { Self::slow(rest) }
    }

    #[inline(always)]
    fn slow(rest: T) -> Self {
        Self { kept: T::one(), share: T::one(), rest }
    }

    /// `β x + (1 − β) y`.
    #[inline(always)]
    pub(crate) fn mean(self, x: T, y: T) -> T {
        self.kept * x + self.rest * (y - self.share * x)
    }

    /// `β x + y`.
    #[inline(always)]
    pub(crate) fn sum(self, x: T, y: T) -> T {
        self.kept * x + (y - self.share * self.rest * x)
    }
}

/// Whether `kept` and `share` are 1 in all of them.
#[inline(always)]
pub(crate) fn all_slow<T: Scalar, const N: usize>(decays: &[Decay<T>; N]) -> bool {
    decays.iter().all(|decay| decay.kept == T::one())
}

/// The same decays with `kept` and `share` as constants 1.
#[inline(always)]
pub(crate) fn slow<T: Scalar, const N: usize>(decays: [Decay<T>; N]) -> [Decay<T>; N] {
    std::array::from_fn(|i| Decay::slow(decays[i].rest))
}

/// Runs `$body` with `$decays`; in a copy of its own for decays of at least ½, where the constants cost nothing.
macro_rules! by_decay {
    ($decays:ident, $body:block) => {
        if $crate::rules::mean::all_slow(&$decays) {
            let $decays = $crate::rules::mean::slow($decays);
            $body
        } else {
            $body
        }
    };
}
pub(crate) use by_decay;

/// `1 − βᵗ` with `t = step + 1`, without cancellation where `β` is close to 1.
pub(crate) fn correction(beta: f64, step: u64) -> f64 {
    -((step + 1) as f64 * beta.ln()).exp_m1()
}

/// `1/(eˣ − 1) − 1/x` for `x > 0`, without cancellation where `x` is small.
pub(crate) fn excess(x: f64) -> f64 {
    if x < 0.05 {
        let square = x * x;
        return x * (1.0 / 12.0 - square * (1.0 / 720.0 - square * (1.0 / 30240.0 - square / 1_209_600.0))) - 0.5;
    }
    1.0 / x.exp_m1() - 1.0 / x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excess_is_continuous_where_its_two_forms_meet() {
        for x in [0.01, 0.03, 0.0499999, 0.0500001, 0.06] {
            let direct = 1.0 / f64::exp_m1(x) - 1.0 / x;
            assert!((excess(x) - direct).abs() < 1e-13, "{x}: {} and {direct}", excess(x));
        }
        assert_eq!((excess(0.0), excess(f64::INFINITY)), (-0.5, 0.0));
    }

    #[test]
    fn a_decay_without_memory_forgets_everything() {
        let decay = Decay::<f32>::new(0.0);
        assert_eq!((decay.mean(1e30, 1.5), decay.sum(1e30, 1.5)), (1.5, 1.5));
    }
}
