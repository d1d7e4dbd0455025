use super::literal::Literal;

pub(super) const DAY: i64 = 86_400;

/// Days since 1970 of `2013-07-01`.
pub(super) fn days(text: &str) -> Option<i64> {
    let mut date = text.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (i64::from(date.next()??), date.next()??, date.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get((month as usize).checked_sub(1)?)?;
    if !(1..=length).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    let years = year - 1;
    let before = years * 365 + years / 4 - years / 100 + years / 400;
    Some(before + i64::from(lengths[..month as usize - 1].iter().sum::<u32>() + day - 1) - 719_162)
}

/// Seconds since 1970 of `2013-07-01`, `2013-07-01 12:00`, `2013-07-01T12:00:00.5Z`, UTC.
pub(super) fn seconds(text: &str) -> Option<Literal> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:0"));
    let (whole, part) = clock(time)?;
    sum(days(date)? * DAY + whole, part)
}

/// Seconds since midnight of `12:00`, `12:00:00.5`.
pub(super) fn time_of_day(text: &str) -> Option<Literal> {
    let (whole, part) = clock(text)?;
    sum(whole, part)
}

/// Whole seconds, and the digits behind the point.
fn clock(time: &str) -> Option<(i64, &str)> {
    let mut time = time.splitn(3, ':');
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let (hour, minute, second) = (number(time.next()?)?, number(time.next()?)?, time.next().unwrap_or("0"));
    let (second, part) = second.split_once('.').unwrap_or((second, ""));
    let second = number(second)?;
    let is_part = part.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = hour < 24 && minute < 60 && second < 60 && is_part;
    is_time.then(|| (i64::from(hour * 3600 + minute * 60 + second), part))
}

/// Whole seconds and digits behind the point, which count upwards also before 1970.
fn sum(whole: i64, part: &str) -> Option<Literal> {
    let part = part.trim_end_matches('0');
    if whole >= 0 || part.is_empty() {
        return Literal::parse(&format!("{whole}.{part}"));
    }
    // -2 and 0.25 are -1.75: ten to the digits of the part, less the part.
    let zeros = "0".repeat(part.len());
    let (all, part) = (format!("1{zeros}").parse::<i128>().ok()?, part.parse::<i128>().ok()?);
    Literal::parse(&format!("-{}.{:0>width$}", -(whole + 1), all - part, width = zeros.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, expected) in [
            ("1970-01-01", Some("0")),
            ("1969-12-31 23:59:59", Some("-1")),
            ("1969-12-31 23:59:58.25", Some("-1.75")),
            ("1969-12-31 23:59:59.9", Some("-0.1")),
            ("1960-01-01 00:00:00.000000001", Some("-315619199.999999999")),
            ("2000-02-29", Some("951782400")),
            ("2013-07-01T12:30:15.5Z", Some("1372681815.5")),
            ("2024-02-29 13:30", Some("1709213400")),
            ("2024-02-29 13:30:00.123456789", Some("1709213400.123456789")),
            ("1900-02-29", None),
            ("2013-13-01", None),
            ("2013-00-01", None),
            ("2013-07", None),
            ("2013-07-01 24:00", None),
            ("2013-07-01 12:00:00.5e3", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(text).map(|seconds| seconds.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(time_of_day("23:59:59.5").map(|time| time.to_string()).as_deref(), Some("86399.5"));
        assert_eq!(time_of_day("2013-07-01"), None);
        assert_eq!((days("1969-12-31"), days("2024-01-01")), (Some(-1), Some(19_723)));
    }
}
