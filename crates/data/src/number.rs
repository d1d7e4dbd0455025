use std::fmt;

/// One number with all its digits: what tells whether two rows have the same number.
///
/// Equal numbers are equal, whatever type they come from: `-0.0` and `0`, `2` and `2.00`.
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, Number};
///
/// let ids = [(1_i64 << 53) + 1, 1 << 53];
/// let source = MemorySource::<f64>::builder().integers("id", ids.map(Some)).build()?;
/// let id = &source.data().columns()[0];
/// assert_eq!(source.data().reals(0)[0], source.data().reals(0)[1]);
/// assert_eq!([id.number(0), id.number(1)], ids.map(|id| Some(Number::from(id))));
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// Every number has one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Whole(i128),
    /// `digits / 10^scale`; the last digit is not zero.
    Decimal {
        digits: i128,
        scale: i8,
    },
    /// The bits of an `f64` that is not whole, or beyond 128 bits.
    Real(u64),
}

impl Number {
    /// The number that a floating-point number is; `None` for NaN.
    pub fn of_real(value: f64) -> Option<Self> {
        if value.is_nan() {
            None
        } else if value.fract() == 0.0 && value.abs() < 2_f64.powi(127) {
            Some(Self(Repr::Whole(value as i128)))
        } else {
            Some(Self(Repr::Real(value.to_bits())))
        }
    }

    /// `digits / 10^scale`.
    pub fn of_decimal(mut digits: i128, mut scale: i8) -> Self {
        if digits == 0 {
            return Self(Repr::Whole(0));
        }
        while scale < 0
            && let Some(longer) = digits.checked_mul(10)
        {
            (digits, scale) = (longer, scale + 1);
        }
        while scale > 0 && digits % 10 == 0 {
            (digits, scale) = (digits / 10, scale - 1);
        }
        Self(if scale == 0 { Repr::Whole(digits) } else { Repr::Decimal { digits, scale } })
    }

    /// The whole number that it is.
    pub fn whole(self) -> Option<i128> {
        match self.0 {
            Repr::Whole(whole) => Some(whole),
            _ => None,
        }
    }

    /// The nearest number.
    pub fn to_f64(self) -> f64 {
        match self.0 {
            Repr::Whole(whole) => whole as f64,
            Repr::Decimal { digits, scale } => quotient(digits, scale),
            Repr::Real(bits) => f64::from_bits(bits),
        }
    }

    /// A hash that is the same in every process. Of what `f64` holds it is that of the bits.
    pub(crate) fn stable_hash(self) -> u64 {
        use crate::encoder::stable_hash;
        match self.0 {
            Repr::Whole(whole) if whole as f64 as i128 == whole => stable_hash(&(whole as f64).to_bits().to_le_bytes()),
            Repr::Whole(whole) => stable_hash(&whole.to_le_bytes()),
            Repr::Decimal { digits, scale } => {
                let mut bytes = [0; 17];
                bytes[..16].copy_from_slice(&digits.to_le_bytes());
                bytes[16] = scale as u8;
                stable_hash(&bytes)
            }
            Repr::Real(bits) => stable_hash(&bits.to_le_bytes()),
        }
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Number {
            fn from(whole: $integer) -> Self {
                Self(Repr::Whole(whole.into()))
            }
        }
    )*};
}

from_integers!(i32 u32 i64 u64 i128);

/// All its digits.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Whole(whole) => write!(f, "{whole}"),
            Repr::Decimal { digits, scale } => write_decimal(f, digits, scale),
            Repr::Real(bits) => write!(f, "{}", f64::from_bits(bits)),
        }
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, digits: i128, scale: i8) -> fmt::Result {
    let Ok(behind) = usize::try_from(scale) else { return write!(f, "{digits}e{}", -i32::from(scale)) };
    let sign = if digits < 0 { "-" } else { "" };
    let all = format!("{:0>width$}", digits.unsigned_abs(), width = behind + 1);
    let (front, back) = all.split_at(all.len() - behind);
    write!(f, "{sign}{front}.{back}")
}

/// The `f64` nearest to `digits / 10^scale`.
pub(crate) fn quotient(digits: i128, scale: i8) -> f64 {
    if scale == 0 {
        return digits as f64;
    }
    if digits.unsigned_abs() <= 1 << 53 && (1..=22).contains(&scale) {
        // Both are exact, so the quotient is rounded once.
        return digits as f64 / power(scale);
    }
    format!("{digits}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// The digits of a decimal that was rounded to `value`, where they are below the [limit](crate::Numbers).
pub(crate) fn recover(value: f64, scale: i8) -> i128 {
    match scale {
        0 => value as i128,
        1.. => (value * power(scale)).round() as i128,
        _ => (value / power(-scale)).round() as i128,
    }
}

/// Ten to a power from 0 to 22, which are exact.
fn power(scale: i8) -> f64 {
    (0..scale).fold(1.0, |power, _| power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_equal() {
        let real = |value| Number::of_real(value).unwrap();
        assert_eq!(real(-0.0), Number::from(0));
        assert_eq!(real(-0.0).stable_hash(), real(0.0).stable_hash());
        assert_eq!(Number::of_decimal(200, 2), Number::from(2));
        assert_eq!(Number::of_decimal(2, -3), real(2000.0));
        assert_eq!(Number::of_decimal(-250, 2), Number::of_decimal(-25, 1));
        assert_ne!(Number::from((1_u64 << 53) + 1), Number::from(1_u64 << 53));
        assert_ne!(Number::from((1_u64 << 53) + 1).stable_hash(), Number::from(1_u64 << 53).stable_hash());
        assert_eq!(Number::of_real(f64::NAN), None);
    }

    #[test]
    fn all_digits_are_shown() {
        for (digits, scale, shown) in [(-5, 3, "-0.005"), (12_345, 2, "123.45"), (7, 0, "7"), (1_500, 3, "1.5")] {
            assert_eq!(Number::of_decimal(digits, scale).to_string(), shown);
        }
        assert_eq!(Number::from(u64::MAX).to_string(), "18446744073709551615");
    }

    /// Every decimal below the limit comes back from the nearest number.
    #[test]
    fn digits_are_recovered() {
        for scale in [-22, -3, 0, 1, 6, 9, 22] {
            for digits in [1, 7, 999_999_937, (1_i128 << 51) - 1, (1 << 51) - 2, 1_704_067_199_999_999] {
                for digits in [digits, -digits] {
                    assert_eq!(recover(quotient(digits, scale), scale), digits, "{digits}e-{scale}");
                }
            }
            for digits in [1, 999_983, (1_i128 << 22) - 1] {
                assert_eq!(recover(f64::from(quotient(digits, scale) as f32), scale), digits, "{digits}e-{scale}, f32");
            }
        }
    }
}
