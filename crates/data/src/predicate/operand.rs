//! What a column is compared with, in the column's own units.

use super::literal::{Bound, Literal};
use super::time::{DAY, days, seconds, time_of_day};
use super::{Comparison, Value};
use crate::Unit;

/// A value of a condition as a column can be compared with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand<'a> {
    Number(Quantity),
    Text(&'a str),
}

/// A number, divided by a whole one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    literal: Literal,
    by: i64,
}

impl Quantity {
    /// Among the multiples of `10^-scale`.
    pub fn at(&self, scale: i8) -> Bound {
        self.literal.at(scale).divided(self.by.into())
    }

    /// Whether it is no whole number, and the nearest `f64` is one of those that tell whole numbers apart.
    pub fn is_nearly_whole(&self, scale: i8) -> bool {
        let nearest = self.to_f64();
        scale == 0 && !self.at(0).is_exact && nearest.fract() == 0.0 && nearest.abs() < 2_f64.powi(53)
    }

    pub fn to_f64(&self) -> f64 {
        self.literal.to_f64() / self.by as f64
    }
}

/// The value in the units of a column of numbers, or what is expected instead.
pub(super) fn operand(value: &Value, unit: Unit) -> Result<Operand<'_>, &'static str> {
    let number = |literal, by| Ok(Operand::Number(Quantity { literal, by }));
    let expected = match (unit, value) {
        (_, Value::Number(literal)) => return number(literal.clone(), 1),
        (Unit::Days | Unit::None, Value::Date { days, .. }) => return number(Literal::of_integer(*days), 1),
        (Unit::Timestamp, Value::Date { days, .. }) => return number(Literal::of_integer(days * DAY), 1),
        (Unit::Timestamp | Unit::None, Value::Timestamp { seconds, .. }) => return number(seconds.clone(), 1),
        (Unit::Days, Value::Timestamp { seconds, .. }) => return number(seconds.clone(), DAY),
        (Unit::Days, Value::Text(text)) => match (days(text), seconds(text)) {
            (Some(days), _) => return number(Literal::of_integer(days), 1),
            (None, Some(seconds)) => return number(seconds, DAY),
            (None, None) => "a date such as '2013-07-01' to compare with a date",
        },
        (Unit::Timestamp, Value::Text(text)) => match seconds(text) {
            Some(seconds) => return number(seconds, 1),
            None => "a timestamp such as '2013-07-01 12:00:00' to compare with a timestamp",
        },
        (Unit::TimeOfDay, Value::Text(text)) => match time_of_day(text) {
            Some(seconds) => return number(seconds, 1),
            None => "a time such as '12:00:00' to compare with a time of day",
        },
        (Unit::TimeOfDay, _) => "a time such as '12:00:00', or seconds, to compare with a time of day",
        (Unit::Duration, _) => "seconds to compare with a duration",
        (Unit::None, Value::Text(text)) => return Ok(Operand::Text(text)),
    };
    Err(expected)
}

/// What is left of a comparison with a number once the column's numbers are multiples of the bound's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    With(Comparison, i128),
    /// Whether it holds for every number.
    Always(bool),
}

pub(super) fn compared(comparison: Comparison, bound: Bound) -> Compared {
    let Bound { floor, is_exact } = bound;
    match comparison {
        _ if is_exact => Compared::With(comparison, floor),
        Comparison::Equal => Compared::Always(false),
        Comparison::NotEqual => Compared::Always(true),
        Comparison::Less | Comparison::LessOrEqual => Compared::With(Comparison::LessOrEqual, floor),
        Comparison::Greater | Comparison::GreaterOrEqual => Compared::With(Comparison::Greater, floor),
    }
}
