use tidemill_autograd::{Activation, Error, Graph, Initializer, Var, ops};

use crate::Layer;
use crate::layer::{add, name};

/// `y = f(x Wᵀ + b)` on the last axis: every output sees every input.
///
/// Defaults: `f` is the identity. Weights are drawn from [`Initializer::GlorotUniform`] and biases are zero, as in
/// Keras. (PyTorch draws both from the uniform distribution on `±1 / sqrt(I)`.)
///
/// # Shapes
///
/// `x [.., I]`, `y [.., O]`; parameters `weight [O, I]`, `bias [O]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Dense, Layer};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[784])?;
/// let hidden = Dense::new(64).relu().apply(&mut graph, x)?;
/// let error = Dense::new(10).inputs(128).apply(&mut graph, hidden).unwrap_err();
/// assert_eq!(error.to_string(), "layer dense2 expects 128 inputs, dense1 gives 64");
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dense {
    outputs: usize,
    inputs: Option<usize>,
    activation: Activation,
    weight: Initializer,
    bias: Option<Initializer>,
    name: Option<String>,
}

impl Dense {
    /// With this many outputs.
    pub fn new(outputs: usize) -> Self {
        Self {
            outputs,
            inputs: None,
            activation: Activation::Identity,
            weight: Initializer::GlorotUniform,
            bias: Some(Initializer::Constant(0.0)),
            name: None,
        }
    }

    /// Expects this many inputs; without it, it takes those that it is given.
    #[must_use]
    pub fn inputs(mut self, inputs: usize) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Ends in this function.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Ends in [`Activation::Relu`].
    #[must_use]
    pub fn relu(self) -> Self {
        self.activation(Activation::Relu)
    }

    /// Ends in [`Activation::Sigmoid`].
    #[must_use]
    pub fn sigmoid(self) -> Self {
        self.activation(Activation::Sigmoid)
    }

    /// Ends in [`Activation::Tanh`].
    #[must_use]
    pub fn tanh(self) -> Self {
        self.activation(Activation::Tanh)
    }

    /// Without `b`.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// How the weights' first values are drawn.
    #[must_use]
    pub fn weight_initializer(mut self, initializer: Initializer) -> Self {
        self.weight = initializer;
        self
    }

    /// How the biases' first values are drawn.
    #[must_use]
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias = Some(initializer);
        self
    }

    /// What it and its parameters are called: `hidden.weight`, `hidden.bias`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Layer for Dense {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = name(graph, self.name.as_deref(), "dense");
        let given = graph.shape(input).last().copied().unwrap_or(1);
        if let Some(expected) = self.inputs.filter(|&expected| expected != given) {
            let operand = graph.label(input).to_owned();
            return Err(Error::Inputs { layer: name, expected, operand, given });
        }
        let mut params = vec![graph.parameter(&format!("{name}.weight"), &[self.outputs, given], self.weight)?];
        if let Some(bias) = self.bias {
            params.push(graph.parameter(&format!("{name}.bias"), &[self.outputs], bias)?);
        }
        let output = add(graph, &name, ops::Linear::new(), input, &params)?;
        match self.activation {
            Activation::Identity => Ok(output),
            activation => add(graph, &name, ops::Activate(activation), output, &[]),
        }
    }
}
