use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Threads that stay alive between steps and run a borrowed job together, the caller being one of them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    board: Mutex<Board>,
    posted: Condvar,
    finished: Condvar,
}

#[derive(Default)]
struct Board {
    job: Option<Job>,
    generation: u64,
    running: usize,
    panic: Option<Box<dyn Any + Send>>,
    stop: bool,
}

/// A job whose lifetime [`Pool::run`] vouches for.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));

// SAFETY: the closure behind the pointer is Sync, and `Pool::run` keeps it alive while any thread may call it.
unsafe impl Send for Job {}

impl Pool {
    /// A pool of `size` workers: the caller and `size - 1` threads.
    pub(crate) fn new(size: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { board: Mutex::default(), posted: Condvar::new(), finished: Condvar::new() });
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
        {
            let mut board = self.shared.lock();
            board.job = Some(Job(job_ref));
            board.generation += 1;
            board.running = self.threads.len();
            self.shared.posted.notify_all();
        }
        let mine = catch_unwind(AssertUnwindSafe(|| job(0)));
        let mut board = self.shared.lock();
        while board.running > 0 {
            board = self.shared.finished.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
        board.job = None;
        let theirs = board.panic.take();
        drop(board);
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.posted.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of the thread itself cannot be: jobs are caught, and nothing else runs there.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, worker: usize) {
        let mut seen = 0;
        loop {
            let job = {
                let mut board = self.lock();
                while board.generation == seen && !board.stop {
                    board = self.posted.wait(board).unwrap_or_else(PoisonError::into_inner);
                }
                if board.stop {
                    return;
                }
                seen = board.generation;
                board.job.expect("a generation comes with a job")
            };
            let result = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: `Pool::run` waits for this thread's count-down below before the closure goes away.
                unsafe { (*job.0)(worker) }
            }));
            let mut board = self.lock();
            if let Err(panic) = result {
                board.panic = Some(panic);
            }
            board.running -= 1;
            if board.running == 0 {
                self.finished.notify_one();
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
