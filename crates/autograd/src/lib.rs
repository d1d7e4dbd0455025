//! A model is recorded once as a [`Graph`], compiled to an immutable [`Program`], and run on batches of any number of
//! rows in a [`Workspace`], forward and backward, without allocating.
//!
//! Shapes in a graph are *per row*: the batch dimension is implicit. Operations work on rows independently unless they
//! say otherwise ([`Coupling`]), so a batch may be cut by rows. [`Op`] is the one extension point. This crate does not know layers,
//! losses, optimizers or where rows come from.
//!
//! # Example
//!
//! ```
//! use tidemill_autograd::{Head, Initializer, Mode, Program, Run, Slices, Workspace, Write, ops};
//!
//! // y = x W^T for one number a row, differentiated with respect to W.
//! let program: Program<f64> = Program::build(|graph| {
//!     let x = graph.input("x", &[1])?;
//!     let w = graph.parameter("w", &[1, 1], Initializer::Constant(3.0))?;
//!     let y = graph.add(ops::Linear::new(), &[x], &[w])?;
//!     Ok(Head::with_loss(y, y))
//! })?;
//! let x = [2.0, 5.0];
//! let inputs = Slices::new().reals(&x);
//! let run = Run { params: &[3.0], inputs: &inputs, rows: 2, first_row: 0, weights: None, mode: Mode::Predict };
//! let mut workspace = Workspace::new(&program, 2);
//! program.forward(&run, &mut workspace);
//! assert_eq!(workspace.prediction(), [6.0, 15.0]);
//! workspace.upstream().fill(1.0);
//! let mut gradient = [0.0];
//! program.backward(&run, &mut workspace, &mut gradient, Write::Assign);
//! assert_eq!(gradient, [7.0]);
//! # Ok::<(), tidemill_autograd::Error>(())
//! ```

mod arithmetic;
mod check;
mod error;
mod graph;
mod head;
mod inputs;
mod kernel;
mod op;
pub mod ops;
mod plan;
mod program;
mod step;
mod workspace;

pub use check::{GradientCheck, check_gradients};
pub use error::Error;
pub use graph::{Buffer, Domain, Graph, Input, Param, Role, Var};
pub use head::{Head, ModelOutput};
pub use inputs::{Inputs, Slices};
pub use kernel::{Backward, Forward, Gradient, Kernel, Others, TwoGradients, Updates};
pub use op::{Bound, Coupling, Merge, Op, Operand, Specs};
pub use program::{HeadSpec, Mode, Program, Run, Table, TargetCheck};
pub use workspace::Workspace;

pub use tidemill_tensor as tensor;
pub use tidemill_tensor::kernels::Activation;
pub use tidemill_tensor::{Initializer, Key, Scalar, Write};
