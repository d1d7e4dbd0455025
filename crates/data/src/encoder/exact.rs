use std::num::{ParseFloatError, ParseIntError};

use serde::{Deserialize, Serialize};

/// A number that is saved as text, digits enough for every bit: not all readers of JSON numbers keep the last one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Exact(pub f64);

impl From<Exact> for String {
    fn from(Exact(value): Exact) -> Self {
        format!("{value:?}")
    }
}

impl TryFrom<String> for Exact {
    type Error = ParseFloatError;

    fn try_from(text: String) -> Result<Self, ParseFloatError> {
        text.parse().map(Self)
    }
}

/// A whole number that is saved as text where not all readers of JSON numbers would keep its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "WholeForm", try_from = "WholeForm")]
pub(super) struct Whole(pub i128);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WholeForm {
    Number(i64),
    Text(String),
}

impl From<Whole> for WholeForm {
    fn from(Whole(value): Whole) -> Self {
        match i64::try_from(value) {
            Ok(value) if value.unsigned_abs() <= 1 << 53 => Self::Number(value),
            _ => Self::Text(value.to_string()),
        }
    }
}

impl TryFrom<WholeForm> for Whole {
    type Error = ParseIntError;

    fn try_from(form: WholeForm) -> Result<Self, ParseIntError> {
        match form {
            WholeForm::Number(value) => Ok(Self(value.into())),
            WholeForm::Text(text) => text.parse().map(Self),
        }
    }
}

pub(super) fn exact(values: impl IntoIterator<Item = f64>) -> Vec<Exact> {
    values.into_iter().map(Exact).collect()
}
