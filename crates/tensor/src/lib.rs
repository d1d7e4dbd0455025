//! Numbers, and where they lie: flat arenas described by a [`Layout`], matrix products, convolutions and pooling, vector kernels
//! with run-time CPU dispatch, and random numbers that are functions of a [`Key`].
//!
//! This crate knows nothing of graphs, data or training. Arrays are [`ndarray`]'s; what is here is what training needs
//! besides.

mod arena;
mod conv;
mod isa;
pub mod kernels;
mod lanes;
mod layout;
mod matmul;
mod parts;
mod pattern;
mod pool;
mod random;
mod scalar;
mod scratch;
mod transpose;
mod window;
mod write;

pub use arena::Arena;
pub use conv::Convolution;
pub use layout::{Initializer, Layout, LayoutError, Parameter, ParameterKind};
pub use matmul::{RowMajor, matmul, multiply};
pub use pool::{Divisor, Pooling};
pub use random::{Key, Philox};
pub use scalar::{DType, Scalar};
pub use window::{Window, WindowError};
pub use write::Write;

pub use ndarray;
pub use ndarray_rand;
