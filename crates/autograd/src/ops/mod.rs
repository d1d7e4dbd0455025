//! The operations that graphs are made of, one file each, equation above, forward and backward side by side.
//!
//! Dimension letters: `B` rows of a batch, `I` inputs, `O` outputs, `K` classes, `C` channels, `H`×`W` image,
//! `T` time steps.

mod activation;
mod add;
mod concat;
mod conv;
mod dropout;
mod embedding;
mod global_average_pool;
mod layer_norm;
mod linear;
mod multiply;
mod pool;
mod reshape;
mod softmax;

pub use activation::Activate;
pub use add::Add;
pub use concat::Concat;
pub use conv::Conv;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use global_average_pool::GlobalAveragePool;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use multiply::Multiply;
pub use pool::{AveragePool, MaxPool};
pub use reshape::Reshape;
pub use softmax::{LogSoftmax, Softmax};

use crate::{Domain, Operand};

/// Checks the number of operands and parameters, and that the operands are real.
fn expect(operands: &[Operand<'_>], count: usize, params: &[&[usize]], param_count: usize) -> Result<(), String> {
    if operands.len() != count {
        return Err(format!("takes {}, not {}", counted(count, "operand"), operands.len()));
    }
    if params.len() != param_count {
        return Err(format!("takes {}, not {}", counted(param_count, "parameter"), params.len()));
    }
    real(operands)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("one {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Checks that the operands are real.
fn real(operands: &[Operand<'_>]) -> Result<(), String> {
    match operands.iter().find(|o| o.domain != Domain::Real) {
        Some(operand) => Err(format!("{} is of categories, expected real numbers", operand.label)),
        None => Ok(()),
    }
}

/// The one shape that all operands have.
fn alike(operands: &[Operand<'_>]) -> Result<Vec<usize>, String> {
    let shape = operands[0].shape;
    match operands.iter().find(|o| o.shape != shape) {
        Some(o) => Err(format!("{} is {:?}, {} is {shape:?}; they must be alike", o.label, o.shape, operands[0].label)),
        None => Ok(shape.to_vec()),
    }
}
