//! The operations that graphs are made of, one file each, equation above, forward and backward side by side.
//!
//! Dimension letters: `B` rows of a batch, `I` inputs, `O` outputs, `K` classes, `C` channels, `H`×`W` image,
//! `T` time steps.

mod activation;
mod add;
mod batch_norm;
mod concat;
mod conv;
mod dropout;
mod elementwise;
mod embedding;
mod global_average_pool;
mod layer_norm;
mod linear;
mod multiply;
mod pool;
mod reduce;
mod reshape;
mod softmax;
mod weighted_sum;

pub use activation::Activate;
pub use add::Add;
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv::Conv;
pub use dropout::Dropout;
pub use elementwise::{Affine, Divide, Map, Maximum, Minimum, Subtract};
pub use embedding::Embedding;
pub use global_average_pool::GlobalAveragePool;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use multiply::Multiply;
pub use pool::{AveragePool, MaxPool};
pub use reduce::Reduce;
pub use reshape::Reshape;
pub use softmax::{LogSoftmax, Softmax};
pub use weighted_sum::WeightedSum;

use crate::{Domain, Operand, Specs};

/// The shapes of a weight, and of a bias if there is one.
fn weight_and_bias<'a>(specs: &Specs<'a>) -> Result<(&'a [usize], Option<&'a &'a [usize]>), String> {
    match specs.params {
        [weight] => Ok((weight, None)),
        [weight, bias] => Ok((weight, Some(bias))),
        others => Err(format!("takes a weight and at most a bias, not {} parameters", others.len())),
    }
}

/// Checks that the operands are real.
fn real(operands: &[Operand<'_>]) -> Result<(), String> {
    match operands.iter().find(|o| o.domain != Domain::Real) {
        Some(operand) => Err(format!("{} is of categories, expected real numbers", operand.label)),
        None => Ok(()),
    }
}
