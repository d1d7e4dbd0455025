//! Observers that most runs want.

mod checkpoints;
mod early_stopping;
mod history;
mod stop_flag;

pub use checkpoints::Checkpoints;
pub use early_stopping::EarlyStopping;
pub use history::{History, HistoryPoint};
pub use stop_flag::StopFlag;
