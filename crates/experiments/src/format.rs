//! Numbers as people read them.

/// A loss or score: four digits behind the point, fewer for large numbers; `-` when it is not finite.
pub(crate) fn decimal(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "-".into(),
        _ if size != 0.0 && !(5e-4..9.995e6).contains(&size) => format!("{value:.2e}"),
        _ if size < 10.0 => format!("{value:.4}"),
        _ if size < 100.0 => format!("{value:.3}"),
        _ if size < 1000.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

/// A count: `9,999`, `12.3 k`, `2.53 M`.
pub(crate) fn count(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "-".into(),
        _ if value < 9_999.5 => exact(value.round() as u64),
        _ => scaled(value, &[(1e3, " k"), (1e6, " M"), (1e9, " G"), (1e12, " T")]),
    }
}

/// A count in full: `336,776`.
pub(crate) fn exact(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows a second: `820`, `82.1 k`.
pub(crate) fn rate(value: f64) -> String {
    if value < 999.5 { three_digits(value) } else { scaled(value, &[(1e3, " k"), (1e6, " M"), (1e9, " G")]) }
}

/// Memory, in powers of ten: `84 MB`, `1.25 GB`.
pub(crate) fn bytes(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let units = [(1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")];
    let (unit, name) = units.into_iter().find(|(unit, _)| value / unit < 999.5).unwrap_or((1e12, "TB"));
    let digits = if value / unit < 9.995 && unit > 1.0 { 2 } else { 0 };
    format!("{:.digits$} {name}", value / unit)
}

/// A time: `420 ms`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        _ if !seconds.is_finite() => "-".into(),
        s if s < 0.9995 => format!("{} ms", three_digits(s * 1e3)),
        s if s < 99.95 => format!("{} s", three_digits(s)),
        s if s < 3599.5 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => {
            let minutes = (seconds / 60.0).round() as u64;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
    }
}

/// A time in a column, where it is compared with others: `420 ms`, `12.3 s`, `3,725 s`, `2.78 h`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() => "-".into(),
        s if s < 99.95 => duration(s),
        s if s < 9999.5 => format!("{} s", exact(s.round() as u64)),
        s => format!("{} h", three_digits(s / 3600.0)),
    }
}

/// How many times: `1.3`, `10`.
pub(crate) fn ratio(value: f64) -> String {
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A share in percent: `2.1 %`.
pub(crate) fn percent(share: f64) -> String {
    let value = share * 100.0;
    let digits = if value.abs() < 0.095 { 2 } else { usize::from(value.abs() < 9.95) };
    format!("{value:.digits$} %")
}

/// A text with its first letter large.
pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Words as in a sentence: `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().into(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// A number in words up to twelve, in digits above.
pub(crate) fn number(value: usize) -> String {
    const WORDS: [&str; 13] =
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    WORDS.get(value).map_or_else(|| value.to_string(), |&word| word.into())
}

/// The text in lines of at most `width` characters, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let last = units[units.len() - 1];
    let &(unit, name) = units.iter().find(|(unit, _)| value / unit < 999.5).unwrap_or(&last);
    format!("{}{name}", three_digits(value / unit))
}

fn three_digits(value: f64) -> String {
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    if value == 0.0 { "0".into() } else { format!("{value:.digits$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_sensible_digits() {
        let rows: &[(String, &str)] = &[
            (decimal(0.42134), "0.4213"),
            (decimal(12.3456), "12.346"),
            (decimal(-0.5), "-0.5000"),
            (decimal(0.00001), "1.00e-5"),
            (decimal(0.0), "0.0000"),
            (decimal(f64::NAN), "-"),
            (count(0.0), "0"),
            (count(9_999.0), "9,999"),
            (count(12_345.0), "12.3 k"),
            (count(999_950.0), "1.00 M"),
            (count(2_525_820.0), "2.53 M"),
            (exact(336_776), "336,776"),
            (exact(12), "12"),
            (rate(12_345.0), "12.3 k"),
            (rate(820.4), "820"),
            (rate(f64::INFINITY), "-"),
            (bytes(84.2e6), "84 MB"),
            (bytes(1.25e9), "1.25 GB"),
            (bytes(999.9e6), "1.00 GB"),
            (duration(0.42), "420 ms"),
            (duration(12.34), "12.3 s"),
            (duration(125.0), "2 min 05 s"),
            (duration(3725.0), "1 h 02 min"),
            (duration(f64::NAN), "-"),
            (seconds(125.4), "125 s"),
            (seconds(3725.0), "3,725 s"),
            (seconds(10_000.0), "2.78 h"),
            (ratio(9.96), "10"),
            (ratio(1.26), "1.3"),
            (percent(0.0213), "2.1 %"),
            (percent(0.25), "25 %"),
            (percent(0.0004), "0.04 %"),
            (listed(&["a", "b", "c"]), "a, b and c"),
            (listed::<&str>(&[]), ""),
            (capitalized("log loss"), "Log loss"),
            (number(4), "four"),
            (number(13), "13"),
        ];
        for (found, expected) in rows {
            assert_eq!(found, expected);
        }
    }
}
