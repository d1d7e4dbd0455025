use std::fmt;
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tidemill_tensor::{DType, Scalar, kernels};

use crate::{Collective, Error, Values};

/// One of several workers inside one process, each on a thread of its own.
///
/// A call lends the caller's slice to all ranks until every one is done with it: nothing is copied aside or allocated,
/// and each rank reduces its share of the elements.
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
    /// What each rank brought to this call.
    posts: Vec<Post>,
}

struct Shared {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    posts: Vec<Post>,
    /// Ranks that have come to the present meeting.
    arrived: usize,
    /// Meetings so far. A call is two: one to begin, one to end.
    meetings: u64,
    /// The first rank that is gone, and why.
    lost: Option<Error>,
}

/// What a rank brings to a call.
#[derive(Clone, Copy)]
struct Post {
    call: Call,
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the pointer is followed only between the two meetings of a call, while its owner lends what it points to.
unsafe impl Send for Post {}

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Sum(DType, usize),
    Max(DType, usize),
    Broadcast(DType, usize, usize),
    Gather,
    Barrier,
}

impl Post {
    const NOTHING: Self = Self { call: Call::Barrier, start: std::ptr::null_mut(), bytes: 0 };

    fn of<T>(call: Call, values: &mut [T]) -> Self {
        Self { call, start: values.as_mut_ptr().cast(), bytes: size_of_val(values) }
    }
}

impl Threads {
    /// A world of `size` ranks, to be moved to as many threads.
    pub fn world(size: usize) -> Vec<Self> {
        let posts = vec![Post::NOTHING; size];
        let state = State { posts: posts.clone(), arrived: 0, meetings: 0, lost: None };
        let shared = Arc::new(Shared { size, state: Mutex::new(state), changed: Condvar::new() });
        (0..size).map(|rank| Self { rank, shared: Arc::clone(&shared), posts: posts.clone() }).collect()
    }

    /// Meets all ranks, lets `work` look at what they brought if they agree on the call, and meets them again.
    ///
    /// Between the meetings every rank is in this function: none is gone, none fails, and what was posted stays lent.
    fn call<R>(&mut self, mine: Post, work: impl FnOnce(&[Post]) -> R) -> Result<R, Error> {
        {
            let mut state = self.shared.lock();
            state.posts[self.rank] = mine;
            let state = self.shared.meet(state)?;
            self.posts.copy_from_slice(&state.posts);
        }
        let result = agree(&self.posts).map(|()| work(&self.posts));
        let ended = self.shared.meet(self.shared.lock());
        debug_assert!(ended.is_ok(), "a rank is gone in the middle of a call");
        result
    }

    fn reduce<T: Scalar>(&mut self, call: Call, x: &mut [T], combine: fn(&mut [T], &[T])) -> Result<(), Error> {
        let part = share(x.len(), self.rank, self.shared.size);
        self.call(Post::of(call, x), |posts| {
            // SAFETY: the ranks agree on type and length, and lend slices that are apart; of each, this rank alone touches
            // this part until the meeting that ends the call.
            let of = |post: &Post| unsafe { from_raw_parts_mut(post.start.cast::<T>().add(part.start), part.len()) };
            let (first, others) = posts.split_first().expect("this rank is one of them");
            let sum = of(first);
            others.iter().for_each(|post| combine(sum, of(post)));
            others.iter().for_each(|post| of(post).copy_from_slice(sum));
        })
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.size
    }

    fn sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        match values {
            Values::F32(x) => self.reduce(Call::Sum(DType::F32, x.len()), x, kernels::add_assign),
            Values::F64(x) => self.reduce(Call::Sum(DType::F64, x.len()), x, kernels::add_assign),
        }
    }

    fn max(&mut self, values: Values<'_>) -> Result<(), Error> {
        match values {
            Values::F32(x) => self.reduce(Call::Max(DType::F32, x.len()), x, larger),
            Values::F64(x) => self.reduce(Call::Max(DType::F64, x.len()), x, larger),
        }
    }

    fn broadcast(&mut self, from: usize, values: Values<'_>) -> Result<(), Error> {
        let (rank, size) = (self.rank, self.shared.size);
        if from >= size {
            return Err(Error::NoSuchRank { rank: from, size });
        }
        let mine = match values {
            Values::F32(x) => Post::of(Call::Broadcast(DType::F32, x.len(), from), x),
            Values::F64(x) => Post::of(Call::Broadcast(DType::F64, x.len(), from), x),
        };
        self.call(mine, |posts| {
            if rank != from {
                // SAFETY: the ranks agree on the length and lend slices that are apart; nobody writes to the one of
                // `from`, and nobody else touches this rank's.
                unsafe { posts[rank].start.copy_from_nonoverlapping(posts[from].start, posts[from].bytes) };
            }
        })
    }

    fn gather(&mut self, mine: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mine = Post { call: Call::Gather, start: mine.as_ptr().cast_mut(), bytes: mine.len() };
        // SAFETY: what was posted is lent, and nobody writes to it.
        let copy = |post: &Post| unsafe { from_raw_parts(post.start, post.bytes) }.to_vec();
        self.call(mine, |posts| posts.iter().map(copy).collect())
    }

    fn barrier(&mut self) -> Result<(), Error> {
        self.call(Post::NOTHING, |_| ())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let (rank, size) = (self.rank, self.shared.size);
        let panicked = std::thread::panicking();
        let lost = if panicked { Error::Panicked { rank, size } } else { Error::Left { rank, size } };
        self.shared.lock().lost.get_or_insert(lost);
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Threads(rank {} of {})", self.rank, self.shared.size)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the lock is held, so what it guards is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all ranks are here; fails when one is gone and will never be.
    fn meet<'s>(&'s self, mut state: MutexGuard<'s, State>) -> Result<MutexGuard<'s, State>, Error> {
        if let Some(lost) = &state.lost {
            return Err(lost.clone());
        }
        let meeting = state.meetings;
        state.arrived += 1;
        if state.arrived == self.size {
            state.arrived = 0;
            state.meetings += 1;
            self.changed.notify_all();
            return Ok(state);
        }
        let waiting = |state: &mut State| state.meetings == meeting && state.lost.is_none();
        let state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        match &state.lost {
            Some(lost) if state.meetings == meeting => Err(lost.clone()),
            _ => Ok(state),
        }
    }
}

/// All ranks see the same posts, and so come to the same verdict.
fn agree(posts: &[Post]) -> Result<(), Error> {
    let expected = posts[0].call;
    match posts.iter().position(|post| post.call != expected) {
        None => Ok(()),
        Some(rank) => {
            let found = posts[rank].call.to_string();
            Err(Error::Mismatch { rank, found, expected: expected.to_string() })
        }
    }
}

/// A rank's share of so many elements, in whole cache lines.
fn share(len: usize, rank: usize, size: usize) -> Range<usize> {
    let part = len.div_ceil(size).next_multiple_of(16);
    (rank * part).min(len)..((rank + 1) * part).min(len)
}

/// `a ← max(a, b)`, NaN where either is.
fn larger<T: Scalar>(a: &mut [T], b: &[T]) {
    for (a, &b) in a.iter_mut().zip(b) {
        if b > *a || b.is_nan() {
            *a = b;
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |dtype| if dtype == DType::F32 { "f32" } else { "f64" };
        match *self {
            Self::Sum(dtype, len) => write!(f, "sum of {len} {}", name(dtype)),
            Self::Max(dtype, len) => write!(f, "max of {len} {}", name(dtype)),
            Self::Broadcast(dtype, len, from) => write!(f, "broadcast of {len} {} from rank {from}", name(dtype)),
            Self::Gather => write!(f, "gather"),
            Self::Barrier => write!(f, "barrier"),
        }
    }
}
