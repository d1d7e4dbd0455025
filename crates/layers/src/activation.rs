use tidemill_autograd::{Activation, Error, Graph, Var, ops};

use crate::Layer;
use crate::layer::add;

/// `y = f(x)`, element by element. Straight after a [`Dense`](crate::Dense) it costs no pass of its own, as if it had
/// been given to that.
impl Layer for Activation {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("activation");
        add(graph, &name, ops::Activate(*self), input, &[])
    }
}

/// `yₖ = exp(xₖ) / Σⱼ exp(xⱼ)` over the last axis: scores to probabilities.
///
/// A loss that takes logits wants none of it: it predicts probabilities by itself.
///
/// # Shapes
///
/// `x [.., K]`, `y [.., K]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Softmax;

impl Layer for Softmax {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("softmax");
        add(graph, &name, ops::Softmax, input, &[])
    }
}

/// `yₖ = xₖ - log Σⱼ exp(xⱼ)` over the last axis: scores to the logarithms of probabilities.
///
/// # Shapes
///
/// `x [.., K]`, `y [.., K]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSoftmax;

impl Layer for LogSoftmax {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("log_softmax");
        add(graph, &name, ops::LogSoftmax, input, &[])
    }
}
