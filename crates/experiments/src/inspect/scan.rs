use std::collections::{HashMap, HashSet};

use serde::Serialize;
use tidemill::data::{Column, Number, Quantiles};

/// Most different values that are counted, and most bytes of texts among them.
const DISTINCT: usize = 1 << 16;
const TEXTS: usize = 16 << 20;

/// What the rows read hold in one column.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Rows without a value, NaN included.
    pub nulls: u64,
    /// Different values; at least so many where `distinct_is_exact` is false.
    pub distinct: u64,
    /// Whether all values were counted.
    pub distinct_is_exact: bool,
    /// What the numbers are like; none of texts.
    pub numbers: Option<Numbers>,
    /// The most frequent texts and how often they come; none of numbers, or where there are too many.
    pub most_frequent: Vec<(String, u64)>,
}

/// What the numbers of a column are like.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    /// The mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The quartile below.
    pub q25: f64,
    /// The median.
    pub median: f64,
    /// The quartile above.
    pub q75: f64,
    /// The greatest.
    pub max: f64,
    /// Whether all are whole numbers.
    pub whole: bool,
    /// Whether each is one more than that of the row before.
    pub counts_rows: bool,
    /// Values that are infinite.
    pub infinite: u64,
}

/// Reads one column.
#[derive(Default)]
pub(super) struct Scan {
    nulls: u64,
    quantiles: Quantiles,
    sum: f64,
    fractions: bool,
    jumps: bool,
    last: Option<Number>,
    infinite: u64,
    numbers: HashSet<Number>,
    texts: HashMap<Box<str>, u64>,
    text_bytes: usize,
    uncounted: bool,
    is_text: bool,
}

impl Scan {
    pub fn observe(&mut self, column: &Column<f64>) {
        match column {
            Column::Text { ends, .. } => {
                self.is_text = true;
                (0..ends.len()).for_each(|row| self.text(column.text(row)));
            }
            Column::Real { width: 1, values, .. } => {
                for (row, &value) in values.iter().enumerate() {
                    match column.number(row) {
                        Some(number) => self.number(value, number),
                        None => self.nulls += 1,
                    }
                }
            }
            Column::Real { width, values, nulls, .. } => {
                for (row, values) in values.chunks_exact(*width).enumerate() {
                    if nulls.is_null(row) || values.iter().any(|v| v.is_nan()) {
                        self.nulls += 1;
                    } else {
                        values.iter().for_each(|&value| {
                            Number::of_real(value).into_iter().for_each(|number| self.number(value, number));
                        });
                    }
                }
            }
            Column::Index { values } => values.iter().for_each(|&value| self.number(value.into(), value.into())),
        }
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.nulls += 1,
            Some(text) => {
                if let Some(count) = self.texts.get_mut(text) {
                    *count += 1;
                } else if self.texts.len() < DISTINCT && self.text_bytes + text.len() <= TEXTS {
                    self.text_bytes += text.len();
                    self.texts.insert(text.into(), 1);
                } else {
                    self.uncounted = true;
                }
            }
        }
    }

    /// A number as it is, and as `f64` has it.
    fn number(&mut self, value: f64, number: Number) {
        if value.is_infinite() {
            self.infinite += 1;
            return;
        }
        self.quantiles.observe([value]);
        self.sum += value;
        let whole = number.whole();
        // What is beyond 128 bits is whole.
        self.fractions |= whole.is_none() && value.abs() < 1e38;
        let next = self.last.and_then(Number::whole).and_then(|last| last.checked_add(1));
        self.jumps |= self.last.is_some() && (next.is_none() || whole != next);
        self.last = Some(number);
        if self.numbers.len() < DISTINCT {
            self.numbers.insert(number);
        } else {
            self.uncounted |= !self.numbers.contains(&number);
        }
    }

    pub fn seen(&self, rows: u64) -> Seen {
        let count = self.quantiles.count();
        let [min, q25, median, q75, max] = self.quantiles.quantiles([0.0, 0.25, 0.5, 0.75, 1.0]);
        let numbers = (!self.is_text && count > 0).then(|| Numbers {
            mean: self.sum / count as f64,
            min,
            q25,
            median,
            q75,
            max,
            whole: !self.fractions,
            counts_rows: !self.jumps && !self.fractions && count == rows && rows > 2,
            infinite: self.infinite,
        });
        let mut most_frequent: Vec<(String, u64)> = Vec::new();
        if !self.uncounted {
            let mut texts: Vec<_> = self.texts.iter().collect();
            texts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            most_frequent = texts.into_iter().take(5).map(|(text, &count)| (text.to_string(), count)).collect();
        }
        Seen {
            nulls: self.nulls,
            distinct: (self.texts.len() + self.numbers.len()) as u64,
            distinct_is_exact: !self.uncounted,
            numbers,
            most_frequent,
        }
    }
}
