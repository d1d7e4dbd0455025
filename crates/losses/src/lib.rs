//! Losses: how a graph ends in one value per row.
//!
//! A [`Loss`] declares the target, adds an operation that compares the prediction with it, and says what the model's
//! prediction is in the target's terms: of logits, their probabilities. Losses do not know how rows are weighted or
//! averaged: whoever trains sums `weight · loss` over rows and divides once by the sum of the weights, and leaves rows
//! out whose weight is zero.
//!
//! Each loss says which targets it is defined for ([`Bound::targets`](tidemill_autograd::Bound::targets)): numbers
//! from 0 to 1 for the binary cross entropies, classes below their number for that of a softmax, finite numbers for the
//! others. Whoever trains checks them; a loss itself computes what its equation gives.
//!
//! # Example
//!
//! ```
//! use tidemill_autograd::{Initializer, Mode, Program, Run, Slices, Workspace, ops};
//! use tidemill_losses::{Loss, MeanSquaredError};
//!
//! let program: Program<f64> = Program::build(|graph| {
//!     let x = graph.input("x", &[1])?;
//!     let weight = graph.parameter("weight", &[2, 1], Initializer::Constant(1.0))?;
//!     let y = graph.add(ops::Linear::new(), &[x], &[weight])?;
//!     MeanSquaredError.apply(graph, y)
//! })?;
//! // One row: x = 3, predicted as [3, 3] where [2, 6] is right.
//! let inputs = Slices::new().reals(&[3.0]).reals(&[2.0, 6.0]);
//! let run = Run { params: &[1.0, 1.0], inputs: &inputs, rows: 1, first_row: 0, weights: None, mode: Mode::Evaluate };
//! let mut workspace = Workspace::new(&program, 1);
//! program.forward(&run, &mut workspace);
//! assert_eq!((workspace.prediction(), workspace.losses()), ([3.0, 3.0].as_slice(), [5.0].as_slice()));
//! # Ok::<(), tidemill_autograd::Error>(())
//! ```

mod binary_cross_entropy;
mod binary_cross_entropy_with_logits;
mod huber;
mod loss;
mod mean_absolute_error;
mod mean_squared_error;
mod row_mean;
mod softmax_cross_entropy;

pub use binary_cross_entropy::BinaryCrossEntropy;
pub use binary_cross_entropy_with_logits::BinaryCrossEntropyWithLogits;
pub use huber::Huber;
pub use loss::Loss;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_squared_error::MeanSquaredError;
pub use softmax_cross_entropy::SoftmaxCrossEntropy;
