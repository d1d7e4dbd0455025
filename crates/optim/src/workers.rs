use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::part::Part;
use crate::rows::Rows;

/// Threads that share an update: see [`Optimizer::update_in_parallel`](crate::Optimizer::update_in_parallel).
pub trait Workers {
    /// How many there are.
    fn count(&self) -> usize;

    /// Calls `job` once with each worker's number, from 0, and returns when all calls have.
    fn run(&mut self, job: &(dyn Fn(usize) + Sync));
}

/// One thread, the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Workers for Alone {
    fn count(&self) -> usize {
        1
    }

    fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        job(0);
    }
}

/// Elements of an arena for which it is worth waking another worker up.
const WORTHWHILE: usize = 4096;

/// More parts than this an update is not cut into.
const MOST_PARTS: usize = 64;

/// How many of the workers share an arena of so many elements.
pub(crate) fn worth(workers: &dyn Workers, elements: usize) -> usize {
    (elements / WORTHWHILE).clamp(1, workers.count().clamp(1, MOST_PARTS))
}

/// Has workers update a part together, each a piece of its own.
pub(crate) fn share_out<T: Send>(
    workers: &mut dyn Workers,
    mut part: Part<'_, T>,
    update: &(dyn Fn(&mut Part<'_, T>) + Sync),
) {
    let count = worth(workers, part.range().len());
    if count == 1 {
        return update(&mut part);
    }
    let range = part.range();
    let parts = cut(part, count, |i| range.start + range.len() * i / count);
    each(workers, &parts, &|_, part| update(part));
}

/// Has workers update rows of tables together, each some of them. `update` gets a part that holds the numbered rows.
pub(crate) fn share_out_rows<T: Send>(
    workers: &mut dyn Workers,
    mut part: Part<'_, T>,
    rows: Rows<'_>,
    update: &(dyn Fn(Range<usize>, &mut Part<'_, T>) + Sync),
) {
    let count = worth(workers, rows.elements());
    if count == 1 {
        return update(0..rows.count(), &mut part);
    }
    let range = part.range();
    let first = |i: usize| rows.count() * i / count;
    let start = |i: usize| if i == count { range.end } else { rows.element(first(i)) };
    let parts = cut(part, count, start);
    each(workers, &parts, &|i, part| update(first(i)..first(i + 1), part));
}

/// What each worker gets, on the stack.
pub(crate) type Pieces<P> = [Mutex<Option<P>>; MOST_PARTS];

/// What `piece` gives for each number.
pub(crate) fn pieces<P>(mut piece: impl FnMut(usize) -> Option<P>) -> Pieces<P> {
    std::array::from_fn(|i| Mutex::new(piece(i)))
}

/// Has each worker do its piece.
pub(crate) fn each<P: Send>(workers: &mut dyn Workers, pieces: &Pieces<P>, job: &(dyn Fn(usize, &mut P) + Sync)) {
    workers.run(&|worker| {
        let Some(piece) = pieces.get(worker) else { return };
        if let Some(piece) = &mut *piece.lock().unwrap_or_else(PoisonError::into_inner) {
            job(worker, piece);
        }
    });
}

/// Cuts a part into so many; `start` says where each begins, but for the first.
fn cut<T>(part: Part<'_, T>, count: usize, start: impl Fn(usize) -> usize) -> Pieces<Part<'_, T>> {
    let mut rest = Some(part);
    pieces(|i| {
        let part = rest.take()?;
        if i + 1 >= count {
            return Some(part);
        }
        let (part, after) = part.split_at(start(i + 1));
        rest = Some(after);
        Some(part)
    })
}
