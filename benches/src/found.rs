use std::fmt;

use serde::Serialize;

use crate::measure::Clock;

/// What was found, as its one line of JSON: the keys that the peers' lines have, and what applies beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// `tidemill`.
    pub engine: &'static str,
    /// The workload's name.
    pub workload: String,
    /// Where rows came from, where a workload knows several ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
    /// Threads that trained; of each rank, where there are several.
    pub threads: usize,
    /// Processes, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// Categories of each column, where there are such columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<u32>,
    /// Of repeated passes.
    #[serde(flatten)]
    pub repeated: Option<Repeated>,
    /// Of the one pass over a file.
    #[serde(flatten)]
    pub pass: Option<Pass>,
    /// What the engine says of itself.
    pub how: String,
}

/// Rates of passes that were repeated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repeated {
    /// Rows a second of the fastest repeat.
    pub best: u64,
    /// Rows a second of the median repeat.
    pub median: u64,
    /// Microseconds a step of the median repeat.
    pub us_per_step: f64,
    /// Rows a second of the median repeat that scores predictions as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_with_metric: Option<u64>,
}

/// What one pass over a file was like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pass {
    /// Rows a second, from opening the file to the last step.
    pub rows_per_s: u64,
    /// The most memory that the process ever had, in units of 2²⁰ bytes, where the system tells.
    pub peak_rss_mb: Option<u64>,
    /// The share of the time in which training waited for rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// Seconds that reading all rows into memory took before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_s: Option<f64>,
    /// The mean loss of the pass, each batch before its update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

impl Found {
    /// Of repeats that took so long for so many rows and steps each.
    pub(crate) fn of_times(
        workload: &str,
        threads: usize,
        rows: usize,
        steps: usize,
        Clock { mut times, how }: Clock,
    ) -> Self {
        times.sort();
        let (best, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
        let repeated = Repeated {
            best: rate(rows, best),
            median: rate(rows, median),
            us_per_step: (1e8 * median / steps as f64).round() / 100.0,
            median_with_metric: None,
        };
        Self { repeated: Some(repeated), how, ..Self::new(workload, threads) }
    }

    /// Of nothing yet.
    pub(crate) fn new(workload: &str, threads: usize) -> Self {
        Self { engine: "tidemill", workload: workload.to_owned(), threads, ..Self::default() }
    }

    /// The line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }
}

/// Rows a second, in whole rows.
pub(crate) fn rate(rows: usize, seconds: f64) -> u64 {
    (rows as f64 / seconds).round() as u64
}

/// `1 thread`, `2 threads`.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", counted(self.threads, "thread"))?;
        if let Some(ranks) = self.ranks {
            write!(f, ", {}", counted(ranks, "rank"))?;
        }
        if let Some(mode) = self.mode {
            write!(f, ", {mode}")?;
        }
        if let Some(Repeated { best, median, us_per_step, median_with_metric }) = &self.repeated {
            write!(f, ": {median} rows/s (median), {best} (best), {us_per_step} µs a step")?;
            if let Some(rate) = median_with_metric {
                write!(f, "; {rate} rows/s when predictions are scored as well")?;
            }
        }
        if let Some(Pass { rows_per_s, peak_rss_mb, waiting, load_s, loss }) = &self.pass {
            write!(f, ": {rows_per_s} rows/s")?;
            if let Some(peak) = peak_rss_mb {
                write!(f, ", peak memory {peak} MB")?;
            }
            if let Some(waiting) = waiting {
                write!(f, ", waiting for rows {:.1} % of the time", 100.0 * waiting)?;
            }
            if let Some(seconds) = load_s {
                write!(f, ", after {seconds} s of loading")?;
            }
            if let Some(loss) = loss {
                write!(f, ", mean loss {loss:.4}")?;
            }
        }
        if self.how.is_empty() { Ok(()) } else { write!(f, " ({})", self.how) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_become_rates() {
        let clock = Clock { times: [3, 1, 2].map(Duration::from_secs).to_vec(), how: "serial".into() };
        let found = Found::of_times("own", 1, 64, 8, clock);
        let Repeated { best, median, us_per_step, .. } = found.repeated.unwrap();
        assert_eq!((best, median, us_per_step), (64, 32, 250_000.0));
    }

    #[test]
    fn what_does_not_apply_is_not_in_the_line() {
        let pass = Pass { rows_per_s: 7, peak_rss_mb: Some(40), waiting: Some(0.25), load_s: None, loss: None };
        let found = Found { mode: Some("stream"), pass: Some(pass), how: "serial".into(), ..Found::new("stream", 1) };
        let expected = concat!(
            r#"{"engine":"tidemill","workload":"stream","mode":"stream","threads":1,"#,
            r#""rows_per_s":7,"peak_rss_mb":40,"waiting":0.25,"how":"serial"}"#
        );
        assert_eq!(found.json(), expected);
        assert_eq!(
            found.to_string(),
            "1 thread, stream: 7 rows/s, peak memory 40 MB, waiting for rows 25.0 % of the time (serial)"
        );
    }
}
