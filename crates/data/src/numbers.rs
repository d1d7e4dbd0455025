use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill_tensor::{DType, Scalar};

/// Which numbers a real column of one number a row holds, as its source has them.
///
/// A batch rounds numbers to its scalar, `f32` or `f64`. Of whole numbers and decimals it keeps every digit beside that
/// where the scalar does not tell them apart: see [`Digits`](crate::Digits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Numbers {
    /// Floating-point numbers: what the scalar holds is all that there is.
    #[default]
    Real,
    /// Signed integers.
    Signed {
        /// Bits of the widest.
        bits: u8,
    },
    /// Unsigned integers.
    Unsigned {
        /// Bits of the widest.
        bits: u8,
    },
    /// Decimals, `digits / 10^scale`; also times, which count parts of a second.
    Decimal {
        /// Digits of the longest.
        digits: u8,
        /// Digits behind the point; below zero, zeros in front of it.
        scale: i8,
    },
    /// Decimals of more than 38 digits, of which only the rounded numbers are kept. Models take them as other numbers.
    /// What needs every digit (conditions, categories, hashes, splits by key) refuses them.
    Rounded,
}

impl Numbers {
    /// Digits behind the point where every digit is known.
    pub fn scale(self) -> Option<i8> {
        match self {
            Self::Real | Self::Rounded => None,
            Self::Signed { .. } | Self::Unsigned { .. } => Some(0),
            Self::Decimal { scale, .. } => Some(scale),
        }
    }

    /// Whether all are whole numbers by their type.
    pub fn are_whole(self) -> bool {
        self.scale().is_some_and(|scale| scale <= 0)
    }

    /// Digits below this, with no regard to sign and point, are told apart by the scalar alone.
    ///
    /// Integers are exact up to the scalar's bits. A decimal is recovered from the nearest `f64` where it is below 2^51,
    /// as the error of that and of scaling it back is less than half of its last digit.
    pub(crate) fn limit<T: Scalar>(self) -> u64 {
        match (self.scale(), T::DTYPE) {
            (None, _) => u64::MAX,
            (Some(0), DType::F32) => 1 << 24,
            (Some(0), DType::F64) => 1 << 53,
            (Some(-22..=22), DType::F32) => 1 << 22,
            (Some(-22..=22), DType::F64) => 1 << 51,
            (Some(_), _) => 0,
        }
    }

    /// Whether a batch of `scalar` bytes a number, 4 or 8, may have to keep [digits](crate::Digits) beside the numbers.
    pub fn may_exceed(self, scalar: usize) -> bool {
        let held = if scalar == 4 { 24 } else { 53 };
        match self {
            Self::Real | Self::Rounded => false,
            Self::Signed { bits } => bits > held + 1,
            Self::Unsigned { bits } => bits > held,
            Self::Decimal { digits, scale } => {
                let safe = if scalar == 4 { 6 } else { 15 };
                digits > safe || !(-22..=22).contains(&scale)
            }
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => write!(f, "real"),
            Self::Signed { bits } => write!(f, "integer of {bits} bits"),
            Self::Unsigned { bits } => write!(f, "unsigned integer of {bits} bits"),
            Self::Decimal { digits, scale } => write!(f, "decimal({digits},{scale})"),
            Self::Rounded => write!(f, "decimal of more than 38 digits"),
        }
    }
}

/// What the numbers of a column count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Nothing is known: plain numbers.
    #[default]
    None,
    /// Days since 1970-01-01: dates.
    Days,
    /// Seconds since 1970-01-01 00:00 UTC: timestamps.
    Timestamp,
    /// Seconds since midnight: times of day.
    TimeOfDay,
    /// Seconds between two moments.
    Duration,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "plain numbers",
            Self::Days => "dates (days since 1970)",
            Self::Timestamp => "timestamps (seconds since 1970)",
            Self::TimeOfDay => "times of day (seconds since midnight)",
            Self::Duration => "durations (seconds)",
        })
    }
}
