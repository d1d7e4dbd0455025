use std::ops::Range;

use tidemill_tensor::Scalar;

use crate::Error;

/// What the rows' predictions should have been.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a, T> {
    /// Real numbers, `[B, any]` row-major.
    Real(&'a [T]),
    /// Class indices, `[B]`.
    Index(&'a [u32]),
}

/// A batch as metrics see it: predictions beside targets, and where there are any, losses and weights.
///
/// # Shapes
///
/// `predictions` `[B, width]`, row-major; `losses` and `weights` `[B]`.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Rows, Target};
///
/// let rows = Rows::new(&[0.1, 0.9, 0.8, 0.2], 2, Target::Index(&[1, 1]))?.with_weights(&[1.0, 0.5])?;
/// assert_eq!(rows.len(), 2);
/// assert!(Rows::new(&[0.1, 0.9, 0.8], 2, Target::Index(&[1, 1])).is_err());
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    predictions: &'a [T],
    width: usize,
    target: Target<'a, T>,
    losses: Option<&'a [T]>,
    weights: Option<&'a [T]>,
    len: usize,
    /// The number of the first row, in errors.
    first: usize,
}

impl<'a, T: Scalar> Rows<'a, T> {
    /// Rows that all weigh one.
    ///
    /// # Errors
    ///
    /// When `predictions` are not whole rows of `width`, or `target` has another number of rows.
    pub fn new(predictions: &'a [T], width: usize, target: Target<'a, T>) -> Result<Self, Error> {
        if width == 0 || !predictions.len().is_multiple_of(width) {
            let expected = format!("a multiple of the width, {width}");
            return Err(Error::Length { part: "predictions", expected, found: predictions.len() });
        }
        let len = predictions.len() / width;
        let (fits, found) = match target {
            Target::Real(y) if len == 0 => (y.is_empty(), y.len()),
            Target::Real(y) => (!y.is_empty() && y.len().is_multiple_of(len), y.len()),
            Target::Index(y) => (y.len() == len, y.len()),
        };
        if !fits {
            let expected =
                if matches!(target, Target::Real(_)) { format!("a multiple of {len}") } else { len.to_string() };
            return Err(Error::Length { part: "target", expected, found });
        }
        Ok(Self { predictions, width, target, losses: None, weights: None, len, first: 0 })
    }

    /// With a loss for each row.
    ///
    /// # Errors
    ///
    /// When there are more or fewer than rows.
    pub fn with_losses(self, losses: &'a [T]) -> Result<Self, Error> {
        self.check_len("losses", losses)?;
        Ok(Self { losses: Some(losses), ..self })
    }

    /// With a weight for each row.
    ///
    /// # Errors
    ///
    /// When there are more or fewer than rows, or one is negative or not finite.
    pub fn with_weights(self, weights: &'a [T]) -> Result<Self, Error> {
        self.check_len("weights", weights)?;
        match weights.iter().position(|w| !(w.is_finite() && *w >= T::zero())) {
            Some(row) => Err(Error::Weight { row, found: weights[row].widen() }),
            None => Ok(Self { weights: Some(weights), ..self }),
        }
    }

    fn check_len(&self, part: &'static str, numbers: &[T]) -> Result<(), Error> {
        if numbers.len() == self.len {
            return Ok(());
        }
        Err(Error::Length { part, expected: self.len.to_string(), found: numbers.len() })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers a row among the predictions.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The predictions, `[B, width]`.
    pub fn predictions(&self) -> &'a [T] {
        self.predictions
    }

    /// What they should have been.
    pub fn target(&self) -> Target<'a, T> {
        self.target
    }

    /// The rows' losses, `[B]`.
    pub fn losses(&self) -> Option<&'a [T]> {
        self.losses
    }

    /// The rows' weights, `[B]`; `None` when every row weighs one.
    pub fn weights(&self) -> Option<&'a [T]> {
        self.weights
    }

    /// The rows of a range.
    ///
    /// # Panics
    ///
    /// When the range is not within the rows.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let target = match self.target {
            Target::Real(y) => {
                let width = y.len().checked_div(self.len).unwrap_or(0);
                Target::Real(&y[range.start * width..range.end * width])
            }
            Target::Index(y) => Target::Index(&y[range.clone()]),
        };
        Self {
            predictions: &self.predictions[range.start * self.width..range.end * self.width],
            width: self.width,
            target,
            losses: self.losses.map(|losses| &losses[range.clone()]),
            weights: self.weights.map(|weights| &weights[range.clone()]),
            len: range.len(),
            first: self.first + range.start,
        }
    }

    /// The same rows with other predictions of the same shape.
    pub(crate) fn with_predictions<'b>(&self, predictions: &'b [T]) -> Rows<'b, T>
    where
        'a: 'b,
    {
        debug_assert_eq!(predictions.len(), self.predictions.len());
        Rows { predictions, ..*self }
    }

    /// Calls `each(row, weight)` for every row that weighs anything.
    #[inline]
    pub fn for_each(&self, mut each: impl FnMut(usize, f64)) {
        match self.weights {
            None => (0..self.len).for_each(|row| each(row, 1.0)),
            Some(weights) => {
                for (row, weight) in weights.iter().enumerate() {
                    if *weight != T::zero() {
                        each(row, weight.widen());
                    }
                }
            }
        }
    }

    /// The number by which errors name a row.
    pub(crate) fn number(&self, row: usize) -> usize {
        self.first + row
    }

    /// The first row that weighs anything and is not `good`.
    pub(crate) fn first_bad(&self, good: impl Fn(usize) -> bool) -> Option<usize> {
        let weighs = |row: usize| self.weights.is_none_or(|weights| weights[row] != T::zero());
        (0..self.len).find(|&row| !good(row) && weighs(row))
    }
}
