//! What texts stand for.

use std::sync::Arc;

/// Texts that stand for no value where nothing else is said, besides the empty one.
pub(super) const MISSING: [&str; 6] = ["NA", "N/A", "null", "NULL", "NaN", "nan"];

/// Texts that stand for no value; the empty one always does.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    texts: Arc<[Box<[u8]>]>,
    longest: usize,
}

impl Missing {
    pub fn new<N: AsRef<str>>(texts: &[N]) -> Self {
        let texts: Arc<[Box<[u8]>]> = texts.iter().map(|text| text.as_ref().trim().as_bytes().into()).collect();
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        Self { texts, longest }
    }

    /// Whether a text, which has no spaces around it, stands for no value.
    #[inline]
    pub fn is(&self, text: &[u8]) -> bool {
        text.len() <= self.longest.max(1) && (text.is_empty() || self.texts.iter().any(|missing| **missing == *text))
    }
}

/// An integer of any size: digits, and a sign perhaps.
#[inline]
pub(super) fn digits(text: &[u8]) -> Option<&[u8]> {
    let digits = match text {
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(digits)
}

#[inline]
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let is_negative = text.first() == Some(&b'-');
    digits(text)?.iter().try_fold(0i64, |value, digit| {
        let (value, digit) = (value.checked_mul(10)?, i64::from(digit - b'0'));
        if is_negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

pub(super) fn unsigned(text: &[u8]) -> Option<u64> {
    if text.first() == Some(&b'-') {
        return None;
    }
    let digits = digits(text)?;
    digits.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

#[inline]
pub(super) fn real(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A number; not an integer that `f64` would round.
#[inline]
pub(super) fn unrounded(text: &[u8]) -> Option<f64> {
    let value = real(text)?;
    match digits(text) {
        Some(digits) if digits.len() > f64::DIGITS as usize => {
            let is_exact = |text: &str| text.parse::<i128>().is_ok_and(|integer| value as i128 == integer);
            std::str::from_utf8(text).is_ok_and(is_exact).then_some(value)
        }
        _ => Some(value),
    }
}

pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") { Some(true) } else { text.eq_ignore_ascii_case(b"false").then_some(false) }
}

/// `2013-01-31`, as days since 1970.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    match take_date(text)? {
        (days, []) => Some(days),
        _ => None,
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// Since 1970, in UTC where a zone is given.
    seconds: i64,
    nanoseconds: u32,
    /// Digits of the fraction of a second, without zeros at their end.
    pub digits: u8,
    pub zoned: bool,
}

impl Time {
    pub fn microseconds(self) -> Option<i64> {
        self.seconds.checked_mul(1_000_000)?.checked_add(i64::from(self.nanoseconds / 1000))
    }

    pub fn nanoseconds(self) -> Option<i64> {
        let nanoseconds = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds);
        nanoseconds.try_into().ok()
    }
}

/// `2013-01-31T05:15:00.25+01:00`, with a space in place of the T perhaps, and all behind the minutes, or behind the day,
/// left away perhaps.
pub(super) fn time(text: &[u8]) -> Option<Time> {
    let (days, rest) = take_date(text)?;
    let mut time = Time { seconds: i64::from(days) * 86_400, nanoseconds: 0, digits: 0, zoned: false };
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return rest.is_empty().then_some(time) };
    let (hours, rest) = take_number(rest, 2, 2)?;
    let [b':', rest @ ..] = rest else { return None };
    let (minutes, mut rest) = take_number(rest, 2, 2)?;
    let mut seconds = 0;
    if let [b':', behind @ ..] = rest {
        (seconds, rest) = take_number(behind, 2, 2)?;
        if let [b'.', behind @ ..] = rest {
            let fraction;
            (fraction, rest) = take_number(behind, 1, 9)?;
            let length = behind.len() - rest.len();
            time.nanoseconds = fraction * 10u32.pow(9 - length as u32);
            time.digits = behind[..length].iter().rposition(|&digit| digit != b'0').map_or(0, |last| last as u8 + 1);
        }
    }
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    time.seconds += i64::from(hours * 3600 + minutes * 60 + seconds);
    match rest {
        [] => {}
        [b'Z' | b'z'] => time.zoned = true,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, rest) = take_number(rest, 2, 2)?;
            let minutes = match rest {
                [] => 0,
                [b':', rest @ ..] | rest => match take_number(rest, 2, 2)? {
                    (minutes @ ..60, []) => minutes,
                    _ => return None,
                },
            };
            if hours > 23 {
                return None;
            }
            let offset = i64::from(hours * 3600 + minutes * 60);
            time.seconds -= if *sign == b'+' { offset } else { -offset };
            time.zoned = true;
        }
        _ => return None,
    }
    Some(time)
}

/// The day at the start of a text, and what is behind it.
fn take_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let (year, rest) = take_number(text, 4, 4)?;
    let [b'-', rest @ ..] = rest else { return None };
    let (month, rest) = take_number(rest, 1, 2)?;
    let [b'-', rest @ ..] = rest else { return None };
    let (day, rest) = take_number(rest, 1, 2)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if day == 0 || day > *days_of.get((month as usize).wrapping_sub(1))? {
        return None;
    }
    // Days of years that begin in March, by Howard Hinnant's days_from_civil.
    let (year, month) = (year as i32 - i32::from(month <= 2), (month as i32 + 9) % 12);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day as i32 - 1;
    Some((era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468, rest))
}

/// A number of up to `most` digits at the start of a text, and what is behind it.
fn take_number(text: &[u8], least: usize, most: usize) -> Option<(u32, &[u8])> {
    let length = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if length < least {
        return None;
    }
    let value = text[..length].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some((value, &text[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_would_be_rounded_are_told() {
        for exact in ["9007199254740992", "-9007199254740992", "9007199254740994", "9007199254740993.0", "1e30"] {
            assert_eq!(unrounded(exact.as_bytes()), exact.parse().ok(), "{exact}");
        }
        for rounded in ["9007199254740993", "-9007199254740993", "18446744073709551615", &"9".repeat(60), "x"] {
            assert_eq!(unrounded(rounded.as_bytes()), None, "{rounded}");
        }
    }

    #[test]
    fn integers_are_exact_to_their_ends() {
        let check = |text: &str, signed, unsigned_too| {
            assert_eq!((integer(text.as_bytes()), unsigned(text.as_bytes())), (signed, unsigned_too), "{text}");
        };
        check("9223372036854775807", Some(i64::MAX), Some(i64::MAX as u64));
        check("-9223372036854775808", Some(i64::MIN), None);
        check("9223372036854775808", None, Some(1 << 63));
        check("18446744073709551615", None, Some(u64::MAX));
        check("18446744073709551616", None, None);
        check("-9223372036854775809", None, None);
        check("+5", Some(5), Some(5));
        check("007", Some(7), Some(7));
        for none in ["", "-", "+", "1.0", "1e3", "0x1", "1_000", " 1", "\u{661}"] {
            check(none, None, None);
        }
    }

    /// By Python's datetime.
    #[test]
    fn days_and_times_are_those_of_the_calendar() {
        let days = |text: &str, expected| assert_eq!(date(text.as_bytes()), expected, "{text}");
        days("1970-01-01", Some(0));
        days("1969-12-31", Some(-1));
        days("2000-02-29", Some(11_016));
        days("2024-03-01", Some(19_783));
        days("0001-01-01", Some(-719_162));
        days("9999-12-31", Some(2_932_896));
        days("2013-1-5", Some(15_710));
        for none in ["1900-02-29", "2023-02-29", "2024-00-01", "2024-13-01", "2024-04-31", "2024-01-00", "2024-01-01x"]
        {
            days(none, None);
        }
        let at = |text: &str, microseconds, digits, zoned| {
            let found = time(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let found = (found.microseconds(), found.digits, found.zoned);
            assert_eq!(found, (Some(microseconds), digits, zoned), "{text}");
        };
        at("2013-01-31T05:15:00", 1_359_609_300_000_000, 0, false);
        at("2013-01-31 05:15", 1_359_609_300_000_000, 0, false);
        at("2013-01-31", 1_359_590_400_000_000, 0, false);
        at("2013-01-31 05:15:00.250", 1_359_609_300_250_000, 2, false);
        at("2013-01-31T05:15:00Z", 1_359_609_300_000_000, 0, true);
        at("2013-01-31T05:15:00+01:30", 1_359_603_900_000_000, 0, true);
        at("2013-01-31T05:15:00-0130", 1_359_614_700_000_000, 0, true);
        at("1969-12-31T23:59:59.999999", -1, 6, false);
        assert_eq!(time(b"2013-01-31T05:15:00.123456789").unwrap().nanoseconds(), Some(1_359_609_300_123_456_789));
        assert_eq!(time(b"9999-01-31T05:15:00").unwrap().nanoseconds(), None);
        for none in [
            "2013-01-31T24:00:00",
            "2013-01-31T5:15",
            "2013-01-31T05:60",
            "2013-01-31T05:15:00.",
            "05:15:00",
            "2013-01-31T05:15:00.1234567890",
            "2013-01-31T05:150",
            "12013-01-31",
        ] {
            assert_eq!(time(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn some_texts_stand_for_no_value() {
        let missing = Missing::new(&MISSING);
        ["", "NA", "N/A", "null", "NULL", "NaN", "nan"].iter().for_each(|text| assert!(missing.is(text.as_bytes())));
        ["NAN", "N", "-", "0", "nan "].iter().for_each(|text| assert!(!missing.is(text.as_bytes())));
        let missing = Missing::new(&["-", "keine Angabe"]);
        ["", "-", "keine Angabe"].iter().for_each(|text| assert!(missing.is(text.as_bytes())));
        ["NA", "nan"].iter().for_each(|text| assert!(!missing.is(text.as_bytes())));
    }
}
