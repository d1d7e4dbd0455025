use std::fmt::Debug;

use tidemill_autograd::{Domain, Error, Graph, Head, Operand, Var};

/// How a head of a graph ends: in one value per row, to be made small.
///
/// # Example
///
/// A model with two heads, each of which has a column of its own as target:
///
/// ```
/// use tidemill_autograd::{Graph, Head, Initializer, Program, ops};
/// use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss, MeanSquaredError};
///
/// let program: Program<f32> = Program::build(|graph| {
///     let x = graph.input("x", &[3])?;
///     let weight = graph.parameter("price.weight", &[1, 3], Initializer::GlorotUniform)?;
///     let price = graph.add(ops::Linear::new(), &[x], &[weight])?;
///     let weight = graph.parameter("sold.weight", &[1, 3], Initializer::GlorotUniform)?;
///     let sold = graph.add(ops::Linear::new(), &[x], &[weight])?;
///     Ok([
///         MeanSquaredError.head(graph, price, "price")?,
///         BinaryCrossEntropyWithLogits::new().head(graph, sold, "sold")?.weight(0.5),
///     ])
/// })?;
/// assert_eq!(program.head("sold"), Some(1));
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
pub trait Loss: Debug + Send + Sync {
    /// Declares the target of this name, adds the loss and gives it beside the prediction in the target's terms.
    ///
    /// # Errors
    ///
    /// When the prediction or a setting does not fit the loss, or the name is another input's.
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error>;

    /// The head of a model that has one, which is trained on the source's target.
    ///
    /// # Errors
    ///
    /// As [`compare`](Loss::compare).
    fn apply(&self, graph: &mut Graph, prediction: Var) -> Result<Head, Error> {
        self.compare(graph, prediction, Graph::TARGET)
    }

    /// A head of this name, which is trained on the source's column of this name.
    ///
    /// # Errors
    ///
    /// As [`compare`](Loss::compare).
    fn head(&self, graph: &mut Graph, prediction: Var, name: &str) -> Result<Head, Error> {
        Ok(self.compare(graph, prediction, name)?.named(name))
    }
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
