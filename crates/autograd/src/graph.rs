use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_tensor::{Initializer, Layout};

use crate::op::Bound;
use crate::{Error, Op, Operand, Specs};

/// A value of a graph: an input, or what an operation gives. A handle, cheap to copy, of the graph that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Var(pub(crate) usize);

/// A parameter of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Param(pub(crate) usize);

/// A buffer of a graph: numbers that an operation keeps from batch to batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer(pub(crate) usize);

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
    /// What predictions are made from.
    Feature,
    /// What a loss compares a prediction with.
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

/// Where a value comes from.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Input(usize),
    Node(usize),
}

#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) origin: Origin,
    pub(crate) shape: Vec<usize>,
    pub(crate) domain: Domain,
}

/// An operation, bound to what it is applied to.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) op: Arc<dyn Op>,
    pub(crate) bound: Bound,
    pub(crate) operands: Vec<Var>,
    pub(crate) params: Vec<usize>,
    pub(crate) buffers: Vec<usize>,
    /// Its outputs, which are consecutive values.
    pub(crate) first: usize,
}

impl Node {
    pub(crate) fn outputs(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.bound.outputs.len()
    }
}

/// A model as it is recorded: inputs, named parameters and buffers, operations.
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
#[derive(Clone, Default)]
pub struct Graph {
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) layout: Layout,
    labels: BTreeMap<usize, String>,
    counters: BTreeMap<String, usize>,
    /// What names of parameters begin with: empty, or ending in a dot.
    scope: String,
}

impl Graph {
    /// What the target is called in models that have one: it is the column that a source says is its target.
    pub const TARGET: &'static str = "target";

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

    /// Declares a target of real numbers: the source's column of that name, or for [`Graph::TARGET`] the one that it says
    /// is its target. Heads that are trained on the same target declare it alike.
    ///
    /// # Errors
    ///
    /// When the name is taken by another input, or the shape has no element.
    pub fn target(&mut self, name: &str, shape: &[usize]) -> Result<Var, Error> {
        self.declare(name, shape, Domain::Real, Role::Target)
    }

    /// Declares a target of one class below `classes` a row; see [`target`](Graph::target).
    ///
    /// # Errors
    ///
    /// As [`target`](Graph::target).
    pub fn index_target(&mut self, name: &str, classes: u32) -> Result<Var, Error> {
        self.declare(name, &[], Domain::Index { cardinality: classes }, Role::Target)
    }

    /// Declares a parameter; names follow `dense1.weight`, weights are `[out, in]`.
    ///
    /// # Errors
    ///
    /// When the name is taken, the shape has no element or the initializer's number is none to draw with.
    pub fn parameter(&mut self, name: &str, shape: &[usize], initializer: Initializer) -> Result<Param, Error> {
        let name = self.checked("parameter", name, shape, initializer)?;
        Ok(Param(self.layout.push(name, shape, initializer)?))
    }

    /// Declares a buffer: numbers that an operation reads, and updates from each batch that is trained on; names follow
    /// `norm1.running_mean`.
    ///
    /// # Errors
    ///
    /// As [`parameter`](Graph::parameter).
    pub fn buffer(&mut self, name: &str, shape: &[usize], initializer: Initializer) -> Result<Buffer, Error> {
        let name = self.checked("buffer", name, shape, initializer)?;
        Ok(Buffer(self.layout.push_buffer(name, shape, initializer)?))
    }

    fn checked(&self, what: &str, name: &str, shape: &[usize], initializer: Initializer) -> Result<String, Error> {
        let name = format!("{}{name}", self.scope);
        let invalid = |problem: String| Err(Error::invalid(format_args!("{what} {name}"), problem));
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
        if sound { Ok(name) } else { invalid(format!("cannot be drawn from {initializer:?}")) }
    }

    /// Records part of a model whose parameters' names begin with `name` and a dot. Scopes nest.
    ///
    /// # Errors
    ///
    /// Those of the recording.
    ///
    /// # Example
    ///
    /// ```
    /// # use tidemill_autograd::{Graph, Initializer};
    /// let mut graph = Graph::new();
    /// graph.scoped("backbone", |graph| graph.parameter("dense1.weight", &[2, 2], Initializer::GlorotUniform))?;
    /// assert_eq!(graph.layout()[0].name(), "backbone.dense1.weight");
    /// assert_eq!(graph.freeze("backbone.*")?, 1);
    /// # Ok::<(), tidemill_autograd::Error>(())
    /// ```
    pub fn scoped<R>(&mut self, name: &str, record: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        let outer = self.scope.len();
        self.scope.push_str(name);
        self.scope.push('.');
        let result = record(self);
        self.scope.truncate(outer);
        result
    }

    /// Freezes the parameters and buffers declared so far whose names match a pattern, in which `*` stands for any
    /// characters and `?` for one: they get no gradient and no optimizer memory. Says how many there are.
    ///
    /// An operation whose buffers are frozen computes in training as it predicts, as Keras's layers with
    /// `trainable = False` do. (PyTorch's `requires_grad` leaves running statistics alone.)
    ///
    /// # Errors
    ///
    /// When no name matches.
    pub fn freeze(&mut self, pattern: &str) -> Result<usize, Error> {
        let all = self.layout.parameters();
        let found: Vec<usize> = (0..all.len()).filter(|&index| all[index].matches(pattern)).collect();
        if found.is_empty() {
            let names: Vec<&str> = all.iter().map(|parameter| parameter.name()).collect();
            let problem = format!("no parameter matches {pattern}; there are {}", names.join(", "));
            return Err(Error::invalid("freeze", problem));
        }
        found.iter().for_each(|&index| self.layout.freeze(index));
        Ok(found.len())
    }

    /// Adds an operation of one output on values and parameters of this graph.
    ///
    /// # Errors
    ///
    /// When they do not fit the operation, or it has buffers or several outputs: see
    /// [`add_with_buffers`](Graph::add_with_buffers).
    pub fn add(&mut self, op: impl Op, operands: &[Var], params: &[Param]) -> Result<Var, Error> {
        let name = op.name();
        match *self.add_with_buffers(op, operands, params, &[])? {
            [output] => Ok(output),
            ref outputs => Err(Error::invalid(name, format_args!("has {} outputs, not one", outputs.len()))),
        }
    }

    /// Adds an operation on values, parameters and buffers of this graph, and gives all its outputs.
    ///
    /// # Errors
    ///
    /// When they do not fit the operation.
    pub fn add_with_buffers(
        &mut self,
        op: impl Op,
        operands: &[Var],
        params: &[Param],
        buffers: &[Buffer],
    ) -> Result<Vec<Var>, Error> {
        let foreign = |problem| Err(Error::invalid(op.name(), problem));
        if operands.iter().any(|v| v.0 >= self.values.len()) {
            return foreign("is applied to a value of another graph");
        }
        let declared = self.layout.parameters().len();
        if params.iter().map(|p| p.0).chain(buffers.iter().map(|b| b.0)).any(|index| index >= declared) {
            return foreign("is given a parameter or buffer of another graph");
        }
        let params: Vec<usize> = params.iter().map(|p| p.0).collect();
        let buffers: Vec<usize> = buffers.iter().map(|b| b.0).collect();
        let bound = self.bind(&op, operands, &params, &buffers);
        let bound = bound.map_err(|problem| Error::invalid(op.name(), problem))?;
        let first = self.values.len();
        let origin = Origin::Node(self.nodes.len());
        self.values.extend(bound.outputs.iter().map(|shape| Value {
            origin,
            shape: shape.clone(),
            domain: Domain::Real,
        }));
        self.nodes.push(Node { op: Arc::new(op), bound, operands: operands.to_vec(), params, buffers, first });
        Ok((first..self.values.len()).map(Var).collect())
    }

    pub(crate) fn bind(
        &self,
        op: &dyn Op,
        operands: &[Var],
        params: &[usize],
        buffers: &[usize],
    ) -> Result<Bound, String> {
        let operand = |&v: &Var| Operand { shape: self.shape(v), domain: self.domain(v), label: self.label(v) };
        let operands: Vec<Operand<'_>> = operands.iter().map(operand).collect();
        let shapes = |indices: &[usize]| indices.iter().map(|&i| self.layout[i].shape()).collect::<Vec<_>>();
        let (params, buffers) = (shapes(params), shapes(buffers));
        let specs = Specs { operands: &operands, params: &params, buffers: &buffers };
        let bound = op.bind(&specs)?;
        bound.check(&specs)?;
        Ok(bound)
    }

    /// The shape of a value, per row.
    pub fn shape(&self, var: Var) -> &[usize] {
        &self.values[var.0].shape
    }

    /// Elements of a value, per row.
    pub fn width(&self, var: Var) -> usize {
        self.shape(var).iter().product()
    }

    /// Whether a value is real numbers or categories.
    pub fn domain(&self, var: Var) -> Domain {
        self.values[var.0].domain
    }

    /// The shape of a parameter.
    pub fn parameter_shape(&self, param: Param) -> &[usize] {
        self.layout[param.0].shape()
    }

    /// The parameters and buffers declared so far.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A name that no one had before in this [scope](Graph::scoped): `dense1`, `dense2`, …
    pub fn unique(&mut self, prefix: &str) -> String {
        let count = self.counters.entry(format!("{}{prefix}", self.scope)).or_default();
        loop {
            *count += 1;
            let full = format!("{}{prefix}{count}", self.scope);
            let taken = |other: &str| other.strip_prefix(&full).is_some_and(|rest| rest.starts_with('.'));
            if !self.layout.parameters().iter().any(|p| taken(p.name())) {
                return format!("{prefix}{count}");
            }
        }
    }

    /// Gives a value a name, for errors.
    pub fn set_label(&mut self, var: Var, label: impl Into<String>) {
        self.labels.insert(var.0, label.into());
    }

    /// The name of a value, for errors.
    pub fn label(&self, var: Var) -> &str {
        match (self.values[var.0].origin, self.labels.get(&var.0)) {
            (_, Some(label)) => label,
            (Origin::Input(input), None) => &self.inputs[input].name,
            (Origin::Node(node), None) => self.nodes[node].op.name(),
        }
    }

    fn declare(&mut self, name: &str, shape: &[usize], domain: Domain, role: Role) -> Result<Var, Error> {
        let input = Input { name: name.to_owned(), shape: shape.to_vec(), domain, role };
        if let Some(index) = self.inputs.iter().position(|i| i.name == name) {
            let is_input = |value: &Value| matches!(value.origin, Origin::Input(number) if number == index);
            if role == Role::Target && self.inputs[index] == input {
                return Ok(Var(self.values.iter().position(is_input).expect("inputs are values")));
            }
            return Err(Error::invalid("graph", format_args!("input {name} is declared twice")));
        }
        if shape.contains(&0) {
            return Err(Error::invalid(format_args!("input {name}"), format_args!("shape {shape:?} has no element")));
        }
        if domain == (Domain::Index { cardinality: 0 }) {
            return Err(Error::invalid(format_args!("input {name}"), "has no category"));
        }
        self.inputs.push(input);
        self.values.push(Value { origin: Origin::Input(self.inputs.len() - 1), shape: shape.to_vec(), domain });
        Ok(Var(self.values.len() - 1))
    }
}
