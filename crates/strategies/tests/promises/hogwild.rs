//! Threads that do not wait for each other, on a model of which a row touches little.

use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::ops::Add;
use tidemill_autograd::tensor::Key;
use tidemill_data::MemorySource;
use tidemill_layers::{Dense, Embedding, Layer};
use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss};
use tidemill_metrics::LogLoss;
use tidemill_optim::{Compose, adam, clip_by_global_norm, sgd};
use tidemill_strategies::{Accumulate, Error, Hogwild, Online, Serial, State, Trainer, evaluate};

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
    let mut state = trainer.start_with(7, vec![Box::new(LogLoss::default())]);
    let strategy = Online::new().batch_size(batch_size).passes(passes);
    trainer.run(&strategy, &mut state, &mut rows(20_000), &mut ()).unwrap();
    state
}

fn loss(state: &State<f64>) -> f64 {
    evaluate(&Arc::new(program()), &state.params, &mut rows(20_000), &mut Vec::new()).unwrap().sums.mean_loss()
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

#[test]
fn threads_come_as_far_as_one() {
    let start = loss(&Trainer::new(program(), sgd(0.5)).unwrap().start(7));
    let serial = loss(&train(&Trainer::new(program(), sgd(0.5)).unwrap(), 4, 4));
    for threads in [2, 4] {
        let hogwild = Trainer::new(program(), sgd(0.5)).unwrap().engine(Hogwild::new(threads).rows(4));
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
    let error = refused(Trainer::new(program(), sgd(0.1)).unwrap().engine(Accumulate::new(2, Hogwild::new(2))));
    assert!(error.contains("steps of its own"), "{error}");
    // Serial takes them all.
    let trainer = Trainer::new(program(), adam(0.1)).unwrap().engine(Serial);
    trainer.run(&Online::new(), &mut trainer.start(7), &mut rows(10), &mut ()).unwrap();
}
