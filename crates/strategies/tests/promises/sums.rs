//! Promise 1: sums inside, one division.

use tidemill_strategies::{Accumulate, Batch, DataParallel, Engine, Online, Serial};

use crate::model::{close, rows, train, trainer};

/// 101 rows in batches of 32: the last one is ragged. Weights differ from row to row.
fn check(engine: impl Engine<f64> + 'static) {
    let want = train(&trainer(0.3), &Batch::new(3), &mut rows(101));
    let what = engine.describe();
    let got = train(&trainer(0.3).engine(engine), &Batch::new(3), &mut rows(101));
    close(&what, &got, &want);
}

#[test]
fn pieces_and_shards_give_the_whole_batchs_step() {
    check(Accumulate::new(1, Serial));
    check(Accumulate::new(7, Serial));
    check(Accumulate::new(32, Serial));
    check(Accumulate::new(1000, Serial));
    check(DataParallel::new(1));
    check(DataParallel::new(2));
    check(DataParallel::new(2).shards(5));
    check(Accumulate::new(9, DataParallel::new(3)));
}

#[test]
fn more_shards_than_rows_is_no_difference() {
    let want = train(&trainer(0.0), &Online::new().batch_size(3), &mut rows(10));
    let engine = DataParallel::new(2).shards(6);
    let got = train(&trainer::<f64>(0.0).engine(engine), &Online::new().batch_size(3), &mut rows(10));
    close("6 shards of 3 rows", &got, &want);
}

#[test]
fn a_row_of_weight_two_is_a_row_that_comes_twice() {
    use tidemill_data::MemorySource;

    let source = |x: Vec<f64>, carrier: Vec<u32>, target: Vec<f64>, weights: Vec<f64>| {
        MemorySource::builder()
            .reals("x", 3, x)
            .indices("carrier", 5, carrier)
            .target(target)
            .weights(weights)
            .build()
            .unwrap()
    };
    let (a, b) = ([0.1, 0.2, 0.3], [-0.4, 0.5, 0.6]);
    let mut weighted = source([a, b].concat(), vec![1, 2], vec![1.0, 0.0], vec![2.0, 1.0]);
    let mut repeated = source([a, a, b].concat(), vec![1, 1, 2], vec![1.0, 1.0, 0.0], vec![1.0; 3]);
    let strategy = Batch::new(5).full_batch().in_order();
    let got = train(&trainer(0.0), &strategy, &mut weighted);
    let want = train(&trainer(0.0), &strategy, &mut repeated);
    close("weights", &got, &want);
}
