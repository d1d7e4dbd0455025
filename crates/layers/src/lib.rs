//! Layers: plain structs that declare named parameters in a graph and add operations to it.
//!
//! A [`Layer`] turns one value of a [`Graph`](tidemill_autograd::Graph) into another; a [`Sequential`] of layers is a
//! layer; [`Features`] declares the inputs of a model of tables. Layers do not know losses, optimizers, data or workers.
//!
//! Parameters are named `dense1.weight`, `dense1.bias`, `embedding1.weight`, … in the order in which layers are applied,
//! unless a layer is given a name; weights are `[out, in]`, of convolutions `[out, in, height, width]`. Shapes are per row, the batch dimension is implicit.
//!
//! # Example
//!
//! ```
//! use tidemill_autograd::{Head, Program};
//! use tidemill_layers::{Dense, Layer, Sequential};
//!
//! let model = Sequential::new().add(Dense::new(10).relu()).add(Dense::new(1).sigmoid());
//! let program: Program<f32> = Program::build(|graph| {
//!     let x = graph.input("x", &[10])?;
//!     Ok(Head::new(model.apply(graph, x)?))
//! })?;
//! let names: Vec<&str> = program.layout().parameters().iter().map(|p| p.name()).collect();
//! assert_eq!(names, ["dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias"]);
//! # Ok::<(), tidemill_autograd::Error>(())
//! ```

mod activation;
mod batch_norm;
mod conv;
mod conv1d;
mod conv2d;
mod dense;
mod dropout;
mod embedding;
mod features;
mod flatten;
mod layer;
mod layer_norm;
mod pair;
mod pool;
mod sequential;

pub use activation::{LogSoftmax, Softmax};
pub use batch_norm::BatchNorm;
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use features::Features;
pub use flatten::{Flatten, FlattenAxes};
pub use layer::Layer;
pub use layer_norm::LayerNorm;
pub use pair::Pair;
pub use pool::{AvgPool2d, GlobalAveragePool2d, MaxPool2d};
pub use sequential::Sequential;

pub use tidemill_autograd::{Activation, Initializer};
