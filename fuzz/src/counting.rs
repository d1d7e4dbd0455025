//! Counts the bytes in use, and ends the process where there are more than allowed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does something within so many bytes more than are in use.
pub fn limited<R>(bytes: usize, what: impl FnOnce() -> R) -> R {
    LIMIT.store(IN_USE.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    let result = what();
    LIMIT.store(usize::MAX, Ordering::Relaxed);
    result
}

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn add(bytes: usize) {
        let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = LIMIT.load(Ordering::Relaxed);
        if in_use > limit {
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            eprintln!(
                "{bytes} bytes more make {in_use}, {limit} are allowed\n{}",
                std::backtrace::Backtrace::force_capture()
            );
            std::process::abort();
        }
    }

    fn sub(bytes: usize) {
        IN_USE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::sub(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::add(size);
        Self::sub(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
