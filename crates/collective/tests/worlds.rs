//! Worlds of threads: what they agree on, what they do without, and how they end.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tidemill_collective::{Collective, Error, Gathered, Peer, Solo, Threads, Values, conformance};

/// The system's allocator, counting what the current thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs every rank of a world of threads; gives what each returned, `None` of one that panicked.
fn world<R: Send>(size: usize, work: impl Fn(Threads) -> R + Sync) -> Vec<Option<R>> {
    thread::scope(|scope| {
        let ranks: Vec<_> = Threads::world(size).into_iter().map(|rank| scope.spawn(|| work(rank))).collect();
        ranks.into_iter().map(|rank| rank.join().ok()).collect()
    })
}

fn peer(rank: usize, size: usize) -> Peer {
    Peer { rank, size, host: None }
}

#[test]
fn solo_conforms() {
    conformance::check(&mut Solo);
}

#[test]
fn threads_conform_in_worlds_of_every_size() {
    for size in [1, 2, 3, 4, 5, 7, 8] {
        let ranks = world(size, |mut rank| conformance::check(&mut rank));
        assert_eq!(ranks, vec![Some(()); size], "a world of {size}");
    }
}

#[test]
fn a_world_of_nobody_is_empty() {
    assert!(Threads::world(0).is_empty());
}

#[test]
fn nobody_passes_a_barrier_before_all_have_come() {
    let size = 5;
    let came = AtomicUsize::new(0);
    let ranks = world(size, |mut rank| {
        for round in 1..100 {
            came.fetch_add(1, Ordering::SeqCst);
            rank.barrier().unwrap();
            assert!(came.load(Ordering::SeqCst) >= round * size, "round {round}");
            rank.barrier().unwrap();
        }
    });
    assert_eq!(ranks, vec![Some(()); size]);
}

#[test]
fn calls_on_numbers_allocate_nothing() {
    let ranks = world(3, |mut rank| {
        let (mut x, mut y, mut all) = (vec![1.0_f32; 1000], vec![1.0_f64; 1000], Gathered::default());
        let mut step = || {
            rank.sum(Values::of(&mut x)).unwrap();
            rank.max(Values::of(&mut y)).unwrap();
            rank.sum_shares(Values::of(&mut x)).unwrap();
            rank.gather_shares(Values::of(&mut x)).unwrap();
            rank.broadcast(1, Values::of(&mut x)).unwrap();
            rank.gather(&[1, 2, 3], &mut all).unwrap();
            rank.barrier().unwrap();
        };
        step();
        let before = ALLOCATIONS.get();
        (0..10).for_each(|_| step());
        let after = ALLOCATIONS.get();
        drop(vec![0_u8; 10]);
        assert!(ALLOCATIONS.get() > after, "the counter counts");
        after - before
    });
    assert_eq!(ranks, [Some(0); 3]);
}

/// Of 100 values at three ranks, the shares are 48, 48 and 4.
#[test]
fn bytes_that_others_read_are_counted() {
    type Call = fn(&mut Threads, &mut [f32]) -> Result<(), Error>;
    fn check(call: Call, values: [u64; 3]) {
        let sent = world(3, |mut rank| {
            call(&mut rank, &mut [1.0; 100]).unwrap();
            rank.sent()
        });
        assert_eq!(sent, values.map(|values| Some(values * 4)));
    }
    check(|rank, x| rank.sum(Values::of(x)), [52 + 96, 52 + 96, 96 + 8]);
    check(|rank, x| rank.max(Values::of(x)), [52 + 96, 52 + 96, 96 + 8]);
    check(|rank, x| rank.sum_shares(Values::of(x)), [52, 52, 96]);
    check(|rank, x| rank.gather_shares(Values::of(x)), [96, 96, 8]);
    check(|rank, x| rank.broadcast(1, Values::of(x)), [0, 200, 0]);
    check(|rank, x| rank.gather(&vec![0; x.len() * 4], &mut Gathered::default()), [200, 200, 200]);
    check(|rank, _| rank.barrier(), [0, 0, 0]);
}

#[test]
fn a_rank_that_left_is_named_now_and_later() {
    let size = 4;
    let left = Error::Left { peer: peer(2, size) };
    let ranks = world(size, |mut rank| {
        let mut x = [1.0, 2.0];
        rank.sum(Values::of(&mut x)).unwrap();
        if rank.rank() == 2 {
            return None;
        }
        let kept = x;
        let first = rank.sum(Values::of(&mut x)).unwrap_err();
        assert_eq!(x, kept, "a failed sum changes nothing");
        Some([
            first,
            rank.barrier().unwrap_err(),
            rank.max(Values::of(&mut x)).unwrap_err(),
            rank.broadcast(0, Values::of(&mut x)).unwrap_err(),
            rank.gather(&[1], &mut Gathered::default()).unwrap_err(),
        ])
    });
    for (rank, errors) in ranks.into_iter().enumerate() {
        let want = (rank != 2).then(|| [(); 5].map(|()| left.clone()));
        assert_eq!(errors, Some(want), "rank {rank}");
    }
    assert_eq!(left.to_string(), "rank 2 of 4 has left");
}

#[test]
fn a_rank_that_panics_is_named() {
    let size = 3;
    let ranks = world(size, |mut rank| {
        rank.barrier().unwrap();
        assert!(rank.rank() != 1, "this rank is meant to panic");
        rank.barrier().unwrap_err()
    });
    let panicked = Error::Panicked { peer: peer(1, size) };
    assert_eq!(ranks, [Some(panicked.clone()), None, Some(panicked.clone())]);
    assert_eq!(panicked.to_string(), "rank 1 of 3 has panicked");
}

#[test]
fn the_last_call_is_done_for_all_however_soon_the_others_leave() {
    for _ in 0..200 {
        let ranks = world(3, |mut rank| {
            let mut x = [rank.rank() as f32];
            rank.sum(Values::of(&mut x)).map(|()| x)
        });
        assert_eq!(ranks, [const { Some(Ok([3.0])) }; 3]);
    }
}

#[test]
fn different_calls_are_told_apart_and_the_world_goes_on() {
    type Call = fn(&mut Threads) -> Result<(), Error>;
    fn sum(rank: &mut Threads) -> Result<(), Error> {
        rank.sum(Values::of(&mut [0.0_f32; 3]))
    }
    let calls: [(Call, &str); 6] = [
        (
            |rank| rank.sum(Values::of(&mut [0.0_f64; 3])),
            "rank 1 of 3 calls sum of 3 f64, where sum of 3 f32 was called",
        ),
        (
            |rank| rank.sum(Values::of(&mut [0.0_f32; 2])),
            "rank 1 of 3 calls sum of 2 f32, where sum of 3 f32 was called",
        ),
        (
            |rank| rank.max(Values::of(&mut [0.0_f32; 3])),
            "rank 1 of 3 calls max of 3 f32, where sum of 3 f32 was called",
        ),
        (
            |rank| rank.broadcast(2, Values::of(&mut [0.0_f32; 3])),
            "rank 1 of 3 calls broadcast of 3 f32 from rank 2, where sum of 3 f32 was called",
        ),
        (|rank| rank.gather(&[], &mut Gathered::default()), "rank 1 of 3 calls gather, where sum of 3 f32 was called"),
        (Threads::barrier, "rank 1 of 3 calls barrier, where sum of 3 f32 was called"),
    ];
    let ranks = world(3, |mut rank| {
        calls.map(|(other, _)| {
            let result = if rank.rank() == 1 { other(&mut rank) } else { sum(&mut rank) };
            rank.barrier().unwrap();
            result.unwrap_err().to_string()
        })
    });
    assert_eq!(ranks, vec![Some(calls.map(|(_, message)| message.to_owned())); 3]);
}

#[test]
fn a_rank_that_cannot_go_on_says_why_to_those_that_wait_and_to_those_that_come() {
    let size = 4;
    let ranks = world(size, |mut rank| {
        rank.barrier().unwrap();
        match rank.rank() {
            1 => rank.abandon("no more data"),
            2 => thread::sleep(Duration::from_millis(20)),
            _ => {}
        }
        [rank.sum(Values::of(&mut [0.0_f32])).unwrap_err(), rank.barrier().unwrap_err()]
    });
    let abandoned = Error::Abandoned { peer: peer(1, size), why: "no more data".into() };
    assert_eq!(ranks, vec![Some([abandoned.clone(), abandoned.clone()]); size]);
    assert_eq!(abandoned.to_string(), "rank 1 of 4 could not go on: no more data");
}

#[test]
fn ranks_that_do_not_come_in_time_are_named() {
    // Long enough that no rank is late for want of a processor.
    let (size, after) = (4, Duration::from_secs(4));
    let done = std::sync::Barrier::new(size);
    let ranks = thread::scope(|scope| {
        let ranks: Vec<_> = Threads::world_within(size, after)
            .into_iter()
            .map(|mut rank| {
                let done = &done;
                scope.spawn(move || {
                    rank.barrier().unwrap();
                    let hangs = [1, 3].contains(&rank.rank());
                    let error = (!hangs).then(|| rank.sum(Values::of(&mut [0.0_f32; 5])).unwrap_err());
                    done.wait();
                    error.unwrap_or_else(|| rank.barrier().unwrap_err())
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>()
    });
    let late = Error::Late { call: "sum of 5 f32".into(), after, peers: vec![peer(1, size), peer(3, size)] };
    assert_eq!(ranks, vec![late.clone(); size]);
    assert_eq!(late.to_string(), "sum of 5 f32: after 4s, still nothing from rank 1 of 4, rank 3 of 4");
}
