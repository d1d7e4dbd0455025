//! One strategy with one seed, in a process of its own.

mod memory;
mod phases;
mod recorder;
mod worker;

pub use phases::strategies;
pub(crate) use recorder::score;
pub use worker::{Outcome, Paths, run};
