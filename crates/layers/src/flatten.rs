use std::ops::{Bound, RangeBounds};

use tidemill_autograd::{Error, Graph, Var, ops};

use crate::Layer;
use crate::layer::add;

/// All axes of a row joined to one; or [some of them](Flatten::axes).
///
/// # Shapes
///
/// `[A, .., Z]` to `[A · … · Z]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Flatten, Layer};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[3, 4, 2])?;
/// let all = Flatten.apply(&mut graph, x)?;
/// let first_two = Flatten.axes(..2).apply(&mut graph, x)?;
/// assert_eq!((graph.shape(all), graph.shape(first_two)), ([24].as_slice(), [12, 2].as_slice()));
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Flatten {
    /// Joins these axes of a row alone; the first one is 0. (PyTorch counts the batch as axis 0, and its `end_dim` is the
    /// last axis that is joined: `nn.Flatten(1, 2)` is `Flatten.axes(0..2)`.)
    pub fn axes(self, axes: impl RangeBounds<usize>) -> FlattenAxes {
        let start = match axes.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match axes.end_bound() {
            Bound::Included(&last) => Some(last + 1),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => None,
        };
        FlattenAxes { start, end }
    }
}

impl Layer for Flatten {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("flatten");
        let op = ops::Reshape::new([graph.width(input)]);
        add(graph, &name, op, input, &[])
    }
}

/// Some axes of a row joined to one: [`Flatten::axes`].
#[derive(Clone, Copy, Debug)]
pub struct FlattenAxes {
    start: usize,
    end: Option<usize>,
}

impl Layer for FlattenAxes {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("flatten");
        let shape = graph.shape(input);
        let (start, end) = (self.start, self.end.unwrap_or(shape.len()));
        if start >= end || end > shape.len() {
            let problem = format!("{} is {shape:?}, which has no axes {start}..{end}", graph.label(input));
            return Err(Error::invalid(format_args!("layer {name}"), problem));
        }
        let joined = [&shape[..start], &[shape[start..end].iter().product()], &shape[end..]].concat();
        add(graph, &name, ops::Reshape::new(joined), input, &[])
    }
}
