//! What training has left is finite, or is not handed on.

use tidemill_autograd::tensor::{Layout, Scalar};
use tidemill_optim::Optimizer;

use crate::{Error, State, Trainer};

/// Whether all numbers of a state are finite.
///
/// # Errors
///
/// [`Error::Diverged`], with the first that is not.
pub(crate) fn check<T: Scalar>(trainer: &Trainer<T>, state: &State<T>) -> Result<(), Error> {
    let found = parameter(trainer.program().layout(), &state.params);
    match found.or_else(|| memory(trainer.optimizer(), &state.optimizer)) {
        Some((what, value)) => Err(Error::Diverged { step: state.step, what, value }),
        None => Ok(()),
    }
}

/// The first parameter that is not finite.
pub(crate) fn parameter<T: Scalar>(layout: &Layout, params: &[T]) -> Option<(String, f64)> {
    let at = first(params)?;
    let parameter = layout.parameters().iter().find(|parameter| parameter.range().contains(&at))?;
    let name = format!("parameter {}[{}]", parameter.name(), at - parameter.range().start);
    Some((name, params[at].widen()))
}

/// The first number of an optimizer's memory that is not finite.
pub(crate) fn memory<T: Scalar>(optimizer: &Optimizer<T>, memory: &[T]) -> Option<(String, f64)> {
    let at = first(memory)?;
    let block = optimizer.state_blocks().iter().find(|block| block.range.contains(&at))?;
    Some((format!("{}[{}] of the optimizer's memory", block.name, at - block.range.start), memory[at].widen()))
}

/// Where the first number is that is not finite.
pub(crate) fn first<T: Scalar>(values: &[T]) -> Option<usize> {
    // Without a branch for each number, until one is found.
    let is_whole = |piece: &[T]| piece.iter().fold(true, |all, value| all & value.is_finite());
    let piece = values.chunks(1024).position(|piece| !is_whole(piece))? * 1024;
    values[piece..].iter().position(|value| !value.is_finite()).map(|at| piece + at)
}
