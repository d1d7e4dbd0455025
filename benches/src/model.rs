use std::fmt;

use anyhow::{Result, ensure};
use tidemill::prelude::*;

/// The architecture of a workload's model, up to the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// Inputs, then the outputs of each dense layer; ReLU in between.
    Dense(Vec<usize>),
    /// Classifies images of 1×28×28: two convolutions of 3×3 with ReLU and pooling of 2×2, of 16 and 32 channels, then
    /// one dense layer.
    Convolutional {
        /// Outputs of the last layer.
        classes: usize,
    },
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
            Self::Convolutional { .. } => vec![1, 28, 28],
        }
    }

    /// Numbers that it gives for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dims) => dims[dims.len() - 1],
            Self::Convolutional { classes } => *classes,
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
            Self::Convolutional { classes } => Sequential::new()
                .add(Conv2d::new(16, 3).relu())
                .add(MaxPool2d::new(2))
                .add(Conv2d::new(32, 3).relu())
                .add(MaxPool2d::new(2))
                .add(Flatten)
                .add(Dense::new(*classes)),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense(dims) => f.write_str(&dims.iter().map(usize::to_string).collect::<Vec<_>>().join("-")),
            Self::Convolutional { classes } => write!(f, "28x28-conv16-pool-conv32-pool-{classes}"),
        }
    }
}
