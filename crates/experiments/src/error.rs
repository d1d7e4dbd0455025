use std::fmt;

use crate::results::VERSION;

/// Why results could not be read or written.
#[derive(Debug)]
pub enum Error {
    /// The text is not the JSON of results.
    Json(serde_json::Error),
    /// The results were written by another version of this program.
    Version {
        /// The version found.
        found: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "results are not readable: {error}"),
            Self::Version { found } => {
                write!(f, "results are of version {found}, expected version {VERSION}: run the comparison again")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::Version { .. } => None,
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}
