//! Memory that one rank writes and the other ranks of its host read.
//!
//! A segment is a file without a name, opened by way of the process that made it: nothing is left of it when its processes
//! have ended, however they did. All its memory is there from the start, and no access to it is a signal later. Such files
//! have no limit but the machine: what is not available is not asked for, where the system would end processes instead.

use std::fs::File;
use std::io::{Read, Write};
use std::ptr::NonNull;

use tidemill_collective::tensor::Scalar;

/// Bytes that a new segment begins with, and no other does: where containers have the same processes by number, and the
/// same name of their host, another may be found in its place.
const MARK: usize = 16;

pub(crate) struct Segment {
    start: NonNull<u8>,
    len: usize,
}

/// What others open a segment with, as long as this is there.
pub(crate) struct Offer {
    _file: File,
    text: Vec<u8>,
}

impl Offer {
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }
}

impl Segment {
    /// Of so many bytes, where others make as many more of them at the same time. Failures are texts: what was tried, and
    /// what the system says.
    pub(crate) fn make(len: usize, others: usize) -> Result<(Self, Offer), String> {
        let (all, available) = (len.saturating_mul(others + 1), system::available()?);
        if all > available {
            return Err(format!("{} segments of {len} bytes, where {available} are available", others + 1));
        }
        let mut file = system::make(len)?;
        let mut mark = [0; MARK];
        let random = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut mark));
        random.map_err(|error| format!("/dev/urandom: {error}"))?;
        file.write_all(&mark).map_err(|error| format!("write of {MARK} bytes: {error}"))?;
        let start = system::map(&file, len, system::Access::Write)?;
        let text = [&mark, system::path(&file).as_bytes()].concat();
        Ok((Self { start, len }, Offer { _file: file, text }))
    }

    /// That of another rank, by what it offers, before it has written to it.
    pub(crate) fn open(offer: &[u8], len: usize) -> Result<Self, String> {
        let (mark, path) = offer.split_at_checked(MARK).ok_or("an offer is too short")?;
        let path = String::from_utf8_lossy(path);
        let mut file = system::open(&path)?;
        let mut found = [0; MARK];
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == len as u64);
        if !is_file || file.read_exact(&mut found).is_err() || found != mark {
            return Err(format!("{path} is not the segment that was offered"));
        }
        Ok(Self { start: system::map(&file, len, system::Access::Read)?, len })
    }

    /// So many numbers, from that byte on.
    ///
    /// # Safety
    ///
    /// No rank writes there while they are borrowed.
    pub(crate) unsafe fn values<T: Scalar>(&self, start: usize, len: usize) -> &[T] {
        // SAFETY: they are there, and all bits are numbers; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.place(start, len), len) }
    }

    /// As above, to be written.
    ///
    /// # Safety
    ///
    /// The segment was made here, and no rank reads or writes there while they are borrowed.
    pub(crate) unsafe fn values_mut<T: Scalar>(&mut self, start: usize, len: usize) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.place(start, len), len) }
    }

    fn place<T: Scalar>(&self, start: usize, len: usize) -> *mut T {
        let end = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(start));
        assert!(start.is_multiple_of(align_of::<T>()) && end.is_some_and(|end| end <= self.len), "within the segment");
        // SAFETY: it lies within the segment.
        unsafe { self.start.add(start) }.cast().as_ptr()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and nothing of it is borrowed.
        unsafe { system::unmap(self.start, self.len) }
    }
}

/// `rustix` has all that this needs, where `memmap2` knows neither files without names nor how to fill them.
#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::ptr::{NonNull, null_mut};

    use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, fallocate, memfd_create};
    use rustix::io::{Errno, retry_on_intr};
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    pub(super) enum Access {
        Read,
        Write,
    }

    fn failed(what: impl FnOnce() -> String) -> impl FnOnce(Errno) -> String {
        move |error| format!("{}: {}", what(), std::io::Error::from(error))
    }

    /// Bytes of memory that the machine can do without.
    pub(super) fn available() -> Result<usize, String> {
        let known = std::fs::read_to_string("/proc/meminfo").map_err(|error| format!("/proc/meminfo: {error}"))?;
        let line = known.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix("kB"));
        let kibibytes = line.and_then(|number| number.trim().parse::<usize>().ok());
        kibibytes.map(|number| number * 1024).ok_or_else(|| "/proc/meminfo tells of no MemAvailable".to_owned())
    }

    pub(super) fn make(len: usize) -> Result<File, String> {
        let file = memfd_create("tidemill", MemfdFlags::CLOEXEC).map_err(failed(|| "memfd_create".to_owned()))?;
        let filled = retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), 0, len as u64));
        filled.map_err(failed(|| format!("fallocate of {len} bytes")))?;
        Ok(file.into())
    }

    /// Where other processes find it.
    pub(super) fn path(file: &File) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
    }

    /// Waits for nobody, whatever it is that is found there.
    pub(super) fn open(path: &str) -> Result<File, String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(failed(|| path.to_owned()))
    }

    pub(super) fn map(file: &File, len: usize, access: Access) -> Result<NonNull<u8>, String> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: where the system likes, so over nothing that is there.
        let start = unsafe { mmap(null_mut(), len, protection, MapFlags::SHARED, file, 0) };
        let start = start.map_err(failed(|| format!("mmap of {len} bytes")))?;
        NonNull::new(start.cast()).ok_or_else(|| format!("mmap of {len} bytes: nowhere"))
    }

    /// # Safety
    ///
    /// It is what `map` has given, and is not used any more.
    pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize) {
        // SAFETY: the caller's promise. What is not unmapped stays: nothing else comes of it.
        let _ = unsafe { munmap(start.as_ptr().cast(), len) };
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::ptr::NonNull;

    pub(super) enum Access {
        Read,
        Write,
    }

    fn not_here<T>() -> Result<T, String> {
        Err("ranks share memory on Linux alone".to_owned())
    }

    pub(super) fn available() -> Result<usize, String> {
        not_here()
    }

    pub(super) fn make(_: usize) -> Result<File, String> {
        not_here()
    }

    pub(super) fn path(_: &File) -> String {
        String::new()
    }

    pub(super) fn open(_: &str) -> Result<File, String> {
        not_here()
    }

    pub(super) fn map(_: &File, _: usize, _: Access) -> Result<NonNull<u8>, String> {
        not_here()
    }

    /// # Safety
    ///
    /// None is needed: nothing was mapped.
    pub(super) unsafe fn unmap(_: NonNull<u8>, _: usize) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Segment;

    const LEN: usize = 1 << 20;

    fn problem<T>(result: Result<T, String>) -> String {
        result.err().expect("an error")
    }

    #[test]
    fn what_one_writes_the_other_reads() {
        let (mut mine, offer) = Segment::make(LEN, 0).unwrap();
        let theirs = Segment::open(offer.text(), LEN).unwrap();
        drop(offer);
        // SAFETY: one thread writes, and then reads.
        unsafe { mine.values_mut(4096, 1000) }.fill(2.5_f32);
        // SAFETY: as above.
        assert_eq!(unsafe { theirs.values::<f32>(4096, 1001) }, [&[2.5; 1000][..], &[0.0]].concat());
        drop(mine);
        // SAFETY: as above.
        assert_eq!(unsafe { theirs.values::<f32>(4092, 2) }, [0.0, 2.5], "its maker is gone");
    }

    #[test]
    #[should_panic = "within the segment"]
    fn nothing_is_read_beyond_the_end() {
        let (mine, _offer) = Segment::make(LEN, 0).unwrap();
        // SAFETY: nobody writes.
        unsafe { mine.values::<f64>(LEN - 8, 2) };
    }

    #[test]
    fn what_cannot_be_is_said() {
        // So many that the system refuses too.
        let says = problem(Segment::make(usize::MAX, 2));
        assert!(says.starts_with(&format!("3 segments of {} bytes, where ", usize::MAX)), "{says}");

        let (_mine, offer) = Segment::make(LEN, 0).unwrap();
        let other = Segment::make(LEN, 0).unwrap().1;
        let path = String::from_utf8(offer.text()[16..].to_vec()).unwrap();
        let mixed = [&other.text()[..16], path.as_bytes()].concat();
        let not_it = format!("{path} is not the segment that was offered");
        assert_eq!(problem(Segment::open(&mixed, LEN)), not_it, "it has another's mark");
        assert_eq!(problem(Segment::open(offer.text(), LEN + 1)), not_it, "it has another length");
        assert_eq!(problem(Segment::open(b"short", LEN)), "an offer is too short");

        let text = offer.text().to_vec();
        drop(offer);
        let says = problem(Segment::open(&text, LEN));
        assert!(says.starts_with(&path), "it was taken back: {says}");
    }
}
