//! Threads that do not wait for each other, on a model of which a row touches little.

use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::ops::{self, Add};
use tidemill_autograd::tensor::{Initializer, Key};
use tidemill_collective::Threads;
use tidemill_data::MemorySource;
use tidemill_layers::{Dense, Dropout, Embedding, Layer};
use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss};
use tidemill_metrics::LogLoss;
use tidemill_optim::{Chain, Compose, Schedule, adam, clip, clip_by_global_norm, l1, l2, sgd, weight_decay};
use tidemill_strategies::{Distributed, Error, History, Hogwild, Online, Serial, State, Trainer, evaluate};

use crate::model::close;

const WORDS: u32 = 2000;

/// Between 0 and 1.
fn uniform(stream: u64, i: u64) -> f64 {
    f64::from(Key::new(stream).block(i)[0]) / 2.0_f64.powi(32)
}

/// A logit for each of two words, added up with a few numbers.
fn program() -> Program<f64> {
    Program::build(|graph| {
        let words = ["first", "second"].map(|name| {
            let word = graph.index_input(name, &[], WORDS)?;
            Embedding::new(WORDS, 1).apply(graph, word)
        });
        let [first, second] = words;
        let x = graph.input("x", &[2])?;
        let x = Dense::new(1).apply(graph, x)?;
        let logit = graph.add(Add, &[first?, second?], &[])?;
        let logit = graph.add(Add, &[logit, x], &[])?;
        BinaryCrossEntropyWithLogits::new().apply(graph, logit)
    })
    .unwrap()
}

/// Words that speak for yes or no, each in its measure, and two numbers that say nothing.
fn rows(n: usize) -> MemorySource<f64> {
    let draw = |what: u64| (0..n).map(move |i| uniform(3 + what, i as u64));
    let word = |what: u64| draw(what).map(|u| (u * u * f64::from(WORDS)) as u32).collect::<Vec<_>>();
    let says = |word: u32| uniform(99, u64::from(word)) * 6.0 - 3.0;
    let (first, second) = (word(0), word(1));
    let target = first.iter().zip(&second).zip(draw(2)).map(|((&a, &b), u)| {
        let chance = 1.0 / (1.0 + (-says(a) - says(b)).exp());
        f64::from(u8::from(u < chance))
    });
    MemorySource::builder()
        .indices("first", WORDS, first.clone())
        .indices("second", WORDS, second.clone())
        .reals("x", 2, draw(4).chain(draw(5)).collect())
        .target(target.collect())
        .build()
        .unwrap()
}

fn train(trainer: &Trainer<f64>, batch_size: usize, passes: u64) -> State<f64> {
    let mut state = trainer.start_with(7, tidemill_strategies::Metrics::new().with(LogLoss::default()));
    let strategy = Online::new().batch_size(batch_size).passes(passes);
    trainer.run(&strategy, &mut state, &mut rows(20_000), &mut ()).unwrap();
    state
}

fn loss(state: &State<f64>) -> f64 {
    evaluate(&Arc::new(program()), &state.params, &mut rows(20_000), &mut tidemill_strategies::Metrics::new())
        .unwrap()
        .sums
        .mean_loss()
}

#[test]
fn one_thread_takes_the_steps_of_serial() {
    let want = train(&Trainer::new(program(), sgd(0.5)).unwrap(), 7, 1);
    let hogwild = Trainer::new(program(), sgd(0.5)).unwrap().engine(Hogwild::new(1).rows(7));
    // Batches of 1000 rows: 142 steps of 7 rows, and one of 6.
    let got = train(&hogwild, 1001, 1);
    close("hogwild", &got, &want);
    assert_eq!((got.step, got.rows_trained), (want.step, want.rows_trained));
}

/// A learning rate that falls to nothing, so that where training ends does not depend on which steps came last.
fn falling() -> Chain {
    Chain::from(sgd(Schedule::function(|step| 0.5 * (1.0 - step as f64 / 20_000.0).max(1e-6))))
}

#[test]
fn threads_come_as_far_as_one() {
    let start = loss(&Trainer::new(program(), sgd(0.5)).unwrap().start(7));
    let serial = loss(&train(&Trainer::new(program(), falling()).unwrap(), 4, 4));
    for threads in [2, 4] {
        let hogwild = Trainer::new(program(), falling()).unwrap().engine(Hogwild::new(threads).rows(4));
        let state = train(&hogwild, 5000, 4);
        assert_eq!((state.step, state.rows_trained), (20_000, 80_000));
        let found = loss(&state);
        assert!((found - serial).abs() < 0.05 * (start - serial), "{threads} threads: {found}; serial: {serial}");
        let tested = state.metrics[0].value();
        assert!(found < tested && tested < start, "each batch was tested before: {tested} between {found} and {start}");
    }
}

#[test]
fn what_cannot_be_shared_is_refused_by_name() {
    let refused = |trainer: Trainer<f64>| {
        let error = trainer.run(&Online::new(), &mut trainer.start(7), &mut rows(10), &mut ()).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }));
        error.to_string()
    };
    let error = refused(Trainer::new(program(), adam(0.1)).unwrap().engine(Hogwild::new(2)));
    assert!(error.contains("keeps a memory of gradients"), "{error}");
    let clipped = clip_by_global_norm(1.0).then(sgd(0.1));
    let error = refused(Trainer::new(program(), clipped).unwrap().engine(Hogwild::new(2)));
    assert!(error.contains("looks at the whole gradient"), "{error}");
    let error = refused(Trainer::new(program(), sgd(0.1)).unwrap().engine(Hogwild::new(0)));
    assert!(error.contains("at least 1 thread"), "{error}");
    let error = refused(
        Trainer::new(program(), sgd(0.1))
            .unwrap()
            .engine(Distributed::new(Threads::world(1).remove(0), Hogwild::new(2))),
    );
    assert!(error.contains("steps of its own"), "{error}");
    // Serial takes them all.
    let trainer = Trainer::new(program(), adam(0.1)).unwrap().engine(Serial);
    trainer.run(&Online::new(), &mut trainer.start(7), &mut rows(10), &mut ()).unwrap();
}

/// One table that two inputs read, and dropout.
fn shared_table(dropout: f64) -> Program<f64> {
    Program::build(|graph| {
        let table = graph.parameter("table", &[WORDS as usize, 3], Initializer::GlorotUniform)?;
        let mut words = ["first", "second"].into_iter().map(|name| {
            let word = graph.index_input(name, &[], WORDS)?;
            graph.add(ops::Embedding::new(), &[word], &[table])
        });
        let (first, second) = (words.next().unwrap()?, words.next().unwrap()?);
        drop(words);
        let x = graph.input("x", &[2])?;
        let x = Dense::new(3).apply(graph, x)?;
        let both = graph.add(Add, &[first, second], &[])?;
        let all = graph.add(Add, &[both, x], &[])?;
        let all = Dropout::new(dropout).apply(graph, all)?;
        let logit = Dense::new(1).apply(graph, all)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, logit)
    })
    .unwrap()
}

/// With words of two inputs alike, rows of weight zero, penalties and dropout.
#[test]
fn one_thread_takes_the_steps_of_serial_whatever_the_model_and_the_optimizer() {
    let rows = || {
        let rows = rows(205);
        let weights = (0..205).map(|i| f64::from(u8::from(i % 5 != 1 && !(14..28).contains(&i)))).collect();
        let few = |column: usize| rows.data().indices(column).iter().map(|word| word % 7).collect();
        MemorySource::builder()
            .indices("first", WORDS, few(0))
            .indices("second", WORDS, few(1))
            .reals("x", 2, rows.data().reals(2).to_vec())
            .target(rows.data().reals(3).to_vec())
            .weights(weights)
            .build()
            .unwrap()
    };
    let optimizers: [fn() -> Chain; 6] = [
        || sgd(0.5).into(),
        || l1(0.01).then(sgd(0.5)),
        || l2(0.01).then(sgd(0.5)),
        || weight_decay(0.01).only("table").then(sgd(0.5)),
        || l2(0.1).except("table").then(sgd(0.5)),
        || clip(0.01).then(sgd(0.5)),
    ];
    for (number, optimizer) in optimizers.into_iter().enumerate() {
        for dropout in [0.0, 0.4] {
            let train = |trainer: Trainer<f64>, batch_size| {
                let mut state = trainer.start(7);
                let online = Online::new().batch_size(batch_size).passes(2);
                trainer.run(&online, &mut state, &mut rows(), &mut ()).unwrap();
                state
            };
            let trainer = || Trainer::new(shared_table(dropout), optimizer()).unwrap();
            // Two of the 30 batches of a pass have no row that weighs anything.
            let (want, got) = (train(trainer(), 7), train(trainer().engine(Hogwild::new(1).rows(7)), 70));
            assert_eq!(want.step, 2 * 28);
            close(&format!("optimizer {number}, dropout {dropout}"), &got, &want);
        }
    }
}

/// What a step computes on others' rows is refused to be cut into steps.
#[derive(Clone, Copy, Debug)]
struct Coupled;

impl ops_of::Op for Coupled {
    fn name(&self) -> &'static str {
        "coupled"
    }

    fn bind(&self, specs: &ops_of::Specs<'_>) -> Result<ops_of::Bound, String> {
        let [x] = specs.reals()?;
        Ok(ops_of::Bound::new(x.shape, *self).couples(ops_of::Coupling::Batch))
    }
}

impl<T: tidemill_autograd::Scalar> ops_of::Kernel<T> for Coupled {
    fn forward(&self, cx: &mut ops_of::Forward<'_, T>) {
        cx.output.copy_from_slice(cx.operand(0));
    }

    fn backward(&self, cx: &mut ops_of::Backward<'_, T>) {
        if let Some(x) = cx.operand(0) {
            x.write.slice(x.into, x.upstream);
        }
    }
}

mod ops_of {
    pub use tidemill_autograd::{Backward, Bound, Coupling, Forward, Kernel, Op, Specs};
}

#[test]
fn a_model_that_looks_at_several_rows_is_not_cut() {
    let program = || {
        Program::<f64>::build(|graph| {
            let x = graph.input("x", &[2])?;
            let x = graph.add(Coupled, &[x], &[])?;
            let logit = Dense::new(1).apply(graph, x)?;
            BinaryCrossEntropyWithLogits::new().apply(graph, logit)
        })
        .unwrap()
    };
    let run = |rows_of_a_step| {
        let trainer = Trainer::new(program(), sgd(0.1)).unwrap().engine(Hogwild::new(2).rows(rows_of_a_step));
        trainer.run(&Online::new().batch_size(8), &mut trainer.start(7), &mut rows(20), &mut ()).map(|_| ())
    };
    let error = run(4).unwrap_err().to_string();
    assert_eq!(
        error,
        "hogwild: coupled looks at all rows of a batch, which cannot be cut; use the serial engine, or coupled in groups of rows"
    );
    run(8).unwrap();

    // Outside of training too: whoever evaluates says what a batch is.
    let trainer = Trainer::new(program(), sgd(0.1)).unwrap();
    let model = tidemill_strategies::Model::new(trainer.program().clone(), &trainer.start(7));
    let mut none = tidemill_strategies::Metrics::new();
    let error = model.evaluate(&mut rows(20), &mut none).unwrap_err().to_string();
    let why = "coupled looks at all rows of a batch; say how many those are by `Model::batch_size`";
    assert_eq!(error, format!("evaluate: {why}"));
    assert_eq!(model.predict(&mut rows(20), |_| Ok(())).unwrap_err().to_string(), format!("predict: {why}"));
    let model = model.batch_size(8);
    assert_eq!(model.evaluate(&mut rows(20), &mut none).unwrap().sums.rows, 20);
    let predicted = model.predict(&mut rows(20), |rows| {
        assert!(rows.batch.rows() <= 8);
        Ok(())
    });
    assert_eq!(predicted.unwrap(), 20);
}

#[test]
fn divergence_is_told_with_the_loss_that_it_had_and_changes_nothing() {
    for threads in [1, 3] {
        let trainer = Trainer::new(program(), sgd(1e308)).unwrap().engine(Hogwild::new(threads).rows(4));
        let mut state = trainer.start_with(7, tidemill_strategies::Metrics::new().with(LogLoss::default()));
        let before = (state.params.clone(), state.metrics[0].state());
        let error = trainer.run(&Online::new().batch_size(1000), &mut state, &mut rows(3000), &mut ()).unwrap_err();
        let Error::NonFiniteLoss { step, loss, .. } = error else { panic!("{error}") };
        assert!(!loss.is_finite() && step > 0, "step {step}: {loss}");
        assert_eq!((state.params.clone(), state.metrics[0].state()), before);
        assert_eq!((state.step, state.rows_trained), (0, 0));
    }
}

#[test]
fn history_notes_every_step_that_is_due_or_the_last_of_several() {
    let history = |engine: Hogwild, batch_size, every| {
        let trainer = Trainer::new(program(), sgd(0.5)).unwrap().engine(engine);
        let mut history = History::new(every);
        let online = Online::new().batch_size(batch_size);
        trainer.run(&online, &mut trainer.start(7), &mut rows(1000), &mut history).unwrap();
        history
    };
    // Steps come seven, and at last six, at a time.
    let found = history(Hogwild::new(1).rows(10), 70, 10);
    let steps: Vec<u64> = found.steps.iter().map(|point| point.step).collect();
    assert_eq!(steps, [14, 21, 35, 42, 56, 63, 70, 84, 91, 100]);
    for every in [0, 10] {
        let epochs = history(Hogwild::new(1).rows(10), 70, every).epochs;
        assert_eq!((epochs.len(), epochs[0].step, epochs[0].learning_rate), (1, 100, 0.5));
    }
}
