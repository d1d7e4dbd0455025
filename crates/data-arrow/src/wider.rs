//! The type that holds all values of two others, so that files which differ can be read as one.

use arrow_schema::{DataType, TimeUnit};

/// The narrowest type that holds every value of both without loss; `None` where there is none, or the two mean
/// different things.
pub(crate) fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Date32, Date64, Duration, FixedSizeList, List, Null, Time32, Time64, Timestamp};
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (FixedSizeList(a, m), FixedSizeList(b, n)) if m == n => {
            Some(DataType::new_fixed_size_list(wider(a.data_type(), b.data_type())?, *m, true))
        }
        (List(a) | FixedSizeList(a, _), List(b) | FixedSizeList(b, _)) => {
            Some(DataType::new_list(wider(a.data_type(), b.data_type())?, true))
        }
        (Date32 | Date64, Date32 | Date64) => Some(Date64),
        (Time32(a) | Time64(a), Time32(b) | Time64(b)) => Some(match finer(a, b) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Time32(unit),
            unit => Time64(unit),
        }),
        (Duration(a), Duration(b)) => Some(Duration(finer(a, b))),
        // Instants with a zone are the same in any other; times without one are not instants.
        (Timestamp(a, zone), Timestamp(b, other)) if zone.is_some() == other.is_some() => {
            Some(Timestamp(finer(a, b), zone.clone()))
        }
        _ => wider_number(a, b),
    }
}

fn wider_number(a: &DataType, b: &DataType) -> Option<DataType> {
    if let (Some(a), Some(b)) = (Integer::of(a), Integer::of(b)) {
        return a.wider(b);
    }
    match (a, b) {
        (a, b) if a.is_floating() && b.is_floating() => Some(if rank(a) > rank(b) { a } else { b }.clone()),
        (float, other) | (other, float) if float.is_floating() => {
            let integer = Integer::of(other)?;
            let floats = [DataType::Float16, DataType::Float32, DataType::Float64];
            floats.into_iter().find(|wide| rank(wide) >= rank(float) && rank(wide) >= integer.bits)
        }
        _ => {
            let (a, b) = (digits(a)?, digits(b)?);
            let (whole, part) = (a.0.max(b.0), a.1.max(b.1));
            match whole + part {
                0..=38 => Some(DataType::Decimal128((whole + part) as u8, part as i8)),
                39..=76 => Some(DataType::Decimal256((whole + part) as u8, part as i8)),
                _ => None,
            }
        }
    }
}

/// An integer type.
#[derive(Clone, Copy)]
struct Integer {
    signed: bool,
    /// Bits of the magnitude.
    bits: u32,
}

impl Integer {
    fn of(data_type: &DataType) -> Option<Self> {
        let width = 8 * data_type.primitive_width()? as u32;
        let signed = data_type.is_signed_integer();
        data_type.is_integer().then_some(Self { signed, bits: width - u32::from(signed) })
    }

    fn wider(self, other: Self) -> Option<DataType> {
        use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
        let signed = self.signed || other.signed;
        let types = if signed { [Int8, Int16, Int32, Int64] } else { [UInt8, UInt16, UInt32, UInt64] };
        let bits = self.bits.max(other.bits);
        types.into_iter().find(|wide| Self::of(wide).is_some_and(|wide| wide.bits >= bits))
    }
}

/// Bits of an integer that a floating-point type holds exactly.
fn rank(float: &DataType) -> u32 {
    match float {
        DataType::Float16 => 11,
        DataType::Float32 => 24,
        _ => 53,
    }
}

/// Decimal digits in front of and behind the point.
fn digits(data_type: &DataType) -> Option<(u32, u32)> {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    match data_type {
        Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s) => {
            let (precision, scale) = (i32::from(*p), i32::from(*s));
            Some(((precision - scale).max(0) as u32, scale.max(0) as u32))
        }
        other => Integer::of(other).map(|integer| (if integer.bits > 63 { 20 } else { integer.bits * 3 / 10 + 1 }, 0)),
    }
}

fn finer(a: &TimeUnit, b: &TimeUnit) -> TimeUnit {
    *a.max(b)
}

#[cfg(test)]
mod tests {
    use DataType::*;

    use super::*;

    #[test]
    fn types_of_both() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let zone = |name: &str| Some(name.into());
        let list = |item| DataType::new_list(item, true);
        for (a, b, expected) in [
            (Int32, Int64, Some(Int64)),
            (UInt8, Int8, Some(Int16)),
            (UInt32, Int8, Some(Int64)),
            (UInt64, Int8, None),
            (UInt16, UInt8, Some(UInt16)),
            (Float32, Float64, Some(Float64)),
            (Float16, Int8, Some(Float16)),
            (Int16, Float32, Some(Float32)),
            (Float32, Int32, Some(Float64)),
            (Int64, Float64, None),
            (Null, Utf8View, Some(Utf8View)),
            (Utf8View, Int8, None),
            (Boolean, Int8, None),
            (Date32, Date64, Some(Date64)),
            (Date32, Timestamp(Second, None), None),
            (Time32(Second), Time64(Nanosecond), Some(Time64(Nanosecond))),
            (Time32(Second), Time32(Millisecond), Some(Time32(Millisecond))),
            (Timestamp(Microsecond, None), Timestamp(Millisecond, None), Some(Timestamp(Microsecond, None))),
            (Timestamp(Second, zone("UTC")), Timestamp(Second, zone("CET")), Some(Timestamp(Second, zone("UTC")))),
            (Timestamp(Second, zone("UTC")), Timestamp(Second, None), None),
            (Decimal32(9, 2), Decimal128(38, 10), Some(Decimal128(38, 10))),
            (Decimal128(38, 0), Decimal128(20, 20), Some(Decimal256(58, 20))),
            (Decimal256(76, 0), Decimal128(20, 10), None),
            (Decimal64(10, 2), Int32, Some(Decimal128(12, 2))),
            (UInt64, Decimal64(10, 0), Some(Decimal128(20, 0))),
            (Decimal64(10, 2), Float64, None),
            (list(Int8), list(Int32), Some(list(Int32))),
            (DataType::new_fixed_size_list(Int8, 2, true), list(Int8), Some(list(Int8))),
        ] {
            assert_eq!(wider(&a, &b), expected, "{a} and {b}");
            let is_some = wider(&b, &a).is_some();
            assert_eq!(is_some, expected.is_some(), "{b} and {a}");
        }
    }
}
