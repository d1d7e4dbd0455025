use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill::data::{Column, Number};

use super::encode::{Fill, Rule, Way};
use crate::format;
use crate::results::TaskKind;

/// Whole numbers with at most this many different values are classes.
const MAX_CLASSES: usize = 20;
/// Most classes of a target, where classes were asked for.
const MOST_CLASSES: usize = 10_000;

/// What happens to a row whose target is none of those trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// It ends the comparison.
    Error,
    /// It is left out and counted.
    Skip,
}

/// A value of a target, exactly: equal ones are equal, whatever their type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number, with all its digits.
    Number(Number),
    /// A text.
    Text(Box<str>),
}

/// A target that can be learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What it is.
    pub kind: TaskKind,
    /// How it is encoded.
    pub rule: Rule,
}

/// What the rows of a target hold: decided on all that are trained on, by value.
#[derive(Clone, Debug)]
pub struct TargetScan {
    /// Rows that were read.
    pub rows: u64,
    /// Rows without a value: null, or NaN.
    pub nulls: u64,
    /// Rows whose value is infinite; they count as missing.
    pub infinite: u64,
    /// Different values, up to one more than classes can be.
    distinct: BTreeSet<Value>,
    /// Most different values that are told apart.
    most: usize,
    is_text: bool,
    fraction: Option<Number>,
}

impl Value {
    fn as_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

/// Numbers in their order, then texts in theirs.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(ours), Self::Number(theirs)) => {
                ours.to_f64().total_cmp(&theirs.to_f64()).then_with(|| ours.whole().cmp(&theirs.whole())).then_with(
                    || if ours == theirs { Ordering::Equal } else { ours.to_string().cmp(&theirs.to_string()) },
                )
            }
            (Self::Text(ours), Self::Text(theirs)) => ours.cmp(theirs),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// What a row of a target column holds; none where it is missing or infinite.
pub fn value_of(column: &Column<f64>, row: usize) -> Option<Value> {
    match column {
        Column::Real { values, .. } if values[row].is_infinite() => None,
        Column::Text { .. } => column.text(row).map(|text| Value::Text(text.into())),
        Column::Real { .. } | Column::Index { .. } => column.number(row).map(Value::Number),
    }
}

/// A number between two, at or above the first and below the second, as floating-point numbers have it.
fn between(low: Number, high: Number) -> Option<f64> {
    let (below, above) = (low.to_f64(), high.to_f64());
    let middle = below / 2.0 + above / 2.0;
    if below < middle && middle < above {
        return Some(middle);
    }
    let floor = |number: f64| Number::of_real(number.floor())?.whole();
    let parts = |number: f64| match (low.whole(), high.whole(), floor(number)) {
        (Some(low), Some(high), Some(floor)) => low <= floor && floor < high,
        (Some(_), Some(_), None) => false,
        _ => below <= number && number < above && Number::of_real(below) == Some(low),
    };
    [below, above].into_iter().find(|&number| parts(number))
}

impl TargetScan {
    /// Of a column of texts or of numbers, for a task that was asked for or is to be told.
    pub fn new(is_text: bool, asked: Option<TaskKind>) -> Self {
        let most = if is_text || asked == Some(TaskKind::Multiclass) { MOST_CLASSES } else { MAX_CLASSES };
        Self { rows: 0, nulls: 0, infinite: 0, distinct: BTreeSet::new(), most, is_text, fraction: None }
    }

    /// Looks at the next rows.
    pub fn observe(&mut self, column: &Column<f64>, rows: std::ops::Range<usize>) {
        self.rows += rows.len() as u64;
        for row in rows {
            let Some(value) = value_of(column, row) else {
                match column {
                    Column::Real { values, nulls, .. } if !nulls.is_null(row) && values[row].is_infinite() => {
                        self.infinite += 1;
                    }
                    _ => self.nulls += 1,
                }
                continue;
            };
            if self.fraction.is_none()
                && let Some(number) = value.as_number().filter(|number| number.whole().is_none())
            {
                self.fraction = Some(number);
            }
            if self.distinct.len() <= self.most {
                self.distinct.insert(value);
            }
        }
    }

    /// Rows with a value.
    pub fn present(&self) -> u64 {
        self.rows - self.nulls - self.infinite
    }

    /// Whether a value is among those seen.
    pub fn has(&self, value: &Value) -> bool {
        self.distinct.contains(value)
    }

    /// The values seen, the first of them where there are many.
    pub fn values(&self) -> String {
        let first: Vec<String> = self.distinct.iter().take(MAX_CLASSES).map(Value::to_string).collect();
        if self.distinct.len() > first.len() { first.join(", ") + ", …" } else { format::listed(&first) }
    }

    /// Different values seen; of many, at least so many.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }

    /// The two numbers of a binary target in order, and a number between them.
    pub fn two_numbers(&self) -> Option<([Number; 2], f64)> {
        let mut values = self.distinct.iter().map(Value::as_number);
        match (values.next(), values.next(), values.next()) {
            (Some(Some(low)), Some(Some(high)), None) => Some(([low, high], between(low, high)?)),
            _ => None,
        }
    }

    /// What the target is when nobody says, and how it is encoded; or why what was asked for is not possible.
    ///
    /// # Errors
    ///
    /// In the words of whoever asked, with the option that helps.
    pub fn target(&self, column: &str, asked: Option<TaskKind>) -> Result<Target, String> {
        let count = self.distinct.len();
        let kind = asked.unwrap_or(match self.two_numbers() {
            Some(_) => TaskKind::Binary,
            None if self.is_text || (self.fraction.is_none() && count <= MAX_CLASSES) => TaskKind::Multiclass,
            None => TaskKind::Regression,
        });
        let way = match (kind, self.two_numbers()) {
            (TaskKind::Regression, _) if self.is_text => {
                return Err(format!("column {column} is text; regression expects numbers. Choose --task multiclass"));
            }
            (TaskKind::Regression, _) => Way::Standardize,
            (TaskKind::Binary, Some((_, between))) => Way::Above(between),
            (TaskKind::Binary, None) if self.is_text => {
                return Err(format!(
                    "column {column} is text; a binary target has two different numbers. Choose --task multiclass"
                ));
            }
            (TaskKind::Binary, None) => {
                let many = if count > self.most { format!("more than {}", self.most) } else { count.to_string() };
                return Err(format!(
                    "column {column} has {many} different numbers in the training rows ({}); a binary target has two. \
                     Choose --task multiclass or --task regression, or leave rows out by --where",
                    self.values()
                ));
            }
            (TaskKind::Multiclass, _) if count > MOST_CLASSES => {
                return Err(format!(
                    "column {column} has more than 10,000 different values in the training rows, too many for classes; {}",
                    if self.is_text { "choose another --target" } else { "choose --task regression" }
                ));
            }
            (TaskKind::Multiclass, _) => match self.fraction {
                Some(fraction) => {
                    return Err(format!(
                        "column {column} holds numbers that are not whole, such as {fraction}; classes are whole \
                         numbers or texts. Choose --task regression"
                    ));
                }
                None => Way::Class,
            },
        };
        let fill = Fill::DropRow;
        Ok(Target { kind, rule: Rule { way, fill } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(value: f64) -> Number {
        Number::of_real(value).unwrap()
    }

    #[test]
    fn numbers_are_in_their_order_and_zero_is_one_value() {
        let rising = [f64::MIN, -2.5, -1.0, -1e-300, 0.0, 1e-300, 1.0, 9_007_199_254_740_992.0];
        let mut rising: Vec<Number> = rising.into_iter().map(real).collect();
        rising.extend([(1_i64 << 53) + 1, (1 << 53) + 2, i64::MAX].map(Number::from));
        rising.extend([Number::from(u64::MAX), real(f64::MAX)]);
        for pair in rising.windows(2) {
            assert!(Value::Number(pair[0]) < Value::Number(pair[1]), "{pair:?}");
        }
        assert_eq!(Value::Number(real(-0.0)), Value::Number(real(0.0)));
        assert_eq!(Value::Number(real(-0.0)).to_string(), "0");
    }

    #[test]
    fn a_threshold_lies_between_two_numbers_or_there_is_none() {
        let whole = |low: i64, high: i64| between(Number::from(low), Number::from(high));
        assert_eq!(whole(0, 1), Some(0.5));
        assert_eq!(whole(1 << 53, (1 << 53) + 1), Some(2_f64.powi(53)));
        assert_eq!(whole((1 << 53) - 1, 1 << 53), Some(2_f64.powi(53) - 1.0));
        // Between 2^54 + 1 and 2^54 + 2 there is no number of 64 bits that is not above the first.
        assert_eq!(whole((1 << 54) + 1, (1 << 54) + 2), None);
        let next = 1.0_f64.next_up();
        assert_eq!(between(real(1.0), real(next)), Some(1.0));
        assert_eq!(between(Number::of_decimal(3, 1), Number::of_decimal(4, 1)), Some(0.35));
    }
}
