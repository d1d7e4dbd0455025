//! From raw columns to what a model reads.

mod apply;
mod builder;
mod categories;
mod counts;
mod encoding;
mod exact;
mod fit;
mod fitted;
mod hash;
mod indices;
mod moments;
mod quantiles;
mod reals;
mod report;
mod screen;
mod seen;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Field, Kind, Role, Schema};

pub use apply::Encode;
pub use builder::EncoderBuilder;
pub use encoding::{Encoding, Missing};
pub use fit::Fitting;
pub use quantiles::Quantiles;
pub use report::{ColumnReport, FitReport, Summary, describe};

pub(crate) use hash::stable_hash;

use fitted::{Fitted, FittedColumn};

/// How raw columns become features, a target and weights: a plain value, fitted once and saved with the model.
///
/// All features that are real numbers come out side by side in one block named `x`, in the order of their declaration;
/// each category feature comes out under its own name; then the target, named `target`, and the weight, named `weight`.
/// Whatever columns are called, outputs do not clash: a category feature of one of those names comes out as
/// `x.category`, `target.category` or `weight.category`.
/// A value saved and read again encodes every row to the same bits.
///
/// # Example
///
/// ```
/// use tidemill_data::{Encoder, Encoding, MemorySource, Missing, Source, SourceExt};
///
/// let raw = MemorySource::builder()
///     .reals("distance", 1, vec![100.0, 300.0, 500.0])
///     .texts("carrier", [Some("UA"), Some("AA"), None])
///     .optional_reals("delay", [Some(20.0), Some(-3.0), None])
///     .build()?;
/// let (encoder, report) = Encoder::builder()
///     .feature("distance", Encoding::standardize())
///     .feature("carrier", Encoding::category())
///     .target("delay", Encoding::above(15.0).missing(Missing::DropRow))
///     .fit(&mut raw.clone())?;
/// assert_eq!((report.rows, report.dropped), (3, 1));
/// assert_eq!(encoder.schema().names(), "x, carrier, target");
///
/// let rows = MemorySource::load(raw.encode::<f32>(&encoder)?, 1 << 20)?;
/// assert_eq!(rows.data().reals(0), [-1.0, 1.0]);
/// assert_eq!(rows.data().indices(1), [2, 1]);
/// assert_eq!(rows.data().reals(2), [1.0, 0.0]);
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Encoder {
    block: String,
    features: Vec<FittedColumn>,
    target: Option<FittedColumn>,
    weight: Option<FittedColumn>,
}

/// An encoder that is not checked yet.
#[derive(Deserialize)]
struct Parts {
    block: String,
    features: Vec<FittedColumn>,
    target: Option<FittedColumn>,
    weight: Option<FittedColumn>,
}

/// Where a column's output goes: the output column, and the place of its first number in a row of it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    column: usize,
    offset: usize,
}

impl Encoder {
    /// Columns are declared one by one.
    pub fn builder() -> EncoderBuilder {
        EncoderBuilder::new()
    }

    /// The columns that it gives.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::new(self.outputs().0)
    }

    /// The names of the numbers in the block of real features, in order; `carrier=AA`, `hour.sin`, `distance.missing`.
    pub fn number_names(&self) -> Vec<String> {
        let real = self.features.iter().filter(|column| is_real(column));
        real.flat_map(FittedColumn::number_names).collect()
    }

    /// The names of a feature's categories 1, 2, …; category 0 is the unknown and the rest, and where missing values have
    /// a category, it is the one behind these. `None` when the feature has no such names. A feature that came out under
    /// another name than its column's is found by both.
    pub fn categories(&self, feature: &str) -> Option<Vec<String>> {
        let named = self.features.iter().find(|column| column.name == feature);
        let column = named.or_else(|| self.features.iter().find(|column| column.source == feature))?;
        match &column.fitted {
            Fitted::Category(categories) => Some(categories.names()),
            _ => None,
        }
    }

    /// The names of the target's classes 0, 1, …; `None` when the target is no class.
    pub fn classes(&self) -> Option<Vec<String>> {
        match &self.target.as_ref()?.fitted {
            Fitted::Class(classes) => Some(classes.names()),
            _ => None,
        }
    }

    /// The raw columns that it reads, each once, in the order of their declaration.
    pub fn raw_columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, column) in self.columns() {
            if !names.contains(&column.source.as_str()) {
                names.push(&column.source);
            }
        }
        names
    }

    /// This encoder without target and weight, for prediction where those do not exist.
    ///
    /// A feature whose missing values drop the row still drops it; the others' rows are then fewer than those read.
    #[must_use]
    pub fn features_only(&self) -> Self {
        Self { target: None, weight: None, ..self.clone() }
    }

    fn columns(&self) -> impl Iterator<Item = (Role, &FittedColumn)> {
        let features = self.features.iter().map(|column| (Role::Feature, column));
        let target = self.target.iter().map(|column| (Role::Target, column));
        features.chain(target).chain(self.weight.iter().map(|column| (Role::Weight, column)))
    }

    /// The output columns, and where each encoded column goes.
    fn outputs(&self) -> (Schema, Vec<Slot>) {
        let width: usize = self.features.iter().map(real_width).sum();
        let mut fields = Vec::new();
        if width > 0 {
            fields.push(Field::new(&self.block, Kind::Real { width }, Role::Feature));
        }
        let mut slots = Vec::new();
        let mut offset = 0;
        for (role, column) in self.columns() {
            if role == Role::Feature && is_real(column) {
                slots.push(Slot { column: 0, offset });
                offset += real_width(column);
            } else {
                slots.push(Slot { column: fields.len(), offset: 0 });
                fields.push(Field::new(&column.name, column.output(), role));
            }
        }
        (Schema::new(fields), slots)
    }

    /// Gives category features whose name is that of another output another one.
    fn name_categories(&mut self) {
        let others = self.target.iter().chain(&self.weight).map(|column| column.name.clone());
        let mut taken: Vec<String> = others.collect();
        if self.features.iter().any(is_real) {
            taken.push(self.block.clone());
        }
        let categories = self.features.iter_mut().filter(|column| !is_real(column));
        let (clashing, free): (Vec<_>, Vec<_>) = categories.partition(|column| taken.contains(&column.name));
        taken.extend(free.into_iter().map(|column| column.name.clone()));
        for column in clashing {
            while taken.contains(&column.name) {
                column.name.push_str(".category");
            }
            taken.push(column.name.clone());
        }
    }

    /// Whether all columns make sense, alone and together.
    fn check(&self) -> Result<(), Error> {
        self.columns().try_for_each(|(role, column)| column.check(role))?;
        self.check_features()?;
        let schema = self.outputs().0;
        for (place, field) in schema.fields.iter().enumerate() {
            if schema.position(&field.name) != Some(place) {
                let problem = "another output column has that name; block_name gives another";
                return Err(Error::invalid(format!("column {}", field.name), problem));
            }
        }
        Ok(())
    }

    /// Whether no two features have the same name.
    fn check_features(&self) -> Result<(), Error> {
        for (place, column) in self.features.iter().enumerate() {
            if self.features[..place].iter().any(|other| other.name == column.name) {
                let problem = "the name comes twice; feature_from gives a column another one";
                return Err(Error::invalid(format!("feature {}", column.name), problem));
            }
        }
        Ok(())
    }
}

impl TryFrom<Parts> for Encoder {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self, Error> {
        let Parts { block, features, target, weight } = parts;
        let encoder = Self { block, features, target, weight };
        encoder.check()?;
        Ok(encoder)
    }
}

fn is_real(column: &FittedColumn) -> bool {
    matches!(column.output(), Kind::Real { .. })
}

fn real_width(column: &FittedColumn) -> usize {
    match column.output() {
        Kind::Real { width } => width,
        _ => 0,
    }
}
