use tidemill_tensor::Scalar;

use crate::Numbers;
use crate::number::{quotient, recover};

/// The digits of a real column's numbers beside the rounded ones: one a row, or none at all while the scalar tells the
/// column's numbers apart.
///
/// `f64` holds whole numbers up to 2^53, `f32` up to 2^24; what is beyond, and decimals of more digits than the scalar
/// has, is kept here. A row's number is `digits / 10^scale`, with the scale of [`Numbers`].
#[derive(Clone, Debug)]
pub struct Digits {
    numbers: Numbers,
    /// Below this, with no regard to the sign, digits can be told from the rounded number.
    limit: u64,
    digits: Vec<i128>,
}

impl Default for Digits {
    /// Of floating-point numbers, which have no others.
    fn default() -> Self {
        Self { numbers: Numbers::Real, limit: u64::MAX, digits: Vec::new() }
    }
}

impl Digits {
    /// None so far.
    pub(crate) fn new<T: Scalar>(numbers: Numbers) -> Self {
        Self { numbers, limit: numbers.limit::<T>(), digits: Vec::new() }
    }

    /// Which numbers the column holds.
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Whether digits may have to be kept: whether they are to be [appended](Self::extend).
    pub fn may_be_kept<T: Scalar>(&self) -> bool {
        self.numbers.may_exceed(size_of::<T>())
    }

    /// Whether they are kept of these rows.
    pub(crate) fn are_kept(&self) -> bool {
        !self.digits.is_empty()
    }

    /// The digits of each row, where they are kept.
    pub(crate) fn kept(&self) -> Option<&[i128]> {
        self.are_kept().then_some(self.digits.as_slice())
    }

    /// The digits of a row, whose rounded number is `value`.
    pub(crate) fn of_row(&self, row: usize, value: f64) -> i128 {
        match self.kept() {
            Some(digits) => digits[row],
            None => recover(value, self.numbers.scale().unwrap_or(0)),
        }
    }

    /// Says the digits of the last rows, of which the rounded numbers are at the end of `values` already.
    pub fn extend<T: Scalar>(&mut self, values: &[T], digits: impl ExactSizeIterator<Item = i128> + Clone) {
        let limit = u128::from(self.limit);
        if !self.are_kept() && digits.clone().all(|digits| digits.unsigned_abs() < limit) {
            return;
        }
        self.keep(&values[..values.len() - digits.len()]);
        self.digits.extend(digits);
    }

    /// As [`extend`](Self::extend), of what 64 bits hold: one pass of whole vectors tells whether anything is to be kept.
    pub fn extend_64<T: Scalar>(&mut self, values: &[T], digits: impl ExactSizeIterator<Item = i64> + Clone) {
        // The limit is a power of two or zero.
        if !self.are_kept() && digits.clone().fold(0, |all, digits| all | digits.unsigned_abs()) < self.limit {
            return;
        }
        self.keep(&values[..values.len() - digits.len()]);
        self.digits.extend(digits.map(i128::from));
    }

    /// Zeroes the digits of a row without a value.
    pub fn clear_row(&mut self, row: usize) {
        if let Some(digits) = self.digits.get_mut(row) {
            *digits = 0;
        }
    }

    /// Appends those of another column's rows, to this one's `values`.
    pub(crate) fn extend_from<T: Scalar>(
        &mut self,
        values: &[T],
        from: &Self,
        from_values: &[T],
        rows: impl ExactSizeIterator<Item = usize>,
    ) {
        if !self.are_kept() && !from.are_kept() {
            return;
        }
        self.keep(values);
        self.digits.extend(rows.map(|row| from.of_row(row, from_values[row].widen())));
    }

    /// Keeps the digits of the rows so far.
    fn keep<T: Scalar>(&mut self, values: &[T]) {
        let scale = self.numbers.scale().unwrap_or(0);
        let missing = values.get(self.digits.len()..).unwrap_or_default();
        self.digits.extend(missing.iter().map(|value| recover(value.widen(), scale)));
    }

    pub(crate) fn clear(&mut self) {
        self.digits.clear();
    }

    pub(crate) fn drop_front(&mut self, rows: usize) {
        if self.are_kept() {
            self.digits.drain(..rows);
        }
    }

    /// Bytes in use once there is room for that many rows, of which digits are kept or not.
    pub(crate) fn bytes_at(&self, rows: usize, kept: bool) -> usize {
        self.digits.capacity().max(if kept { rows } else { 0 }) * size_of::<i128>()
    }

    pub(crate) fn reserve_exact(&mut self, rows: usize) {
        self.digits.reserve_exact(rows.saturating_sub(self.digits.len()));
    }
}

/// The same numbers, whether or not digits are kept that the rounded numbers tell as well.
impl PartialEq for Digits {
    fn eq(&self, other: &Self) -> bool {
        let told = |side: &Self| side.digits.iter().all(|digits| digits.unsigned_abs() < u128::from(side.limit));
        self.numbers == other.numbers
            && match (self.kept(), other.kept()) {
                (Some(ours), Some(theirs)) => ours == theirs,
                (None, None) => true,
                (Some(_), None) => told(self),
                (None, Some(_)) => told(other),
            }
    }
}

/// The number that a batch has of `digits / 10^scale`: integers are rounded once, decimals to the nearest `f64` first.
pub(crate) fn rounded<T: Scalar>(digits: i128, scale: i8) -> T {
    match (scale, T::DTYPE) {
        (0, tidemill_tensor::DType::F32) => T::of(f64::from(digits as f32)),
        _ => T::of(quotient(digits, scale)),
    }
}
