//! Strategies that are written outside of the crate, with a session alone.

use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Batch as Rows, MemorySource, Source, SourceExt};
use tidemill_strategies::{
    Average, Callback, Control, DataParallel, Distributed, Error, Event, Hogwild, Online, Outcome, Plan, Serial,
    Session, State, Strategy, Summary, Trainer, evaluate, on_event,
};

use crate::model::{bits, close, metrics, program, rows, train, trainer};
use crate::ranks::world;

/// A strategy that is a function of a session.
struct By<F>(Plan, F);

impl<T: Scalar, F: Fn(&mut Session<'_, T>) -> Result<(), Error>> Strategy<T> for By<F> {
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        let mut session = Session::start(trainer, state, source, callback, self.0)?;
        (self.1)(&mut session)?;
        session.finish()
    }
}

fn by<T: Scalar, F: Fn(&mut Session<'_, T>) -> Result<(), Error>>(plan: Plan, run: F) -> By<F> {
    By(plan, run)
}

/// Tests and trains in two calls; trains on a copy of the rows that were read.
fn copies<T: Scalar>(session: &mut Session<'_, T>) -> Result<(), Error> {
    while session.is_running() {
        if session.next_batch(8)? == 0 {
            session.end_epoch()?;
            continue;
        }
        session.score()?;
        let copy = session.batch().clone();
        assert!(matches!(session.train_on(&copy)?, Outcome::Step(_) | Outcome::Skipped));
    }
    Ok(())
}

/// Rows of which none weighs nothing, so that a copy is what was read.
fn weighted(n: usize) -> MemorySource<f64> {
    let all = rows::<f64>(2 * n);
    let kept: Vec<usize> = (0..2 * n).filter(|row| row % 4 != 0).take(n).collect();
    let mut batch = Rows::new(all.schema().clone());
    batch.gather(all.data(), &kept);
    MemorySource::new(batch).unwrap()
}

#[test]
fn tested_and_trained_apart_is_as_together() {
    let plan = Plan::epochs(2).batch_size(8);
    let online = Online::new().passes(2).batch_size(8);
    let want = train(&trainer::<f64>(0.0), &online, &mut weighted(77));
    assert_eq!(bits(&train(&trainer(0.0), &by(plan, copies), &mut weighted(77))), bits(&want));
    let parallel = || trainer::<f64>(0.0).engine(DataParallel::new(2));
    let want = train(&parallel(), &online, &mut weighted(77));
    assert_eq!(bits(&train(&parallel(), &by(plan, copies), &mut weighted(77))), bits(&want));
}

/// Each batch is trained on together with the one before.
struct Replay;

impl<T: Scalar> Strategy<T> for Replay {
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        let mut sample = Rows::new(source.schema().clone());
        let mut session = Session::start(trainer, state, source, callback, Plan::epochs(2).batch_size(12))?;
        while session.is_running() {
            let mut read = [session.next_batch(6)? as f64];
            session.sum_over_ranks(&mut read)?;
            if read == [0.0] {
                session.end_epoch()?;
                continue;
            }
            session.score()?;
            let kept = sample.rows().min(6);
            let mut next = Rows::new(sample.schema().clone());
            next.push_rows(&sample, sample.rows() - kept..sample.rows());
            next.push_rows(session.batch(), 0..session.batch().rows());
            sample = next;
            session.train_on(&sample)?;
        }
        session.finish()
    }
}

#[test]
fn rows_of_the_callers_own_are_trained_on_and_counted() {
    let mut state = trainer::<f64>(0.3).start_with(7, metrics());
    let mut epochs = Vec::new();
    let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| {
        if let Event::Epoch { number, sums, .. } = event {
            epochs.push((*number, sums.rows));
        }
        Ok(())
    });
    let summary = trainer(0.3).run(&Replay, &mut state, &mut weighted(60), &mut callback).unwrap();
    // Ten batches of the source, and all but the first with the one before.
    assert_eq!((summary.steps, summary.rows), (20, 6 + 19 * 12));
    assert_eq!(epochs, [(0, 6 + 9 * 12), (1, 10 * 12)]);
    assert!(state.metrics.iter().all(|metric| metric.value().is_finite()));
    for size in [1, 2, 3] {
        let states = world(size, |rank| {
            let number = tidemill_collective::Collective::rank(&rank) as u64;
            let trainer = trainer(0.0).engine(Distributed::new(rank, Serial));
            let mut source = weighted(61).shard(number, size as u64).unwrap();
            train(&trainer, &Replay, &mut source)
        });
        assert!(states.iter().all(|state| bits(state) == bits(&states[0])), "{size} ranks");
        assert!(states[0].step >= 2 * 61 / 6 / size as u64);
    }
}

#[test]
fn every_engine_takes_the_callers_rows() {
    let plan = Plan::epochs(2).batch_size(8);
    let plain = || Trainer::new(program::<f64>(0.0), tidemill_optim::sgd(0.05)).unwrap();
    let want = train(&plain(), &by(plan, copies), &mut weighted(40));
    let hogwild = train(&plain().engine(Hogwild::new(1).rows(8)), &by(plan, copies), &mut weighted(40));
    close("hogwild", &hogwild, &want);
}

#[test]
fn predictions_are_the_models() {
    let (trainer, mut source) = (trainer::<f64>(0.5), weighted(20));
    let mut found = Vec::new();
    let mut state = trainer.start(3);
    let mut nobody = ();
    let mut session = Session::start(&trainer, &mut state, &mut source, &mut nobody, Plan::epochs(1)).unwrap();
    assert_eq!(session.next_batch(20).unwrap(), 20);
    let predictions = session.predict();
    assert_eq!((predictions.width, predictions.batch.rows()), (1, 20));
    found.extend_from_slice(predictions.values);
    // Nothing was trained, and that was asked for.
    assert_eq!(session.finish().unwrap().steps, 0);
    let mut want = Vec::new();
    let each = |chunk: tidemill_strategies::Predictions<'_, f64>| {
        want.extend_from_slice(chunk.values);
        Ok(())
    };
    tidemill_strategies::predict(trainer.program(), &state.params, &mut weighted(20), each).unwrap();
    assert_eq!(found, want);
}

#[test]
fn a_score_is_that_of_an_evaluation() {
    let (trainer, mut source) = (trainer::<f64>(0.5), weighted(20));
    let mut state = trainer.start_with(3, metrics());
    let params = state.params.clone();
    let mut nobody = ();
    let mut session = Session::start(&trainer, &mut state, &mut source, &mut nobody, Plan::epochs(1)).unwrap();
    session.next_batch(20).unwrap();
    let sums = session.score().unwrap();
    drop(session);
    let mut want = metrics();
    let evaluation = evaluate(trainer.program(), &params, &mut weighted(20), &mut want).unwrap();
    assert_eq!(evaluation.sums, sums);
    assert_eq!(state.metrics[1].value(), want[1].value());
}

#[test]
fn a_step_that_fails_leaves_the_last_one() {
    let (trainer, mut source) = (trainer::<f64>(0.0), weighted(40));
    let mut state = trainer.start_with(3, metrics());
    let mut broken = Rows::new(source.schema().clone());
    broken.push_rows(source.data(), 0..5);
    let mut nobody = ();
    let mut session = Session::start(&trainer, &mut state, &mut source, &mut nobody, Plan::epochs(1)).unwrap();
    session.next_batch(8).unwrap();
    session.test_then_train().unwrap();
    let before = bits(session.state());
    let error = session.next_batch(33).unwrap_err().to_string();
    assert_eq!(error, "batch size: 33 rows; the session was started for batches of 1 to 32");
    assert!(session.next_batch(0).is_err());
    let mut other = MemorySource::builder().reals("y", 1, vec![1.0]).target(vec![1.0]).build().unwrap();
    let mut strange = Rows::new(other.schema().clone());
    other.fill(&mut strange, 1).unwrap();
    let error = session.train_on(&strange).unwrap_err().to_string();
    assert!(error.contains("they have the columns y, target"), "{error}");
    let x = broken.schema().position("x").unwrap();
    let poisoned = {
        let mut values = broken.reals(x).to_vec();
        values[4] = f64::NAN;
        let builder = MemorySource::builder().reals("x", 3, values).indices("carrier", 5, vec![0; 5]);
        builder.target(vec![1.0; 5]).weights(vec![1.0; 5]).build().unwrap()
    };
    let error = session.train_on(poisoned.data()).unwrap_err().to_string();
    assert_eq!(error, "step 1: the loss of row 1 of the batch is NaN; column x[1] is NaN there");
    assert_eq!(bits(session.state()), before);
    session.next_batch(8).unwrap();
    assert!(matches!(session.train().unwrap(), Outcome::Step(_)));
    session.stop();
    session.next_batch(8).unwrap();
    assert_eq!(session.train().unwrap(), Outcome::Stopped);
    let summary = session.finish().unwrap();
    assert_eq!((summary.steps, summary.stopped), (2, true));
}

/// A strategy that gives up between two averages leaves what all ranks have.
#[test]
fn steps_of_a_rank_alone_are_taken_back_or_averaged() {
    for gives_up in [true, false] {
        let states = world(2, |rank| {
            let number = tidemill_collective::Collective::rank(&rank) as u64;
            let trainer = trainer(0.0).engine(Distributed::new(rank, Serial).sync(Average::every(4)));
            let mut source = weighted(60).shard(number, 2).unwrap();
            let mut state = trainer.start(7);
            let plan = Plan::epochs(1).batch_size(3);
            let mut nobody = ();
            let mut session = Session::start(&trainer, &mut state, &mut source, &mut nobody, plan).unwrap();
            for step in 1..=6 {
                session.next_batch(3).unwrap();
                let outcome = session.train().unwrap();
                assert_eq!(outcome == Outcome::OwnStep, step != 4, "{outcome:?}");
            }
            if gives_up {
                drop(session)
            } else {
                let _summary = session.finish().unwrap();
            }
            state
        });
        assert_eq!(states[0].params, states[1].params);
        assert_eq!(states[0].step, if gives_up { 4 } else { 6 });
    }
}

/// A batch that must not be cut is not cut; rows that are said to be loaded, and are not in memory, are checked all the same.
#[test]
fn what_a_plan_does_not_hold_is_checked() {
    use tidemill_autograd::Program;
    use tidemill_layers::{BatchNorm, Dense, Layer, Sequential};
    use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss};

    let program = Program::<f64>::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = Sequential::new().add(Dense::new(4)).add(BatchNorm::new()).add(Dense::new(1)).apply(graph, x)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, y)
    });
    let trainer = Trainer::new(program.unwrap(), tidemill_optim::sgd(0.1)).unwrap();
    let (mut source, mut nobody, more) = (weighted(10), (), weighted(20));
    let mut state = trainer.start(1);
    let mut session = Session::start(&trainer, &mut state, &mut source, &mut nobody, Plan::epochs(1)).unwrap();
    let error = session.train_on(more.data()).unwrap_err().to_string();
    assert!(error.starts_with("rows to train on: 20 rows, more than the source has; "), "{error}");
    session.next_batch(10).unwrap();
    assert!(matches!(session.train().unwrap(), Outcome::Step(_)));
    drop(session);

    let x = vec![0.5; 30];
    let builder =
        MemorySource::builder().reals("x", 3, x).target(vec![0.0, 1.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let mut source = builder.build().unwrap().take(10);
    let mut state = trainer.start(1);
    let plan = Plan::epochs(1).loaded();
    let mut session = Session::start(&trainer, &mut state, &mut source, &mut nobody, plan).unwrap();
    let error = session.next_batch(10).unwrap_err().to_string();
    assert!(error.contains("is 7 in row 3"), "{error}");
}
