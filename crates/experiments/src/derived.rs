//! Files made from other files, such as a sorted copy: what each was made from, kept beside it as JSON, and whether that
//! is still true.
//!
//! A derived file is used again only where its note says that it was made for the same purpose, with the same
//! parameters, from the same files, and neither these nor itself have changed since. A file is told by path, device,
//! inode, size and the times of its last write and last status change: the last of these cannot be set back.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What a derived file is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// What the derived file is for, such as `sorted`.
    pub purpose: String,
    /// The version of the program that makes it.
    pub program: String,
    /// All else that decides what is in it, such as the column that it is sorted by.
    pub parameters: serde_json::Value,
    /// The files that it is made from, in order.
    pub sources: Vec<Identity>,
}

/// One state of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The canonical path; bytes that are not UTF-8, and backslashes, are escaped.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// When it was last written, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When its status last changed, in seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// What lies beside a derived file.
#[derive(Serialize, Deserialize)]
struct Note {
    origin: Origin,
    derived: Identity,
}

/// Whether a derived file had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// One that was made before is still true.
    Reused,
    /// It was made.
    Made,
}

impl Origin {
    /// What a file for this purpose would be made from now.
    ///
    /// # Errors
    ///
    /// When a source cannot be looked at, by its path.
    pub fn new<P: AsRef<Path>>(purpose: &str, sources: &[P], parameters: serde_json::Value) -> Result<Self> {
        let sources = sources.iter().map(|path| Identity::of(path.as_ref())).collect::<Result<_>>()?;
        Ok(Self { purpose: purpose.into(), program: env!("CARGO_PKG_VERSION").into(), parameters, sources })
    }

    /// Whether `derived` was made from exactly this, and has not changed since.
    pub fn holds(&self, derived: &Path) -> bool {
        let note = fs::read(note_path(derived)).ok().and_then(|json| serde_json::from_slice::<Note>(&json).ok());
        note.is_some_and(|note| note.origin == *self && note.derived.check(derived).is_ok())
    }

    /// Makes `derived` by `make`, unless it [holds](Self::holds). `make` writes the file whole or not at all.
    ///
    /// # Errors
    ///
    /// Those of `make`; when a source changed meanwhile, by its path; when the note cannot be written.
    pub fn derive(&self, derived: &Path, make: impl FnOnce() -> Result<()>) -> Result<Derivation> {
        if self.holds(derived) {
            return Ok(Derivation::Reused);
        }
        let note_path = note_path(derived);
        match fs::remove_file(&note_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| note_path.display().to_string());
            }
            _ => {}
        }
        make()?;
        for source in &self.sources {
            source.check(&unescaped(&source.path)).context("it changed while it was read")?;
        }
        let note = Note { origin: self.clone(), derived: Identity::of(derived)? };
        tidemill::data::file::write(&note_path, serde_json::to_vec_pretty(&note)?)
            .with_context(|| note_path.display().to_string())?;
        Ok(Derivation::Made)
    }
}

impl Identity {
    /// The state of a file now.
    ///
    /// # Errors
    ///
    /// When it cannot be looked at.
    pub fn of(path: &Path) -> Result<Self> {
        let found = path.canonicalize().and_then(|path| Ok((path.metadata()?, path)));
        let (metadata, canonical) = found.with_context(|| path.display().to_string())?;
        Ok(Self {
            path: escaped(&canonical),
            bytes: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether the file at `path` is in this state.
    ///
    /// # Errors
    ///
    /// When it is not, and in what it differs.
    pub fn check(&self, path: &Path) -> Result<()> {
        let now = Self::of(path)?;
        let what = if now.path != self.path {
            format!("it is {}, expected {}", now.path, self.path)
        } else if (now.device, now.inode) != (self.device, self.inode) {
            "it was replaced by another file".into()
        } else if now.bytes != self.bytes {
            format!("it has {} bytes, expected {}", now.bytes, self.bytes)
        } else if now != *self {
            "it was written again".into()
        } else {
            return Ok(());
        };
        bail!("{}: {what}", path.display())
    }
}

/// `a/b.parquet` has its note in `a/b.parquet.origin.json`.
fn note_path(derived: &Path) -> PathBuf {
    let mut name = derived.as_os_str().to_owned();
    name.push(".origin.json");
    name.into()
}

/// A path as text, so that no two paths give the same one.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The path that [`escaped`] made a text of.
fn unescaped(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, read) = match (first, tail) {
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', high, low, ..]) => (16 * digit(*high) + digit(*low), 4),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[read..];
    }
    OsString::from_vec(bytes).into()
}

fn digit(hex: u8) -> u8 {
    char::from(hex).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
        folder
    }

    #[test]
    fn a_path_is_told_from_every_other() {
        for bytes in [&b"/a/b.parquet"[..], b"/a\\xff", b"/a\xff", b"/\\\\x41", b"/\xc3\x28/\xc3\xa9"] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(unescaped(&escaped(&path)), path, "{}", escaped(&path));
        }
    }

    /// Every way in which the answer could be another makes the file anew; and only those.
    #[test]
    fn a_derived_file_is_used_again_only_where_all_is_as_it_was() {
        let folder = folder_with(&["a", "b"]);
        let (a, b, derived) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("d"));
        let derive = |source: &Path, purpose: &str, parameter: &str| {
            let origin = Origin::new(purpose, &[source], json!({ "column": parameter })).unwrap();
            origin.derive(&derived, || Ok(fs::copy(source, &derived).map(|_| ())?)).unwrap()
        };
        let (made, reused) = (Derivation::Made, Derivation::Reused);
        assert_eq!(derive(&a, "sorted", "x"), made);
        assert_eq!(derive(&a, "sorted", "x"), reused);
        assert_eq!(derive(&a, "sorted", "y"), made, "another parameter");
        assert_eq!(derive(&a, "sorted", "x"), made, "the first again");
        assert_eq!(derive(&a, "imported", "x"), made, "another purpose");
        assert_eq!(derive(&b, "imported", "x"), made, "another source");
        assert_eq!(fs::read(&derived).unwrap(), b"b");
        // The same size, and the time of the last write set back.
        let time = b.metadata().unwrap().modified().unwrap();
        fs::write(&b, "c").unwrap();
        fs::File::options().write(true).open(&b).unwrap().set_modified(time).unwrap();
        assert_eq!(derive(&b, "imported", "x"), made, "written again");
        assert_eq!(fs::read(&derived).unwrap(), b"c");
        fs::rename(&a, &b).unwrap();
        assert_eq!(derive(&b, "imported", "x"), made, "replaced");
        fs::write(&derived, "z").unwrap();
        assert_eq!(derive(&b, "imported", "x"), made, "the derived file was written");
        assert_eq!(derive(&b, "imported", "x"), reused);
        fs::write(note_path(&derived), "{").unwrap();
        assert_eq!(derive(&b, "imported", "x"), made, "the note is cut off");
        fs::remove_file(&derived).unwrap();
        assert_eq!(derive(&b, "imported", "x"), made, "the derived file is gone");
    }

    #[test]
    fn what_fails_or_changes_meanwhile_leaves_no_note() {
        let folder = folder_with(&["a"]);
        let (a, derived) = (folder.path().join("a"), folder.path().join("d"));
        let origin = || Origin::new("sorted", &[&a], json!(null)).unwrap();
        origin().derive(&derived, || Ok(fs::write(&derived, "1")?)).unwrap();
        assert!(origin().holds(&derived));
        fs::write(&a, "longer").unwrap();
        let error = origin().derive(&derived, || bail!("no space")).unwrap_err();
        assert_eq!(error.to_string(), "no space");
        assert!(!note_path(&derived).exists());
        let changing = || {
            fs::write(&a, "longer still")?;
            Ok(fs::write(&derived, "2")?)
        };
        let error = format!("{:#}", origin().derive(&derived, changing).unwrap_err());
        let canonical = a.canonicalize().unwrap();
        let expected = format!("it changed while it was read: {}: it has 12 bytes, expected 6", canonical.display());
        assert_eq!(error, expected);
        assert!(!origin().holds(&derived));
        let missing = Origin::new("sorted", &[folder.path().join("none")], json!(null)).unwrap_err();
        assert!(missing.to_string().ends_with("none"), "{missing}");
    }
}
