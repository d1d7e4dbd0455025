use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill::data::Column;

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

/// A value of a target, by which equal ones are equal: −0.0 is 0.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A number; its bits in an order that is that of the numbers.
    Number(i64),
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
    fraction: Option<f64>,
}

impl Value {
    /// Of a number that is finite.
    pub fn number(value: f64) -> Self {
        let bits = (value + 0.0).to_bits() as i64;
        Self::Number(bits ^ (((bits >> 63) as u64) >> 1) as i64)
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(key) => Some(f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(_) => write!(f, "{}", self.as_number().unwrap_or(f64::NAN)),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// What a row of a target column holds; none where it is missing.
pub fn value_of(column: &Column<f64>, row: usize) -> Option<Value> {
    match column {
        Column::Real { values, nulls, .. } => {
            (!nulls.is_null(row) && values[row].is_finite()).then(|| Value::number(values[row]))
        }
        Column::Text { .. } => column.text(row).map(|text| Value::Text(text.into())),
        Column::Index { values } => Some(Value::number(f64::from(values[row]))),
    }
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
                && let Some(number) = value.as_number().filter(|number| number.fract() != 0.0)
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

    /// The two numbers of a binary target, in order.
    pub fn two_numbers(&self) -> Option<[f64; 2]> {
        let mut values = self.distinct.iter().map(Value::as_number);
        match (values.next(), values.next(), values.next()) {
            (Some(Some(low)), Some(Some(high)), None) => Some([low, high]),
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
            (TaskKind::Binary, Some([low, _])) => Way::Above(low),
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

    #[test]
    fn numbers_are_in_their_order_and_zero_is_one_value() {
        let rising = [f64::MIN, -2.5, -1.0, -1e-300, 0.0, 1e-300, 1.0, 9_007_199_254_740_992.0, f64::MAX];
        for pair in rising.windows(2) {
            assert!(Value::number(pair[0]) < Value::number(pair[1]), "{pair:?}");
        }
        rising.iter().for_each(|&number| assert_eq!(Value::number(number).as_number(), Some(number)));
        assert_eq!(Value::number(-0.0), Value::number(0.0));
        assert_eq!(Value::number(-0.0).to_string(), "0");
    }
}
