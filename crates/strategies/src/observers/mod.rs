//! Observers that most runs want.

mod checkpoints;
mod early_stopping;
mod history;
mod interrupt;

pub use checkpoints::Checkpoints;
pub use early_stopping::EarlyStopping;
pub use history::{History, HistoryPoint};
