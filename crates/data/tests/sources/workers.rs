//! A run goes on with another number of workers where one left off.

use std::sync::Arc;

use tidemill_data::{Batch, Cursor, Source, SourceExt};

use crate::check::rows;
use crate::memory::mixed;
use crate::unknown::Unknown;

/// What `count` workers make of a global batch, in the order of its rows, and where they all are then.
fn step(workers: &mut [impl Source<f64>], batch_size: usize) -> (Vec<String>, Cursor) {
    let count = workers.len();
    let parts: Vec<Vec<String>> = workers
        .iter_mut()
        .map(|worker| {
            let mut batch = Batch::new(Arc::clone(worker.schema()));
            worker.fill(&mut batch, batch_size / count).unwrap();
            rows(&batch)
        })
        .collect();
    let all = (0..batch_size).filter_map(|row| parts[row % count].get(row / count).cloned()).collect();
    let cursor = workers[0].cursor();
    assert!(workers.iter().all(|worker| worker.cursor() == cursor), "one cursor for all");
    (all, cursor)
}

fn check<S: Source<f64>>(make: impl Fn() -> S) {
    let workers = |count: u64, cursor| {
        let mut workers: Vec<_> = (0..count).map(|index| make().shard(index, count).unwrap()).collect();
        workers.iter_mut().for_each(|worker| worker.seek(cursor).unwrap());
        workers
    };
    // All global batches of an epoch, by one worker, and where each begins.
    let mut one = workers(1, Cursor::start(1));
    let (mut batches, mut cursors) = (Vec::new(), vec![Cursor::start(1)]);
    loop {
        let (batch, cursor) = step(&mut one, 12);
        if batch.is_empty() {
            break;
        }
        batches.push(batch);
        cursors.push(cursor);
    }
    let expected = crate::check::epoch(&mut make(), 1);
    assert_eq!(batches.concat(), expected);
    for count in [1, 2, 3, 4, 6] {
        let mut before = workers(count, Cursor::start(1));
        for stop in 0..=batches.len() {
            let cursor = before[0].cursor();
            if stop < batches.len() {
                assert_eq!(cursor, cursors[stop], "the cursor of {count} workers is that of one");
            }
            for others in [1, 2, 3, 4] {
                // Stopped once more after a step, and taken up by yet another number.
                let (mut second, mut found) = (workers(others, cursor), Vec::new());
                let (batch, cursor) = step(&mut second, 12);
                found.extend(batch);
                let mut third = workers(1 + others % 4, cursor);
                loop {
                    let (batch, _) = step(&mut third, 12);
                    if batch.is_empty() {
                        break;
                    }
                    found.extend(batch);
                }
                assert_eq!(found, batches[stop..].concat(), "{count} workers, then {others}, from batch {stop}");
            }
            if stop < batches.len() {
                assert_eq!(step(&mut before, 12).0, batches[stop]);
            }
        }
    }
}

#[test]
fn any_number_of_workers_goes_on() {
    for n in [0, 1, 11, 12, 13, 50, 95] {
        check(|| mixed(n));
        check(|| Unknown(mixed(n)).shuffle(20, 3).unwrap());
        check(|| mixed(n).shuffle_exactly(3, 1 << 20).unwrap());
    }
}

#[test]
fn a_round_longer_than_what_is_read_at_once() {
    let mut worker = mixed(30_000).shard(3, 10_000).unwrap();
    let mut batch = Batch::new(Arc::clone(Source::<f64>::schema(&worker)));
    for (given, position) in [(1, 10_000), (2, 20_000), (3, 30_000), (3, 30_000)] {
        worker.fill(&mut batch, 1).unwrap();
        assert_eq!((batch.rows(), worker.cursor().pop().unwrap().0), (given, position));
    }
}
