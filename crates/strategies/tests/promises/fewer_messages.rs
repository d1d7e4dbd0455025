//! Ranks that say less to each other: what stays exact, and how far from the synchronous run the rest is.

use tidemill_collective::{Collective, Threads};
use tidemill_data::{Source, SourceExt};
use tidemill_optim::sgd;
use tidemill_strategies::{
    Adasum, AllReduce, Average, Batch, Checkpoints, Compress, Compression, Control, Distributed, Error, Event,
    GradientSync, Online, Serial, State, Strategy, Trainer, evaluate, on_event,
};

use crate::model::{bits, close, metrics, program, rows, trainer};
use crate::ranks::{large, serial, world};

type Wrap = fn(Distributed<Serial>) -> Distributed<Serial, Box<dyn GradientSync<f64>>>;

/// The ways to say less.
const WAYS: [(&str, Wrap); 10] = [
    ("half precision", |engine| engine.sync(Box::new(Compress::new(Compression::Half)))),
    ("the largest tenth", |engine| engine.sync(Box::new(Compress::new(Compression::TopK(0.1))))),
    ("signs, after a while", |engine| engine.sync(Box::new(Compress::new(Compression::OneBit).after(20)))),
    ("half precision, in parts", |engine| engine.sync(Box::new(Compress::new(Compression::Half).overlap(80)))),
    ("the largest tenth of parts", |engine| engine.sync(Box::new(Compress::new(Compression::TopK(0.1)).overlap(80)))),
    ("signs of parts, after a while", |engine| {
        engine.sync(Box::new(Compress::new(Compression::OneBit).overlap(80).after(20)))
    }),
    ("adasum", |engine| engine.sync(Box::new(Adasum::new()))),
    ("averages of 2 steps", |engine| engine.sync(Box::new(Average::every(2)))),
    ("averages of 5 steps", |engine| engine.sync(Box::new(Average::every(5)))),
    ("averages of 4 steps, later", |engine| engine.sync(Box::new(Average::every(4).after(6)))),
];

fn shard(rank: usize, size: usize) -> impl Source<f64> {
    rows(600).shard(rank as u64, size as u64).unwrap()
}

/// The states of ranks that each have every `size`-th row.
fn train_all(
    size: usize,
    wrap: Wrap,
    make: fn() -> Trainer<f64>,
    strategy: &(impl Strategy<f64> + Sync),
) -> Vec<State<f64>> {
    world(size, |rank| {
        let mut source = shard(rank.rank(), size);
        let trainer = make().engine(wrap(Distributed::new(rank, Serial)));
        let mut state = trainer.start_with(7, metrics());
        trainer.run(strategy, &mut state, &mut source, &mut ()).unwrap();
        state
    })
}

#[test]
fn all_ranks_hold_the_same_and_learn_nearly_as_well() {
    let loss = |state: &State<f64>| {
        evaluate(&program(0.0), &state.params, &mut rows(600), &mut tidemill_strategies::Metrics::new()).unwrap().loss()
    };
    let strategy = Online::new().batch_size(5).passes(6);
    let synchronous = train_all(3, |engine| engine.sync(Box::new(AllReduce)), || trainer(0.0), &strategy);
    let want = loss(&synchronous[0]);
    assert!(want < 0.45, "a model that has learned something: {want}");
    for (what, wrap) in WAYS {
        let got = train_all(3, wrap, || trainer(0.0), &strategy);
        for state in &got {
            assert!(state.params == got[0].params, "{what}: ranks hold different parameters");
            assert_eq!(
                bits(&got[0])[state.params.len() + state.optimizer.len()..],
                bits(state)[state.params.len() + state.optimizer.len()..],
                "{what}: scores"
            );
        }
        assert_eq!((got[0].step, got[0].rows_trained), (6 * 40, 6 * 600), "{what}");
        let loss = loss(&got[0]);
        assert!(loss < want + 0.05, "{what}: {loss}, synchronously {want}");
        let (score, synchronous) = (got[0].metrics[1].value(), synchronous[0].metrics[1].value());
        assert!((score - synchronous).abs() < 0.1, "{what}: a log loss of {score}, not {synchronous}");
    }
}

/// With plain gradient descent, the average of single steps is the step on all rows.
#[test]
fn averages_of_one_step_are_synchronous() {
    let plain = || Trainer::new(program(0.0), sgd(0.05)).unwrap();
    let strategy = Online::new().batch_size(4);
    let got = train_all(3, |engine| engine.sync(Box::new(Average::every(1))), plain, &strategy);
    close("averages of 1 step", &got[0], &serial(plain(), &Online::new().batch_size(12), rows(600)));
    // Until they train apart, ranks do not.
    let got = train_all(3, |engine| engine.sync(Box::new(Average::every(7).after(1000))), plain, &strategy);
    close("averages after 1000 steps", &got[0], &serial(plain(), &Online::new().batch_size(12), rows(600)));
}

/// Nothing is compressed away where everything is sent.
#[test]
fn the_largest_of_all_are_the_whole_gradient() {
    let got = train_all(
        3,
        |engine| engine.sync(Box::new(Compress::new(Compression::TopK(1.0)))),
        large,
        &Online::new().batch_size(4),
    );
    let want = serial(large(), &Online::new().batch_size(12), rows(600));
    for (got, want) in got[0].params.iter().zip(&want.params) {
        assert!((got - want).abs() < 1e-4, "{got}, not {want}");
    }
}

#[test]
fn resumed_is_as_never_stopped() {
    for (what, wrap) in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let strategy = Batch::new(4).batch_size(5).in_order();
        let run = |resume: bool, stop_at: Option<u64>| {
            let path = folder.path().join("state.safetensors");
            world(3, |rank: Threads| {
                let (number, is_first) = (rank.rank(), rank.rank() == 0);
                let trainer = trainer(0.3).engine(wrap(Distributed::new(rank, Serial)));
                let mut state = if resume && is_first {
                    trainer.resume(&path, metrics()).unwrap()
                } else {
                    trainer.start_with(7, metrics())
                };
                let stop = on_event(|event: &Event<'_, f64>, _: &mut Control| match event {
                    Event::Step { state, .. } if stop_at.is_some_and(|step| state.step >= step) => {
                        Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
                    }
                    _ => Ok(()),
                });
                let mut callback = (Checkpoints::new(&path, 20), stop);
                let mut source = rows(98).shard(number as u64, 3).unwrap();
                let ended = trainer.run(&strategy, &mut state, &mut source, &mut callback);
                assert_eq!(ended.is_ok(), stop_at.is_none(), "{what}: {:?}", ended.err());
                bits(&state)
            })
        };
        let undisturbed = run(false, None);
        run(false, Some(25));
        assert!(run(true, None) == undisturbed, "{what}");
    }
}

/// A stop comes behind the steps that others have taken already, and the run that goes on is the one that would have.
#[test]
fn stopped_and_resumed_between_averages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let run = |resume: bool, stop_at: Option<u64>| {
        world(2, |rank: Threads| {
            let (number, is_first) = (rank.rank(), rank.rank() == 0);
            let trainer = trainer(0.0).engine(Distributed::new(rank, Serial).sync(Box::new(Average::every(6))));
            let mut state = if resume && is_first {
                trainer.resume(&path, metrics()).unwrap()
            } else {
                trainer.start_with(7, metrics())
            };
            let stop = on_event(|event: &Event<'_, f64>, run: &mut Control| match event {
                Event::Step { state, .. } if number == 1 && Some(state.step) == stop_at => {
                    run.stop();
                    Ok(())
                }
                _ => Ok(()),
            });
            let mut callback = (Checkpoints::new(&path, 0), stop);
            let mut source = rows(98).shard(number as u64, 2).unwrap();
            let summary = trainer.run(&Online::new().batch_size(2), &mut state, &mut source, &mut callback).unwrap();
            (summary.stopped, state.step, bits(&state))
        })
    };
    let undisturbed = run(false, None);
    assert_eq!(undisturbed[0].1, 25);
    let stopped = run(false, Some(12));
    assert!(stopped.iter().all(|(stopped, step, _)| *stopped && *step == 18), "{:?}", stopped[0].1);
    assert!(run(true, None) == undisturbed);
}

#[test]
fn what_ranks_kept_is_shared_out_among_fewer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let wrap = |rank| Distributed::new(rank, Serial).sync(Box::new(Compress::new(Compression::TopK(0.2))));
    let sums = |states: &[State<f64>]| -> Vec<f64> {
        {
            let parts = states[0].rank_memory("error_feedback").unwrap();
            (0..parts[0].len()).map(|i| parts.iter().map(|part| part[i]).sum()).collect()
        }
    };
    let saved = world(4, |rank: Threads| {
        let mut source = shard(rank.rank(), 4);
        let trainer = trainer(0.0).engine(wrap(rank));
        let mut state = trainer.start_with(7, metrics());
        let mut callback = Checkpoints::new(&path, 0);
        trainer.run(&Online::new(), &mut state, &mut source, &mut callback).unwrap();
        state
    });
    assert!(sums(&saved).iter().any(|sum| *sum != 0.0));
    for size in [1, 2, 3, 6] {
        let resumed = world(size, |rank: Threads| {
            let is_first = rank.rank() == 0;
            let mut source = shard(rank.rank(), size);
            let trainer = trainer(0.0).engine(wrap(rank));
            let mut state =
                if is_first { trainer.resume(&path, metrics()).unwrap() } else { trainer.start_with(1, metrics()) };
            // No epoch is left: the ranks meet, and take over what was saved.
            trainer.run(&Online::new(), &mut state, &mut source, &mut ()).unwrap();
            state
        });
        for (got, want) in sums(&resumed).iter().zip(sums(&saved)) {
            assert!((got - want).abs() < 1e-12, "{size} ranks");
        }
    }
}

#[test]
fn settings_that_cannot_be() {
    use tidemill_strategies::Engine;

    let of = |wrap: Wrap| {
        let engine = wrap(Distributed::new(Threads::world(1).remove(0), Serial));
        let mut started = engine.start(&program::<f64>(0.0), 8).unwrap();
        started.prepare(trainer(0.0).optimizer()).unwrap_err().to_string()
    };
    assert!(
        of(|engine| engine.sync(Box::new(Compress::new(Compression::TopK(0.0)))))
            .contains("the largest 0 of a gradient")
    );
    assert!(
        of(|engine| engine.sync(Box::new(Compress::new(Compression::TopK(1.5)))))
            .contains("the largest 1.5 of a gradient")
    );
    assert!(of(|engine| engine.sync(Box::new(Average::every(0)))).contains("averages every 0 steps"));
    assert!(of(|engine| engine.share_rows().sync(Box::new(Average::every(2)))).contains("rows of their own"));
}
