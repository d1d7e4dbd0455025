use std::path::{Path, PathBuf};

use crate::FileError;

/// Where rows come from: a file, a folder, or a list of them. A folder stands for the `*.parquet` files directly in
/// it, sorted by name.
///
/// # Example
///
/// ```
/// use tidemill_data_parquet::Paths;
///
/// let one = Paths::from("flights/2024.parquet");
/// let many = Paths::from(["flights/2023.parquet", "flights/2024.parquet"]);
/// let folder = Paths::from("flights");
/// # let _ = (one, many, folder);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths(Vec<PathBuf>);

impl Paths {
    /// The files, folders replaced by what is in them.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, FileError> {
        let mut files = Vec::new();
        for path in &self.0 {
            if path.is_dir() {
                files.extend(in_folder(path)?);
            } else {
                files.push(path.clone());
            }
        }
        if files.is_empty() { Err(FileError::Empty { path: "an empty list".into() }) } else { Ok(files) }
    }
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let refused = |error| FileError::io(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|e| e == "parquet") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(FileError::Empty { path: folder.to_owned() }) } else { Ok(files) }
}

macro_rules! from_one {
    ($($t:ty),*) => {$(
        impl From<$t> for Paths {
            fn from(path: $t) -> Self {
                Self(vec![path.into()])
            }
        }
    )*};
}
from_one!(&str, &String, String, &Path, &PathBuf, PathBuf);

impl<P: AsRef<Path>> From<Vec<P>> for Paths {
    fn from(paths: Vec<P>) -> Self {
        Self::from(paths.as_slice())
    }
}

impl<P: AsRef<Path>, const N: usize> From<[P; N]> for Paths {
    fn from(paths: [P; N]) -> Self {
        Self::from(paths.as_slice())
    }
}

impl<P: AsRef<Path>> From<&[P]> for Paths {
    fn from(paths: &[P]) -> Self {
        Self(paths.iter().map(|p| p.as_ref().to_owned()).collect())
    }
}
