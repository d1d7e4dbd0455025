//! Rows of weight zero are not there, whatever is in them.

use tidemill_autograd::Program;
use tidemill_data::{MemorySource, Source, SourceExt};
use tidemill_layers::{Dense, Dropout, Layer, Sequential};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_metrics::{MeanLoss, R2};
use tidemill_optim::sgd;
use tidemill_strategies::{
    Adasum, AllReduce, Average, Batch, Compress, Compression, Control, DataParallel, Distributed, Engine, Event,
    FastAllReduce, GradientSync, Hogwild, Metrics, Model, Online, Serial, State, Strategy, Trainer, on_event,
};

use crate::model::{bits, close};
use crate::ranks::world;

fn trainer(dropout: f64) -> Trainer<f64> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[2])?;
        let y = Sequential::new()
            .add(Dense::new(5).tanh())
            .add(Dropout::new(dropout))
            .add(Dense::new(1))
            .apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    Trainer::new(program.unwrap(), sgd(0.05)).unwrap()
}

fn metrics() -> Metrics<f64> {
    Metrics::new().with(MeanLoss::default()).with(R2::new(1).unwrap())
}

/// Every third row, and 20 in a row, weigh nothing; what is in those is harmless, or is not.
fn rows(poison: bool) -> MemorySource<f64> {
    let n = 83;
    let absent = |i: usize| i % 3 == 1 || (24..44).contains(&i);
    let mut x: Vec<f64> = (0..2 * n).map(|i| ((i * 37 % 101) as f64) / 50.0 - 1.0).collect();
    let mut target: Vec<f64> = (0..n).map(|i| x[2 * i] - 0.5 * x[2 * i + 1]).collect();
    if poison {
        for i in (0..n).filter(|&i| absent(i)) {
            match i % 4 {
                0 => x[2 * i] = f64::NAN,
                1 => x[2 * i + 1] = f64::INFINITY,
                2 => target[i] = 1e200,
                _ => target[i] = f64::NAN,
            }
        }
    }
    let weights = (0..n).map(|i| if absent(i) { 0.0 } else { 0.5 + (i % 2) as f64 }).collect();
    MemorySource::builder().reals("x", 2, x).target(target).weights(weights).build().unwrap()
}

fn train(trainer: &Trainer<f64>, strategy: &impl Strategy<f64>, source: &mut dyn Source<f64>) -> State<f64> {
    let mut state = trainer.start_with(7, metrics());
    trainer.run(strategy, &mut state, source, &mut ()).unwrap();
    assert!(state.params.iter().all(|value| value.is_finite()));
    state
}

fn check<E: Engine<f64> + 'static>(engine: impl Fn() -> E, strategy: impl Strategy<f64>, dropout: f64) {
    let train = |poison| train(&trainer(dropout).engine(engine()), &strategy, &mut rows(poison));
    let (clean, poisoned) = (train(false), train(true));
    assert_eq!(bits(&clean), bits(&poisoned), "{}", engine().describe());
    let mut serial = trainer(dropout).start_with(7, metrics());
    trainer(dropout).run(&strategy, &mut serial, &mut rows(false), &mut ()).unwrap();
    close(&engine().describe(), &poisoned, &serial);
}

#[test]
fn what_is_in_them_changes_nothing_with_any_engine() {
    for dropout in [0.0, 0.3] {
        let (batch, online) = (Batch::new(3).batch_size(10), Online::new().passes(2).batch_size(10));
        check(|| Serial, batch, dropout);
        check(|| Serial, online, dropout);
        check(|| Serial, Batch::new(2).full_batch().in_order(), dropout);
        check(|| DataParallel::new(2).shards(3), batch, dropout);
        check(|| DataParallel::new(2).shards(3), online, dropout);
        check(|| Hogwild::new(1).rows(10), online, dropout);
    }
    let hogwild = trainer(0.0).engine(Hogwild::new(2).rows(2));
    train(&hogwild, &Online::new().passes(2).batch_size(30), &mut rows(true));
}

#[test]
fn what_is_in_them_changes_nothing_with_any_ranks() {
    let online = Online::new().passes(2).batch_size(10);
    type Wrap = fn(Distributed<Serial>) -> Distributed<Serial, Box<dyn GradientSync<f64>>>;
    let ways: [Wrap; 7] = [
        |engine| engine.sync(Box::new(AllReduce)),
        |engine| engine.sync(Box::new(FastAllReduce)),
        |engine| engine.sync(Box::new(AllReduce.overlap(8))),
        |engine| engine.sync(Box::new(Adasum::new())),
        |engine| engine.sync(Box::new(Average::every(2))),
        |engine| engine.share_rows().sync(Box::new(AllReduce)),
        |engine| engine.sync(Box::new(Compress::new(Compression::Half).overlap(8))),
    ];
    for wrap in ways {
        let run = |poison| {
            world(2, |rank| {
                let number = tidemill_collective::Collective::rank(&rank) as u64;
                let engine = wrap(Distributed::new(rank, Serial));
                let what = Engine::<f64>::describe(&engine);
                let trainer = trainer(0.2).engine(engine);
                let mut all = rows(poison);
                let mut shard = rows(poison).shard(number, 2).unwrap();
                let source: &mut dyn Source<f64> = if what.contains("share rows") { &mut all } else { &mut shard };
                (what, bits(&train(&trainer, &online, source)))
            })
        };
        assert_eq!(run(false), run(true));
    }
}

/// The loss of rows that count, and nothing else, in metrics and sums; predictions are of all rows.
#[test]
fn cases_masked_row_in_training_and_evaluation() {
    let source = || {
        MemorySource::builder()
            .reals("x", 2, vec![1.0, 1.0, 2.0, 2.0, 3.0, f64::NAN, 3.0, 3.0])
            .target(vec![1.0, 1e300, f64::NAN, 5.0])
            .weights(vec![1.0, 0.0, 0.0, 1.0])
            .build()
            .unwrap()
    };
    let trainer = trainer(0.0);
    let mut state = trainer.start(1);
    let summary = trainer.run(&Batch::new(1), &mut state, &mut source(), &mut ()).unwrap();
    assert!(summary.last_epoch.mean_loss().is_finite());
    assert_eq!((summary.steps, summary.rows, summary.last_epoch.weight), (1, 4, 2.0));
    let (model, mut found) = (Model::new(trainer.program().clone(), &state), metrics());
    let evaluation = model.evaluate(&mut source(), &mut found).unwrap();
    let mut predictions = Vec::new();
    let each = |chunk: tidemill_strategies::Predictions<'_, f64>| {
        predictions.extend_from_slice(chunk.values);
        Ok(())
    };
    assert_eq!(model.predict(&mut source(), each).unwrap(), 4);
    let want = ((predictions[0] - 1.0).powi(2) + (predictions[3] - 5.0).powi(2)) / 2.0;
    assert!((evaluation.loss() - want).abs() < 1e-12, "{}, not {want}", evaluation.loss());
    assert!((found[0].value() - want).abs() < 1e-12 && found[1].value().is_finite());
    assert_eq!((evaluation.sums.rows, evaluation.sums.weight), (4, 2.0));
}

#[test]
fn batches_without_weight_are_no_steps() {
    let source = |weights: Vec<f64>| {
        let n = weights.len();
        let builder = MemorySource::builder().reals("x", 2, vec![1.0; 2 * n]).target(vec![1.0; n]);
        builder.weights(weights).build().unwrap()
    };
    let mut weights = vec![1.0; 12];
    weights[4..8].fill(0.0);
    let trainer = trainer(0.0);
    let (mut state, mut events) = (trainer.start(1), Vec::new());
    let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| {
        if let Event::Step { state, .. } = event {
            events.push((state.step, state.rows_trained));
        }
        Ok(())
    });
    let online = Online::new().batch_size(4);
    let summary = trainer.run(&online, &mut state, &mut source(weights), &mut callback).unwrap();
    assert_eq!(events, [(1, 4), (2, 12)]);
    assert_eq!((summary.steps, summary.rows), (2, 12));

    for engine in [0, 1] {
        let trainer = self::trainer(0.0);
        let trainer = if engine == 0 { trainer } else { trainer.engine(Hogwild::new(2)) };
        let mut state = trainer.start(1);
        let before = bits(&state);
        let error = trainer.run(&online, &mut state, &mut source(vec![0.0; 8]), &mut ()).unwrap_err().to_string();
        assert_eq!(error, "source: all of its 8 rows have the weight 0, so there is nothing to train on");
        assert_eq!(bits(&state)[..state.params.len()], before[..state.params.len()]);
        assert!(state.step == 0 && state.cursor.is_start());
    }
    let model = Model::new(trainer.program().clone(), &state);
    let error = model.evaluate(&mut source(vec![0.0; 3]), &mut Metrics::new()).unwrap_err().to_string();
    assert_eq!(error, "evaluate: all 3 rows have the weight 0, so there is no mean loss");
}
