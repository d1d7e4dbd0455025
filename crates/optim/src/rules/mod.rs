//! The transforms and the optimizers that are made of them; each file shows its equation, its declaration and its
//! kernel, in this order.

mod adadelta;
mod adagrad;
pub(crate) mod adam;
mod adamax;
mod clip;
mod decay;
mod ftrl;
mod lion;
pub(crate) mod mean;
mod nadam;
mod radam;
mod rate;
mod rmsprop;
mod sgd;
mod trust;

pub use adadelta::{Adadelta, adadelta};
pub use adagrad::{Adagrad, adagrad};
pub use adam::{Adam, EpsilonMode, adam, adamw};
pub use adamax::{Adamax, adamax};
pub use clip::{ClipMode, clip, clip_by_global_norm, clip_by_global_norm_with};
pub use decay::{l1, l2, weight_decay};
pub use ftrl::{Ftrl, ftrl};
pub use lion::{Lion, lion};
pub use nadam::{Nadam, nadam};
pub use radam::{Radam, radam};
pub use rate::{learning_rate, scale};
pub use rmsprop::{RmsProp, rmsprop};
pub use sgd::{Sgd, momentum, sgd};
pub use trust::{Lamb, Lars, lamb, lars, trust_ratio};
