use std::fmt;

use anyhow::{Result, ensure};
use tidemill::autograd::Error;
use tidemill::prelude::*;

use crate::clicks;

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
    /// Scores a row of 13 numbers and 26 categories: a learned vector of width 8 for each category, then dense layers of
    /// 64, 32 and 1 outputs; ReLU in between.
    Tables {
        /// Categories of each column.
        categories: u32,
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

    /// [`Tables`](Self::Tables) of so many categories each.
    ///
    /// # Errors
    ///
    /// When there is no category.
    pub fn tables(categories: u32) -> Result<Self> {
        ensure!(categories > 0, "categories: 0; expected 1 or more a column");
        Ok(Self::Tables { categories })
    }

    /// Categories of each column, where it has such columns.
    pub fn categories(&self) -> Option<u32> {
        match self {
            Self::Tables { categories } => Some(*categories),
            Self::Dense(_) | Self::Convolutional { .. } => None,
        }
    }

    /// The shape of the numbers of a row, its input `x`.
    pub fn input(&self) -> Vec<usize> {
        match self {
            Self::Dense(dims) => vec![dims[0]],
            Self::Convolutional { .. } => vec![1, 28, 28],
            Self::Tables { .. } => vec![clicks::REALS],
        }
    }

    /// Numbers that it gives for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(dims) => dims[dims.len() - 1],
            Self::Convolutional { classes } => *classes,
            Self::Tables { .. } => 1,
        }
    }

    /// Declares its inputs and applies its layers.
    ///
    /// # Errors
    ///
    /// Those of the graph.
    pub fn record(&self, graph: &mut Graph) -> Result<Var, Error> {
        let x = match self {
            Self::Tables { categories } => clicks::features(*categories).declare(graph)?,
            Self::Dense(_) | Self::Convolutional { .. } => graph.input("x", &self.input())?,
        };
        self.layers().apply(graph, x)
    }

    fn layers(&self) -> Sequential {
        match self {
            Self::Dense(dims) => dense(&dims[1..]),
            Self::Tables { .. } => dense(&[64, 32, 1]),
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

/// Dense layers of so many outputs, with ReLU between them.
fn dense(outputs: &[usize]) -> Sequential {
    let (&last, hidden) = outputs.split_last().expect("a model has outputs");
    let layers = hidden.iter().fold(Sequential::new(), |model, &width| model.add(Dense::new(width).relu()));
    layers.add(Dense::new(last))
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense(dims) => f.write_str(&dims.iter().map(usize::to_string).collect::<Vec<_>>().join("-")),
            Self::Convolutional { classes } => write!(f, "28x28-conv16-pool-conv32-pool-{classes}"),
            Self::Tables { categories } => {
                write!(f, "{} numbers, {} x {categories} categories, 64-32-1", clicks::REALS, clicks::COLUMNS)
            }
        }
    }
}
