//! Promise 4: resume is exact.

use tidemill_autograd::Program;
use tidemill_data::{Encoder, Encoding, MemorySource, Source, SourceExt};
use tidemill_layers::{Dense, Layer};
use tidemill_losses::{BinaryCrossEntropy, Loss};
use tidemill_optim::adam;
use tidemill_strategies::{
    Batch, Callback, Checkpoints, Control, Event, Model, Online, State, Strategy, Trainer, on_event, saved_encoder,
};

use crate::model::{bits, metrics, rows, train, trainer};

/// Stops after the step of that number.
fn stop_after(step: u64) -> impl Callback<f32> {
    on_event(move |event: &Event<'_, f32>, run: &mut Control| match event {
        Event::Step { state, .. } if state.step == step => {
            run.stop();
            Ok(())
        }
        _ => Ok(()),
    })
}

/// Stops after every step, each time saving, dropping everything and loading again; also in two goes.
fn check<S: Source<f32> + 'static>(
    trainer: impl Fn() -> Trainer<f32>,
    strategy: impl Strategy<f32>,
    source: impl Fn() -> S,
) {
    let want = bits(&train(&trainer(), &strategy, &mut source()));
    let steps = train(&trainer(), &strategy, &mut source()).step;
    assert!(steps > 3, "a run worth stopping");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let go_on = |mut state: State<f32>, until: u64| {
        trainer().run(&strategy, &mut state, &mut source(), &mut stop_after(until)).unwrap();
        trainer().save(&state, &path).unwrap();
        trainer().resume(&path, metrics()).unwrap()
    };
    for stop in 1..steps {
        let state = go_on(trainer().start_with(7, metrics()), stop);
        assert_eq!(state.step, stop);
        let state = go_on(state, stop + 2);
        let state = go_on(state, u64::MAX);
        assert_eq!(bits(&state), want, "stopped after step {stop}");
    }
}

#[test]
fn batch_training_resumes_within_an_epoch() {
    check(|| trainer(0.3), Batch::new(3).batch_size(10), || rows(37));
}

#[test]
fn online_training_resumes_with_its_metrics() {
    check(|| trainer(0.3), Online::new().passes(2).batch_size(10), || rows(37));
}

#[test]
fn adaptors_resume_where_they_stood() {
    check(|| trainer(0.0), Online::new().passes(2).batch_size(10), || rows(37).shuffle(16, 3).unwrap());
    check(|| trainer(0.0), Online::new().passes(2).batch_size(10), || rows(61).shard(1, 2).unwrap());
    check(|| trainer(0.0), Online::new().batch_size(10), || rows(61).take(45).prefetch(2, 10).unwrap());
}

#[test]
fn a_checkpoint_is_the_state_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let trainer = trainer::<f32>(0.0);
    let mut state = trainer.start_with(7, metrics());
    let mut callback = Checkpoints::new(&path, 2);
    trainer.run(&Online::new(), &mut state, &mut rows(100), &mut callback).unwrap();
    assert_eq!(bits(&trainer.resume(&path, metrics()).unwrap()), bits(&state));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
}

/// Whoever goes on needs the file alone: not the rows that the encoder was fitted to.
#[test]
fn a_checkpoint_holds_the_encoder() {
    let raw = || {
        let size = (0..60).map(|i| f64::from(i * i % 17)).collect();
        let builder = MemorySource::<f64>::builder().reals("size", 1, size);
        builder.texts("kind", (0..60).map(|i| ["a", "b", "c"].get(i % 4).copied())).build().unwrap()
    };
    let declared = || {
        let target = Encoding::above(8.0);
        Encoder::builder()
            .feature("size", Encoding::robust())
            .feature("kind", Encoding::one_hot())
            .target("size", target)
    };
    let trainer = |encoder: &Encoder| {
        let program = Program::<f32>::build(|graph| {
            let x = graph.input("x", &[encoder.number_names().len()])?;
            let y = Dense::new(1).sigmoid().apply(graph, x)?;
            BinaryCrossEntropy.apply(graph, y)
        });
        Trainer::new(program.unwrap(), adam(0.1)).unwrap().with_encoder(encoder.clone())
    };
    let online = Online::new().passes(2).batch_size(7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let want = {
        let (encoder, _) = declared().fit(&mut raw()).unwrap();
        let (trainer, mut source) = (trainer(&encoder), raw().encode(&encoder).unwrap());
        let mut state = trainer.start(1);
        trainer.run(&online, &mut state, &mut source, &mut stop_after(5)).unwrap();
        trainer.save(&state, &path).unwrap();
        trainer.run(&online, &mut state, &mut source, &mut ()).unwrap();
        bits(&state)
    };
    let encoder = saved_encoder(&path).unwrap().expect("it was saved");
    let again = trainer(&encoder);
    let mut state = again.resume(&path, tidemill_strategies::Metrics::new()).unwrap();
    again.run(&online, &mut state, &mut raw().encode(&encoder).unwrap(), &mut ()).unwrap();
    assert_eq!(bits(&state), want);

    let (other, _) = declared().fit(&mut raw().take(30)).unwrap();
    let error = trainer(&other).resume(&path, tidemill_strategies::Metrics::new()).err().unwrap().to_string();
    assert!(error.contains("its rows went through another encoder"), "{error}");
    Model::new(again.program().clone(), &state).with_encoder(encoder.clone()).save(&path).unwrap();
    assert_eq!(saved_encoder(&path).unwrap(), Some(encoder));
}

#[test]
fn another_models_checkpoint_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let first = trainer::<f32>(0.0);
    first.save(&first.start(1), &path).unwrap();
    let error = first.resume(&path, metrics()).err().unwrap().to_string();
    assert!(error.ends_with("its metrics are [], this run's are [accuracy, log_loss, roc_auc]"), "{error}");

    let other = Trainer::new(crate::model::program::<f32>(0.0), tidemill_optim::sgd(0.1).momentum(0.9)).unwrap();
    let error = other.resume(&path, tidemill_strategies::Metrics::new()).err().unwrap().to_string();
    assert!(error.contains("it has no optimizer."), "{error}");

    std::fs::write(&path, b"no tensors").unwrap();
    let error = first.resume(&path, tidemill_strategies::Metrics::new()).err().unwrap().to_string();
    assert!(error.contains("it is no safetensors file"), "{error}");
}
