//! Rows seen as predictions of classes.

use tidemill_tensor::Scalar;

use crate::{Error, Rows, Target};

/// A decision threshold: a score that reaches it says class 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threshold(f64);

impl Threshold {
    pub(crate) fn new(of: &'static str, threshold: f64) -> Result<Self, Error> {
        if threshold.is_nan() {
            return Err(Error::Setting { of, setting: "threshold", expected: "a number", found: "NaN".to_owned() });
        }
        Ok(Self(threshold))
    }

    #[inline(always)]
    pub(crate) fn says(self, score: f64) -> bool {
        score >= self.0
    }
}

/// Calls `each(p, y, weight)` for every row that weighs anything: one prediction a row, targets from 0 to 1.
pub(crate) fn for_each_binary<T: Scalar>(
    metric: &str,
    rows: &Rows<'_, T>,
    mut each: impl FnMut(f64, f64, f64),
) -> Result<(), Error> {
    let p = rows.predictions();
    let label = |row, found| {
        let (metric, expected) = (metric.to_owned(), "from 0 to 1".to_owned());
        Error::Label { metric, row: rows.number(row), expected, found }
    };
    if rows.width() != 1 {
        return Err(unsuitable(metric, "one prediction a row", format!("{} a row", rows.width())));
    }
    match rows.target() {
        Target::Real(y) if y.len() == p.len() => {
            let unit = T::zero()..=T::one();
            if let Some(row) = rows.first_bad(|row| unit.contains(&y[row])) {
                return Err(label(row, y[row].widen()));
            }
            rows.for_each(|row, weight| each(p[row].widen(), y[row].widen(), weight));
        }
        Target::Real(y) => {
            return Err(unsuitable(metric, "one target a row", format!("{} for {} rows", y.len(), rows.len())));
        }
        Target::Index(y) => {
            if let Some(row) = rows.first_bad(|row| y[row] < 2) {
                return Err(label(row, f64::from(y[row])));
            }
            rows.for_each(|row, weight| each(p[row].widen(), f64::from(y[row]), weight));
        }
    }
    Ok(())
}

/// Calls `each(predictions, class, weight)` for every row that weighs anything: one prediction a class.
pub(crate) fn for_each_class<T: Scalar>(
    metric: &str,
    rows: &Rows<'_, T>,
    mut each: impl FnMut(&[T], usize, f64),
) -> Result<(), Error> {
    let (p, classes) = (rows.predictions(), rows.width());
    if classes < 2 {
        return Err(unsuitable(metric, "one prediction for each class", "one a row".to_owned()));
    }
    let Target::Index(y) = rows.target() else {
        return Err(unsuitable(metric, "class indices as targets", "real numbers".to_owned()));
    };
    if let Some(row) = rows.first_bad(|row| (y[row] as usize) < classes) {
        let expected = format!("a class below {classes}");
        let (metric, found) = (metric.to_owned(), f64::from(y[row]));
        return Err(Error::Label { metric, row: rows.number(row), expected, found });
    }
    rows.for_each(|row, weight| each(&p[row * classes..(row + 1) * classes], y[row] as usize, weight));
    Ok(())
}

/// NaN has no place in an order: it is of no class and of no rank.
pub(crate) fn refuse_nan<T: Scalar>(metric: &str, rows: &Rows<'_, T>) -> Result<(), Error> {
    let (p, width) = (rows.predictions(), rows.width());
    if !p.iter().any(|p| p.is_nan()) {
        return Ok(());
    }
    match rows.first_bad(|row| !p[row * width..(row + 1) * width].iter().any(|p| p.is_nan())) {
        Some(row) => Err(Error::NotANumber { metric: metric.to_owned(), row: rows.number(row) }),
        None => Ok(()),
    }
}

pub(crate) fn unsuitable(metric: &str, expected: &str, found: String) -> Error {
    Error::Unsuitable { metric: metric.to_owned(), expected: expected.to_owned(), found }
}
