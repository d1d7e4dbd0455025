use super::operand::{Compared, Operand, compared, operand};
use super::{Comparison, Node, Predicate, Value};
use crate::Unit;

/// What is known of the values of a column in some rows, before they are read.
///
/// Everything may be wider than it is: then fewer rows are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// No value is below the first or above the second; `None` where that is not known.
    pub limits: Option<Limits>,
    /// Whether some row may have no value; NaN counts as none.
    pub nulls: bool,
    /// Whether some row may have one.
    pub values: bool,
}

/// The least and the greatest that a value can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Limits {
    /// Of numbers, as sources give them.
    Numbers(f64, f64),
    /// Of whole numbers and decimals, by their digits: `digits / 10^scale`.
    Digits {
        /// The least.
        low: i128,
        /// The greatest.
        high: i128,
        /// Digits behind the point.
        scale: i8,
        /// What the numbers count.
        unit: Unit,
    },
    /// Of texts, as bytes.
    Texts(Vec<u8>, Vec<u8>),
}

impl Bounds {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self { limits: None, nulls: true, values: true }
    }
}

/// What a condition can be for any of the rows.
#[derive(Clone, Copy)]
struct Possible {
    yes: bool,
    no: bool,
    unknown: bool,
}

impl Predicate {
    /// Whether the condition can be true for any row whose columns are within those bounds.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data::{Bounds, Limits, Predicate};
    ///
    /// let far: Predicate = "distance > 500".parse()?;
    /// let near = Bounds { limits: Some(Limits::Numbers(80.0, 500.0)), nulls: true, values: true };
    /// assert!(!far.may_match(|_| near.clone()));
    /// assert!(far.may_match(|_| Bounds::unknown()));
    /// # Ok::<(), tidemill_data::Error>(())
    /// ```
    pub fn may_match(&self, mut bounds: impl FnMut(&str) -> Bounds) -> bool {
        possible(&self.0, &mut bounds).yes
    }
}

fn possible(node: &Node, bounds: &mut impl FnMut(&str) -> Bounds) -> Possible {
    match node {
        Node::Compare { column, comparison, value } => {
            compare(&bounds(column), |limits| within(limits, *comparison, value))
        }
        Node::In { column, values } => compare(&bounds(column), |limits| {
            let each = values.iter().map(|value| within(limits, Comparison::Equal, value));
            each.fold((false, true), |(yes, no), (equal, other)| (yes | equal, no & other))
        }),
        Node::IsNull { column } => {
            let bounds = bounds(column);
            Possible { yes: bounds.nulls, no: bounds.values, unknown: false }
        }
        Node::Not(node) => {
            let Possible { yes, no, unknown } = possible(node, bounds);
            Possible { yes: no, no: yes, unknown }
        }
        Node::And(nodes) => nodes.iter().fold(Possible { yes: true, no: false, unknown: false }, |all, node| {
            let one = possible(node, bounds);
            Possible { yes: all.yes & one.yes, no: all.no | one.no, unknown: all.unknown | one.unknown }
        }),
        Node::Or(nodes) => nodes.iter().fold(Possible { yes: false, no: true, unknown: false }, |any, node| {
            let one = possible(node, bounds);
            Possible { yes: any.yes | one.yes, no: any.no & one.no, unknown: any.unknown | one.unknown }
        }),
    }
}

fn compare(bounds: &Bounds, within: impl FnOnce(&Limits) -> (bool, bool)) -> Possible {
    let (yes, no) = bounds.limits.as_ref().map_or((true, true), within);
    Possible { yes: yes & bounds.values, no: no & bounds.values, unknown: bounds.nulls }
}

/// Whether a value within limits can compare so, and whether it can fail to.
fn within(limits: &Limits, comparison: Comparison, value: &Value) -> (bool, bool) {
    match (limits, value) {
        (Limits::Texts(low, high), Value::Text(text)) => {
            between(&low.as_slice(), &high.as_slice(), comparison, &text.as_bytes())
        }
        (Limits::Numbers(low, high), value) => match operand(value, Unit::None) {
            Ok(Operand::Number(number)) => between(low, high, comparison, &number.to_f64()),
            _ => (true, true),
        },
        (Limits::Digits { low, high, scale, unit }, value) => match operand(value, *unit) {
            Ok(Operand::Number(number)) => {
                let exact = match compared(comparison, number.at(*scale)) {
                    Compared::With(comparison, bound) => between(low, high, comparison, &bound),
                    Compared::Always(holds) => (holds, !holds),
                };
                if !number.is_nearly_whole(*scale) {
                    return exact;
                }
                // Where other files have floating-point numbers, all are compared with the nearest one.
                let rounded = between(&(*low as f64), &(*high as f64), comparison, &number.to_f64());
                (exact.0 | rounded.0, exact.1 | rounded.1)
            }
            _ => (true, true),
        },
        _ => (true, true),
    }
}

fn between<T: PartialOrd>(low: &T, high: &T, comparison: Comparison, value: &T) -> (bool, bool) {
    let inside = !(value < low || value > high);
    let alone = low == value && high == value;
    match comparison {
        Comparison::Equal => (inside, !alone),
        Comparison::NotEqual => (!alone, inside),
        Comparison::Less => (low < value, high >= value),
        Comparison::LessOrEqual => (low <= value, high > value),
        Comparison::Greater => (high > value, low <= value),
        Comparison::GreaterOrEqual => (high >= value, low < value),
    }
}
