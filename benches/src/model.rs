use std::fmt;

use anyhow::{Result, ensure};
use tidemill::prelude::*;

/// The architecture of a workload's model, up to the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// Inputs, then the outputs of each dense layer; ReLU in between.
    Dense(Vec<usize>),
}

impl Model {
    /// Dense layers: inputs, then the outputs of each.
    ///
    /// # Errors
    ///
    /// When there is no layer, or one without elements.
    pub fn dense(dims: Vec<usize>) -> Result<Self> {
        ensure!(dims.len() >= 2, "dims {dims:?}: expected inputs and outputs at least, such as 10,10,1");
        ensure!(!dims.contains(&0), "dims {dims:?}: a layer has no element");
        Ok(Self::Dense(dims))
    }

    /// The shape of a row that it takes.
    pub fn input(&self) -> Vec<usize> {
        match self {
            Self::Dense(dims) => vec![dims[0]],
        }
    }

    /// Numbers that it gives for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dims) => dims[dims.len() - 1],
        }
    }

    /// Its layers.
    pub fn layers(&self) -> Sequential {
        match self {
            Self::Dense(dims) => {
                let (&outputs, hidden) = dims[1..].split_last().expect("a model has outputs");
                let layers = hidden.iter().fold(Sequential::new(), |model, &width| model.add(Dense::new(width).relu()));
                layers.add(Dense::new(outputs))
            }
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense(dims) => f.write_str(&dims.iter().map(usize::to_string).collect::<Vec<_>>().join("-")),
        }
    }
}
