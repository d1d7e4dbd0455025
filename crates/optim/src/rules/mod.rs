//! The transforms and the optimizers that are made of them; each file shows its equation, its declaration and its
//! kernel, in this order.

mod adagrad;
mod adam;
mod clip;
mod decay;
mod rate;
mod rmsprop;
mod sgd;

pub use adagrad::{Adagrad, adagrad};
pub use adam::{Adam, EpsilonMode, adam, adamw};
pub use clip::{ClipMode, clip, clip_by_global_norm, clip_by_global_norm_with};
pub use decay::{l1, l2, weight_decay};
pub use rate::{learning_rate, scale};
pub use rmsprop::{RmsProp, rmsprop};
pub use sgd::{Sgd, momentum, sgd};
