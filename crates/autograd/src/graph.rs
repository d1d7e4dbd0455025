use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_tensor::{Initializer, Layout};

use crate::{Error, Op, Operand};

/// A value of a graph: an input, or what an operation gives. A handle, cheap to copy, of the graph that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Var(pub(crate) usize);

/// A parameter of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Param(pub(crate) usize);

/// What a value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Real numbers.
    Real,
    /// Categories: indices below `cardinality`.
    Index {
        /// How many categories there are.
        cardinality: u32,
    },
}

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What the prediction is made from.
    Feature,
    /// What the loss compares the prediction with.
    Target,
}

/// A named input: what a batch must bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The name.
    pub name: String,
    /// Its shape per row.
    pub shape: Vec<usize>,
    /// Real numbers or categories.
    pub domain: Domain,
    /// Feature or target.
    pub role: Role,
}

impl Input {
    /// Elements a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where a graph ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What the model says, in the target's terms.
    pub prediction: Var,
    /// One loss value a row; absent in a model that is only run.
    pub loss: Option<Var>,
}

pub(crate) enum Source {
    Input(usize),
    Op { op: Arc<dyn Op>, operands: Vec<Var>, params: Vec<Param> },
}

pub(crate) struct Node {
    pub(crate) source: Source,
    pub(crate) shape: Vec<usize>,
    pub(crate) domain: Domain,
}

/// A model as it is recorded: inputs, named parameters, operations.
///
/// # Example
///
/// ```
/// use tidemill_autograd::{Graph, ops};
/// use tidemill_tensor::Initializer;
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[4])?;
/// let w = graph.parameter("w", &[3, 5], Initializer::GlorotUniform)?;
/// let error = graph.add(ops::Linear::new(), &[x], &[w]).unwrap_err();
/// assert_eq!(error.to_string(), "linear: weight [3, 5] takes 5 inputs, x gives 4");
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Default)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) layout: Layout,
    labels: BTreeMap<usize, String>,
    counters: BTreeMap<String, usize>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares an input of real numbers, `shape` per row.
    ///
    /// # Errors
    ///
    /// When the name is taken or the shape has no element.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Result<Var, Error> {
        self.declare(name, shape, Domain::Real, Role::Feature)
    }

    /// Declares an input of categories below `cardinality`, `shape` per row; `[]` is one.
    ///
    /// # Errors
    ///
    /// As [`input`](Graph::input).
    pub fn index_input(&mut self, name: &str, shape: &[usize], cardinality: u32) -> Result<Var, Error> {
        self.declare(name, shape, Domain::Index { cardinality }, Role::Feature)
    }

    /// Declares the target, of real numbers.
    ///
    /// # Errors
    ///
    /// When there is one already, or the shape has no element.
    pub fn target(&mut self, shape: &[usize]) -> Result<Var, Error> {
        self.declare("target", shape, Domain::Real, Role::Target)
    }

    /// Declares the target, one class below `classes` a row.
    ///
    /// # Errors
    ///
    /// When there is one already.
    pub fn index_target(&mut self, classes: u32) -> Result<Var, Error> {
        self.declare("target", &[], Domain::Index { cardinality: classes }, Role::Target)
    }

    /// Declares a parameter; names follow `dense1.weight`, weights are `[out, in]`.
    ///
    /// # Errors
    ///
    /// When the name is taken, the shape has no element or the initializer's number is none to draw with.
    pub fn parameter(&mut self, name: &str, shape: &[usize], initializer: Initializer) -> Result<Param, Error> {
        let invalid = |problem: String| Err(Error::invalid(format_args!("parameter {name}"), problem));
        if shape.contains(&0) {
            return invalid(format!("shape {shape:?} has no element"));
        }
        let sound = match initializer {
            Initializer::Constant(value) => value.is_finite(),
            Initializer::Uniform { bound: spread } | Initializer::Normal { std: spread } => {
                spread.is_finite() && spread >= 0.0
            }
            _ => true,
        };
        if !sound {
            return invalid(format!("cannot be drawn from {initializer:?}"));
        }
        Ok(Param(self.layout.push(name, shape, initializer)?))
    }

    /// Adds an operation on values and parameters of this graph.
    ///
    /// # Errors
    ///
    /// When they do not fit the operation.
    pub fn add(&mut self, op: impl Op, operands: &[Var], params: &[Param]) -> Result<Var, Error> {
        let foreign = |problem| Err(Error::invalid(Op::name(&op), problem));
        if operands.iter().any(|v| v.0 >= self.nodes.len()) {
            return foreign("is applied to a value of another graph");
        }
        if params.iter().any(|p| p.0 >= self.layout.parameters().len()) {
            return foreign("is given a parameter of another graph");
        }
        let described: Vec<Operand<'_>> = operands
            .iter()
            .map(|&v| Operand { shape: self.shape(v), domain: self.domain(v), label: self.label(v) })
            .collect();
        let shapes: Vec<&[usize]> = params.iter().map(|p| self.layout[p.0].shape()).collect();
        let shape = op.output_shape(&described, &shapes).map_err(|problem| Error::invalid(Op::name(&op), problem))?;
        let source = Source::Op { op: Arc::new(op), operands: operands.to_vec(), params: params.to_vec() };
        self.nodes.push(Node { source, shape, domain: Domain::Real });
        Ok(Var(self.nodes.len() - 1))
    }

    /// The shape of a value, per row.
    pub fn shape(&self, var: Var) -> &[usize] {
        &self.nodes[var.0].shape
    }

    /// Elements of a value, per row.
    pub fn width(&self, var: Var) -> usize {
        self.shape(var).iter().product()
    }

    /// Whether a value is real numbers or categories.
    pub fn domain(&self, var: Var) -> Domain {
        self.nodes[var.0].domain
    }

    /// The shape of a parameter.
    pub fn parameter_shape(&self, param: Param) -> &[usize] {
        self.layout[param.0].shape()
    }

    /// The parameters declared so far.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A name that no one had before: `dense1`, `dense2`, …
    pub fn unique(&mut self, prefix: &str) -> String {
        let count = self.counters.entry(prefix.to_owned()).or_default();
        loop {
            *count += 1;
            let name = format!("{prefix}{count}");
            let taken = |other: &str| other.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.'));
            if !self.layout.parameters().iter().any(|p| taken(p.name())) {
                return name;
            }
        }
    }

    /// Gives a value a name, for errors.
    pub fn set_label(&mut self, var: Var, label: impl Into<String>) {
        self.labels.insert(var.0, label.into());
    }

    /// The name of a value, for errors.
    pub fn label(&self, var: Var) -> &str {
        match (&self.nodes[var.0].source, self.labels.get(&var.0)) {
            (_, Some(label)) => label,
            (Source::Input(input), None) => &self.inputs[*input].name,
            (Source::Op { op, .. }, None) => Op::name(&**op),
        }
    }

    fn declare(&mut self, name: &str, shape: &[usize], domain: Domain, role: Role) -> Result<Var, Error> {
        if self.inputs.iter().any(|i| i.name == name) {
            return Err(Error::invalid("graph", format_args!("input {name} is declared twice")));
        }
        if shape.contains(&0) {
            return Err(Error::invalid(format_args!("input {name}"), format_args!("shape {shape:?} has no element")));
        }
        if domain == (Domain::Index { cardinality: 0 }) {
            return Err(Error::invalid(format_args!("input {name}"), "has no category"));
        }
        self.inputs.push(Input { name: name.to_owned(), shape: shape.to_vec(), domain, role });
        let source = Source::Input(self.inputs.len() - 1);
        self.nodes.push(Node { source, shape: shape.to_vec(), domain });
        Ok(Var(self.nodes.len() - 1))
    }
}
