use std::collections::{HashMap, HashSet};

use serde::Serialize;
use tidemill::data::{Column, Number, Quantiles};

use super::Clock;
use super::distinct::{Distinct, Stable};

/// Most different values of a column that are counted, where few columns share the memory.
const DISTINCT: usize = 1 << 16;
/// Fewest, however many columns do.
const LEAST_DISTINCT: usize = 1 << 11;
/// Most values and most bytes of texts that are held for all columns.
const ALL_DISTINCT: usize = 1 << 22;
const ALL_TEXTS: usize = 128 << 20;

/// What rows hold in one column.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Rows that were read.
    pub rows: u64,
    /// Rows without a value: null, or NaN.
    pub nulls: u64,
    /// Values that are infinite; they count as missing.
    pub infinite: u64,
    /// Different values; about so many where `distinct_is_exact` is false.
    pub distinct: u64,
    /// Whether all values were counted.
    pub distinct_is_exact: bool,
    /// What the numbers are like; none of texts.
    pub numbers: Option<Numbers>,
    /// The most frequent texts and how often they come; none of numbers, or where there are too many.
    pub most_frequent: Vec<(String, u64)>,
    /// Hours of the day, and days of the week, that a column of times has.
    pub hours: u32,
    /// Days of the week.
    pub weekdays: u32,
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
}

impl Seen {
    /// Rows with a value that can be used.
    pub fn present(&self) -> u64 {
        self.rows - self.nulls - self.infinite
    }
}

/// Reads one column.
#[derive(Clone)]
pub struct Scan {
    clock: Option<Clock>,
    rows: u64,
    nulls: u64,
    infinite: u64,
    quantiles: Quantiles,
    sum: f64,
    fractions: bool,
    jumps: bool,
    last: Option<i128>,
    estimate: Distinct,
    numbers: HashSet<Number, Stable>,
    texts: HashMap<Box<str>, u64, Stable>,
    text_bytes: usize,
    most: (usize, usize),
    uncounted: bool,
    is_text: bool,
    hours: u32,
    weekdays: u32,
}

const DAY: f64 = 86_400.0;

impl Scan {
    /// Of a column of that type, one of so many that share the memory.
    pub fn new(data_type: &str, columns: usize) -> Self {
        let columns = columns.max(1);
        Self {
            clock: Clock::of(data_type),
            rows: 0,
            nulls: 0,
            infinite: 0,
            quantiles: Quantiles::default(),
            sum: 0.0,
            fractions: false,
            jumps: false,
            last: None,
            estimate: Distinct::default(),
            numbers: HashSet::default(),
            texts: HashMap::default(),
            text_bytes: 0,
            most: ((ALL_DISTINCT / columns).clamp(LEAST_DISTINCT, DISTINCT), (ALL_TEXTS / columns).min(16 << 20)),
            uncounted: false,
            is_text: false,
            hours: 0,
            weekdays: 0,
        }
    }

    /// Looks at the next rows.
    pub fn observe(&mut self, column: &Column<f64>) {
        match column {
            Column::Text { ends, .. } => {
                self.is_text = true;
                self.rows += ends.len() as u64;
                (0..ends.len()).for_each(|row| self.text(column.text(row)));
            }
            Column::Real { width: 1, values, .. } => {
                self.rows += values.len() as u64;
                for (row, &value) in values.iter().enumerate() {
                    match column.number(row) {
                        None => self.nulls += 1,
                        Some(_) if value.is_infinite() => self.infinite += 1,
                        Some(number) => self.number(value, number),
                    }
                }
            }
            Column::Real { width, values, nulls, .. } => {
                for (row, values) in values.chunks_exact(*width).enumerate() {
                    self.rows += 1;
                    if nulls.is_null(row) || values.iter().any(|v| v.is_nan()) {
                        self.nulls += 1;
                    } else if values.iter().any(|v| v.is_infinite()) {
                        self.infinite += 1;
                    } else {
                        let numbers = values.iter().filter_map(|&value| Some((value, Number::of_real(value)?)));
                        numbers.for_each(|(value, number)| self.number(value, number));
                    }
                }
            }
            Column::Index { values } => {
                self.rows += values.len() as u64;
                values.iter().for_each(|&value| self.number(value.into(), value.into()));
            }
        }
    }

    fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.nulls += 1;
            return;
        };
        if let Some(count) = self.texts.get_mut(text) {
            *count += 1;
            return;
        }
        self.estimate.observe(Stable.of(text));
        if self.texts.len() < self.most.0 && self.text_bytes + text.len() <= self.most.1 {
            self.text_bytes += text.len();
            self.texts.insert(text.into(), 1);
        } else {
            self.uncounted = true;
        }
    }

    /// A number as it is, and as `f64` has it.
    fn number(&mut self, value: f64, number: Number) {
        self.quantiles.observe([value]);
        self.sum += value;
        let whole = number.whole();
        self.fractions |= whole.is_none();
        self.jumps |=
            self.quantiles.count() > 1 && (whole.is_none() || self.last != whole.map(|whole| whole.wrapping_sub(1)));
        self.last = whole;
        self.estimate.observe(Stable.of(&number));
        if self.numbers.len() < self.most.0 {
            self.numbers.insert(number);
        } else {
            self.uncounted = self.uncounted || !self.numbers.contains(&number);
        }
        match self.clock {
            None => {}
            Some(Clock::Date) => self.weekdays |= 1 << value.rem_euclid(7.0) as u32,
            Some(Clock::TimeOfDay) => self.hours |= 1 << ((value.rem_euclid(DAY) / 3600.0) as u32).min(23),
            Some(Clock::Timestamp) => {
                self.weekdays |= 1 << (value / DAY).floor().rem_euclid(7.0) as u32;
                self.hours |= 1 << ((value.rem_euclid(DAY) / 3600.0) as u32).min(23);
            }
        }
    }

    /// What was seen.
    pub fn seen(&self) -> Seen {
        let count = self.quantiles.count();
        let [min, q25, median, q75, max] = self.quantiles.quantiles([0.0, 0.25, 0.5, 0.75, 1.0]);
        let present = self.rows - self.nulls - self.infinite;
        let counted = (self.texts.len() + self.numbers.len()) as u64;
        let distinct =
            if self.uncounted { counted.max(self.estimate.estimate() as u64).min(count.max(present)) } else { counted };
        let all_differ = if self.uncounted { distinct as f64 > 0.95 * count as f64 } else { distinct == count };
        // In another order, or on part of the rows, numbers of rows are still all different and close together.
        let close = count >= 100 && max - min < 2.0 * count as f64;
        let numbers = (!self.is_text && count > 0).then(|| Numbers {
            mean: self.sum / count as f64,
            min,
            q25,
            median,
            q75,
            max,
            whole: !self.fractions,
            counts_rows: !self.fractions && count == self.rows && count > 2 && all_differ && (!self.jumps || close),
        });
        let mut most_frequent: Vec<(String, u64)> = Vec::new();
        if !self.uncounted {
            let mut texts: Vec<_> = self.texts.iter().collect();
            texts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            most_frequent = texts.into_iter().take(5).map(|(text, &count)| (text.to_string(), count)).collect();
        }
        Seen {
            rows: self.rows,
            nulls: self.nulls,
            infinite: self.infinite,
            distinct,
            distinct_is_exact: !self.uncounted,
            numbers,
            most_frequent,
            hours: self.hours.count_ones(),
            weekdays: self.weekdays.count_ones(),
        }
    }
}
