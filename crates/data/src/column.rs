use std::ops::Range;

use tidemill_tensor::Scalar;

use crate::digits::rounded;
use crate::encoder::stable_hash;
use crate::{Digits, Field, Kind, Number, Numbers};

/// Which rows of a column have no value: one flag a row, or none at all while every row has one.
#[derive(Clone, Debug, Default)]
pub struct Nulls {
    flags: Vec<bool>,
}

impl Nulls {
    /// Whether the row has no value.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        !self.flags.is_empty() && self.flags[row]
    }

    /// Whether any row has no value.
    pub fn any(&self) -> bool {
        self.flags.iter().any(|&null| null)
    }

    /// Says of the next rows, which follow `before` earlier ones, that they are null as `flags` tells.
    pub fn extend(&mut self, before: usize, flags: impl IntoIterator<Item = bool>) {
        self.flags.resize(before, false);
        self.flags.extend(flags);
    }

    /// The flags of the next rows, which follow `before` earlier ones: those that are null are to be set.
    pub fn extend_mut(&mut self, before: usize, rows: usize) -> &mut [bool] {
        self.flags.resize(before + rows, false);
        &mut self.flags[before..]
    }

    /// Says of `rows` next rows, which follow `before` earlier ones, that they have values.
    pub fn extend_valid(&mut self, before: usize, rows: usize) {
        if !self.flags.is_empty() {
            self.flags.resize(before + rows, false);
        }
    }

    fn clear(&mut self) {
        self.flags.clear();
    }

    fn drop_front(&mut self, rows: usize) {
        if !self.flags.is_empty() {
            self.flags.drain(..rows);
        }
    }

    fn extend_from(&mut self, before: usize, from: &Self, rows: impl ExactSizeIterator<Item = usize>) {
        if from.flags.is_empty() {
            self.extend_valid(before, rows.len());
        } else {
            self.extend(before, rows.map(|row| from.flags[row]));
        }
    }
}

/// The same rows are null, whether or not flags are kept.
impl PartialEq for Nulls {
    fn eq(&self, other: &Self) -> bool {
        match (self.flags.as_slice(), other.flags.as_slice()) {
            (none, flags) | (flags, none) if none.is_empty() => !flags.contains(&true),
            (ours, theirs) => ours == theirs,
        }
    }
}

impl Eq for Nulls {}

/// One column of a [`Batch`](crate::Batch).
#[derive(Clone, Debug, PartialEq)]
pub enum Column<T> {
    /// Real numbers.
    Real {
        /// Numbers a row.
        width: usize,
        /// `[B, width]`, row-major; zero where null.
        values: Vec<T>,
        /// Rows without a value.
        nulls: Nulls,
        /// The digits of whole numbers and decimals that `T` does not hold.
        digits: Digits,
    },
    /// Categories.
    Index {
        /// `[B]`.
        values: Vec<u32>,
    },
    /// Texts.
    Text {
        /// All texts, UTF-8, one behind the other.
        bytes: Vec<u8>,
        /// Where each text ends.
        ends: Vec<usize>,
        /// Rows without a value; their text is empty.
        nulls: Nulls,
    },
}

impl<T: Scalar> Column<T> {
    pub(crate) fn new(field: &Field) -> Self {
        match field.kind {
            Kind::Real { width } => {
                let digits = Digits::new::<T>(field.numbers);
                Self::Real { width, values: Vec::new(), nulls: Nulls::default(), digits }
            }
            Kind::Index { .. } => Self::Index { values: Vec::new() },
            Kind::Text => Self::Text { bytes: Vec::new(), ends: Vec::new(), nulls: Nulls::default() },
        }
    }

    /// A real column of whole numbers or decimals, each given by its digits: `digits / 10^scale`.
    pub fn of_digits(numbers: Numbers, rows: impl IntoIterator<Item = Option<i128>>) -> Self {
        let scale = numbers.scale().unwrap_or(0);
        let rows: Vec<Option<i128>> = rows.into_iter().collect();
        let exact = rows.iter().map(|row| row.unwrap_or(0));
        let values: Vec<T> = exact.clone().map(|exact| rounded(exact, scale)).collect();
        let mut digits = Digits::new::<T>(numbers);
        digits.extend(&values, exact);
        let mut nulls = Nulls::default();
        if rows.contains(&None) {
            nulls.extend(0, rows.iter().map(Option::is_none));
        }
        Self::Real { width: 1, values, nulls, digits }
    }

    /// The digits of a row's number, `digits / 10^scale` with the scale of the column's [`Numbers`]; `None` when it is
    /// null, or the column is of floating-point numbers, categories or text.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn digits(&self, row: usize) -> Option<i128> {
        match self {
            Self::Real { width: 1, values, nulls, digits } if digits.numbers().scale().is_some() => {
                (!nulls.is_null(row)).then(|| digits.of_row(row, values[row].widen()))
            }
            _ => None,
        }
    }

    /// The number of a row with all its digits; `None` when it is null or NaN, or the column is of text. Of a wider
    /// column it is the row's first.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn number(&self, row: usize) -> Option<Number> {
        match self {
            Self::Real { width, values, nulls, digits } => {
                let value = values[row * width].widen();
                match digits.numbers().scale() {
                    _ if nulls.is_null(row) => None,
                    Some(scale) => Some(Number::of_decimal(digits.of_row(row, value), scale)),
                    None => Number::of_real(value),
                }
            }
            Self::Index { values } => Some(values[row].into()),
            Self::Text { .. } => None,
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Real { values, nulls, digits, .. } => {
                values.clear();
                nulls.clear();
                digits.clear();
            }
            Self::Index { values } => values.clear(),
            Self::Text { bytes, ends, nulls } => {
                bytes.clear();
                ends.clear();
                nulls.clear();
            }
        }
    }

    pub(crate) fn drop_front(&mut self, rows: usize) {
        match self {
            Self::Real { width, values, nulls, digits } => {
                values.drain(..rows * *width);
                nulls.drop_front(rows);
                digits.drop_front(rows);
            }
            Self::Index { values } => drop(values.drain(..rows)),
            Self::Text { bytes, ends, nulls } => {
                let gone = if rows == 0 { 0 } else { ends[rows - 1] };
                bytes.drain(..gone);
                ends.drain(..rows);
                ends.iter_mut().for_each(|end| *end -= gone);
                nulls.drop_front(rows);
            }
        }
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Real { width, values, .. } => values.len() / width,
            Self::Index { values } => values.len(),
            Self::Text { ends, .. } => ends.len(),
        }
    }

    /// Appends row `row` of `other`, a column of the same kind.
    ///
    /// # Panics
    ///
    /// When the kinds differ.
    pub fn push_row(&mut self, other: &Self, row: usize) {
        self.push_rows(other, row..row + 1);
    }

    /// Appends consecutive rows of `other`, a column of the same kind.
    ///
    /// # Panics
    ///
    /// When the kinds differ, or `other` has no such rows.
    pub fn push_rows(&mut self, other: &Self, rows: Range<usize>) {
        let before = self.rows();
        match (self, other) {
            (
                Self::Real { width, values, nulls, digits },
                Self::Real { values: from, nulls: absent, digits: theirs, .. },
            ) => {
                digits.extend_from(values, theirs, from, rows.clone());
                values.extend_from_slice(&from[rows.start * *width..rows.end * *width]);
                nulls.extend_from(before, absent, rows);
            }
            (Self::Index { values }, Self::Index { values: from }) => values.extend_from_slice(&from[rows]),
            (Self::Text { bytes, ends, nulls }, Self::Text { bytes: from, ends: stops, nulls: absent }) => {
                let Some(last) = rows.clone().last() else { return };
                let (start, shift) = (text_range(stops, rows.start).start, bytes.len());
                bytes.extend_from_slice(&from[start..stops[last]]);
                ends.extend(stops[rows.clone()].iter().map(|&end| end - start + shift));
                nulls.extend_from(before, absent, rows);
            }
            _ => panic!("columns of different kinds"),
        }
    }

    /// Appends the rows of `other`, a column of the same kind, that are at `rows`.
    ///
    /// # Panics
    ///
    /// When the kinds differ, or `other` has no such rows.
    pub fn gather(&mut self, other: &Self, rows: &[usize]) {
        let before = self.rows();
        match (self, other) {
            (
                Self::Real { width: 1, values, nulls, digits },
                Self::Real { values: from, nulls: absent, digits: theirs, .. },
            ) => {
                digits.extend_from(values, theirs, from, rows.iter().copied());
                values.extend(rows.iter().map(|&row| from[row]));
                nulls.extend_from(before, absent, rows.iter().copied());
            }
            (Self::Real { width, values, nulls, .. }, Self::Real { values: from, nulls: absent, .. }) => {
                values.reserve(rows.len() * *width);
                rows.iter().for_each(|&row| values.extend_from_slice(&from[row * *width..][..*width]));
                nulls.extend_from(before, absent, rows.iter().copied());
            }
            (Self::Index { values }, Self::Index { values: from }) => {
                values.extend(rows.iter().map(|&row| from[row]));
            }
            (Self::Text { bytes, ends, nulls }, Self::Text { bytes: from, ends: stops, nulls: absent }) => {
                for &row in rows {
                    bytes.extend_from_slice(&from[text_range(stops, row)]);
                    ends.push(bytes.len());
                }
                nulls.extend_from(before, absent, rows.iter().copied());
            }
            _ => panic!("columns of different kinds"),
        }
    }

    /// The UTF-8 of a row's text, empty where it is null or the column holds no texts.
    #[inline]
    pub(crate) fn text_row(&self, row: usize) -> &[u8] {
        match self {
            Self::Text { bytes, ends, .. } => &bytes[text_range(ends, row)],
            _ => &[],
        }
    }

    /// A hash of a row's value, the same in every process; of equal numbers the same, and of all that have no value.
    pub(crate) fn row_hash(&self, row: usize) -> u64 {
        match self {
            Self::Text { nulls, .. } if !nulls.is_null(row) => stable_hash(self.text_row(row)),
            _ => self.number(row).map_or_else(|| stable_hash(b"null"), Number::stable_hash),
        }
    }

    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Text { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Bytes of text that there is room for; any number where the column holds none.
    pub(crate) fn text_room(&self) -> usize {
        match self {
            Self::Text { bytes, .. } => bytes.capacity() - bytes.len(),
            _ => usize::MAX,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes_at(0, 0, false, false)
    }

    /// Whether digits are kept beside the rounded numbers.
    pub(crate) fn keeps_digits(&self) -> bool {
        matches!(self, Self::Real { digits, .. } if digits.are_kept())
    }

    /// Bytes in use once there is room for that many rows, with so many bytes of text, and with digits where `kept`.
    pub(crate) fn bytes_at(&self, rows: usize, text: usize, nullable: bool, kept: bool) -> usize {
        let flags = |nulls: &Nulls| nulls.flags.capacity().max(if nullable { rows } else { 0 });
        match self {
            Self::Real { width, values, nulls, digits } => {
                let numbers = values.capacity().max(rows * width) * size_of::<T>();
                numbers + flags(nulls) + digits.bytes_at(rows, kept)
            }
            Self::Index { values } => values.capacity().max(rows) * 4,
            Self::Text { bytes, ends, nulls } => {
                bytes.capacity().max(text) + ends.capacity().max(rows) * 8 + flags(nulls)
            }
        }
    }

    pub(crate) fn reserve_exact(&mut self, rows: usize, text: usize, nullable: bool, kept: bool) {
        match self {
            Self::Real { width, values, nulls, digits } => {
                digits.reserve_exact(if kept { rows } else { 0 });
                reserve_exact(values, rows * *width);
                reserve_exact(&mut nulls.flags, if nullable { rows } else { 0 });
            }
            Self::Index { values } => reserve_exact(values, rows),
            Self::Text { bytes, ends, nulls } => {
                reserve_exact(bytes, text);
                reserve_exact(ends, rows);
                reserve_exact(&mut nulls.flags, if nullable { rows } else { 0 });
            }
        }
    }

    /// The text of a row; `None` when it is null.
    ///
    /// # Panics
    ///
    /// When this is no text column or has no such row.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text { bytes, ends, nulls } => (!nulls.is_null(row))
                .then(|| std::str::from_utf8(&bytes[text_range(ends, row)]).expect("text columns hold UTF-8")),
            _ => panic!("not a column of text"),
        }
    }
}

fn reserve_exact<V>(values: &mut Vec<V>, len: usize) {
    values.reserve_exact(len.saturating_sub(values.len()));
}

fn text_range(ends: &[usize], row: usize) -> Range<usize> {
    let start = if row == 0 { 0 } else { ends[row - 1] };
    start..ends[row]
}
