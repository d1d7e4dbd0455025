//! From URLs to stores.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore};

use super::object::{ObjectPlace, Store};
use super::options::StoreOptions;
use super::problem::explain;
use super::runtime::wait;
use crate::FileError;
use crate::find;
use crate::input::Location;
use crate::url::{Feature, Url};

/// The kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Aws,
    Gcp,
    Azure,
    Http,
}

impl From<Feature> for Kind {
    fn from(feature: Feature) -> Self {
        match feature {
            Feature::Aws => Self::Aws,
            Feature::Gcp => Self::Gcp,
            Feature::Azure => Self::Azure,
            Feature::Http => Self::Http,
        }
    }
}

/// The stores of a list of URLs, one for each bucket or server.
pub(crate) struct Stores<'a> {
    options: &'a StoreOptions,
    open: HashMap<String, Arc<Store>>,
}

impl<'a> Stores<'a> {
    pub(crate) fn new(options: &'a StoreOptions) -> Self {
        Self { options, open: HashMap::new() }
    }

    /// The object that a URL names, or where it ends in a slash, the `*.parquet` objects below, by name.
    pub(crate) fn find(&mut self, path: &Path, url: &Url<'_>) -> Result<Vec<Location>, FileError> {
        let store = self.store(path, url)?;
        let key = Key::from_url_path(url.key).map_err(|error| explain(path, store.kind, &error.into()))?;
        if url.key.is_empty() || url.key.ends_with('/') {
            return list(path, url, &store, key);
        }
        Ok(vec![Location::object(path.to_owned(), ObjectPlace::new(store, key))])
    }

    fn store(&mut self, path: &Path, url: &Url<'_>) -> Result<Arc<Store>, FileError> {
        let base = url.base();
        if let Some(store) = self.open.get(&base) {
            return Ok(Arc::clone(store));
        }
        let kind = Kind::from(url.feature);
        let opened = open(kind, &base, self.options).ok_or_else(|| url.needs_feature(path))?;
        let store = opened.map_err(|error| explain(path, kind, &error))?;
        let store = Arc::new(Store { kind, retry: self.options.retry.clone(), store });
        self.open.insert(base, Arc::clone(&store));
        Ok(store)
    }
}

fn list(path: &Path, url: &Url<'_>, store: &Arc<Store>, directory: Key) -> Result<Vec<Location>, FileError> {
    let (mut keys, mut directories): (Vec<Key>, _) = (Vec::new(), vec![directory]);
    let is_hidden = |key: &Key| key.filename().is_some_and(|name| find::is_hidden(OsStr::new(name)));
    let is_data_file = |key: &Key| key.filename().is_some_and(|name| find::is_data_file(OsStr::new(name)));
    while let Some(directory) = directories.pop() {
        let (asked, prefix) = (Arc::clone(store), directory.clone());
        let listed = wait(async move { asked.store.list_with_delimiter(Some(&prefix)).await });
        let listed = listed.map_err(|error| FileError::io(path, error))?;
        let listed = listed.map_err(|error| explain(path, store.kind, &error))?;
        keys.extend(listed.objects.into_iter().map(|meta: ObjectMeta| meta.location).filter(is_data_file));
        // A server may answer anything: only what is further down is listed in turn.
        let is_below = |key: &Key| key != &directory && key.prefix_matches(&directory) && !is_hidden(key);
        directories.extend(listed.common_prefixes.into_iter().filter(is_below));
    }
    keys.sort();
    keys.dedup();
    if keys.is_empty() {
        let path = path.to_owned();
        return Err(match store.kind {
            // Most of them say nothing of it.
            Kind::Http => {
                let problem = "the server lists no *.parquet file; name each of them".into();
                FileError::Store { path, problem }
            }
            _ => FileError::Empty { path },
        });
    }
    let location = |key: Key| {
        let path = PathBuf::from(format!("{}://{}/{key}", url.scheme, url.host));
        Location::object(path, ObjectPlace::new(Arc::clone(store), key))
    };
    Ok(keys.into_iter().map(location).collect())
}

type Opened = Result<Box<dyn ObjectStore>, object_store::Error>;

/// A store of a kind that is built in.
#[allow(unused_variables, reason = "some kinds may not be built in, or none")]
fn open(kind: Kind, base: &str, options: &StoreOptions) -> Option<Opened> {
    match kind {
        #[cfg(feature = "aws")]
        Kind::Aws => Some(cloud!(object_store::aws::AmazonS3Builder, base, options)),
        #[cfg(feature = "gcp")]
        Kind::Gcp => Some(cloud!(object_store::gcp::GoogleCloudStorageBuilder, base, options)),
        #[cfg(feature = "azure")]
        Kind::Azure => Some(cloud!(object_store::azure::MicrosoftAzureBuilder, base, options)),
        #[cfg(feature = "http")]
        Kind::Http => Some(http(base, options)),
        #[allow(unreachable_patterns, reason = "all kinds may be built in")]
        _ => None,
    }
}

/// Builders of clouds have the same methods and no trait.
#[allow(unused_macros, reason = "no cloud may be built in")]
macro_rules! cloud {
    ($builder:ty, $base:expr, $options:expr) => {{
        let builder = <$builder>::from_env().with_url($base).with_retry($options.retry.config());
        let builder = $options.settings.iter().try_fold(builder, |builder, (name, value)| {
            Ok::<_, object_store::Error>(builder.with_config(name.parse()?, value))
        });
        builder.and_then(|builder| Ok(Box::new(builder.build()?) as Box<dyn ObjectStore>))
    }};
}
#[allow(unused_imports, reason = "no cloud may be built in")]
use cloud;

#[cfg(feature = "http")]
fn http(base: &str, options: &StoreOptions) -> Opened {
    use object_store::ClientConfigKey;
    use object_store::http::HttpBuilder;

    let builder = HttpBuilder::new().with_url(base).with_retry(options.retry.config());
    // Whoever writes http:// means it.
    let mut builder = builder.with_config(ClientConfigKey::AllowHttp, base.starts_with("http://").to_string());
    for (name, value) in &options.settings {
        builder = builder.with_config(name.parse()?, value);
    }
    Ok(Box::new(builder.build()?))
}
