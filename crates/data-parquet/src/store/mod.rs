//! Objects in stores: where they are, and their bytes, read ahead in as few requests as the budget allows.

mod object;
mod open;
mod options;
mod problem;
mod runtime;
mod window;

pub(crate) use object::ObjectPlace;
pub(crate) use open::Stores;
pub use options::{Retry, StoreOptions};
pub(crate) use window::Window;
