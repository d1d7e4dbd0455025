//! Promise 3: same seed, same shards: same bits, on any number of threads.

use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_layers::{Dense, Layer, Sequential};
use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss};
use tidemill_optim::{Compose, adam, clip_by_global_norm};
use tidemill_strategies::{Batch, DataParallel, Engine, Online, Serial, State, Trainer};

use crate::model::{bits, close, metrics, rows, train, trainer};

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

/// Of so many parameters that all threads have their share of adding gradients up and of updating.
fn train_large(engine: impl Engine<f64> + 'static) -> State<f64> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = Sequential::new().add(Dense::new(4_001).relu()).add(Dense::new(1)).apply(graph, x)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, y)
    });
    let optimizer = clip_by_global_norm(0.05).then(adam(0.01));
    let trainer = Trainer::new(Arc::new(program.unwrap()), optimizer).unwrap().engine(engine);
    train(&trainer, &Batch::new(2).batch_size(40), &mut rows(100))
}

#[test]
fn threads_do_not_change_a_bit_of_a_large_model() {
    let want = train_large(DataParallel::new(1).shards(4));
    close("4 shards", &want, &train_large(Serial));
    for threads in [2, 3, 4] {
        assert_eq!(bits(&train_large(DataParallel::new(threads).shards(4))), bits(&want), "{threads} threads");
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
