use tidemill_autograd::{Error, Graph, Var, ops};

use crate::Layer;
use crate::layer::add;

/// All axes of a row joined to one.
///
/// # Shapes
///
/// `[A, .., Z]` to `[A · … · Z]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Layer for Flatten {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("flatten");
        let op = ops::Reshape::new([graph.width(input)]);
        add(graph, &name, op, input, &[])
    }
}
