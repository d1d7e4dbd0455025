//! What the columns of a file hold, and what a model makes of each: the one place where `inspect` and `experiment`
//! decide that.

mod choose;
mod distinct;
mod encode;
mod scan;
mod survey;
mod target;

use tidemill::parquet::{ColumnDescription, Usable};

pub use choose::{Choice, LeftOut, Used, choose, order};
pub use encode::{Fill, Rule, Way};
pub use scan::{Numbers, Scan, Seen};
pub(crate) use survey::survey;
pub use target::{Target, TargetScan, Unseen, Value, value_of};

/// What is known of a column when it is decided how it is used.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type in the file.
    pub data_type: &'a str,
    /// What it can serve as.
    pub usable: Usable,
    /// Ways to use it that have to be chosen.
    pub choices: &'a [String],
    /// Rows of all files without a value, where their statistics tell.
    pub nulls: Option<u64>,
    /// What the rows that were read hold; none where none was read.
    pub seen: Option<&'a Seen>,
}

/// How the times of a column count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Days since 1970.
    Date,
    /// Seconds since 1970.
    Timestamp,
    /// Seconds since midnight.
    TimeOfDay,
}

impl Clock {
    /// The clock of a type in a file; none of a type that is no time.
    pub fn of(data_type: &str) -> Option<Self> {
        match data_type {
            "date" => Some(Self::Date),
            _ if data_type.starts_with("timestamp[") => Some(Self::Timestamp),
            _ if data_type.starts_with("time[") => Some(Self::TimeOfDay),
            _ => None,
        }
    }
}

/// The columns that can be read without a choice, in the file's order.
pub fn usable(columns: &[ColumnDescription]) -> impl Iterator<Item = &ColumnDescription> {
    columns.iter().filter(|column| !matches!(column.usable, Usable::Choice | Usable::No))
}
