use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{Error as StoreError, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::open::Kind;
use super::options::Retry;
use super::problem::explain;
use super::runtime::wait;
use super::window::Window;
use crate::FileError;

/// A store, and how it is asked.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) kind: Kind,
    pub(super) retry: Retry,
    pub(super) store: Box<dyn ObjectStore>,
}

/// Where an object is, and what it is known by when it was opened before.
#[derive(Clone, Debug)]
pub(crate) struct ObjectPlace {
    store: Arc<Store>,
    key: Key,
    known: Option<Identity>,
}

/// What tells an object from another one of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    length: u64,
    etag: Option<String>,
}

impl Identity {
    fn of(meta: ObjectMeta) -> Self {
        Self { length: meta.size, etag: meta.e_tag }
    }

    /// What differs in another one.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.length != other.length {
            return Some(format!("it has {} bytes, it had {}", other.length, self.length));
        }
        let name = |etag: &Option<String>| etag.clone().unwrap_or_else(|| "none".into());
        (self.etag != other.etag).then(|| format!("its ETag is {}, it was {}", name(&other.etag), name(&self.etag)))
    }
}

impl ObjectPlace {
    pub(super) fn new(store: Arc<Store>, key: Key) -> Self {
        Self { store, key, known: None }
    }

    /// Whether an object that is opened again is sure to be the same, to the last byte.
    pub(crate) fn is_known(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.etag.is_some())
    }

    pub(crate) fn memory_size(&self) -> usize {
        let etag = self.known.as_ref().and_then(|known| known.etag.as_ref());
        self.key.as_ref().len() + etag.map_or(0, String::capacity)
    }

    /// Asks for the end of the object, and with it for what it is known by.
    pub(crate) fn open(&self, path: &Path) -> Result<(Window, Self), FileError> {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let tail = wait(async move { store.tail(&key).await }).map_err(|error| FileError::io(path, error))?;
        let (meta, bytes) = tail.map_err(|error| explain(path, self.store.kind, &error))?;
        let identity = Identity::of(meta);
        if let Some(problem) = self.known.as_ref().and_then(|known| known.difference(&identity)) {
            return Err(FileError::Changed { path: path.to_owned(), problem });
        }
        let place = Self { known: Some(identity.clone()), ..self.clone() };
        let object = Object { path: path.to_owned(), store: Arc::clone(&self.store), key: self.key.clone(), identity };
        Ok((Window::new(object, bytes), place))
    }
}

/// An object that was opened.
pub(super) struct Object {
    path: PathBuf,
    store: Arc<Store>,
    key: Key,
    identity: Identity,
}

impl Object {
    pub(super) fn length(&self) -> u64 {
        self.identity.length
    }

    /// Appends bytes to the buffer, in one request unless that is cut.
    pub(super) fn fetch(&self, bytes: Range<u64>, buffer: Vec<u8>) -> Result<Vec<u8>, FileError> {
        let (store, key, etag) = (Arc::clone(&self.store), self.key.clone(), self.identity.etag.clone());
        let fetched = wait(async move { store.fetch(&key, bytes, etag, buffer).await });
        let fetched = fetched.map_err(|error| FileError::io(&self.path, error))?;
        fetched.map_err(|error| explain(&self.path, self.store.kind, &error))
    }
}

impl Store {
    /// The end of an object, as much of it as a window holds.
    async fn tail(&self, key: &Key) -> Result<(ObjectMeta, Vec<u8>), StoreError> {
        if self.kind == Kind::Azure {
            // It gives no ends.
            let meta = self.store.head(key).await?;
            let bytes = meta.size.saturating_sub(Window::TAIL)..meta.size;
            let buffer = Vec::with_capacity(Window::TAIL as usize);
            let buffer = self.fetch(key, bytes, meta.e_tag.clone(), buffer).await?;
            return Ok((meta, buffer));
        }
        let mut repetition = 0;
        loop {
            let options = GetOptions { range: Some(GetRange::Suffix(Window::TAIL)), ..GetOptions::default() };
            let result = self.store.get_opts(key, options).await?;
            let (meta, length) = (result.meta.clone(), result.range.end - result.range.start);
            let mut buffer = Vec::with_capacity(length as usize);
            match receive(result, &mut buffer).await {
                Ok(()) if buffer.len() as u64 == length => return Ok((meta, buffer)),
                end => self.pause(end, &mut repetition).await?,
            }
        }
    }

    async fn fetch(
        &self,
        key: &Key,
        bytes: Range<u64>,
        etag: Option<String>,
        mut buffer: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let (empty, length) = (buffer.len() as u64, bytes.end - bytes.start);
        let mut repetition = 0;
        loop {
            let start = bytes.start + (buffer.len() as u64 - empty);
            if start == bytes.end {
                return Ok(buffer);
            }
            let range = Some(GetRange::Bounded(start..bytes.end));
            let options = GetOptions { range, if_match: etag.clone(), ..GetOptions::default() };
            let end = receive(self.store.get_opts(key, options).await?, &mut buffer).await;
            let received = buffer.len() as u64 - empty;
            match end {
                Ok(()) if received == length => return Ok(buffer),
                Ok(()) if received > length => return Err(generic("the server gave more than was asked for")),
                // The library repeats by itself where an ETag says that the rest is of the same object.
                Err(error) if etag.is_some() => return Err(error),
                end => self.pause(end, &mut repetition).await?,
            }
        }
    }

    /// Waits before a request is repeated whose answer was cut, if it may be.
    async fn pause(&self, end: Result<(), StoreError>, repetition: &mut usize) -> Result<(), StoreError> {
        if *repetition == self.retry.most {
            return Err(end.err().unwrap_or_else(|| generic("the server gave less than was asked for")));
        }
        tokio::time::sleep(self.retry.wait(*repetition)).await;
        *repetition += 1;
        Ok(())
    }
}

/// Appends what comes, as it comes.
async fn receive(result: GetResult, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
    let mut stream = result.into_stream();
    while let Some(bytes) = poll_fn(|context| stream.as_mut().poll_next(context)).await.transpose()? {
        if buffer.capacity() - buffer.len() < bytes.len() {
            return Err(generic("the server gave more than was asked for"));
        }
        buffer.extend_from_slice(&bytes);
    }
    Ok(())
}

fn generic(problem: &'static str) -> StoreError {
    StoreError::Generic { store: "HTTP", source: problem.into() }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("path", &self.path).field("identity", &self.identity).finish_non_exhaustive()
    }
}
