use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// What a process that measured says: the last line of its output, an object of JSON.
///
/// A figure has its rate as `median` (of repeats) or `rows_per_s` (of one pass); `{"skipped": "why"}` says that there is
/// none.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The line, and the rows a second in it.
    Figure(Value, f64),
    /// Why there is none.
    Skipped(String),
}

impl Answer {
    /// Runs the command to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be started, fails, or answers in another way.
    pub fn of(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} cannot be started"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", output.status, last_line(&said).unwrap_or("it said nothing"));
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// Reads what was printed.
    ///
    /// # Errors
    ///
    /// When its last line is no figure and no reason.
    pub fn parse(output: &str) -> Result<Self> {
        let line = last_line(output).context("nothing was printed, expected a line of JSON")?;
        let value: Value = serde_json::from_str(line).with_context(|| format!("expected a line of JSON: {line}"))?;
        if let Some(reason) = value["skipped"].as_str() {
            return Ok(Self::Skipped(reason.to_owned()));
        }
        let rate = ["median", "rows_per_s"].iter().find_map(|key| value[*key].as_f64());
        match rate {
            Some(rate) if rate > 0.0 => Ok(Self::Figure(value, rate)),
            _ => bail!("expected median or rows_per_s above zero: {line}"),
        }
    }
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_answer() {
        let figure = |text: &str| match Answer::parse(text).unwrap() {
            Answer::Figure(value, rate) => (value["engine"].as_str().unwrap().to_owned(), rate),
            Answer::Skipped(reason) => panic!("{reason}"),
        };
        assert_eq!(figure("warming up\n{\"engine\": \"jax\", \"median\": 12}\n\n"), ("jax".into(), 12.0));
        assert_eq!(figure(r#"{"engine": "polars", "rows_per_s": 1.5}"#), ("polars".into(), 1.5));
        let skipped = Answer::parse(r#"{"skipped": "no layers of that kind"}"#).unwrap();
        assert_eq!(skipped, Answer::Skipped("no layers of that kind".into()));
    }

    #[test]
    fn other_answers_are_refused_with_what_was_said() {
        let error = |text: &str| format!("{:#}", Answer::parse(text).unwrap_err());
        assert!(error("\n").contains("nothing was printed"));
        assert!(error("12 rows").contains("12 rows"));
        assert!(error(r#"{"best": 12}"#).contains("expected median or rows_per_s"));
        assert!(error(r#"{"median": 0}"#).contains("above zero"));
    }

    #[test]
    fn a_process_that_fails_is_quoted() {
        let error = Answer::of(Command::new("sh").args(["-c", "echo first >&2; echo last words >&2; exit 3"]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains('3') && error.ends_with("last words"), "{error}");
        let error = Answer::of(&mut Command::new("no-such-interpreter")).unwrap_err().to_string();
        assert!(error.starts_with("no-such-interpreter cannot be started"), "{error}");
    }
}
