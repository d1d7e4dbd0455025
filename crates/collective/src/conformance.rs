//! What every [`Collective`] must do, for the tests of implementations: all ranks of a world call [`check`].

use tidemill_tensor::{Key, Scalar};

use crate::{Collective, Error, Gathered, Values, handshake, share};

/// Calls everything in many sizes and orders, and compares the answers bit by bit with what they must be.
///
/// # Example
///
/// ```
/// tidemill_collective::conformance::check(&mut tidemill_collective::Solo);
/// ```
///
/// # Panics
///
/// When an answer is not what it must be, or a call fails.
pub fn check(collective: &mut dyn Collective) {
    let (rank, size) = (collective.rank(), collective.size());
    assert!(rank < size, "rank {rank} in a world of {size}");
    let ranks = gathered(collective, &rank.to_le_bytes());
    assert_eq!(ranks, (0..size).map(|rank| rank.to_le_bytes().to_vec()).collect::<Vec<_>>(), "each rank once");

    for (salt, len) in [0, 1, 2, 3, 7, 15, 16, 17, 31, 100, 1000, 4099].into_iter().enumerate() {
        reduces::<f32>(collective, len, salt as u64);
        reduces::<f64>(collective, len, salt as u64);
        for from in 0..size {
            broadcasts::<f32>(collective, from, len);
            broadcasts::<f64>(collective, from, len);
        }
    }
    extremes(collective);
    gathers(collective);
    no_such_rank(collective);
    mixed(collective);
    overlaps(collective);
    shakes_hands(collective);
}

fn reduces<T: Scalar>(collective: &mut dyn Collective, len: usize, salt: u64) {
    let (rank, size) = (collective.rank(), collective.size());
    let all: Vec<Vec<T>> = (0..size).map(|rank| numbers(rank, len, salt)).collect();
    let folded = |f: fn(T, T) -> T| -> Vec<T> {
        (0..len).map(|i| all[1..].iter().fold(all[0][i], |sum, x| f(sum, x[i]))).collect()
    };

    let mut x = all[rank].clone();
    collective.sum(Values::of(&mut x)).expect("sum");
    let sum = folded(|a, b| a + b);
    assert_eq!(x, sum, "the sum of {len}, in the order of the ranks");

    let mut x = all[rank].clone();
    let own = share(len, rank, size);
    collective.sum_shares(Values::of(&mut x)).expect("sum of shares");
    assert_eq!(x[own.clone()], sum[own.clone()], "this rank's share of the sum of {len}");
    (0..len).filter(|i| !own.contains(i)).for_each(|i| x[i] = T::of(f64::NAN));
    collective.gather_shares(Values::of(&mut x)).expect("gather of shares");
    assert_eq!(x, sum, "the shares of the sum of {len}");

    let mut x = all[rank].clone();
    collective.fast_sum(Values::of(&mut x)).expect("fast sum");
    for (i, (x, sum)) in x.iter().zip(&sum).enumerate() {
        let size: f64 = all.iter().map(|x| x[i].widen().abs()).sum();
        let error = (x.widen() - sum.widen()).abs();
        assert!(error <= size * T::epsilon().widen() * all.len() as f64, "the fast sum of {len}");
    }
    let bits: Vec<u8> = x.iter().flat_map(|x| x.widen().to_bits().to_le_bytes()).collect();
    let everybodys = gathered(collective, &bits);
    assert!(everybodys.iter().all(|other| *other == bits), "the fast sum of {len} has the same bits on every rank");

    let mut x = all[rank].clone();
    collective.max(Values::of(&mut x)).expect("max");
    assert_eq!(x, folded(|a, b| if b > a { b } else { a }), "the maximum of {len}");
}

fn broadcasts<T: Scalar>(collective: &mut dyn Collective, from: usize, len: usize) {
    let mut x = numbers::<T>(collective.rank(), len, 77);
    collective.broadcast(from, Values::of(&mut x)).expect("broadcast");
    assert_eq!(x, numbers(from, len, 77), "{len} values of rank {from}");
}

/// Each rank in turn has what is not a number like others.
fn extremes(collective: &mut dyn Collective) {
    let (rank, size) = (collective.rank(), collective.size());
    for odd in 0..size {
        let mine = |value: f64, other: f64| if rank == odd { value } else { other };
        let mut x = [mine(f64::NAN, 1.0), mine(f64::INFINITY, 1.0), mine(-3.0, f64::NEG_INFINITY), mine(-3.0, -4.0)];
        collective.max(Values::of(&mut x)).expect("max");
        assert!(x[0].is_nan(), "NaN of rank {odd} is the maximum");
        assert_eq!(x[1..], [f64::INFINITY, -3.0, -3.0], "the maximum with rank {odd}");

        let mut x = [mine(f32::NAN.into(), 1.0) as f32, mine(f64::INFINITY, 1.0) as f32];
        collective.sum(Values::of(&mut x)).expect("sum");
        assert!(x[0].is_nan() && x[1] == f32::INFINITY, "the sum with rank {odd}");
    }
}

fn gathers(collective: &mut dyn Collective) {
    let (rank, size) = (collective.rank(), collective.size());
    for round in 0..4_usize {
        // Of every length, none and much among them, and none of all.
        let text = |rank: usize| vec![rank as u8 + 1; [rank * 3, (size - rank) * 1000, rank % 2, 0][round]];
        let all: Vec<Vec<u8>> = (0..size).map(text).collect();
        assert_eq!(gathered(collective, &text(rank)), all, "round {round}");
    }
}

fn no_such_rank(collective: &mut dyn Collective) {
    let size = collective.size();
    let mut x = [1.0_f32];
    let error = collective.broadcast(size, Values::of(&mut x)).expect_err("there is no such rank");
    assert_eq!(error, Error::NoSuchRank { rank: size, size });
}

/// Calls of all kinds in a random order that is the same on all ranks, without a pause between.
fn mixed(collective: &mut dyn Collective) {
    let (rank, size) = (collective.rank(), collective.size());
    for step in 0..200 {
        let [kind, len, from, _] = Key::new(3).block(step);
        let (len, from) = (len as usize % 50, from as usize % size);
        match kind % 4 {
            0 => reduces::<f32>(collective, len, step),
            1 => broadcasts::<f64>(collective, from, len),
            2 => collective.barrier().expect("barrier"),
            _ => {
                let all = gathered(collective, &[rank as u8, step as u8]);
                assert!(all.iter().enumerate().all(|(rank, x)| x == &[rank as u8, step as u8]), "step {step}");
            }
        }
    }
}

/// Sums that have begun end in that order, each as it would alone, with other calls before and after.
fn overlaps(collective: &mut dyn Collective) {
    let (rank, size) = (collective.rank(), collective.size());
    for round in 0..5 {
        let lens = [1000, 1, 0, 333][..round % 4 + 1].iter();
        let mine = |rank| lens.clone().enumerate().map(move |(i, &len)| numbers::<f32>(rank, len, i as u64));
        let mut buckets: Vec<Vec<f32>> = mine(rank).collect();
        let all: Vec<Vec<Vec<f32>>> = (0..size).map(|rank| mine(rank).collect()).collect();
        for bucket in &mut buckets {
            collective.begin_sum(Values::of(bucket)).expect("begin of a sum");
        }
        for (i, bucket) in buckets.iter_mut().enumerate() {
            collective.end_sum(Values::of(bucket)).expect("end of a sum");
            let expected = |k: usize| all[1..].iter().fold(all[0][i][k], |sum, rank| sum + rank[i][k]);
            assert_eq!(*bucket, (0..bucket.len()).map(expected).collect::<Vec<_>>(), "sum {i} of round {round}");
        }
        collective.barrier().expect("barrier");
    }
}

fn shakes_hands(collective: &mut dyn Collective) {
    let (rank, size) = (collective.rank(), collective.size());
    handshake(collective, &[("version", "1"), ("configuration", "")]).expect("all are alike");
    for odd in 1..size {
        let version = if rank >= odd { "2" } else { "1" };
        let error = handshake(collective, &[("kind", "a"), ("version", version)]).expect_err("they are not");
        let (peer, what) = (collective.peer(odd), "version".to_owned());
        assert_eq!(error, Error::Differs { peer, what, found: "2".into(), expected: "1".into() });
    }
}

fn gathered(collective: &mut dyn Collective, mine: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Gathered::default();
    all.push(b"forgotten");
    collective.gather(mine, &mut all).expect("gather");
    all.iter().map(<[u8]>::to_vec).collect()
}

/// Numbers of very different size, so that another order of summation is another sum.
fn numbers<T: Scalar>(rank: usize, len: usize, salt: u64) -> Vec<T> {
    let key = Key::new(salt).fold(rank as u64);
    let number = |i| {
        let [bits, exponent, ..] = key.block(i);
        T::of(f64::from(bits as i32) * 2.0_f64.powi(exponent as i32 % 20))
    };
    (0..len as u64).map(number).collect()
}
