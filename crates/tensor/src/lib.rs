//! Numbers, and where they lie: flat arenas described by a [`Layout`], matrix products, vector kernels with run-time
//! CPU dispatch, and random numbers that are functions of a [`Key`].
//!
//! This crate knows nothing of graphs, data or training. Arrays are [`ndarray`]'s; what is here is what training needs
//! besides.

mod arena;
mod isa;
pub mod kernels;
mod layout;
mod matmul;
mod random;
mod scalar;

pub use arena::Arena;
pub use layout::{Initializer, Layout, LayoutError, Parameter};
pub use matmul::{RowMajor, matmul, multiply};
pub use random::{Key, Philox};
pub use scalar::{DType, Scalar};

pub use ndarray;
pub use ndarray_rand;
