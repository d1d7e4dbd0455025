use std::fmt::Debug;
use std::sync::Arc;

use tidemill_autograd::{Error, Graph, Op, Param, Var};

/// A function of one value of a graph, with parameters of its own.
///
/// # Example
///
/// ```
/// use tidemill_autograd::{Error, Graph, Var, ops};
/// use tidemill_layers::{Dense, Layer};
///
/// /// `y = x + f(x)`, where `f` keeps the shape.
/// #[derive(Debug)]
/// struct Residual<F>(F);
///
/// impl<F: Layer> Layer for Residual<F> {
///     fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
///         let change = self.0.apply(graph, input)?;
///         graph.add(ops::Add, &[input, change], &[])
///     }
/// }
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[4])?;
/// let y = Residual(Dense::new(4).tanh()).apply(&mut graph, x)?;
/// assert_eq!(graph.shape(y), [4]);
/// # Ok::<(), Error>(())
/// ```
pub trait Layer: Debug + Send + Sync {
    /// Declares the parameters, adds the operations and gives the value that the layer makes of `input`.
    ///
    /// Every call declares parameters of its own, under the next free name.
    ///
    /// # Errors
    ///
    /// When `input` or a setting does not fit the layer, or its name is taken.
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error>;
}

impl<L: Layer + ?Sized> Layer for Arc<L> {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        (**self).apply(graph, input)
    }
}

/// The name that a layer was given, or the next free one of its kind.
pub(crate) fn name(graph: &mut Graph, given: Option<&str>, kind: &str) -> String {
    match given {
        Some(name) => name.to_owned(),
        None => graph.unique(kind),
    }
}

/// Adds an operation and labels its value with the layer's name, which is also the one that errors tell.
pub(crate) fn add(graph: &mut Graph, name: &str, op: impl Op, input: Var, params: &[Param]) -> Result<Var, Error> {
    let output = graph.add(op, &[input], params).map_err(|error| match error {
        Error::Invalid { problem, .. } => Error::invalid(format_args!("layer {name}"), problem),
        other => other,
    })?;
    graph.set_label(output, name);
    Ok(output)
}
