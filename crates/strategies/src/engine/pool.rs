use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tidemill_optim::Workers;

use super::event_count::EventCount;

/// Threads that stay alive between steps and run a borrowed job together, the caller being one of them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    job: UnsafeCell<Option<Job>>,
    /// How many jobs were posted.
    generation: AtomicUsize,
    /// Threads that have not ended the last one.
    running: AtomicUsize,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    posted: EventCount,
    finished: EventCount,
}

/// A job whose lifetime [`Pool::run`] vouches for.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));

// SAFETY: the closure behind the pointer is Sync, and `Pool::run` keeps it alive while any thread may call it.
unsafe impl Send for Job {}

// SAFETY: `job` is written by `Pool::run` alone, before it counts `generation` up and while `running` is zero; threads
// read it after they have seen the new `generation` and before they count `running` down. The rest is Sync.
unsafe impl Sync for Shared {}

impl Pool {
    /// A pool of `size` workers: the caller and `size - 1` threads.
    pub(crate) fn new(size: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            job: UnsafeCell::new(None),
            generation: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
            posted: EventCount::new(size),
            finished: EventCount::new(size),
        });
        let mut pool = Self { shared, threads: Vec::new() };
        for worker in 1..size {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(format!("tidemill-{worker}"));
            pool.threads.push(thread.spawn(move || shared.work(worker))?);
        }
        Ok(pool)
    }

    pub(crate) fn size(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `job` once with each worker's number, and returns when all calls have.
    ///
    /// # Panics
    ///
    /// With what a call panicked with, after all have ended.
    pub(crate) fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime is changed. This function does not return, nor unwind, before `running` is zero,
        // and no thread calls the job after it has counted itself down.
        let job_ref = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job) };
        let shared = &*self.shared;
        // SAFETY: `running` is zero between calls, and this call holds the pool alone, so no thread looks at the job.
        unsafe { *shared.job.get() = Some(Job(job_ref)) };
        shared.running.store(self.threads.len(), Ordering::SeqCst);
        shared.post();
        let mine = catch_unwind(AssertUnwindSafe(|| job(0)));
        shared.finished.wait(|| shared.running.load(Ordering::SeqCst) == 0);
        let theirs = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Workers for Pool {
    fn count(&self) -> usize {
        self.size()
    }

    fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        Self::run(self, job);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.post();
        for thread in self.threads.drain(..) {
            // A panic of the thread itself cannot be: jobs are caught, and nothing else runs there.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn post(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.posted.notify();
    }

    fn work(&self, worker: usize) {
        for seen in 0_usize.. {
            self.posted.wait(|| self.generation.load(Ordering::SeqCst) != seen);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            // SAFETY: the job was written before this generation was posted, and stays until `running` is zero.
            let job = unsafe { *self.job.get() }.expect("a generation comes with a job");
            let result = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: `Pool::run` waits for this thread's count-down below before the closure goes away.
                unsafe { (*job.0)(worker) }
            }));
            if let Err(panic) = result {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            if self.running.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.finished.notify();
            }
        }
    }
}

/// A slice whose disjoint parts several workers write.
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Parts` gives out parts by `Parts::part` alone, whose callers promise that they do not overlap.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrow: PhantomData }
    }

    /// A part of the slice.
    ///
    /// # Safety
    ///
    /// No two parts that are alive at once may overlap.
    #[allow(clippy::mut_from_ref, reason = "the parts are disjoint, which the caller promises")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part of the slice");
        // SAFETY: the range lies within the slice, which is borrowed for 'a; the caller keeps parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_worker_runs_every_job_once() {
        let mut pool = Pool::new(3).unwrap();
        let mut counts = [0; 3];
        for _ in 0..100 {
            let parts = Parts::new(&mut counts);
            // SAFETY: each worker takes its own element.
            pool.run(&|worker| unsafe { parts.part(worker..worker + 1)[0] += 1 });
        }
        assert_eq!(counts, [100; 3]);
    }

    #[test]
    fn a_panic_comes_back_after_all_have_ended() {
        let mut pool = Pool::new(2).unwrap();
        let ended = AtomicUsize::new(0);
        for panicking in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|worker| {
                    assert_ne!(worker, panicking, "meant to fail");
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert!(result.is_err());
        }
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        pool.run(&|_| ());
    }
}
