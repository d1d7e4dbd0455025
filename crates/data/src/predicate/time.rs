/// Seconds since 1970 of `2013-07-01`, `2013-07-01 12:00`, `2013-07-01T12:00:00.5Z`, UTC.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:0"));
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (i64::from(date.next()??), date.next()??, date.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get((month as usize).checked_sub(1)?)?;
    if !(1..=length).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<u32>().ok()?, time.next()?.parse::<u32>().ok()?);
    let second = time.next().map_or(Some(0.0), |second| second.parse::<f64>().ok())?;
    if hour > 23 || minute > 59 || !(0.0..60.0).contains(&second) {
        return None;
    }
    let years = year - 1;
    let before = years * 365 + years / 4 - years / 100 + years / 400;
    let days = before + i64::from(lengths[..month as usize - 1].iter().sum::<u32>() + day - 1) - 719_162;
    Some(days as f64 * 86_400.0 + f64::from(hour * 3600 + minute * 60) + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, expected) in [
            ("1970-01-01", Some(0.0)),
            ("1969-12-31 23:59:59", Some(-1.0)),
            ("2000-02-29", Some(951_782_400.0)),
            ("2013-07-01T12:30:15.5Z", Some(1_372_681_815.5)),
            ("2024-02-29 13:30", Some(1_709_213_400.0)),
            ("1900-02-29", None),
            ("2013-13-01", None),
            ("2013-00-01", None),
            ("2013-07", None),
            ("2013-07-01 24:00", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
