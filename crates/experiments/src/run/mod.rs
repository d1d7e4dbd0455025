//! One strategy with one seed, in a process of its own.

mod memory;
mod partial;
mod paths;
mod phases;
mod recorder;
mod worker;

pub use paths::Paths;
pub use phases::strategies;
pub(crate) use recorder::{score, scores};
pub use worker::{INPUTS, Order, Outcome, run};
