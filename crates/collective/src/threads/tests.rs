//! What is lent stays lent, and every reference is alone: small enough for Miri.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tidemill_tensor::Scalar;

use super::*;

/// Every call in a world of three, with a share of each rank.
fn calls<T: Scalar>(mut rank: Threads) {
    let (me, size) = (rank.rank(), rank.size());
    let len = if cfg!(miri) { 34 } else { 1000 };
    let numbers = |rank: usize| -> Vec<T> { (0..len).map(|i| T::of((i * (rank + 1)) as f64)).collect() };
    let total: Vec<T> = (0..len).map(|i| T::of((i * size * (size + 1) / 2) as f64)).collect();

    let mut x = numbers(me);
    rank.sum(Values::of(&mut x)).unwrap();
    assert_eq!(x, total);

    let (mut x, own) = (numbers(me), share(len, me, size));
    rank.sum_shares(Values::of(&mut x)).unwrap();
    assert_eq!(x[own.clone()], total[own]);
    rank.gather_shares(Values::of(&mut x)).unwrap();
    assert_eq!(x, total);

    let mut x = numbers(me);
    rank.max(Values::of(&mut x)).unwrap();
    assert_eq!(x, numbers(size - 1));

    let mut x = numbers(me);
    rank.broadcast(1, Values::of(&mut x)).unwrap();
    assert_eq!(x, numbers(1));

    let mut all = Gathered::default();
    rank.gather(&vec![7; me], &mut all).unwrap();
    assert!(all.iter().enumerate().all(|(rank, bytes)| bytes == vec![7; rank]));
    rank.barrier().unwrap();
}

#[test]
fn every_reference_is_alone() {
    for _ in 0..if cfg!(miri) { 2 } else { 20 } {
        thread::scope(|scope| {
            for rank in Threads::world(3) {
                scope.spawn(|| calls::<f32>(rank));
            }
        });
        thread::scope(|scope| {
            for rank in Threads::world(3) {
                scope.spawn(|| calls::<f64>(rank));
            }
        });
    }
}

/// A rank that panics in the middle of a call takes nothing away that the others still read.
#[test]
fn what_a_panicking_rank_lent_stays_until_all_are_done() {
    thread::scope(|scope| {
        for mut rank in Threads::world(3) {
            scope.spawn(move || {
                let me = rank.rank();
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    let mut lent = vec![me as f64; 50];
                    rank.call(Post::of(Call::Gather, &mut lent), |posts| {
                        assert!(me != 1, "on purpose");
                        // Time for the panic to go on, if nothing held it.
                        (0..100).for_each(|_| thread::yield_now());
                        // SAFETY: nobody writes to it.
                        posts.iter().map(|post| unsafe { post.part::<f64>(&(0..50)) }.iter().sum::<f64>()).sum::<f64>()
                    })
                }));
                match ended {
                    Ok(sum) => assert_eq!(sum.unwrap(), 150.0),
                    Err(_) => assert_eq!(me, 1),
                }
                // The one that panicked may go on; as a rule it is dropped.
                assert!(me == 1 || rank.barrier().is_err());
            });
        }
    });
}
