//! Text from files as it is shown on a terminal: no character in it can move the cursor, colour or hide what follows.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with control characters escaped, as `\n` and `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_unprintable)
}

/// The same, of several lines.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_unprintable(c))
}

/// JSON, in which control characters come in strings alone.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(|c| c != '\n' && is_unprintable(c)) {
        return json.into();
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unprintable(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| _ = write!(text, "\\u{unit:04x}"));
        } else {
            text.push(c);
        }
    }
    text.into()
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if !is_bad(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.extend(c.escape_unicode()),
        }
    }
    out.into()
}

/// Control characters, line separators, and marks that turn the direction of what follows.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// An argument as a shell takes it, and as a terminal shows it.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    if !text.contains(is_unprintable) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut quoted = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            _ if is_unprintable(c) => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| _ = write!(quoted, "\\x{byte:02x}"));
            }
            _ => quoted.push(c),
        }
    }
    quoted + "'"
}

/// An option with its value, which may begin with a dash.
pub(crate) fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("{name}{between}{}", quoted(value))
}

/// A column's name in a condition.
pub(crate) fn in_condition(name: &str) -> String {
    const WORDS: [&str; 9] = ["and", "or", "not", "in", "is", "null", "between", "true", "false"];
    let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let plain = starts && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    if plain && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        name.into()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_it_obeys() {
        for (text, shown) in [
            ("plain ä 東", "plain ä 東"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("\u{202e}txt", "\\u{202e}txt"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_lines("a\nb\u{7}"), "a\nb\\u{7}");
        let json = serde_json::to_string("a\u{9b}\u{1b}\u{202e}").unwrap();
        let safe = printable_json(&json);
        assert!(!safe.contains(is_unprintable));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "a\u{9b}\u{1b}\u{202e}");
    }

    #[test]
    fn a_shell_takes_what_is_quoted() {
        for text in ["plain", "two words", "it's", "a\u{1b}[31m'\\b\n", "", "$HOME `x` \"q\"", "\u{9b}ä\n"] {
            let script = format!("printf %s {}", quoted(text));
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(option("--target", "-x"), "--target=-x");
        assert_eq!(in_condition("odd \"name\""), "\"odd \"\"name\"\"\"");
    }
}
