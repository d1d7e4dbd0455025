use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::FileError;
use crate::find;
use crate::hive::add_keys;
use crate::input::Location;
#[cfg(feature = "object-store")]
use crate::store::{StoreOptions, Stores};
use crate::url::Named;

/// Where rows come from: a file, a directory, a pattern, or a list of them.
///
/// A directory stands for the `*.parquet` files in it and in all directories below, sorted by path. A pattern stands for
/// all files that match, and for the directories that do: `data/*.parquet`, `data/**/part-?.parquet`,
/// `data/year=202[3-5]`. `*`, `?`, `[a-z]` and `[!a-z]` stand for characters of a name, `**` for any number of
/// directories; a path that exists is none, whatever its name. Files and directories whose names begin with a dot or an
/// underscore are left out, as in other readers (`_SUCCESS`, `_metadata`, `.part-0.parquet.crc`), unless they are named.
///
/// # Keys in paths
///
/// Directories named `key=value` directly above a file, as in `sales/year=2024/month=3/part-0.parquet`, are columns of
/// its rows, however the file was found: chosen, compared in conditions and described like those in the file, which they
/// follow in order. A key's values are integers where they are in the names of all files, else texts; `%20` and its like
/// stand for a byte, and `__HIVE_DEFAULT_PARTITION__` for a null. Where a file has a column of that name itself, its own
/// values count. Files of which no row can meet a condition by their keys are not read beyond their footers.
///
/// # URLs
///
/// In place of a path there may be a URL. `file:///` is a local file or directory. Those of object stores are read where
/// the feature of their kind is turned on: `s3://bucket/key` (`aws`), `gs://bucket/key` (`gcp`), `az://container/key`
/// (`azure`), `https://` and `http://` (`http`). One that ends in a slash stands for the `*.parquet` objects below,
/// sorted by name; URLs have no wildcards. Who asks is told by the environment variables of each kind,
/// `AWS_ACCESS_KEY_ID` and so on, or by what `stores` sets in their place.
///
/// # Example
///
/// ```
/// use tidemill_data_parquet::Paths;
///
/// let one = Paths::from("flights/2024.parquet");
/// let many = Paths::from(["flights/2023.parquet", "flights/2024.parquet"]);
/// let directory = Paths::from("flights");
/// let pattern = Paths::from("flights/202[34].parquet");
/// # let _ = (one, many, directory, pattern);
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

    /// The files, directories and patterns replaced by what they stand for.
    pub(crate) fn files(&self) -> Result<Vec<Location>, FileError> {
        let mut files = Vec::new();
        #[cfg(feature = "object-store")]
        let mut stores = Stores::new(&self.options);
        for path in &self.paths {
            match Named::of(path)? {
                Named::Local(path) => files.extend(find::files(&path)?.iter().map(|path| Location::local(path))),
                #[cfg(feature = "object-store")]
                Named::Object(url) => files.extend(stores.find(path, &url)?),
                #[cfg(not(feature = "object-store"))]
                Named::Object(url) => return Err(url.needs_feature(path)),
            }
        }
        add_keys(&mut files);
        if files.is_empty() { Err(FileError::Empty { path: "an empty list".into() }) } else { Ok(files) }
    }
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
from_one!(&str, &String, String, &Path, &PathBuf, PathBuf, &OsStr, &OsString, OsString);

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
