//! URLs in place of paths.

use std::path::{Path, PathBuf};

use crate::FileError;

/// What is turned on to read from a kind of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Aws,
    Gcp,
    Azure,
    Http,
}

/// The URL of an object in a store, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    pub(crate) feature: Feature,
    pub(crate) scheme: &'a str,
    /// A bucket, a container, or a server.
    pub(crate) host: &'a str,
    /// What is behind that and a slash.
    pub(crate) key: &'a str,
    query: &'a str,
}

/// What a path stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    Local(PathBuf),
    Object(Url<'a>),
}

impl<'a> Named<'a> {
    pub(crate) fn of(path: &'a Path) -> Result<Self, FileError> {
        let refused = |problem: &str| FileError::Store { path: path.to_owned(), problem: problem.into() };
        let Some((scheme, rest)) = path.to_str().and_then(split) else { return Ok(Self::Local(path.to_owned())) };
        if scheme == "file" {
            let local = rest.strip_prefix("localhost").unwrap_or(rest);
            let local = Some(local).filter(|local| local.starts_with('/')).and_then(|local| path_of(unescape(local)));
            return local.map(Self::Local).ok_or_else(|| {
                refused("the URL of a local file is file:///, followed by its path without the first slash")
            });
        }
        let feature = match scheme {
            "s3" | "s3a" => Feature::Aws,
            "gs" => Feature::Gcp,
            "az" | "abfs" | "abfss" => Feature::Azure,
            "http" | "https" => Feature::Http,
            _ => return Err(refused("URLs begin with s3://, gs://, az://, abfss://, https://, http:// or file://")),
        };
        // A question mark may be in the name of an object, but not in the path that a server is asked for.
        let (rest, query) = match rest.split_once('?') {
            Some(parts) if feature == Feature::Http => parts,
            _ => (rest, ""),
        };
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        match host {
            "" => Err(refused("it names no bucket, container or server")),
            host => Ok(Self::Object(Url { feature, scheme, host, key, query })),
        }
    }
}

impl Url<'_> {
    /// The URL of the bucket, container or server.
    #[cfg(feature = "object-store")]
    pub(crate) fn base(&self) -> String {
        let Self { scheme, host, query, .. } = self;
        if query.is_empty() { format!("{scheme}://{host}/") } else { format!("{scheme}://{host}/?{query}") }
    }

    /// An error that says how such URLs can be read.
    pub(crate) fn needs_feature(&self, path: &Path) -> FileError {
        let feature = match self.feature {
            Feature::Aws => "aws",
            Feature::Gcp => "gcp",
            Feature::Azure => "azure",
            Feature::Http => "http",
        };
        let problem = format!(
            "{}:// is read where the feature `{feature}` of tidemill, or of tidemill-data-parquet, is turned on: \
             add features = [\"{feature}\"] to the dependency",
            self.scheme
        );
        FileError::Store { path: path.to_owned(), problem }
    }
}

/// A URL's scheme, and what is behind it. One letter is a drive.
fn split(path: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = path.split_once("://")?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    (scheme.len() > 1 && scheme.bytes().all(known)).then_some((scheme, rest))
}

/// What an escaped text stands for; `None` where that is no UTF-8.
pub(crate) fn decode(escaped: &str) -> Option<String> {
    String::from_utf8(unescape(escaped)).ok()
}

/// The path of these bytes, where the system has such paths.
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(bytes)).map(|path: std::ffi::OsString| path.into());
    #[cfg(not(unix))]
    return String::from_utf8(bytes).ok().map(PathBuf::from);
}

/// The bytes of a text in which some are written as `%` and two hexadecimal digits.
fn unescape(path: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.split_at_checked(2).filter(|_| byte == b'%').and_then(|(digits, behind)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, behind))
        });
        let (byte, behind) = escaped.unwrap_or((byte, behind));
        decoded.push(byte);
        rest = behind;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls() {
        let object = |feature, scheme, host, key, query| Ok(Named::Object(Url { feature, scheme, host, key, query }));
        let local = |path: &str| Ok(Named::Local(path.into()));
        for (path, expected) in [
            ("a/b.parquet", local("a/b.parquet")),
            ("C://b", local("C://b")),
            ("a b://c", local("a b://c")),
            ("file:///a/b%20c%zz.parquet", local("/a/b c%zz.parquet")),
            ("file://localhost/a/", local("/a/")),
            ("file://server/a", Err("file:///")),
            ("s3://bucket", object(Feature::Aws, "s3", "bucket", "", "")),
            ("s3://bucket/a/b?.parquet", object(Feature::Aws, "s3", "bucket", "a/b?.parquet", "")),
            ("gs://bucket/a/", object(Feature::Gcp, "gs", "bucket", "a/", "")),
            ("az://container/a", object(Feature::Azure, "az", "container", "a", "")),
            ("https://host:80/a/b?c=d", object(Feature::Http, "https", "host:80", "a/b", "c=d")),
            ("s3:///a", Err("no bucket")),
            ("ftp://host/a", Err("begin with s3://")),
        ] {
            match (Named::of(Path::new(path)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{path}"),
                (Err(found), Err(expected)) => assert!(found.to_string().contains(expected), "{found}"),
                (found, expected) => panic!("{path}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
