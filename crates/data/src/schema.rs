use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Numbers, Unit};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `width` real numbers a row.
    Real {
        /// Numbers a row.
        width: usize,
    },
    /// One category a row, an index below `cardinality`.
    Index {
        /// How many categories there are.
        cardinality: u32,
    },
    /// One text a row: a category before it is encoded.
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real { width: 1 } => write!(f, "real"),
            Self::Real { width } => write!(f, "real [{width}]"),
            Self::Index { cardinality } => write!(f, "index below {cardinality}"),
            Self::Text => write!(f, "text"),
        }
    }
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// An input of the model.
    Feature,
    /// What the model is to predict.
    Target,
    /// The row's weight in losses and metrics; at most one column, real, one number a row.
    Weight,
}

/// One column of a [`Schema`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name: a feature's is the model input's that it feeds.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
    /// Whether a row may have no value in it.
    pub nullable: bool,
    /// Of a real column of one number a row: which numbers its source has.
    #[serde(default)]
    pub numbers: Numbers,
    /// What its numbers count.
    #[serde(default)]
    pub unit: Unit,
}

impl Field {
    /// A column without nulls, of plain floating-point numbers if it is real.
    pub fn new(name: impl Into<String>, kind: Kind, role: Role) -> Self {
        Self { name: name.into(), kind, role, nullable: false, numbers: Numbers::Real, unit: Unit::None }
    }
}

/// The columns of a source, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The columns.
    pub fields: Vec<Field>,
}

impl Schema {
    /// What a text counts in [`row_bytes`](Schema::row_bytes).
    pub(crate) const TEXT_BYTES: usize = 16;

    /// A schema of these columns.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    /// The place of the column of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    /// The place of the first column with that role.
    pub fn role(&self, role: Role) -> Option<usize> {
        self.fields.iter().position(|f| f.role == role)
    }

    /// The names of all columns, separated by commas.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.fields.iter().map(|f| f.name.as_str()).collect();
        names.join(", ")
    }

    /// Bytes of one row in a [`Batch`](crate::Batch) of numbers of `scalar` bytes, with the digits that may have to be
    /// kept; texts are counted as 16.
    pub fn row_bytes(&self, scalar: usize) -> usize {
        let kept = self.fields.iter().filter(|field| field.numbers.may_exceed(scalar)).count();
        self.least_row_bytes(scalar) + kept * size_of::<i128>()
    }

    /// As [`row_bytes`](Self::row_bytes), where no digits are kept.
    pub(crate) fn least_row_bytes(&self, scalar: usize) -> usize {
        let bytes = |f: &Field| {
            let values = match f.kind {
                Kind::Real { width } => width * scalar,
                Kind::Index { .. } => 4,
                Kind::Text => Self::TEXT_BYTES,
            };
            values + usize::from(f.nullable)
        };
        self.fields.iter().map(bytes).sum()
    }
}
