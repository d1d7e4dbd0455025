//! What people write outside of the crates, with the public API of the facade alone. docs/extending.md shows these
//! files.

mod data;
mod drift;
mod frozen;
mod heads;
mod layer;
mod loss;
mod metric;
mod op;
mod optimizer;
mod replay;
mod shown;
mod sync;
