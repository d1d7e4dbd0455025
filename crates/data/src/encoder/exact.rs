use std::num::ParseFloatError;

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

pub(super) fn exact(values: impl IntoIterator<Item = f64>) -> Vec<Exact> {
    values.into_iter().map(Exact).collect()
}
