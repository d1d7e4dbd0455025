//! What convolutions in one and two dimensions have in common.

use tidemill_autograd::tensor::{Convolution, Window};
use tidemill_autograd::{Activation, Error, Graph, Initializer, Param, Var, ops};

use crate::layer::{add, name};

/// Everything that is said of a convolution before it meets its input.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub outputs: usize,
    pub channels: Option<usize>,
    pub groups: usize,
    pub window: Window,
    pub padding: Padding,
    pub activation: Activation,
    pub weight: Initializer,
    pub bias: Option<Initializer>,
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Padding {
    Zeros([usize; 2]),
    Same,
}

impl Settings {
    pub fn new(outputs: usize, kernel: [usize; 2]) -> Self {
        Self {
            outputs,
            channels: None,
            groups: 1,
            window: Window::new(kernel),
            padding: Padding::Zeros([0, 0]),
            activation: Activation::Identity,
            weight: Initializer::GlorotUniform,
            bias: Some(Initializer::Constant(0.0)),
            name: None,
        }
    }

    /// The window with its padding.
    fn padded(&self) -> Result<Window, String> {
        let Self { window, padding, .. } = *self;
        match padding {
            Padding::Zeros(padding) => Ok(window.padding(padding)),
            Padding::Same => {
                let extent = window.extent();
                if window.stride != [1, 1] || extent.iter().any(|e| e % 2 == 0) {
                    return Err(format!(
                        "same padding is for a stride of 1 and a window that spans odd numbers, not for stride {:?} and \
                         a window that spans {extent:?}",
                        window.stride
                    ));
                }
                Ok(window.padding(extent.map(|extent| extent / 2)))
            }
        }
    }

    /// Declares the parameters and adds the operation, for `channels` images of this size.
    pub fn apply(
        &self,
        graph: &mut Graph,
        input: Var,
        kind: &Kind,
        sizes: impl FnOnce(&[usize]) -> Option<(usize, [usize; 2])>,
    ) -> Result<Var, Error> {
        let name = name(graph, self.name.as_deref(), kind.name);
        let invalid = |problem: String| Error::invalid(format_args!("layer {name}"), problem);
        let (shape, label) = (graph.shape(input), graph.label(input));
        let Some((channels, image)) = sizes(shape) else {
            return Err(invalid(format!("{label} is {shape:?}, expected {}", kind.input)));
        };
        if let Some(expected) = self.channels.filter(|&expected| expected != channels) {
            return Err(invalid(format!("expects {expected} channels, {label} gives {channels}")));
        }
        let groups = self.groups;
        if groups == 0 || channels % groups != 0 || self.outputs % groups != 0 {
            let outputs = self.outputs;
            return Err(invalid(format!("{groups} groups do not divide {channels} channels and {outputs} outputs")));
        }
        let window = self.padded().map_err(invalid)?;
        let sizes = Convolution { channels, outputs: self.outputs, groups, image, window };
        let params = self.parameters(graph, &name, &(kind.weight)(self.outputs, channels / groups, window.kernel))?;
        let output = add(graph, &name, (kind.op)(sizes), input, &params)?;
        match self.activation {
            Activation::Identity => Ok(output),
            activation => add(graph, &name, ops::Activate(activation), output, &[]),
        }
    }

    fn parameters(&self, graph: &mut Graph, name: &str, weight: &[usize]) -> Result<Vec<Param>, Error> {
        let mut params = vec![graph.parameter(&format!("{name}.weight"), weight, self.weight)?];
        if let Some(bias) = self.bias {
            params.push(graph.parameter(&format!("{name}.bias"), &[self.outputs], bias)?);
        }
        Ok(params)
    }
}

/// What one and two dimensions differ in.
pub(crate) struct Kind {
    /// Of which the layer's name is made.
    pub name: &'static str,
    /// What an input must be.
    pub input: &'static str,
    /// The weight's shape, of outputs, channels of a group and window.
    pub weight: fn(usize, usize, [usize; 2]) -> Vec<usize>,
    pub op: fn(Convolution) -> ops::Conv,
}

/// The settings that convolutions of any dimensions are built with.
macro_rules! settings {
    () => {
        /// As many zeros on both sides as keep the size, as `padding="same"` in PyTorch and Keras; for a stride of 1 and
        /// windows that span odd numbers.
        #[must_use]
        pub fn same_padding(mut self) -> Self {
            self.settings.padding = $crate::conv::Padding::Same;
            self
        }

        /// Divides channels and outputs into so many parts, each of which sees only its own; 1 without it. With as many
        /// groups as channels it is a depthwise convolution.
        #[must_use]
        pub fn groups(mut self, groups: usize) -> Self {
            self.settings.groups = groups;
            self
        }

        /// Expects this many channels; without it, it takes those that it is given.
        #[must_use]
        pub fn channels(mut self, channels: usize) -> Self {
            self.settings.channels = Some(channels);
            self
        }

        /// Ends in this function.
        #[must_use]
        pub fn activation(mut self, activation: Activation) -> Self {
            self.settings.activation = activation;
            self
        }

        /// Ends in [`Activation::Relu`].
        #[must_use]
        pub fn relu(self) -> Self {
            self.activation(Activation::Relu)
        }

        /// Without `b`.
        #[must_use]
        pub fn without_bias(mut self) -> Self {
            self.settings.bias = None;
            self
        }

        /// How the weights' first values are drawn.
        #[must_use]
        pub fn weight_initializer(mut self, initializer: Initializer) -> Self {
            self.settings.weight = initializer;
            self
        }

        /// How the biases' first values are drawn.
        #[must_use]
        pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
            self.settings.bias = Some(initializer);
            self
        }

        /// What it and its parameters are called: `edges.weight`, `edges.bias`.
        #[must_use]
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.settings.name = Some(name.into());
            self
        }
    };
}
pub(crate) use settings;
