mod shared;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::{DType, Scalar, kernels};

use crate::threads::shared::Shared;
use crate::{Call, Collective, Error, Gathered, Values, larger, share};

/// One of several workers inside one process, each on a thread of its own.
///
/// A call lends the caller's slice to all ranks until every one is done with it: nothing is copied aside or allocated,
/// and each rank reduces its share of the elements.
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
    /// What each rank brought to this call.
    posts: Vec<Post>,
    /// Bytes that others have read of what this rank brought.
    sent: u64,
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

impl Post {
    const NOTHING: Self = Self { call: Call::Barrier, start: std::ptr::null_mut(), bytes: 0 };

    fn of<T>(call: Call, values: &mut [T]) -> Self {
        Self { call, start: values.as_mut_ptr().cast(), bytes: size_of_val(values) }
    }

    /// A part of what was posted, to be read.
    ///
    /// # Safety
    ///
    /// What was posted are numbers `T`, of which there are so many, lent for `'a`; nobody writes to this part meanwhile.
    unsafe fn part<'a, T>(&self, part: &Range<usize>) -> &'a [T] {
        // SAFETY: the caller's promise.
        unsafe { from_raw_parts(self.start.cast::<T>().add(part.start), part.len()) }
    }

    /// A part of what was posted, to be written.
    ///
    /// # Safety
    ///
    /// As [`part`](Self::part), and no other reference to this part exists meanwhile, here or on another rank.
    unsafe fn part_mut<'a, T>(&self, part: &Range<usize>) -> &'a mut [T] {
        // SAFETY: the caller's promise.
        unsafe { from_raw_parts_mut(self.start.cast::<T>().add(part.start), part.len()) }
    }
}

impl Threads {
    /// A world of `size` ranks, to be moved to as many threads, that wait for each other however long it takes.
    pub fn world(size: usize) -> Vec<Self> {
        Self::make(size, None)
    }

    /// A world whose ranks wait so long for each other, and then fail with [`Error::Late`], now and later.
    pub fn world_within(size: usize, deadline: Duration) -> Vec<Self> {
        Self::make(size, Some(deadline))
    }

    fn make(size: usize, deadline: Option<Duration>) -> Vec<Self> {
        let shared = Arc::new(Shared::new(size, deadline));
        let posts = vec![Post::NOTHING; size];
        (0..size).map(|rank| Self { rank, shared: Arc::clone(&shared), posts: posts.clone(), sent: 0 }).collect()
    }

    /// Meets all ranks, lets `work` look at what they brought if they agree on the call, and meets them again.
    ///
    /// Between the meetings every rank is in this function: what was posted stays lent. So it is even where `work` panics:
    /// the panic goes on only after the second meeting.
    fn call<R>(&mut self, mine: Post, work: impl FnOnce(&[Post]) -> R) -> Result<R, Error> {
        let end = self.shared.begin(self.rank, mine, &mut self.posts)?;
        let result = self.agree().map(|()| work(&self.posts));
        drop(end);
        if result.is_ok() {
            self.sent += self.sends(mine);
        }
        result
    }

    /// All ranks see the same posts, and so come to the same verdict.
    fn agree(&self) -> Result<(), Error> {
        let expected = self.posts[0].call;
        match self.posts.iter().position(|post| post.call != expected) {
            None => Ok(()),
            Some(rank) => {
                let found = self.posts[rank].call.to_string();
                Err(Error::Mismatch { peer: self.peer(rank), found, expected: expected.to_string() })
            }
        }
    }

    /// What others read of it: the shares of a sum, and what became of them.
    fn sends(&self, mine: Post) -> u64 {
        let others = self.shared.size - 1;
        let own = |len: usize| share(len, self.rank, self.shared.size).len() * (mine.bytes / len.max(1));
        let bytes = match mine.call {
            Call::Sum(_, len) | Call::FastSum(_, len) | Call::Max(_, len) => mine.bytes - own(len) + own(len) * others,
            Call::SumShares(_, len) => mine.bytes - own(len),
            Call::GatherShares(_, len) => own(len) * others,
            Call::Broadcast(_, _, from) if from != self.rank => 0,
            Call::Broadcast(..) | Call::Gather | Call::Barrier | Call::End => mine.bytes * others,
        };
        bytes as u64
    }

    fn reduce<T: Scalar>(&mut self, call: Call, x: &mut [T], combine: fn(&mut [T], &[T])) -> Result<(), Error> {
        let part = share(x.len(), self.rank, self.shared.size);
        self.call(Post::of(call, x), |posts| {
            let (first, others) = posts.split_first().expect("this rank is one of them");
            // SAFETY: the ranks agree on type and length, and lend slices that are apart; of each, this rank alone touches
            // this part until the meeting that ends the call, and each reference is to another post than `sum`.
            unsafe {
                let sum = first.part_mut::<T>(&part);
                others.iter().for_each(|post| combine(sum, post.part(&part)));
                others.iter().for_each(|post| post.part_mut(&part).copy_from_slice(sum));
            }
        })
    }

    fn sum_shares_of<T: Scalar>(&mut self, x: &mut [T]) -> Result<(), Error> {
        let (rank, part) = (self.rank, share(x.len(), self.rank, self.shared.size));
        self.call(Post::of(Call::SumShares(T::DTYPE, x.len()), x), |posts| {
            // SAFETY: the ranks agree on type and length, and lend slices that are apart; of all of them, this rank alone
            // touches this part until the meeting that ends the call, and each reference is to another post than `sum`.
            unsafe {
                // Added up where the first rank has its values, which nobody needs any more.
                let sum = posts[0].part_mut::<T>(&part);
                posts[1..].iter().for_each(|post| kernels::add_assign(sum, post.part(&part)));
                if rank > 0 {
                    posts[rank].part_mut(&part).copy_from_slice(sum);
                }
            }
        })
    }

    fn gather_shares_of<T: Scalar>(&mut self, x: &mut [T]) -> Result<(), Error> {
        let (rank, size, len) = (self.rank, self.shared.size, x.len());
        self.call(Post::of(Call::GatherShares(T::DTYPE, len), x), |posts| {
            for other in (0..size).filter(|&other| other != rank) {
                let part = share(len, other, size);
                let at = |post: &Post| post.start.cast::<T>().wrapping_add(part.start);
                // SAFETY: the ranks agree on type and length, and lend slices that are apart; nobody writes to the share of
                // `other` where that is, and nobody else to this rank's slice.
                unsafe { at(&posts[rank]).copy_from_nonoverlapping(at(&posts[other]), part.len()) };
            }
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

    fn sum_shares(&mut self, values: Values<'_>) -> Result<(), Error> {
        match values {
            Values::F32(x) => self.sum_shares_of(x),
            Values::F64(x) => self.sum_shares_of(x),
        }
    }

    fn gather_shares(&mut self, values: Values<'_>) -> Result<(), Error> {
        match values {
            Values::F32(x) => self.gather_shares_of(x),
            Values::F64(x) => self.gather_shares_of(x),
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

    fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Error> {
        let mine = Post { call: Call::Gather, start: mine.as_ptr().cast_mut(), bytes: mine.len() };
        self.call(mine, |posts| {
            all.clear();
            // SAFETY: what was posted is lent, and nobody writes to it.
            posts.iter().for_each(|post| all.push(unsafe { post.part(&(0..post.bytes)) }));
        })
    }

    fn barrier(&mut self) -> Result<(), Error> {
        self.call(Post::NOTHING, |_| ())
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    fn abandon(&mut self, why: &str) {
        self.shared.lose(Error::Abandoned { peer: self.peer(self.rank), why: why.to_owned() });
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let peer = self.peer(self.rank);
        let panicked = std::thread::panicking();
        self.shared.lose(if panicked { Error::Panicked { peer } } else { Error::Left { peer } });
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Threads(rank {} of {})", self.rank, self.shared.size)
    }
}
