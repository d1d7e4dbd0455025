use std::fmt;

/// A number as it is written, with all its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    negative: bool,
    /// Without zeros in front or at the end; empty for zero.
    digits: String,
    /// What the last digit counts, as a power of ten.
    exponent: i64,
}

/// Where a number lies among the multiples of `10^-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The greatest multiple that is not above it; at the ends of 128 bits where it is beyond.
    pub floor: i128,
    /// Whether it is that multiple.
    pub is_exact: bool,
}

impl Literal {
    /// Reads `-12.5e3`; `None` where it is no number that `f64` can be near to.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (front, back) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{front}{back}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.parse::<i64>().ok()?.checked_sub(back.len() as i64)?;
        let digits = all.trim_start_matches('0').trim_end_matches('0').to_owned();
        let zeros = (all.len() - all.trim_end_matches('0').len()) as i64;
        let number = match digits.is_empty() {
            true => Self { negative: false, digits, exponent: 0 },
            false => Self { negative, digits, exponent: exponent.checked_add(zeros)? },
        };
        number.to_f64().is_finite().then_some(number)
    }

    /// The number: a whole one exactly, others as their shortest text says them.
    pub fn of_f64(value: f64) -> Option<Self> {
        Self::parse(&if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:e}") })
    }

    pub fn of_integer(value: i64) -> Self {
        let digits = value.unsigned_abs().to_string();
        let trimmed = digits.trim_end_matches('0');
        match value {
            0 => Self { negative: false, digits: String::new(), exponent: 0 },
            _ => Self { negative: value < 0, digits: trimmed.into(), exponent: (digits.len() - trimmed.len()) as i64 },
        }
    }

    /// The nearest `f64`.
    pub fn to_f64(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// Among the multiples of `10^-scale`.
    pub fn at(&self, scale: i8) -> Bound {
        let shift = self.exponent.saturating_add(i64::from(scale));
        let cut = usize::try_from(shift.saturating_neg()).unwrap_or(0).min(self.digits.len());
        let mut whole = self.digits[..self.digits.len() - cut].to_owned();
        let zeros = if whole.is_empty() { 0 } else { usize::try_from(shift.clamp(0, 64)).unwrap_or(0) };
        whole.extend(std::iter::repeat_n('0', zeros));
        // The last digit is not zero, so what is cut off is none either.
        let is_exact = cut == 0;
        let beyond = if self.negative { i128::MIN } else { i128::MAX };
        let Ok(magnitude) = (if whole.is_empty() { Ok(0) } else { whole.parse::<i128>() }) else {
            return Bound { floor: beyond, is_exact: false };
        };
        let floor = match (self.negative, is_exact) {
            (false, _) => magnitude,
            (true, true) => -magnitude,
            (true, false) => -magnitude - 1,
        };
        Bound { floor, is_exact }
    }
}

impl Bound {
    /// Of the number divided by a positive integer.
    pub fn divided(self, by: i128) -> Self {
        Self { floor: self.floor.div_euclid(by), is_exact: self.is_exact && self.floor.rem_euclid(by) == 0 }
    }
}

/// Read again, it is the same number.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { negative, digits, exponent } = self;
        if *negative {
            write!(f, "-")?;
        }
        let point = digits.len() as i64 + exponent;
        match usize::try_from(*exponent) {
            _ if digits.is_empty() => write!(f, "0"),
            Ok(zeros) if zeros <= 40 => write!(f, "{digits}{:0<zeros$}", ""),
            Err(_) if (1..=40).contains(&point) => {
                let (front, back) = digits.split_at(point as usize);
                write!(f, "{front}.{back}")
            }
            Err(_) if (-8..=0).contains(&point) => write!(f, "0.{:0<zeros$}{digits}", "", zeros = -point as usize),
            _ => write!(f, "{digits}e{exponent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, scale: i8) -> (i128, bool) {
        let Bound { floor, is_exact } = Literal::parse(text).unwrap().at(scale);
        (floor, is_exact)
    }

    #[test]
    fn numbers_lie_between_multiples() {
        for (text, scale, floor, is_exact) in [
            ("3.5", 0, 3, false),
            ("-3.5", 0, -4, false),
            ("3.50", 1, 35, true),
            ("-0.0", 0, 0, true),
            ("1e18", 0, 1_000_000_000_000_000_000, true),
            ("9007199254740993", 0, 9_007_199_254_740_993, true),
            ("-9007199254740993", 3, -9_007_199_254_740_993_000, true),
            ("0.000000001", 9, 1, true),
            ("1e-300", 9, 0, false),
            ("-1e-300", 9, -1, false),
            ("1e300", 0, i128::MAX, false),
            ("-1e300", 0, i128::MIN, false),
            ("1250", -2, 12, false),
            ("1200", -2, 12, true),
        ] {
            assert_eq!(at(text, scale), (floor, is_exact), "{text} at {scale}");
        }
        assert_eq!(Literal::of_integer(-19_700).at(0), Bound { floor: -19_700, is_exact: true });
        assert_eq!(Literal::of_f64(2_f64.powi(63)).unwrap().at(0), Bound { floor: 1 << 63, is_exact: true });
        assert_eq!(Literal::of_f64(0.1).unwrap().at(1), Bound { floor: 1, is_exact: true });
        assert_eq!(Literal::of_integer(-1).at(0).divided(86_400), Bound { floor: -1, is_exact: false });
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for (text, shown) in [
            ("500", "500"),
            ("-0", "0"),
            ("1.50", "1.5"),
            ("0.001", "0.001"),
            ("1e300", "1e300"),
            ("-12e-30", "-12e-30"),
            ("+9007199254740993", "9007199254740993"),
            ("00.5", "0.5"),
        ] {
            let number = Literal::parse(text).unwrap();
            assert_eq!(number.to_string(), shown, "{text}");
            assert_eq!(Literal::parse(shown), Some(number), "{text}");
        }
        for text in ["", "-", "1.2.3", "e5", "1e999", "1e"] {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
    }
}
