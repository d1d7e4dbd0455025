//! Files written whole or not at all.
//!
//! Whatever this workspace writes for others to read goes through [`NewFile`], so that a process that is killed, or a
//! disk that is full, leaves the previous file as it was.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that appears under its name when it is [committed](Self::commit), complete and on disk.
///
/// Until then its bytes are in a temporary file in the same folder, which is removed when this is dropped. The temporary
/// file of a killed process is removed when the same file is written again, or by [`remove_abandoned`]; an advisory lock
/// on it tells whether its writer is alive.
///
/// A file that is replaced hands on its permissions; a new one has what the umask allows. A symbolic link to a file stays
/// a link, and the file that it leads to is replaced.
///
/// # Example
///
/// ```
/// use std::io::Write;
/// use tidemill_data::file::NewFile;
///
/// # let folder = std::env::temp_dir().join(format!("tidemill-new-file-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("results.json");
/// let mut file = NewFile::create(&path)?;
/// file.write_all(b"{}")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    is_committed: bool,
}

impl NewFile {
    /// Begins to write a file, in place of one that may have this name.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written to, or the name is that of something other than a file.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let (target, permissions) = replaced(path.as_ref())?;
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        let folder = folder_of(&target);
        clean(folder, |found| found.as_encoded_bytes().starts_with(prefix(&name).as_encoded_bytes()));
        loop {
            let temporary = folder.join(temporary_name(&name));
            step(Step::Create, &target);
            let file = match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                // Left by a killed process that had the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            // Between creation and lock, another process may take it for abandoned: then it has the lock, or the file is
            // gone. Some file systems have no locks; files are not taken for abandoned there either.
            let is_taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            if is_taken || !temporary.exists() {
                continue;
            }
            let new = Self { file, temporary, target, is_committed: false };
            if let Some(permissions) = permissions {
                new.file.set_permissions(permissions)?;
            }
            return Ok(new);
        }
    }

    /// Gives the file its name, in place of a file that may have had it, when its bytes are on disk.
    ///
    /// # Errors
    ///
    /// When the disk is full or the file cannot be renamed; the name is then as before.
    pub fn commit(mut self) -> io::Result<()> {
        step(Step::Sync, &self.target);
        self.file.sync_all()?;
        step(Step::Rename, &self.target);
        fs::rename(&self.temporary, &self.target)?;
        self.is_committed = true;
        step(Step::SyncFolder, &self.target);
        // The rename is on disk when the folder is; not every system opens folders as files.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        step(Step::Write, &self.target);
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_committed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file, whole or not at all.
///
/// # Errors
///
/// When it cannot be written; what had the name before is then as it was.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.commit()
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
///
/// When the system refuses.
pub fn remove(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    step(Step::Remove, path);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what killed processes have left of their [`NewFile`]s in a folder; files that are being written stay.
pub fn remove_abandoned(folder: impl AsRef<Path>) {
    clean(folder.as_ref(), |_| true);
}

/// What a [`NewFile`] is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The temporary file is created.
    Create,
    /// Bytes are written to it.
    Write,
    /// They are brought to disk.
    Sync,
    /// The temporary file gets its name.
    Rename,
    /// The name is brought to disk.
    SyncFolder,
    /// A file is removed.
    Remove,
}

type Hook = Box<dyn Fn(Step, &Path) + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Has a function called before each step of every file that this process writes: how tests end a process between any
/// two of them. The first call in a process counts.
pub fn before_each_step(hook: impl Fn(Step, &Path) + Send + Sync + 'static) {
    let _ = HOOK.set(Box::new(hook));
}

fn step(step: Step, path: &Path) {
    if let Some(hook) = HOOK.get() {
        hook(step, path);
    }
}

/// The file that a path leads to, and the permissions of the one that is there.
fn replaced(path: &Path) -> io::Result<(PathBuf, Option<fs::Permissions>)> {
    let is_link = path.symlink_metadata().is_ok_and(|about| about.file_type().is_symlink());
    match path.metadata() {
        Ok(about) if about.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(about) if !about.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it exists and is not a regular file"))
        }
        Ok(about) => {
            let target = if is_link { path.canonicalize()? } else { path.to_owned() };
            Ok((target, Some(about.permissions())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path.to_owned(), None)),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

const SUFFIX: &str = ".tidemill-tmp";

/// Names may be up to 255 bytes long; those that leave no space for more are not repeated.
fn prefix(name: &std::ffi::OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(if name.len() <= 200 { name } else { "long".as_ref() });
    prefix.push(".");
    prefix
}

fn temporary_name(name: &std::ffi::OsStr) -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut temporary = prefix(name);
    temporary.push(format!("{}-{}{SUFFIX}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    temporary
}

/// Removes the temporary files of a folder whose names are chosen and whose writers are gone.
fn clean(folder: &Path, is_chosen: impl Fn(&std::ffi::OsStr) -> bool) {
    // What cannot be listed or removed is left: it takes disk space, and is in nobody's way.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_temporary = name.as_encoded_bytes().ends_with(SUFFIX.as_bytes());
        if !is_temporary || !is_chosen(&name) || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // Locked for writing, as network file systems want it.
        if let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
