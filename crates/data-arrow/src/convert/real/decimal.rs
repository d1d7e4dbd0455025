use std::fmt::Display;
use std::io::Write;

/// The power of ten that a decimal's digits are divided by, where both are exact in `f64` and the quotient is thereby
/// the nearest number.
pub(super) fn divisor(precision: u8, scale: i8) -> Option<f64> {
    let exact = precision <= 15 && (0..=22).contains(&scale);
    exact.then(|| format!("1e{scale}").parse().expect("a power of ten"))
}

/// The number nearest to `digits · 10^-scale`, by way of its text, as digits that `f64` cannot hold would otherwise be
/// rounded twice.
pub(super) fn nearest(digits: impl Display, scale: i8) -> f64 {
    // The longest is a sign, 77 digits, and an exponent.
    let mut text = [0; 96];
    let mut rest = &mut text[..];
    write!(rest, "{digits}e{}", -i32::from(scale)).expect("shorter than 96 bytes");
    let left = rest.len();
    let text = std::str::from_utf8(&text[..text.len() - left]).expect("digits are ASCII");
    text.parse().expect("digits and an exponent are a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_the_nearest_numbers() {
        assert_eq!(99_999_999_999_999f64 / divisor(15, 4).unwrap(), 9_999_999_999.999_9);
        assert_eq!(divisor(18, 4), None);
        assert_eq!(divisor(9, -2), None);
        assert_eq!(nearest(999_999_999_999_999_999i64, 4), 99_999_999_999_999.999_9);
        assert_eq!(nearest(-5i128, -2), -500.0);
        assert_eq!(nearest(i128::MAX, 0), i128::MAX as f64);
    }
}
