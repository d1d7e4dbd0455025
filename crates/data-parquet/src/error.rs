use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tidemill_data::Error;

/// What can be wrong with a file. It comes as [`Error::Other`]; missing columns, wrong types, values out of range and
/// budgets come as [`Error`]'s own variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refuses.
    #[error("{}: {problem}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        problem: io::Error,
    },
    /// A directory, or a list, without files.
    #[error("{}: there is no *.parquet file", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// A path with wildcards that is no file, and that no file matches.
    #[error("{}: no file matches; * ? [..] stand for characters of a name, ** for directories", path.display())]
    NoMatch {
        /// The pattern.
        path: PathBuf,
    },
    /// The bytes are not those of a whole Parquet file.
    #[error("{}: not a Parquet file, or not all of it: {problem}", path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// A Parquet file whose contents contradict themselves or cannot be decoded.
    #[error("{place}: {problem}")]
    Damaged {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// The file is another than when it was opened first.
    #[error("{}: changed since it was opened: {problem}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
    /// A store of objects cannot be reached, refuses, or is of a kind that is not built in.
    #[error("{}: {problem}", path.display())]
    Store {
        /// The URL.
        path: PathBuf,
        /// What is wrong, and what to set.
        problem: String,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
}

impl FileError {
    /// What the system says of a file, or a store of an object.
    pub(crate) fn io(path: &Path, problem: io::Error) -> Self {
        Self::of_store(problem).unwrap_or_else(|problem| Self::Io { path: path.to_owned(), problem })
    }

    /// What a store says.
    pub(crate) fn of_store(problem: io::Error) -> Result<Self, io::Error> {
        problem.downcast()
    }

    pub(crate) fn not_parquet(path: &Path, problem: impl Into<String>) -> Self {
        Self::NotParquet { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn not_sorted(path: &Path) -> Self {
        let problem = "files are sorted where they are read more than once: copy it to a local file first".into();
        Self::Store { path: path.to_owned(), problem }
    }

    pub(crate) fn write(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Write { path: path.to_owned(), problem: problem.to_string() }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::Other(Box::new(error))
    }
}

/// A place in a file, as narrow as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The row group, counted from zero.
    pub row_group: Option<usize>,
    /// The column.
    pub column: Option<String>,
}

impl Place {
    pub(crate) fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), row_group: None, column: None }
    }

    pub(crate) fn group(path: &Path, row_group: usize) -> Self {
        Self { row_group: Some(row_group), ..Self::file(path) }
    }

    pub(crate) fn column(path: &Path, row_group: usize, column: &str) -> Self {
        Self { column: Some(column.to_owned()), ..Self::group(path, row_group) }
    }

    pub(crate) fn damaged(self, problem: impl Into<String>) -> FileError {
        FileError::Damaged { place: self, problem: problem.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(group) = self.row_group {
            write!(f, ", row group {group}")?;
        }
        self.column.as_ref().map_or(Ok(()), |column| write!(f, ", column {column}"))
    }
}

/// Runs the library's code on bytes that may be broken: what it panics with becomes an error as well.
pub(crate) fn guarded<R, E: fmt::Display>(decode: impl FnOnce() -> Result<R, E>) -> Result<R, String> {
    tidemill_data_arrow::guarded(decode).map_err(|problem| plain(&problem).to_owned())
}

/// What happened, without the libraries' words for whose error it is.
fn plain(mut problem: &str) -> &str {
    let kinds = ["Parquet argument error: ", "Parquet error: ", "External: ", "Arrow: ", "EOF: "];
    while let Some(rest) = kinds.iter().find_map(|kind| problem.strip_prefix(kind)) {
        problem = rest;
    }
    problem
}
