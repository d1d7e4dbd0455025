use std::fmt::Display;

use crate::Cursor;

/// What can be wrong with data, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A column that is asked for does not exist.
    #[error("{source_name}: there is no column {column}; it has {available}")]
    MissingColumn {
        /// The file or source.
        source_name: String,
        /// The column asked for.
        column: String,
        /// Those that exist, separated by commas.
        available: String,
    },
    /// A column is of a type that cannot serve.
    #[error("{source_name}: column {column} is {found}, expected {expected}")]
    WrongType {
        /// The file or source.
        source_name: String,
        /// The column.
        column: String,
        /// What can serve.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A null where no policy says what to do with it.
    #[error("column {column} is null in row {row}; choose a policy for missing values: drop, a constant, or the mean")]
    Null {
        /// The column.
        column: String,
        /// The row, counted from the start of the source.
        row: u64,
    },
    /// Values do not fit their declared shape, range or kind.
    #[error("{what}: {problem}")]
    Invalid {
        /// The column, file or setting.
        what: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// More memory would be needed than was allowed.
    #[error("{what} needs {needed} bytes, the budget is {budget} bytes; {advice}")]
    Budget {
        /// What needs it.
        what: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes it may use.
        budget: u64,
        /// The smallest change that works.
        advice: String,
    },
    /// A cursor that no position of this source has.
    #[error("cannot go to {cursor}: {problem}")]
    Seek {
        /// The cursor.
        cursor: String,
        /// Why not.
        problem: String,
    },
    /// An [`Interrupt`](crate::Interrupt) was set while rows were waited for. None is lost.
    #[error("waiting for rows was interrupted")]
    Interrupted,
    /// A channel whose other side is gone.
    #[error("{what}: {problem}")]
    Closed {
        /// The channel.
        what: String,
        /// Which side is gone, and why.
        problem: String,
    },
    /// An error of a particular kind of source.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(what: impl Display, problem: impl Display) -> Self {
        Self::Invalid { what: what.to_string(), problem: problem.to_string() }
    }

    /// An [`Error::Seek`].
    pub fn seek(cursor: Cursor, problem: impl Display) -> Self {
        Self::Seek { cursor: cursor.to_string(), problem: problem.to_string() }
    }
}
