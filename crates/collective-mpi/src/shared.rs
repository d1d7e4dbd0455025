//! Between the rank's thread and MPI's: orders one way, answers the other.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tidemill_collective::{Call, Error, Gathered};

use crate::room::Room;

/// What MPI's thread is to do, one after the other.
#[derive(Debug)]
pub(crate) enum Order {
    /// A call.
    Call(Call, Data),
    /// The rank makes no more calls: the others are told.
    Leave,
    /// The end: all ranks come to it.
    Finish,
}

/// What a call works on.
#[derive(Debug)]
pub(crate) enum Data {
    /// Nothing.
    Nothing,
    /// Values that the caller lends until the answer comes.
    Lent(*mut u8),
    /// A copy of values, given back with the answer.
    Copied(Room),
    /// What is brought to a gather, and where what all brought goes; both lent until the answer comes.
    Gather(*const [u8], *mut Gathered),
}

// SAFETY: what is lent is touched by MPI's thread alone, and not after its answer, for which the caller waits.
unsafe impl Send for Data {}

/// What comes before all orders, also in the middle of one.
#[derive(Debug)]
pub(crate) enum Urgent {
    /// The world is over.
    Lose(Error),
    /// `MPI_Abort`.
    Abort(i32),
}

/// What became of an order.
#[derive(Debug)]
pub(crate) struct Answer {
    pub result: Result<(), Error>,
    /// Of a call on [`Data::Copied`].
    pub room: Option<Room>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    ordered: Condvar,
    answered: Condvar,
    /// Orders so far, and answers.
    orders: AtomicU64,
    answers: AtomicU64,
    urgent: AtomicBool,
    ends: AtomicBool,
    /// Whether the rank waits for an answer; for MPI to start, at first.
    awaited: AtomicBool,
    /// Moves while MPI's thread is not inside MPI.
    pub beat: AtomicU64,
    /// Bytes sent so far.
    pub sent: AtomicU64,
    /// How long ranks wait for each other.
    pub deadline: Duration,
}

#[derive(Default)]
struct State {
    orders: VecDeque<(u64, Order)>,
    answers: VecDeque<(u64, Answer)>,
    urgent: Option<Urgent>,
    /// Who waits on a condition.
    mpi_sleeps: bool,
    rank_sleeps: bool,
    finished: bool,
    /// How long values get to other ranks, once there were any.
    way: Option<String>,
    /// Why the world is over.
    lost: Option<Error>,
}

/// How long either side looks for the other before it sleeps.
const LOOKING: Duration = Duration::from_micros(50);
/// How long MPI's thread sleeps at most.
const IDLE: Duration = Duration::from_millis(10);
/// How much longer than the deadline MPI may keep its thread.
const HUNG: Duration = Duration::from_secs(10);

impl Shared {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            state: Mutex::default(),
            ordered: Condvar::new(),
            answered: Condvar::new(),
            orders: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            urgent: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            awaited: AtomicBool::new(true),
            beat: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            deadline,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so what it guards is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The rank's side.

    /// Gives an order; [`wait`](Shared::wait) is to be called with what it returns.
    pub(crate) fn order(&self, order: Order) -> u64 {
        let mut state = self.lock();
        let ticket = self.orders.load(Ordering::Relaxed);
        state.orders.push_back((ticket, order));
        self.orders.store(ticket + 1, Ordering::Release);
        if state.mpi_sleeps {
            self.ordered.notify_one();
        }
        ticket
    }

    /// The answer to an order. Where MPI does not return to its thread, this ends the process: what was lent to it cannot
    /// be given back.
    pub(crate) fn wait(&self, ticket: u64) -> Answer {
        self.awaited.store(true, Ordering::Release);
        let looking = Instant::now();
        while self.answers.load(Ordering::Acquire) <= ticket && looking.elapsed() < LOOKING {
            thread::yield_now();
        }
        let mut state = self.lock();
        if state.mpi_sleeps {
            self.ordered.notify_one();
        }
        let (mut beat, mut since) = (self.beat.load(Ordering::Relaxed), Instant::now());
        loop {
            if let Some(at) = state.answers.iter().position(|(of, _)| *of == ticket) {
                self.awaited.store(false, Ordering::Release);
                return state.answers.remove(at).expect("it was found").1;
            }
            state.rank_sleeps = true;
            state = self.answered.wait_timeout(state, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
            state.rank_sleeps = false;
            if beat != self.beat.load(Ordering::Relaxed) {
                (beat, since) = (self.beat.load(Ordering::Relaxed), Instant::now());
            } else if since.elapsed() > self.deadline + HUNG {
                say(&format!("MPI does not come back for {:?}: this rank ends", since.elapsed()));
                self.end(crate::RETRY);
            }
        }
    }

    /// The world is over, and all are to know why. Waits until MPI's thread has told them, but not for ever.
    pub(crate) fn lose(&self, why: Error) {
        self.hurry(Urgent::Lose(why), |state| state.lost.is_some() || state.finished);
    }

    /// As above; that the process ends is no news then.
    pub(crate) fn lose_by_panic(&self, why: Error) {
        self.ends.store(true, Ordering::Release);
        self.lose(why);
    }

    /// Has MPI end all ranks, if it can; ends this one.
    pub(crate) fn abort(&self, code: i32) -> ! {
        self.ends.store(true, Ordering::Release);
        if !self.finished() {
            self.hurry(Urgent::Abort(code), |_| false);
        }
        std::process::exit(code)
    }

    /// Ends this process as it is.
    pub(crate) fn end(&self, code: i32) -> ! {
        self.ends.store(true, Ordering::Release);
        std::process::exit(code)
    }

    /// Whether the process ends in one of the ways that are meant for it.
    pub(crate) fn ends(&self) -> bool {
        self.ends.load(Ordering::Acquire) || self.finished()
    }

    fn hurry(&self, urgent: Urgent, done: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        state.urgent = Some(urgent);
        self.urgent.store(true, Ordering::Release);
        self.ordered.notify_one();
        state.rank_sleeps = true;
        let patience = Duration::from_secs(3);
        let waited = self.answered.wait_timeout_while(state, patience, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0.rank_sleeps = false;
    }

    pub(crate) fn finished(&self) -> bool {
        self.lock().finished
    }

    /// How long values get to other ranks, where that was decided.
    pub(crate) fn way(&self) -> Option<String> {
        self.lock().way.clone()
    }

    // MPI's side.

    /// The next order, `None` when there is none for a while; or what is urgent.
    pub(crate) fn next(&self) -> Result<Option<(u64, Order)>, Urgent> {
        let seen = self.answers.load(Ordering::Relaxed);
        let looking = Instant::now();
        let idle = || self.orders.load(Ordering::Acquire) == seen && !self.urgent.load(Ordering::Acquire);
        while idle() && looking.elapsed() < LOOKING {
            thread::yield_now();
        }
        let mut state = self.lock();
        if state.urgent.is_none() && state.orders.is_empty() {
            state.mpi_sleeps = true;
            state = self.ordered.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner).0;
            state.mpi_sleeps = false;
        }
        match self.take_urgent(&mut state) {
            Some(urgent) => Err(urgent),
            None => Ok(state.orders.pop_front()),
        }
    }

    fn take_urgent(&self, state: &mut State) -> Option<Urgent> {
        self.urgent.store(false, Ordering::Relaxed);
        state.urgent.take()
    }

    /// What is urgent, in the middle of an order.
    pub(crate) fn interrupted(&self) -> Option<Urgent> {
        if self.urgent.load(Ordering::Acquire) { self.take_urgent(&mut self.lock()) } else { None }
    }

    /// Whether the rank waits.
    pub(crate) fn awaited(&self) -> bool {
        self.awaited.load(Ordering::Acquire)
    }

    /// Sleeps, but wakes for the rank.
    pub(crate) fn nap(&self, how_long: Duration) {
        let mut state = self.lock();
        if state.urgent.is_none() {
            state.mpi_sleeps = true;
            state = self.ordered.wait_timeout(state, how_long).unwrap_or_else(PoisonError::into_inner).0;
            state.mpi_sleeps = false;
        }
    }

    pub(crate) fn answer(&self, ticket: u64, answer: Answer) {
        let mut state = self.lock();
        state.answers.push_back((ticket, answer));
        self.answers.store(ticket + 1, Ordering::Release);
        if state.rank_sleeps {
            self.answered.notify_all();
        }
    }

    /// All ranks have met. What they sent until then does not count.
    pub(crate) fn set_started(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.awaited.store(false, Ordering::Release);
    }

    pub(crate) fn set_way(&self, way: String) {
        self.lock().way = Some(way);
    }

    /// The world is over, and all have been told.
    pub(crate) fn set_lost(&self, why: &Error) {
        self.lock().lost.get_or_insert_with(|| why.clone());
        self.answered.notify_all();
    }

    /// MPI has ended, and well.
    pub(crate) fn set_finished(&self) {
        self.lock().finished = true;
        self.answered.notify_all();
    }
}

/// Tells people, in one piece: ranks write to the same terminal.
pub(crate) fn say(what: &str) {
    let line = format!("{what}\n");
    // Whoever has closed it does not want to know.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
