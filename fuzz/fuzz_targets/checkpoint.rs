//! Whatever the bytes of a checkpoint or a model's file: reading it gives a state that can be trained on, or a model that
//! predicts, or an error that names the file, within little memory.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tidemill_autograd::Program;
use tidemill_data::{Error, MemorySource, Source, SourceExt};
use tidemill_fuzz::{check_file, seed, watch_panics};
use tidemill_layers::{Dense, Dropout, Embedding, Layer};
use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss};
use tidemill_metrics::{Accuracy, MeanLoss, RocAuc};
use tidemill_optim::{Chain, Compose, Schedule, adam, clip_by_global_norm, sgd};
use tidemill_strategies::{
    Batch, Callback, Control, Error as Failed, Event, Metrics, Model, Online, Trainer, on_event, saved_encoder,
};

/// Bytes that the state, the model and a few rows may take beside the file's.
const BUDGET: u64 = 1 << 20;

// The file's own errors name it; those of a run are about rows and settings.
fuzz_target!(init: watch_panics(), |bytes: &[u8]| check_file(bytes, BUDGET, |file| check(file, seed(bytes))));

fn program() -> Arc<Program<f32>> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[2])?;
        let word = graph.index_input("word", &[], 3)?;
        let word = Embedding::new(3, 2).apply(graph, word)?;
        let both = graph.add(tidemill_autograd::ops::Add, &[x, word], &[])?;
        let both = Dropout::new(0.2).apply(graph, both)?;
        let logit = Dense::new(1).apply(graph, both)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, logit)
    });
    Arc::new(program.expect("a model that fits together"))
}

/// By what the corpus was written, and another.
fn optimizer(seed: u64) -> Chain {
    match seed % 3 {
        0 => adam(0.01).into(),
        1 => clip_by_global_norm(1.0).then(adam(Schedule::from(0.01))),
        _ => sgd(0.1).momentum(0.9).into(),
    }
}

fn metrics() -> Metrics<f32> {
    Metrics::new()
        .with(MeanLoss::default())
        .with(Accuracy::binary(0.5).expect("a threshold"))
        .with(RocAuc::binned(16).expect("bins"))
}

fn rows() -> MemorySource<f32> {
    MemorySource::builder()
        .reals("x", 2, (0..40).map(|i| (i % 7) as f32 - 3.0).collect())
        .indices("word", 3, (0..20).map(|i| i % 3).collect())
        .target((0..20).map(|i| (i % 2) as f32).collect())
        .build()
        .expect("rows that fit together")
}

fn a_few_steps() -> impl Callback<f32> {
    let mut steps = 0;
    on_event(move |event: &Event<'_, f32>, run: &mut Control| {
        steps += u64::from(matches!(event, Event::Step { .. } | Event::Epoch { .. }));
        if steps >= 8 {
            run.stop();
        }
        Ok(())
    })
}

fn check(file: &Path, seed: u64) -> Result<(), Error> {
    let named = |failed: Failed| Error::invalid("reading", failed);
    let program = program();
    // What is no file of either kind is refused by both.
    let encoder = saved_encoder(file);
    let model = Model::load(Arc::clone(&program), file);
    if let Ok(model) = &model {
        assert!(model.params().iter().all(|value| value.is_finite()));
        model.predict(&mut rows(), |_| Ok(())).expect("rows of the model's columns");
    }
    for number in 0..3 {
        let trainer = Trainer::new(Arc::clone(&program), optimizer(number)).expect("settings in range");
        let Ok(mut state) = trainer.resume(file, metrics()) else { continue };
        assert!(state.params.iter().chain(&state.optimizer).all(|value| value.is_finite()));
        assert!(encoder.is_ok(), "a state without its encoder");
        let again = file.with_extension("again");
        trainer.save(&state, &again).map_err(named)?;
        std::fs::remove_file(again).expect("a file that was written");
        let mut source: Box<dyn Source<f32>> = match seed % 4 {
            0 => Box::new(rows()),
            1 => Box::new(rows().shuffle(8, 3).expect("a window")),
            2 => Box::new(rows().shard(1, 2).expect("a shard").take(7)),
            _ => Box::new(rows().prefetch(2, 4).expect("batches ahead")),
        };
        // A cursor of another source, a diverged step: errors, and no panic.
        let mut stop = a_few_steps();
        let ended = match seed & 8 {
            0 => trainer.run(&Online::new().batch_size(4).endless(), &mut state, &mut *source, &mut stop),
            _ => trainer.run(&Batch::new(1 << 54).batch_size(4), &mut state, &mut *source, &mut stop),
        };
        if ended.is_ok() {
            assert!(state.params.iter().all(|value| value.is_finite()));
        }
    }
    model.map(|_| ()).map_err(named)
}
