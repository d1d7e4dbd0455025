//! Where the bytes of a file come from: a local file, or an object in a store.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::FileError;
use crate::hive::Key;
#[cfg(feature = "object-store")]
use crate::store::{ObjectPlace, Window};

/// Where a file is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// A path, or the URL of an object.
    pub(crate) path: PathBuf,
    /// Columns whose values its path gives.
    pub(crate) keys: Arc<[Key]>,
    #[cfg(feature = "object-store")]
    object: Option<ObjectPlace>,
}

/// A file, open.
pub(crate) struct Opened {
    pub(crate) input: Input,
    pub(crate) length: u64,
    /// Where it is, with what it is known by when it is opened again.
    pub(crate) location: Location,
    /// Whether it is known to be the one that was opened before, to the last byte.
    pub(crate) is_same: bool,
}

impl Location {
    pub(crate) fn local(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            keys: Arc::default(),
            #[cfg(feature = "object-store")]
            object: None,
        }
    }

    #[cfg(feature = "object-store")]
    pub(crate) fn object(path: PathBuf, place: ObjectPlace) -> Self {
        Self { path, keys: Arc::default(), object: Some(place) }
    }

    /// Opens the file, which must be the one that it was if it was opened before.
    pub(crate) fn open(&self) -> Result<Opened, FileError> {
        #[cfg(feature = "object-store")]
        if let Some(object) = &self.object {
            let (window, place) = object.open(&self.path)?;
            let location = Self { object: Some(place), ..self.clone() };
            let (length, is_same) = (window.length(), object.is_known());
            return Ok(Opened { input: Input::Object(window), length, location, is_same });
        }
        let refused = |error| FileError::io(&self.path, error);
        // Opening a pipe waits for a writer.
        let metadata = std::fs::metadata(&self.path).map_err(refused)?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
            return Err(FileError::not_parquet(&self.path, found));
        }
        let file = File::open(&self.path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        let (input, length) = (Input::File(Arc::new(file)), metadata.len());
        Ok(Opened { input, length, location: self.clone(), is_same: false })
    }

    /// Bytes that are remembered of it.
    pub(crate) fn memory_size(&self) -> usize {
        #[cfg(feature = "object-store")]
        let object = self.object.as_ref().map_or(0, ObjectPlace::memory_size);
        #[cfg(not(feature = "object-store"))]
        let object = 0;
        self.path.capacity() + object + self.keys.iter().map(Key::memory_size).sum::<usize>()
    }
}

/// Bytes that are read by their positions. Clones share what is read ahead.
#[derive(Clone)]
pub(crate) enum Input {
    File(Arc<File>),
    #[cfg(feature = "object-store")]
    Object(Window),
}

/// How far ahead of those asked for the bytes of a column chunk are read, where every request costs: at least, and at
/// most.
#[cfg(feature = "object-store")]
pub(crate) const AHEAD: Range<u64> = 64 << 10..8 << 20;

impl Input {
    /// Reads up to as many bytes as there is room for: fewer at the end of the file alone.
    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => read_at(file, at, buffer),
            #[cfg(feature = "object-store")]
            Self::Object(window) => window.read_at(at, buffer),
        }
    }

    /// As many bytes from a place as there is room for.
    pub(crate) fn read_exact_at(&self, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(at, buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    at += n as u64;
                    buffer = &mut buffer[n..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads bytes that are looked at once.
    pub(crate) fn read(&self, bytes: Range<u64>) -> io::Result<Vec<u8>> {
        #[cfg(feature = "object-store")]
        if let Self::Object(window) = self {
            return window.read(bytes);
        }
        let mut buffer = vec![0; (bytes.end - bytes.start) as usize];
        self.read_exact_at(bytes.start, &mut buffer)?;
        Ok(buffer)
    }

    /// The same bytes for whoever reads some of them in order: where they come from afar, `ahead` of them at a time.
    #[cfg_attr(
        not(feature = "object-store"),
        expect(unused_variables, reason = "files are read as they are asked for")
    )]
    pub(crate) fn part(&self, bytes: Range<u64>, ahead: u64) -> Self {
        match self {
            Self::File(file) => Self::File(Arc::clone(file)),
            #[cfg(feature = "object-store")]
            Self::Object(window) => Self::Object(window.part(bytes, ahead)),
        }
    }

    /// How far ahead parts may read, at least and at most; nothing where bytes are read as they are asked for.
    pub(crate) fn ahead(&self) -> Option<Range<u64>> {
        match self {
            Self::File(_) => None,
            #[cfg(feature = "object-store")]
            Self::Object(_) => Some(AHEAD),
        }
    }

    /// Bytes that it takes itself while a thread reads parts of it, beside what those read ahead.
    pub(crate) fn own_bytes(&self) -> u64 {
        match self {
            Self::File(_) => 0,
            #[cfg(feature = "object-store")]
            Self::Object(_) => Window::OWN_BYTES,
        }
    }
}

/// Reads at a place, whatever the file's own position is.
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, buffer, at);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, buffer, at);
}
