//! Paths in JSON: text, or bytes where they are not UTF-8. For `#[serde(with = "...")]`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Any {
    Text(String),
    Bytes(Vec<u8>),
}

impl Any {
    fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.into()),
            None => Self::Bytes(path.as_os_str().as_encoded_bytes().into()),
        }
    }

    fn path(self) -> PathBuf {
        match self {
            Self::Text(text) => text.into(),
            #[cfg(unix)]
            Self::Bytes(bytes) => <OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into(),
            #[cfg(not(unix))]
            Self::Bytes(bytes) => OsString::from(String::from_utf8_lossy(&bytes).into_owned()).into(),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    Any::new(path).serialize(serializer)
}

pub(crate) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(Any::deserialize(deserializer)?.path())
}

/// The same for several.
pub(crate) fn serialize_all<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| Any::new(path)))
}

/// The same for a path that may be absent.
pub(crate) mod optional {
    use super::{Any, Deserialize, Deserializer, Path, PathBuf, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(|path: &Path| Any::new(path)).serialize(serializer)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Any>::deserialize(deserializer)?.map(Any::path))
    }
}
