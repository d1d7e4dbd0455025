//! A run that has nothing to do says so; what was evaluated is evaluated again; what callbacks know is resumed.

use tidemill_autograd::Program;
use tidemill_data::{Cursor, MemorySource, Source, SourceExt};
use tidemill_layers::{Dense, Layer};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_optim::sgd;
use tidemill_strategies::{
    Average, Batch, Checkpoints, Control, Distributed, EarlyStopping, Error, Event, Hogwild, Model, Online, Serial,
    Strategy, Trainer, on_event,
};

use crate::model::{bits, metrics, rows, train, trainer};
use crate::ranks::world;

fn refused(strategy: impl Strategy<f32>, state: &mut tidemill_strategies::State<f32>) {
    let before = bits(state);
    let error = trainer(0.0).run(&strategy, state, &mut rows(50), &mut ()).unwrap_err().to_string();
    assert!(error.contains("set `state.cursor = Cursor::start(0)`"), "{error}");
    assert_eq!(bits(state), before);
}

#[test]
fn a_second_run_that_would_do_nothing_says_what_to_do() {
    let trainer = trainer::<f32>(0.0);
    let mut state = train(&trainer, &Batch::new(5), &mut rows(50));
    refused(Batch::new(5), &mut state);
    refused(Batch::new(3), &mut state);
    refused(Online::new(), &mut state);
    let mut state = train(&trainer, &Online::new(), &mut rows(50));
    refused(Online::new(), &mut state);
    // Both ways that are told.
    let steps = state.step;
    assert_eq!(trainer.run(&Online::new().passes(2), &mut state, &mut rows(50), &mut ()).unwrap().steps, steps);
    state.cursor = Cursor::start(0);
    assert_eq!(trainer.run(&Online::new(), &mut state, &mut rows(50), &mut ()).unwrap().steps, steps);
    let error = trainer.run(&Batch::new(0), &mut state, &mut rows(50), &mut ()).unwrap_err().to_string();
    assert_eq!(error, "strategy: 0 epochs; expected 1 or more");
}

#[test]
fn a_checkpoint_of_a_run_that_has_ended_is_over_and_not_another_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let trainer = trainer::<f32>(0.0);
    trainer.save(&train(&trainer, &Batch::new(2), &mut rows(50)), &path).unwrap();
    let mut state = trainer.resume(&path, metrics()).unwrap();
    let summary = trainer.run(&Batch::new(2), &mut state, &mut rows(50), &mut ()).unwrap();
    assert!(summary.was_over && summary.steps == 0);
    refused(Batch::new(2), &mut state);
    refused(Online::new(), &mut trainer.resume(&path, metrics()).unwrap());
    let mut state = trainer.resume(&path, metrics()).unwrap();
    let summary = trainer.run(&Batch::new(3), &mut state, &mut rows(50), &mut ()).unwrap();
    assert!(!summary.was_over && summary.steps > 0);
}

#[test]
fn a_source_without_rows_is_an_error() {
    for engine in 0..2 {
        let trainer = match engine {
            0 => trainer::<f32>(0.0),
            _ => Trainer::new(crate::model::program::<f32>(0.0), sgd(0.1)).unwrap().engine(Hogwild::new(2)),
        };
        let run = |source: &mut dyn Source<f32>| trainer.run(&Online::new(), &mut trainer.start(1), source, &mut ());
        let error = run(&mut rows(20).take(0)).unwrap_err().to_string();
        assert_eq!(error, "source: it has no rows, so there is nothing to train on");
    }
    let errors = world(2, |rank| {
        let trainer = trainer::<f64>(0.0).engine(Distributed::new(rank, Serial));
        trainer.run(&Online::new(), &mut trainer.start(1), &mut rows(0), &mut ()).unwrap_err().to_string()
    });
    assert!(errors.iter().all(|error| error.contains("it has no rows")), "{errors:?}");
}

#[test]
fn an_evaluation_finds_the_same_again() {
    let trainer = trainer::<f32>(0.0);
    let model = Model::new(trainer.program().clone(), &train(&trainer, &Batch::new(1), &mut rows(50)));
    for skip in [0, 13] {
        let mut source = rows::<f32>(50).shuffle(16, 3).unwrap();
        source.skip(skip).unwrap();
        let first = model.evaluate(&mut source, &mut tidemill_strategies::Metrics::new()).unwrap();
        assert_eq!(first.sums.rows, 50 - skip);
        assert_eq!(model.evaluate(&mut source, &mut tidemill_strategies::Metrics::new()).unwrap(), first);
        let mut count = || model.predict(&mut source, |_| Ok(())).unwrap();
        assert_eq!((count(), count()), (50 - skip, 50 - skip));
    }
    let mut read = rows::<f32>(50);
    read.skip(50).unwrap();
    let error = model.evaluate(&mut read, &mut tidemill_strategies::Metrics::new()).unwrap_err().to_string();
    assert!(error.contains("stands at the end of its epoch"), "{error}");
    assert!(model.predict(&mut read, |_| Ok(())).unwrap_err().to_string().contains("seek(Cursor::start(0))"));
    let error = model.evaluate(&mut rows(0), &mut tidemill_strategies::Metrics::new()).unwrap_err().to_string();
    assert_eq!(error, "evaluate: the source has no rows");
    assert_eq!(model.predict(&mut rows(0), |_| Ok(())).unwrap(), 0);
}

fn linear() -> Trainer<f32> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[1])?;
        let y = Dense::new(1).apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    Trainer::new(program.unwrap(), sgd(0.01)).unwrap()
}

/// Held-out rows that say the contrary: the best epoch is an early one.
#[test]
fn early_stopping_resumed_stops_where_it_would_have() {
    let source = |slope: f32| {
        let x: Vec<f32> = (0..12).map(|i| i as f32 / 6.0).collect();
        let target = x.iter().map(|x| slope * x).collect();
        MemorySource::builder().reals("x", 1, x).target(target).build().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let batch = Batch::new(40).batch_size(4).in_order();
    let run = |resume: bool, kill_at: Option<u64>| {
        let trainer = linear();
        if !resume && path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        // Killed in its first step, a run has saved nothing.
        let mut state = if path.exists() {
            trainer.resume(&path, tidemill_strategies::Metrics::new()).unwrap()
        } else {
            trainer.start(3)
        };
        let mut held_out = source(0.7);
        let mut stopping = EarlyStopping::new(trainer.program(), &mut held_out, 5);
        let kill = on_event(|event: &Event<'_, f32>, _: &mut Control| match event {
            Event::Step { state, .. } if Some(state.step) == kill_at => {
                Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
            }
            _ => Ok(()),
        });
        let mut callbacks = (Checkpoints::new(&path, 1), &mut stopping, kill);
        let ended = trainer.run(&batch, &mut state, &mut source(2.0), &mut callbacks);
        assert_eq!(ended.is_err(), kill_at.is_some());
        let best = stopping.best();
        stopping.restore(&mut state);
        (state.step, best, state.params)
    };
    let want = run(false, None);
    assert!(want.0 < 40 * 3 && want.0 >= 6 * 3, "it stopped early, at step {}", want.0);
    for kill_at in [1, 3, 4, want.0 - 8, want.0 - 2] {
        run(false, Some(kill_at));
        assert_eq!(run(true, None), want, "killed after step {kill_at}");
    }
}

/// The last step's gradient overflows: no one looks at a loss after it.
#[test]
fn parameters_that_are_not_finite_are_not_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let source = || MemorySource::builder().reals("x", 1, vec![1e20f32, 1e20]).target(vec![0.0, 0.0]).build().unwrap();
    let program = || {
        Program::build(|graph| {
            let x = graph.input("x", &[1])?;
            let y = Dense::new(1).apply(graph, x)?;
            tidemill_losses::MeanAbsoluteError.apply(graph, y)
        })
        .unwrap()
    };
    for engine in 0..3 {
        let trainer = Trainer::new(program(), sgd(1e30)).unwrap();
        let trainer = match engine {
            0 => trainer,
            1 => trainer.engine(tidemill_strategies::DataParallel::new(2)),
            _ => trainer.engine(Hogwild::new(1).rows(2)),
        };
        let mut state = trainer.start(1);
        let mut saved = Checkpoints::new(&path, 0);
        let error = trainer.run(&Online::new(), &mut state, &mut source(), &mut saved).unwrap_err();
        assert!(matches!(error, Error::Diverged { step: 1, .. }), "{error}");
        assert!(error.to_string().contains("parameter dense1.weight[0] is"), "{error}");
        assert!(!path.exists());
        assert!(trainer.save(&state, &path).is_err() && !path.exists());
        assert!(Model::new(trainer.program().clone(), &state).save(&path).is_err() && !path.exists());
    }
}

/// A rank is lost while others train apart: who is left stands where all last agreed.
#[test]
fn an_average_that_fails_leaves_the_last_one() {
    let states = world(2, |rank| {
        let number = tidemill_collective::Collective::rank(&rank);
        let trainer = trainer::<f64>(0.0).engine(Distributed::new(rank, Serial).sync(Average::every(3)));
        let mut state = trainer.start(7);
        let mut agreed = None;
        let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| {
            if let Event::Step { state, .. } = event {
                agreed = Some((state.params.clone(), state.optimizer.clone(), state.step, state.cursor));
                if number == 1 && state.step == 6 {
                    return Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() });
                }
            }
            Ok(())
        });
        let online = Online::new().batch_size(4);
        assert!(trainer.run(&online, &mut state, &mut rows(100), &mut callback).is_err());
        assert_eq!(Some((state.params, state.optimizer, state.step, state.cursor)), agreed, "rank {number}");
        state.rows_trained
    });
    assert_eq!(states, [48, 48]);
}
