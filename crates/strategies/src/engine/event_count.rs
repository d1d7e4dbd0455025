use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How often to look before falling asleep: some tens of microseconds. While training runs the next job comes sooner,
/// and waking a thread up takes about as long.
const LOOKS: usize = 2000;

/// Where threads wait for a condition: looking again and again at first, then asleep.
pub(super) struct EventCount {
    looks: usize,
    asleep: AtomicUsize,
    lock: Mutex<()>,
    notified: Condvar,
}

impl EventCount {
    /// For `threads` threads; where these are more than processors, each looks once before it sleeps.
    pub(super) fn new(threads: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let looks = if threads > processors { 1 } else { LOOKS };
        Self { looks, asleep: AtomicUsize::new(0), lock: Mutex::new(()), notified: Condvar::new() }
    }

    /// Returns when `ready` holds. It must look at the condition by sequentially consistent loads.
    pub(super) fn wait(&self, ready: impl Fn() -> bool) {
        for _ in 0..self.looks {
            if ready() {
                return;
            }
            spin_loop();
        }
        let mut guard = self.lock();
        // Either `notify` sees that somebody is asleep, or `ready` sees what was stored before `notify`.
        self.asleep.fetch_add(1, Ordering::SeqCst);
        while !ready() {
            guard = self.notified.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes up whoever sleeps; to be called after a sequentially consistent store has made the condition true.
    pub(super) fn notify(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            // Whoever has the lock has not looked yet, or sleeps by the time that it is had here.
            drop(self.lock());
            self.notified.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Two threads take turns, which neither can without being let through by the other.
    fn check_turns(event_count: &EventCount, turns: usize) {
        let turn = AtomicUsize::new(0);
        let play = |first: usize| {
            for mine in (first..turns).step_by(2) {
                event_count.wait(|| turn.load(Ordering::SeqCst) == mine);
                turn.store(mine + 1, Ordering::SeqCst);
                event_count.notify();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| play(1));
            play(0);
        });
        assert_eq!(turn.into_inner(), turns);
        assert_eq!(event_count.asleep.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn nobody_sleeps_through_an_opening() {
        check_turns(&EventCount { looks: 0, ..EventCount::new(2) }, 2000);
        check_turns(&EventCount { looks: 3, ..EventCount::new(2) }, 2000);
        check_turns(&EventCount::new(2), 2000);
    }
}
