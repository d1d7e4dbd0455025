use std::path::{Path, PathBuf};

use crate::FileError;
use crate::input::Location;
#[cfg(feature = "object-store")]
use crate::store::{StoreOptions, Stores};
use crate::url::Named;

/// Where rows come from: a file, a folder, or a list of them. A folder stands for the `*.parquet` files directly in
/// it, sorted by name.
///
/// In place of a path there may be a URL. `file:///` is a local file or folder. Those of object stores are read where
/// the feature of their kind is turned on: `s3://bucket/key` (`aws`), `gs://bucket/key` (`gcp`), `az://container/key`
/// (`azure`), `https://` and `http://` (`http`). One that ends in a slash stands for the `*.parquet` objects directly
/// below, sorted by name. Who asks is told by the environment variables of each kind, `AWS_ACCESS_KEY_ID` and so on, or
/// by what `stores` sets in their place.
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
pub struct Paths {
    paths: Vec<PathBuf>,
    #[cfg(feature = "object-store")]
    options: StoreOptions,
}

impl Paths {
    /// Sets how object stores are asked.
    #[cfg(feature = "object-store")]
    #[must_use]
    pub fn stores(mut self, options: StoreOptions) -> Self {
        self.options = options;
        self
    }

    fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            #[cfg(feature = "object-store")]
            options: StoreOptions::default(),
        }
    }

    /// The files, folders replaced by what is in them.
    pub(crate) fn files(&self) -> Result<Vec<Location>, FileError> {
        let mut files = Vec::new();
        #[cfg(feature = "object-store")]
        let mut stores = Stores::new(&self.options);
        for path in &self.paths {
            match Named::of(path)? {
                Named::Local(path) if path.is_dir() => {
                    files.extend(in_folder(&path)?.iter().map(|path| Location::local(path)));
                }
                Named::Local(path) => files.push(Location::local(&path)),
                #[cfg(feature = "object-store")]
                Named::Object(url) => files.extend(stores.find(path, &url)?),
                #[cfg(not(feature = "object-store"))]
                Named::Object(url) => return Err(url.needs_feature(path)),
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
                Self::new(vec![path.into()])
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
        Self::new(paths.iter().map(|p| p.as_ref().to_owned()).collect())
    }
}
