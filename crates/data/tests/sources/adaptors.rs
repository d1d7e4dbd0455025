use tidemill_data::{Batch, Cursor, MemorySource, Source, SourceExt, Split};

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
        for part in ["train", "validation", "test"] {
            check_source(|| mixed(n).part(&Split::in_order(THREE).unwrap(), part).unwrap());
            check_source(|| mixed(n).part(&Split::by_row(1, THREE).unwrap(), part).unwrap());
            check_source(|| Unknown(mixed(n)).part(&Split::by_row(1, THREE).unwrap(), part).unwrap());
            check_source(|| mixed(n).part(&Split::by_key("name", 1, THREE).unwrap(), part).unwrap());
            check_source(|| mixed(n).shuffled(3).part(&Split::by_key("row", 1, THREE).unwrap(), part).unwrap());
            check_source(|| mixed(n).part(&by_row_value(), part).unwrap());
        }
        check_source(|| mixed(n).shuffle(1, 5).unwrap());
        check_source(|| mixed(n).shuffle(8, 5).unwrap());
        check_source(|| Unknown(mixed(n)).shuffle(100, 5).unwrap());
        check_source(|| mixed(n).boxed());
        check_source(|| {
            let part = mixed(n).shuffled(2).skip_rows(1).part(&Split::by_row(3, THREE).unwrap(), "train").unwrap();
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
    let in_order =
        |parts: [(&str, f64); 2], name: &str| mixed(10).part(&Split::in_order(parts).unwrap(), name).unwrap();
    check(&|| in_order([("a", 0.25), ("b", 0.75)], "a").boxed(), 0..3);
    check(&|| in_order([("a", 0.25), ("b", 0.75)], "b").boxed(), 3..10);
    check(&|| in_order([("a", 0.25), ("b", 0.25)], "b").boxed(), 3..5);
    check(&|| in_order([("a", 1.0), ("b", 0.0)], "b").boxed(), 0..0);
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

const THREE: [(&str, f64); 3] = [("train", 0.6), ("validation", 0.3), ("test", 0.1)];

fn by_row_value() -> Split {
    Split::by_value("row", [("train", 5.0), ("validation", 11.0), ("test", f64::INFINITY)]).unwrap()
}

#[test]
fn parts_are_disjoint_and_complete() {
    for fractions in [[0.0, 0.0, 1.0], [0.01, 0.5, 0.49], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0]] {
        let parts = || ["a", "b", "c"].into_iter().zip(fractions);
        let by_row = Split::by_row(4, parts()).unwrap();
        let by_key = Split::by_key("row", 4, parts()).unwrap();
        for split in [&by_row, &by_key, &Split::in_order(parts()).unwrap()] {
            let mut all = Vec::new();
            for (name, fraction) in parts() {
                let part = || mixed(10_000).part(split, name).unwrap();
                let rows = numbers(part(), 0);
                assert_eq!(rows, numbers(part(), 7), "the part does not depend on the epoch");
                assert!(part().rows().is_none_or(|n| n == rows.len() as u64));
                // Five standard deviations of a binomial distribution.
                let spread = 5.0 * (10_000.0 * fraction * (1.0 - fraction)).sqrt();
                assert!((rows.len() as f64 - 10_000.0 * fraction).abs() <= spread, "{} in {name}", rows.len());
                all.extend(rows);
            }
            all.sort();
            assert_eq!(all, (0..10_000).collect::<Vec<_>>());
        }
    }
    let seed = |seed| numbers(mixed(100).part(&Split::by_row(seed, THREE).unwrap(), "train").unwrap(), 0);
    assert_ne!(seed(1), seed(2));
}

/// Rows that are there stay in their part when there are more; where parts are told by values, in any order.
#[test]
fn appended_rows_move_none() {
    let check = |split: Split| {
        for part in ["train", "validation", "test"] {
            let of = |n: usize| numbers(mixed(n).part(&split, part).unwrap(), 0);
            assert_eq!(of(300).into_iter().filter(|&row| row < 200).collect::<Vec<_>>(), of(200), "{split:?}");
            if !matches!(split, ref s if *s == Split::by_row(1, THREE).unwrap()) {
                let mut shuffled = numbers(mixed(200).shuffled(1).part(&split, part).unwrap(), 0);
                shuffled.sort();
                assert_eq!(shuffled, of(200), "{split:?}");
            }
        }
    };
    check(Split::by_row(1, THREE).unwrap());
    check(Split::by_key("row", 1, THREE).unwrap());
    check(by_row_value());
}

#[test]
fn rows_of_one_key_are_in_one_part() {
    let customer = |row: usize| format!("customer {}", row * row % 53);
    let rows = || {
        let names: Vec<String> = (0..2000).map(customer).collect();
        let names = names.iter().enumerate().map(|(row, name)| (row % 9 > 0).then_some(name.as_str()));
        MemorySource::<f64>::builder()
            .reals("row", 1, (0..2000).map(f64::from).collect())
            .texts("customer", names)
            .build()
            .unwrap()
    };
    let split = Split::by_key("customer", 7, THREE).unwrap();
    let mut part_of = std::collections::BTreeMap::new();
    for part in ["train", "validation", "test"] {
        for row in numbers(rows().part(&split, part).unwrap(), 0) {
            let key = if row % 9 > 0 { customer(row as usize) } else { "none".into() };
            assert_eq!(*part_of.entry(key).or_insert(part), part);
        }
    }
    assert_eq!(part_of.values().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let indices = |part| {
        let split = Split::by_key("class", 7, THREE).unwrap();
        numbers(mixed(400).part(&split, part).unwrap(), 0)
            .into_iter()
            .map(|row| row % 4)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(indices("train").is_disjoint(&indices("validation")) && indices("train").is_disjoint(&indices("test")));
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
    check(Split::in_order([("a", 1.5)]), "split: the fraction 1.5 of a is not between 0 and 1");
    check(Split::by_row(0, [("a", f64::NAN)]), "split: the fraction NaN of a is not between 0 and 1");
    check(Split::by_row(0, [("a", 0.7), ("b", 0.5)]), "split: the fractions add up to 1.2, which is more than 1");
    check(Split::by_row(0, [("a", 0.7), ("a", 0.1)]), "split: there are two parts a");
    check(Split::by_row(0, Vec::<(String, f64)>::new()), "split: there are no parts");
    check(Split::by_value("row", [("a", 2.0), ("b", 1.0)]), "split: the values that end the parts of row do not rise");
    let in_order = Split::in_order(THREE).unwrap();
    check(source().part(&in_order, "tset"), "split: there is no part tset; there is train, validation, test");
    check(
        Unknown(source()).part(&in_order, "test"),
        "split in order: the source does not know how many rows it has; split by row, key or value",
    );
    let part = |split: Result<Split, _>| source().part(&split.unwrap(), "train");
    check(
        part(Split::by_key("rwo", 0, THREE)),
        "split: there is no column rwo; it has row, pair, maybe, name, class, target, weight",
    );
    check(part(Split::by_key("pair", 0, THREE)), "split: column pair is real [2], expected one number or text a row");
    check(part(Split::by_value("name", [("train", 1.0)])), "split: column name is text, expected one number a row");
    let mut missing = part(Split::by_value("maybe", [("train", 1.0)])).unwrap();
    let mut batch = Batch::new(missing.schema().clone());
    check(
        missing.fill(&mut batch, 3),
        "split by column maybe: a row has no value there, so it belongs to no part; filter such rows out",
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
