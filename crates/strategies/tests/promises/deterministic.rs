//! Promise 3: same seed, same shards: same bits, on any number of threads.

use tidemill_strategies::{Batch, DataParallel, Online};

use crate::model::{bits, metrics, rows, train, trainer};

#[test]
fn threads_do_not_change_a_bit() {
    let run = |threads| {
        let trainer = trainer::<f32>(0.3).engine(DataParallel::new(threads).shards(4));
        bits(&train(&trainer, &Online::new().batch_size(30), &mut rows(200)))
    };
    let want = run(1);
    for threads in [2, 3, 4] {
        assert_eq!(run(threads), want, "{threads} threads");
    }
}

#[test]
fn the_seed_decides() {
    let run = |seed| {
        let trainer = trainer::<f32>(0.3);
        let mut state = trainer.start_with(seed, metrics());
        trainer.run(&Batch::new(2), &mut state, &mut rows(100), &mut ()).unwrap();
        bits(&state)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
