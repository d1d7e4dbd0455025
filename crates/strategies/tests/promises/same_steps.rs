//! Promise 2: strategies differ only in what they say.

use tidemill_strategies::{Batch, DataParallel, Online};

use crate::model::{rows, train, trainer};

#[test]
fn batch_in_order_and_online_take_the_same_steps() {
    for dropout in [0.0, 0.4] {
        for size in [1, 16, 32] {
            let batch = train(&trainer::<f32>(dropout), &Batch::new(2).in_order().batch_size(size), &mut rows(77));
            let online = train(&trainer::<f32>(dropout), &Online::new().passes(2).batch_size(size), &mut rows(77));
            assert_eq!(batch.params, online.params);
            assert_eq!(batch.optimizer, online.optimizer);
            assert_eq!(batch.epoch, online.epoch);
        }
    }
    let parallel = || trainer::<f32>(0.4).engine(DataParallel::new(2));
    let batch = train(&parallel(), &Batch::new(2).in_order(), &mut rows(77));
    let online = train(&parallel(), &Online::new().passes(2), &mut rows(77));
    assert_eq!(batch.params, online.params);
}

#[test]
fn shuffling_makes_a_difference() {
    let ordered = train(&trainer::<f32>(0.0), &Batch::new(2).in_order(), &mut rows(77));
    let shuffled = train(&trainer::<f32>(0.0), &Batch::new(2), &mut rows(77));
    assert_ne!(ordered.params, shuffled.params);
}

#[test]
fn online_tests_on_rows_before_it_trains_on_them() {
    let (trainer, mut source) = (trainer::<f64>(0.5), rows::<f64>(64));
    let mut state = trainer.start_with(7, crate::model::metrics());
    let mut expected = crate::model::metrics::<f64>();
    tidemill_strategies::evaluate(trainer.program(), &state.params, &mut source, &mut expected).unwrap();
    trainer.run(&Online::new().batch_size(64), &mut state, &mut source, &mut ()).unwrap();
    for (got, want) in state.metrics.iter().zip(&expected) {
        assert_eq!(got.value(), want.value(), "{}", got.name());
    }
}
