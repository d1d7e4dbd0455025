use tidemill_data::{Batch, Cursor, Side, Source, SourceExt};

use crate::check::{check_source, epoch};
use crate::memory::mixed;
use crate::unknown::Unknown;

/// The numbers of the rows of an epoch, in its order.
fn numbers(mut source: impl Source<f64>, epoch: u64) -> Vec<u64> {
    source.seek(Cursor::start(epoch)).unwrap();
    let mut batch = Batch::new(source.schema().clone());
    while source.fill(&mut batch, 1000).unwrap() > 0 {}
    batch.reals(0).iter().map(|&row| row as u64).collect()
}

#[test]
fn any_cursor_is_exact() {
    for n in [0, 1, 2, 7, 24, 37] {
        check_source(|| mixed(n).take(0));
        check_source(|| mixed(n).take(7));
        check_source(|| Unknown(mixed(n)).take(7));
        check_source(|| mixed(n).skip_rows(5));
        check_source(|| Unknown(mixed(n)).skip_rows(5).take(4));
        check_source(|| mixed(n).shard(0, 1).unwrap());
        check_source(|| mixed(n).shuffled(1).shard(2, 3).unwrap());
        check_source(|| Unknown(mixed(n)).shard(4, 5).unwrap());
        check_source(|| mixed(n).split_in_order(0.7, Side::First).unwrap());
        check_source(|| mixed(n).split_in_order(0.7, Side::Rest).unwrap());
        check_source(|| mixed(n).split_by_hash(0.4, 1, Side::First).unwrap());
        check_source(|| Unknown(mixed(n)).split_by_hash(0.4, 1, Side::Rest).unwrap());
        check_source(|| mixed(n).shuffle(1, 5).unwrap());
        check_source(|| mixed(n).shuffle(8, 5).unwrap());
        check_source(|| Unknown(mixed(n)).shuffle(100, 5).unwrap());
        check_source(|| mixed(n).boxed());
        check_source(|| {
            let part = mixed(n).shuffled(2).skip_rows(1).split_by_hash(0.9, 3, Side::First).unwrap();
            part.shuffle(5, 1).unwrap().shard(1, 2).unwrap().take(9)
        });
    }
}

#[test]
fn a_range_is_those_rows() {
    let check = |source: &dyn Fn() -> Box<dyn Source<f64>>, expected: std::ops::Range<u64>| {
        assert_eq!(source().rows(), Some(expected.end - expected.start));
        assert_eq!(numbers(source(), 3), expected.collect::<Vec<_>>());
    };
    check(&|| mixed(10).take(4).boxed(), 0..4);
    check(&|| mixed(10).take(11).boxed(), 0..10);
    check(&|| mixed(10).skip_rows(4).boxed(), 4..10);
    check(&|| mixed(10).skip_rows(11).boxed(), 0..0);
    check(&|| mixed(10).skip_rows(2).take(3).skip_rows(1).boxed(), 3..5);
    check(&|| mixed(10).split_in_order(0.25, Side::First).unwrap().boxed(), 0..3);
    check(&|| mixed(10).split_in_order(0.25, Side::Rest).unwrap().boxed(), 3..10);
    check(&|| mixed(10).split_in_order(1.0, Side::Rest).unwrap().boxed(), 0..0);
}

#[test]
fn shards_take_turns() {
    assert_eq!(numbers(mixed(10).shard(1, 3).unwrap(), 0), [1, 4, 7]);
    assert_eq!(mixed(10).shard(0, 3).unwrap().rows(), Some(4));
    assert_eq!(mixed(10).shard(11, 20).unwrap().rows(), Some(0));
    for count in [1, 2, 7, 5000, u64::MAX] {
        let shards = (0..count.min(7)).map(|index| numbers(mixed(9000).shard(index, count).unwrap(), 0));
        for (index, shard) in shards.enumerate() {
            let expected: Vec<u64> = (0..9000).filter(|row| row % count == index as u64).collect();
            assert_eq!(shard, expected, "shard {index} of {count}");
        }
    }
}

#[test]
fn sides_are_disjoint_and_complete() {
    for fraction in [0.0, 0.01, 0.5, 0.8, 1.0] {
        let side = |side| mixed(10_000).split_by_hash(fraction, 4, side).unwrap();
        let (first, rest) = (numbers(side(Side::First), 0), numbers(side(Side::Rest), 0));
        assert_eq!(first, numbers(side(Side::First), 7), "the side does not depend on the epoch");
        assert_eq!(side(Side::First).rows(), Some(first.len() as u64));
        // Five standard deviations of a binomial distribution.
        let spread = 5.0 * (10_000.0 * fraction * (1.0 - fraction)).sqrt();
        assert!((first.len() as f64 - 10_000.0 * fraction).abs() <= spread, "{} are first", first.len());
        let mut all = [first, rest].concat();
        all.sort();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
    }
    let seed = |seed| numbers(mixed(100).split_by_hash(0.5, seed, Side::First).unwrap(), 0);
    assert_ne!(seed(1), seed(2));
}

#[test]
fn a_window_keeps_its_rows() {
    let shuffle = |epoch| numbers(mixed(95).shuffle(10, 3).unwrap(), epoch);
    let found = shuffle(0);
    for (window, rows) in found.chunks(10).enumerate() {
        let mut sorted = rows.to_vec();
        sorted.sort();
        assert_eq!(sorted, (10 * window as u64..).take(rows.len()).collect::<Vec<_>>());
    }
    assert_ne!(found, shuffle(1));
    assert_ne!(found, numbers(mixed(95).shuffle(10, 4).unwrap(), 0));
    let offsets = |window: &[u64]| window.iter().map(|row| row % 10).collect::<Vec<_>>();
    assert_ne!(offsets(&found[..10]), offsets(&found[10..20]), "each window has its own order");
}

#[test]
fn what_makes_no_sense_is_refused() {
    fn check<S>(made: Result<S, tidemill_data::Error>, expected: &str) {
        assert_eq!(made.err().unwrap().to_string(), expected);
    }
    let source = || mixed(3);
    check(source().shard(3, 3), "shard: 3 is not below the number of shards, 3");
    check(source().shard(0, 0), "shard: 0 is not below the number of shards, 0");
    check(source().shuffle(0, 1), "shuffle: the window has no rows");
    check(source().prefetch(0, 5), "prefetch: 0 batches of 5 rows hold nothing");
    check(source().split_in_order(1.5, Side::First), "split: the fraction 1.5 is not between 0 and 1");
    check(source().split_by_hash(f64::NAN, 0, Side::First), "split: the fraction NaN is not between 0 and 1");
    check(
        Unknown(source()).split_in_order(0.5, Side::First),
        "split in order: the source does not know how many rows it has; split by hash, or take a number of rows",
    );
    assert!(source().take(2).seek(Cursor::start(0).push(3).push(3)).is_err());
    assert!(source().shuffle(5, 1).unwrap().seek(Cursor::start(0).push(4)).is_err());
    assert!(source().prefetch(1, 2).unwrap().seek(Cursor::start(0).push(2).push(2)).is_err());
}

#[test]
fn adaptors_of_shuffled_rows_lose_none() {
    let mut rows = numbers(mixed(50).shuffled(1).shuffle(7, 2).unwrap().prefetch(2, 4).unwrap(), 1);
    rows.sort();
    assert_eq!(rows, (0..50).collect::<Vec<_>>());
    let shards = (0..3).map(|index| epoch(&mut mixed(50).shuffled(1).shard(index, 3).unwrap(), 4));
    let mut all: Vec<String> = shards.flatten().collect();
    all.sort();
    let mut expected = epoch(&mut mixed(50), 0);
    expected.sort();
    assert_eq!(all, expected);
}
