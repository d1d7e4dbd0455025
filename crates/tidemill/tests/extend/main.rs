//! What is written outside of the crates, with the public interface of the facade alone.

mod drift;
mod model;
mod replay;
mod vote;
