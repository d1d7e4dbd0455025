use std::fmt::Debug;

use tidemill_autograd::{Domain, Ending, Error, Graph, Operand, Var};

/// How a graph ends: in one value per row, to be made small.
pub trait Loss: Debug + Send + Sync {
    /// Declares the target, adds the loss and gives it beside the prediction in the target's terms.
    ///
    /// # Errors
    ///
    /// When the prediction or a setting does not fit the loss, or there is a target already.
    fn apply(&self, graph: &mut Graph, prediction: Var) -> Result<Ending, Error>;
}

/// The prediction and the target, of which the first must be of real numbers.
pub(crate) fn compared<'o, 'a>(operands: &'o [Operand<'a>]) -> Result<(&'o Operand<'a>, &'o Operand<'a>), String> {
    match operands {
        [p, _] if p.domain != Domain::Real => {
            Err(format!("the prediction {} is of categories, expected real numbers", p.label))
        }
        [p, t] => Ok((p, t)),
        _ => Err("compares a prediction with a target".into()),
    }
}
