//! Gradient transformations over flat arenas; it does not know what a layer is.
//!
//! An optimizer is a [`Chain`] of [`Transform`]s. What is declared — `clip_by_global_norm(1.0).then(adamw(1e-3))` —
//! knows neither parameters nor precision; [`Chain::build`] checks it against a [`Layout`](tidemill_tensor::Layout) and
//! gives an immutable [`Optimizer`], whose [`update`](Optimizer::update) cannot fail and allocates nothing. Where a step
//! reads few rows of large tables, [`update_rows`](Optimizer::update_rows) costs by the rows that it touched.
//!
//! ```
//! use tidemill_optim::{Compose, adamw, clip_by_global_norm};
//! use tidemill_tensor::{Initializer, Key, Layout};
//!
//! let mut layout = Layout::new();
//! layout.push("dense1.weight", &[3, 2], Initializer::GlorotUniform)?;
//! layout.push("dense1.bias", &[3], Initializer::Constant(0.0))?;
//!
//! let optimizer = clip_by_global_norm(1.0).then(adamw(1e-3)).build::<f32>(&layout)?;
//! let mut parameters = layout.initialize::<f32>(Key::new(7));
//! let mut state = optimizer.initial_state();
//! for step in 0..3 {
//!     // The gradient's sum over 32 rows, and the one division by their number.
//!     let mut gradients = vec![0.1; layout.len()];
//!     optimizer.update(step, 1.0 / 32.0, &mut parameters, &mut gradients, &mut state);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod average;
mod chain;
mod error;
mod fused;
mod lazy;
mod norm;
mod optimizer;
mod part;
mod pass;
mod plan;
mod rows;
mod rules;
mod schedule;
mod select;
mod step;
mod transform;
mod untouched;
mod update_rows;
mod workers;

pub use average::{Average, Bias};
pub use chain::{Chain, Compose};
pub use error::Error;
pub use optimizer::{Optimizer, StateBlock};
pub use rows::{Table, TableRows, Touched};
pub use rules::*;
pub use schedule::{Anneal, ExponentialDecay, OneCycle, Schedule};
pub use step::UpdateStep;
pub use transform::{Chunk, Coefficients, MAX_SLOTS, Norm, Norms, Rate, Reduction, Rule, Slot, Transform};
pub use untouched::Untouched;
pub use workers::{Alone, Workers};
