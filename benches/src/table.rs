use std::fmt;

use serde_json::Value;

use crate::Comparison;

/// Cells in columns; numbers to the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns that hold words.
    words: &'static [usize],
}

impl Table {
    /// Figures that were taken alone: each under its name, its line.
    pub fn of_figures(figures: &[(String, Value)]) -> Self {
        let head = ["workload", "threads", "rows/s", "best", "µs/step", "peak MB", "waiting", "engine"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (name, line) in figures {
            let number = |key: &str| line[key].as_f64();
            rows.push(vec![
                name.clone(),
                line["threads"].to_string(),
                or_dash(number("median").or(number("rows_per_s")).map(short)),
                or_dash(number("best").map(short)),
                or_dash(number("us_per_step").map(|time| time.to_string())),
                or_dash(number("peak_rss_mb").map(|peak| peak.to_string())),
                or_dash(number("waiting").map(|share| format!("{:.1} %", 100.0 * share))),
                line["how"].as_str().unwrap_or_default().to_owned(),
            ]);
            if let Some(rate) = number("median_with_metric") {
                let mut cells = vec!["-".to_owned(); head.len()];
                (cells[0], cells[1]) = (format!("{name}, scored"), line["threads"].to_string());
                (cells[2], cells[7]) = (short(rate), rows[rows.len() - 1][7].clone());
                rows.push(cells);
            }
        }
        Self { rows, words: &[0, 7] }
    }

    /// Comparisons, each under its name and threads: a row for us, and one for each peer.
    pub fn of_comparisons(comparisons: &[(String, usize, Comparison)]) -> Self {
        let head = ["workload", "threads", "engine", "rows/s", "ours/it", "peak MB", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let memory = |peak: Option<u64>| or_dash(peak.map(|peak| peak.to_string()));
        let rate = |median: Option<f64>| or_dash(median.map(short));
        for (name, threads, found) in comparisons {
            let ours = &found.ours;
            let first = [name.clone(), threads.to_string(), "tidemill".into(), rate(ours.median())];
            rows.push(first.into_iter().chain([String::new(), memory(ours.peak()), String::new()]).collect());
            let fastest = found.fastest().map(|rival| rival.name);
            for rival in &found.rivals {
                let remark = match &rival.trouble {
                    Some(trouble) => format!("skipped: {trouble}"),
                    None if Some(rival.name) == fastest => "fastest peer".into(),
                    None => String::new(),
                };
                let ratio = or_dash(rival.ratio().map(|ratio| format!("{ratio:.2}")));
                let cells = [String::new(), String::new(), rival.name.into(), rate(rival.runs.median()), ratio];
                rows.push(cells.into_iter().chain([memory(rival.runs.peak()), remark]).collect());
            }
            if found.rivals.is_empty() {
                rows.last_mut().expect("our row")[6] = "no peer has this".into();
            }
        }
        Self { rows, words: &[0, 2, 6] }
    }
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".into())
}

/// Three digits, and k or M.
fn short(rate: f64) -> String {
    let (value, unit) = match rate {
        rate if rate >= 999_500.0 => (rate / 1e6, " M"),
        rate if rate >= 999.5 => (rate / 1e3, " k"),
        rate => (rate, ""),
    };
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$}{unit}")
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let gap = if column == 0 { "" } else { "  " };
                let words = self.words.contains(&column);
                line += &if words { format!("{gap}{cell:<width$}") } else { format!("{gap}{cell:>width$}") };
            }
            let end = if number + 1 == self.rows.len() { "" } else { "\n" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_have_three_digits() {
        let cases = [(7.0, "7.00"), (870.0, "870"), (3_499.0, "3.50 k"), (99_960.0, "100 k"), (999_700.0, "1.00 M")];
        for (rate, expected) in cases.into_iter().chain([(15_040_000.0, "15.0 M")]) {
            assert_eq!(short(rate), expected);
        }
    }

    #[test]
    fn figures_are_read_from_the_table() {
        let seed = json!({"threads": 1, "best": 9e6, "median": 8e6, "us_per_step": 4.5, "how": "serial"});
        let online = json!({"threads": 1, "median": 2e6, "median_with_metric": 1.5e6, "how": "serial"});
        let stream = json!({"threads": 2, "rows_per_s": 4e5, "peak_rss_mb": 90, "waiting": 0.031, "how": "2 shards"});
        let named = [("seed".to_owned(), seed), ("online1 memory".into(), online), ("stream".into(), stream)];
        let expected = "\
workload                threads  rows/s    best  µs/step  peak MB  waiting  engine
seed                          1  8.00 M  9.00 M      4.5        -        -  serial
online1 memory                1  2.00 M       -        -        -        -  serial
online1 memory, scored        1  1.50 M       -        -        -        -  serial
stream                        2   400 k       -        -       90    3.1 %  2 shards";
        assert_eq!(Table::of_figures(&named).to_string(), expected);
    }

    #[test]
    fn comparisons_are_read_from_the_table() {
        let run = |rate: f64| (json!({"peak_rss_mb": 40}), rate);
        let peers = [("jax", None), ("torch", Some("this Python has no torch".to_owned()))];
        let found = Comparison::alternate(&peers, 1, || Ok(run(3e6)), |_| Ok((json!({}), 1.5e6))).unwrap();
        let alone = Comparison::alternate(&[], 1, || Ok(run(3e5)), |_| unreachable!("nobody")).unwrap();
        let table = Table::of_comparisons(&[("stream".into(), 2, found), ("online1 parquet".into(), 1, alone)]);
        let expected = "\
workload         threads  engine    rows/s  ours/it  peak MB
stream                 2  tidemill  3.00 M                40
                          jax       1.50 M     2.00        -  fastest peer
                          torch          -        -        -  skipped: this Python has no torch
online1 parquet        1  tidemill   300 k                40  no peer has this";
        assert_eq!(table.to_string(), expected);
    }
}
