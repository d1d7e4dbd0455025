//! Where ranks meet.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::threads::Post;
use crate::{Error, Peer};

/// What the ranks share.
pub(super) struct Shared {
    pub(super) size: usize,
    deadline: Option<Duration>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    posts: Vec<Post>,
    /// Which ranks have come to the present meeting, and how many.
    arrived: Vec<bool>,
    count: usize,
    /// Meetings so far. A call is two: one to begin, one to end.
    meetings: u64,
    /// The first rank that is gone, and why.
    lost: Option<Error>,
}

/// Ends a call on every way out of it.
#[must_use]
pub(super) struct EndOfCall<'a> {
    shared: &'a Shared,
    rank: usize,
}

impl Drop for EndOfCall<'_> {
    fn drop(&mut self) {
        self.shared.end(self.rank);
    }
}

impl Shared {
    pub(super) fn new(size: usize, deadline: Option<Duration>) -> Self {
        let (posts, arrived) = (vec![Post::NOTHING; size], vec![false; size]);
        let state = State { posts, arrived, count: 0, meetings: 0, lost: None };
        Self { size, deadline, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Begins a call: posts what this rank brings, meets all ranks, and copies what each has brought to `posts`.
    pub(super) fn begin(&self, rank: usize, mine: Post, posts: &mut [Post]) -> Result<EndOfCall<'_>, Error> {
        let mut state = self.lock();
        state.posts[rank] = mine;
        let state = self.meet(state, rank, self.deadline)?;
        posts.copy_from_slice(&state.posts);
        drop(state);
        Ok(EndOfCall { shared: self, rank })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the lock is held, so what it guards is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All calls fail from now on, unless they do already.
    pub(super) fn lose(&self, why: Error) {
        self.lock().lost.get_or_insert(why);
        self.changed.notify_all();
    }

    /// The meeting that ends a call. It cannot fail, and waits for nothing but copying: all ranks are in the call, and come
    /// here also when they panic. Before they have, what a rank has lent may be in use by any other.
    fn end(&self, rank: usize) {
        let mut state = self.lock();
        let meeting = state.meetings;
        if !self.arrives(&mut state, rank) {
            let waited = self.changed.wait_while(state, |state| state.meetings == meeting);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Notes that a rank is here; whether it is the last.
    fn arrives(&self, state: &mut State, rank: usize) -> bool {
        state.arrived[rank] = true;
        state.count += 1;
        let all = state.count == self.size;
        if all {
            state.arrived.fill(false);
            state.count = 0;
            state.meetings += 1;
            self.changed.notify_all();
        }
        all
    }

    /// Waits until all ranks are here; fails when one is gone and will never be, or did not come in time.
    fn meet<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        rank: usize,
        deadline: Option<Duration>,
    ) -> Result<MutexGuard<'s, State>, Error> {
        if let Some(lost) = &state.lost {
            return Err(lost.clone());
        }
        let meeting = state.meetings;
        if self.arrives(&mut state, rank) {
            return Ok(state);
        }
        let waiting = |state: &mut State| state.meetings == meeting && state.lost.is_none();
        let mut state = match deadline {
            None => self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner),
            Some(after) => {
                let waited = self.changed.wait_timeout_while(state, after, waiting);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if state.meetings != meeting {
            return Ok(state);
        }
        if state.lost.is_none() {
            let late = (0..self.size).filter(|&rank| !state.arrived[rank]);
            let peers = late.map(|rank| Peer { rank, size: self.size, host: None }).collect();
            let call = state.posts[rank].call.to_string();
            state.lost = Some(Error::Late { call, after: deadline.unwrap_or_default(), peers });
            self.changed.notify_all();
        }
        Err(state.lost.clone().expect("a rank is gone"))
    }
}
