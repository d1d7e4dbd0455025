use std::sync::{Mutex, PoisonError};

use crate::part::Part;

/// Threads that share an update: see [`Optimizer::update_in_parallel`](crate::Optimizer::update_in_parallel).
pub trait Workers {
    /// How many there are.
    fn count(&self) -> usize;

    /// Calls `job` once with each worker's number, from 0, and returns when all calls have.
    fn run(&mut self, job: &(dyn Fn(usize) + Sync));
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
    let parts = cut(part, count);
    workers.run(&|worker| {
        let Some(part) = parts.get(worker) else { return };
        if let Some(part) = &mut *part.lock().unwrap_or_else(PoisonError::into_inner) {
            update(part);
        }
    });
}

/// Cuts a part into so many of nearly equal length, on the stack.
fn cut<T>(part: Part<'_, T>, count: usize) -> [Mutex<Option<Part<'_, T>>>; MOST_PARTS] {
    let range = part.range();
    let mut rest = Some(part);
    std::array::from_fn(|i| {
        let end = range.start + range.len() * (i + 1).min(count) / count;
        let (part, after) = match rest.take() {
            Some(part) if i + 1 < count => {
                let (part, after) = part.split_at(end);
                (Some(part), Some(after))
            }
            last => (last, None),
        };
        rest = after;
        Mutex::new(part)
    })
}
