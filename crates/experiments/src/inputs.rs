//! Which files a comparison reads, so that it is noticed when they are replaced while it goes on.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The files that all runs of a comparison read, as they were when it was prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    files: Vec<FileIdentity>,
}

/// What tells one file from another, or from itself after it was written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileIdentity {
    #[serde(with = "crate::any_path")]
    path: PathBuf,
    bytes: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    /// The file's number in its file system; 0 where there are none.
    inode: u64,
    /// Of the footer of a Parquet file, which tells rows, row groups, sizes and statistics; of the first and last bytes
    /// of any other.
    digest: String,
}

/// A file is not the one that the comparison was prepared from.
#[derive(Debug)]
pub struct Changed {
    path: PathBuf,
    what: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: changed since the comparison was prepared: {}; runs on different data cannot be compared, so run it again \
             without --resume",
            self.path.display(),
            self.what
        )
    }
}

impl std::error::Error for Changed {}

impl Inputs {
    /// The files as they are; a folder stands for all files in it and in its folders.
    ///
    /// # Errors
    ///
    /// When one cannot be read, by name.
    pub fn of<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let path = std::path::absolute(path.as_ref())?;
            add(&path, &mut files).with_context(|| path.display().to_string())?;
        }
        Ok(Self { files })
    }

    /// Whether the files are still those.
    ///
    /// # Errors
    ///
    /// [`Changed`], with what differs.
    pub fn unchanged(&self) -> Result<(), Changed> {
        self.files.iter().try_for_each(|file| file.same(FileIdentity::difference))
    }

    /// Whether the files have the same size and footers: what can be asked on another host, which may have its own copy.
    ///
    /// # Errors
    ///
    /// [`Changed`], with what differs.
    pub fn same_contents(&self) -> Result<(), Changed> {
        self.files.iter().try_for_each(|file| file.same(FileIdentity::difference_of_contents))
    }

    /// A digest of the files and of the settings that runs were made from; it says whether runs may be compared.
    pub fn fingerprint(&self, settings: &str) -> String {
        let mut digest = Digest::new();
        digest.add(concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes());
        digest.add(settings.as_bytes());
        for file in &self.files {
            // Debug output keeps fields apart, and paths that are no UTF-8.
            digest.add(format!("\n{file:?}").as_bytes());
        }
        digest.text()
    }
}

fn add(path: &Path, files: &mut Vec<FileIdentity>) -> Result<()> {
    if !path.is_dir() {
        files.push(FileIdentity::of(path)?);
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| add(entry, files).with_context(|| entry.display().to_string()))
}

impl FileIdentity {
    fn of(path: &Path) -> std::io::Result<Self> {
        let about = fs::metadata(path)?;
        // Reading from a FIFO or a device would wait, or take away what it gives.
        let digest = if about.is_file() { digest(path, about.len())? } else { String::new() };
        let (modified, inode) = times_and_number(&about);
        Ok(Self { path: path.to_owned(), bytes: about.len(), modified, inode, digest })
    }

    fn same(&self, difference: fn(&Self, &Self) -> Option<String>) -> Result<(), Changed> {
        let what = match Self::of(&self.path) {
            Ok(now) => difference(self, &now),
            Err(error) => Some(error.to_string()),
        };
        what.map_or(Ok(()), |what| Err(Changed { path: self.path.clone(), what }))
    }

    fn difference_of_contents(&self, now: &Self) -> Option<String> {
        if self.bytes != now.bytes {
            return Some(format!("it had {} bytes and has {}", self.bytes, now.bytes));
        }
        (self.digest != now.digest).then(|| "its footer, or its first or last bytes, are different".into())
    }

    fn difference(&self, now: &Self) -> Option<String> {
        self.difference_of_contents(now).or_else(|| {
            let what = match () {
                () if self.inode != now.inode => "another file was put in its place",
                () if self.modified != now.modified => "it was written to",
                () => return None,
            };
            Some(what.into())
        })
    }
}

#[cfg(unix)]
fn times_and_number(about: &Metadata) -> ((i64, i64), u64) {
    use std::os::unix::fs::MetadataExt;
    ((about.mtime(), about.mtime_nsec()), about.ino())
}

#[cfg(not(unix))]
fn times_and_number(about: &Metadata) -> ((i64, i64), u64) {
    let since = about.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    (since.map_or((0, 0), |since| (since.as_secs() as i64, i64::from(since.subsec_nanos()))), 0)
}

/// Bytes at each end of a file that are looked at; of a Parquet footer up to as much as [`FOOTER`].
const END: u64 = 64 << 10;
const FOOTER: u64 = 16 << 20;

fn digest(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Digest::new();
    let mut part = |from: u64, to: u64| {
        let mut buffer = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&mut file).take(to - from).read_to_end(&mut buffer)?;
        digest.add(&buffer);
        std::io::Result::Ok(buffer)
    };
    part(0, bytes.min(END))?;
    let tail = part(bytes.saturating_sub(END), bytes)?;
    if let Some((rest, b"PAR1")) = tail.split_last_chunk()
        && let Some((_, &length)) = rest.split_last_chunk()
    {
        let footer = u64::from(u32::from_le_bytes(length)) + 8;
        if footer > END && footer <= FOOTER.min(bytes) {
            part(bytes - footer, bytes - END)?;
        }
    }
    Ok(digest.text())
}

/// FNV-1a of 128 bits: quick, and the same for every version and machine. It tells accidents, not attacks.
struct Digest(u128);

impl Digest {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn text(&self) -> String {
        format!("{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tidemill::parquet::{ParquetWriter, ValueType, Values};

    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        let of = |text: &str| {
            let mut digest = Digest::new();
            digest.add(text.as_bytes());
            digest.text()
        };
        // From the reference vectors of the authors.
        assert_eq!(of(""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(of("a"), "d228cb696f1a8caf78912b704e4a8964");
        assert_eq!(of("foobar"), "343e1662793c64bf6f0d3597ba446f18");
    }

    fn table(path: &Path, values: &[f64]) {
        let mut writer = ParquetWriter::create(path, [("a", ValueType::F64)]).unwrap();
        writer.write(&[Values::F64(values)]).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn every_change_of_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let write = |values: &[f64]| {
            table(&path, values);
            File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        write(&[1.0, 2.0, 3.0]);
        let inputs = Inputs::of(&[&path]).unwrap();
        inputs.unchanged().unwrap();
        let changed = |expected: &str| {
            let error = inputs.unchanged().unwrap_err().to_string();
            assert!(error.contains("a.parquet") && error.contains(expected), "{expected:?}: {error}");
        };
        let bytes = fs::read(&path).unwrap();
        // Another file with the same contents and time.
        fs::rename(&path, folder.path().join("old")).unwrap();
        changed("No such file");
        fs::write(&path, &bytes).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        changed("another file was put in its place");
        inputs.same_contents().unwrap();
        // The same file, written to: as long as before, with the statistics of other numbers.
        fs::rename(folder.path().join("old"), &path).unwrap();
        inputs.unchanged().unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(at + Duration::from_secs(1)).unwrap();
        changed("it was written to");
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        changed(&format!("it had {} bytes and has {}", bytes.len(), bytes.len() - 1));
        let mut other = bytes.clone();
        let last = other.len() - 20;
        other[last] ^= 1;
        fs::write(&path, &other).unwrap();
        changed("its footer");
        write(&[1.0, 2.0]);
        assert!(inputs.same_contents().is_err());
    }

    #[test]
    fn folders_stand_for_their_files_and_fingerprints_for_files_and_settings() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("year=1/month=2")).unwrap();
        table(&folder.path().join("year=1/month=2/a.parquet"), &[1.0]);
        let inputs = Inputs::of(&[folder.path()]).unwrap();
        let again = Inputs::of(&[folder.path()]).unwrap();
        assert_eq!(inputs.fingerprint("spec"), again.fingerprint("spec"));
        assert_ne!(inputs.fingerprint("spec"), inputs.fingerprint("spec2"));
        table(&folder.path().join("year=1/month=2/a.parquet"), &[2.0]);
        inputs.unchanged().unwrap_err();
        assert_ne!(inputs.fingerprint("spec"), Inputs::of(&[folder.path()]).unwrap().fingerprint("spec"));
        let json = serde_json::to_string(&inputs).unwrap();
        assert_eq!(serde_json::from_str::<Inputs>(&json).unwrap(), inputs);
    }
}
