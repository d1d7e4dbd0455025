use super::encoding::Encoding;
use super::{Encoder, FitReport, Fitting};
use crate::{Batch, Cursor, Error, Role, Schema, Source};

/// Rows that are read at once while fitting.
const PIECE: usize = 4096;

/// Declares the columns of an [`Encoder`]; made by [`Encoder::builder`].
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderBuilder {
    pub(super) block: String,
    pub(super) columns: Vec<Declared>,
}

/// One raw column, and how it is to be encoded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub role: Role,
    pub name: String,
    pub source: String,
    pub encoding: Encoding,
}

impl EncoderBuilder {
    pub(super) fn new() -> Self {
        Self { block: "x".into(), columns: Vec::new() }
    }

    /// An input of the model, named like its raw column.
    pub fn feature(self, column: &str, encoding: Encoding) -> Self {
        self.feature_from(column, column, encoding)
    }

    /// An input of the model, under a name of its own: one raw column can feed several.
    pub fn feature_from(self, name: &str, column: &str, encoding: Encoding) -> Self {
        self.declare(Role::Feature, name, column, encoding)
    }

    /// What the model is to predict: [`real`](Encoding::real), [`standardize`](Encoding::standardize),
    /// [`above`](Encoding::above) or [`class`](Encoding::class).
    pub fn target(self, column: &str, encoding: Encoding) -> Self {
        self.declare(Role::Target, "target", column, encoding)
    }

    /// The rows' weights: [`real`](Encoding::real), at least zero.
    pub fn weight(self, column: &str, encoding: Encoding) -> Self {
        self.declare(Role::Weight, "weight", column, encoding)
    }

    /// Names the block of real features; `x` where nothing is said.
    pub fn block_name(self, name: &str) -> Self {
        Self { block: name.into(), ..self }
    }

    /// Checks the declaration against the raw columns, before any row is read.
    ///
    /// # Errors
    ///
    /// When a raw column is missing or of a wrong type, an encoding does not fit its role or settings, or names clash.
    pub fn start(self, raw: &Schema) -> Result<Fitting, Error> {
        Fitting::new(self, raw)
    }

    /// Fits the encoder to epoch 0 of a source in one pass, and leaves the source at the start of that epoch.
    ///
    /// # Errors
    ///
    /// As [`start`](EncoderBuilder::start); those of the source; and when a value is missing, infinite or no integer
    /// where that is not allowed, when a column has too many categories, or when no row is left.
    pub fn fit(self, source: &mut impl Source<f64>) -> Result<(Encoder, FitReport), Error> {
        let mut fitting = self.start(source.schema())?;
        source.seek(Cursor::start(0))?;
        let mut raw = Batch::new(source.schema().clone());
        loop {
            raw.clear();
            if source.fill(&mut raw, PIECE)? == 0 {
                source.seek(Cursor::start(0))?;
                return fitting.finish();
            }
            fitting.observe(&raw)?;
        }
    }

    fn declare(mut self, role: Role, name: &str, column: &str, encoding: Encoding) -> Self {
        self.columns.push(Declared { role, name: name.into(), source: column.into(), encoding });
        self
    }
}
