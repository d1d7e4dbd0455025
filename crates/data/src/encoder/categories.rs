use serde::{Deserialize, Serialize};

use super::exact::Whole;
use super::hash::{StableMap, stable_hash};
use super::screen::Rows;
use crate::{Column, Error, Kind, Number};

/// A text or an integer, as the name of a category.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    Text(&'a [u8]),
    Integer(i128),
}

impl Name<'_> {
    #[inline]
    pub fn hash(self) -> u64 {
        match self {
            Self::Text(text) => stable_hash(text),
            Self::Integer(integer) => match i64::try_from(integer) {
                Ok(integer) => stable_hash(&integer.to_le_bytes()),
                Err(_) => stable_hash(&integer.to_le_bytes()),
            },
        }
    }
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", String::from_utf8_lossy(text)),
            Self::Integer(integer) => write!(f, "{integer}"),
        }
    }
}

/// Calls `each` for every kept row with the row and the name there, `None` where it is missing.
#[inline]
pub(super) fn each_name(
    column: &Column<f64>,
    rows: &Rows<'_>,
    mut each: impl FnMut(usize, Option<Name<'_>>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut kept = rows.kept.iter().copied();
    match column {
        Column::Text { .. } => kept.try_for_each(|row| {
            let name = (!rows.is_absent(row)).then(|| Name::Text(column.text_row(row)));
            each(row, name)
        }),
        Column::Index { values } => kept.try_for_each(|row| each(row, Some(Name::Integer(values[row].into())))),
        Column::Real { values, digits, .. } => kept.try_for_each(|row| {
            let name = match digits.numbers().scale() {
                _ if rows.is_absent(row) => None,
                None => Some(whole(values[row], rows, row)?),
                Some(scale) => Some(whole_of(digits.of_row(row, values[row]), scale, rows, row)?),
            };
            each(row, name.map(Name::Integer))
        }),
    }
}

/// A floating-point number as an integer.
fn whole(value: f64, rows: &Rows<'_>, row: usize) -> Result<i128, Error> {
    // Beyond 2^53 a neighbouring integer may have been meant.
    if value.fract() == 0.0 && value.abs() <= 2_f64.powi(53) {
        Ok(value as i128)
    } else if value.fract() == 0.0 {
        let problem = format!("{value} is beyond 2^53, where floating-point numbers do not tell integers apart");
        Err(rows.invalid(row, problem))
    } else {
        Err(no_integer(value, rows, row))
    }
}

/// A whole number or decimal, by its digits, as an integer.
fn whole_of(digits: i128, scale: i8, rows: &Rows<'_>, row: usize) -> Result<i128, Error> {
    if scale == 0 {
        return Ok(digits);
    }
    let number = Number::of_decimal(digits, scale);
    number.whole().ok_or_else(|| no_integer(number, rows, row))
}

fn no_integer(value: impl std::fmt::Display, rows: &Rows<'_>, row: usize) -> Error {
    rows.invalid(row, format!("{value} is no integer, and categories are texts or integers"))
}

/// Names of categories, sorted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Categories {
    Texts(Vec<String>),
    Integers(Vec<Whole>),
}

impl Categories {
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Integers(integers) => integers.len(),
        }
    }

    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Texts(texts) => texts.clone(),
            Self::Integers(integers) => integers.iter().map(|integer| integer.0.to_string()).collect(),
        }
    }

    /// Whether a raw column of that kind has such names.
    pub fn are_of(&self, kind: &Kind) -> bool {
        matches!(self, Self::Texts(_)) == (*kind == Kind::Text)
    }

    /// The index of each name, from `first` on.
    pub fn lookup(&self, first: u32) -> Lookup {
        match self {
            Self::Texts(texts) => Lookup::Texts(texts.iter().map(|text| text.as_bytes().into()).zip(first..).collect()),
            Self::Integers(integers) => {
                Lookup::Integers(integers.iter().map(|integer| integer.0).zip(first..).collect())
            }
        }
    }
}

/// The index of each name.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    Texts(StableMap<Box<[u8]>, u32>),
    Integers(StableMap<i128, u32>),
}

impl Lookup {
    #[inline]
    pub fn find(&self, name: Name<'_>) -> Option<u32> {
        match (self, name) {
            (Self::Texts(texts), Name::Text(text)) => texts.get(text).copied(),
            (Self::Integers(integers), Name::Integer(integer)) => integers.get(&integer).copied(),
            _ => None,
        }
    }
}
