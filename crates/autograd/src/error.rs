use std::fmt::Display;

use tidemill_tensor::LayoutError;

/// What can be wrong with a graph; found when it is recorded or compiled, never when it runs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes, kinds or settings that do not fit.
    #[error("{what}: {problem}")]
    Invalid {
        /// The operation, layer, loss or input.
        what: String,
        /// What was expected, and what was found.
        problem: String,
    },
    /// A layer that was told how many inputs it has, and is given another number.
    #[error("layer {layer} expects {expected} inputs, {operand} gives {given}")]
    Inputs {
        /// The layer's name.
        layer: String,
        /// What it was told.
        expected: usize,
        /// What comes before it.
        operand: String,
        /// What that gives.
        given: usize,
    },
    /// A parameter's declaration.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(what: impl Display, problem: impl Display) -> Self {
        Self::Invalid { what: what.to_string(), problem: problem.to_string() }
    }
}
