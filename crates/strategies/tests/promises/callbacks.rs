//! What callbacks do to a run, and what of it a checkpoint holds.

use std::path::Path;

use tidemill_data::{MemorySource, Source};
use tidemill_metrics::drift::{Drift, DriftDetector, PageHinkley, PageHinkleyConfig};
use tidemill_strategies::{
    Callback, CallbackMemory, Checkpoints, Control, EarlyStopping, Error, Event, Online, Serial, State, on_event,
};

use crate::model::{bits, bits_of_training, metrics, rows, train, trainer};
use crate::ranks::world;

/// Raises the learning rate when the loss drifts, and lets it fall back; every seventh step the optimizer begins anew.
struct Adapt {
    detector: PageHinkley,
    raised: Vec<u64>,
}

impl Adapt {
    fn new() -> Self {
        let config = PageHinkleyConfig { min_instances: 3, delta: 0.01, threshold: 0.3, ..Default::default() };
        Self { detector: PageHinkley::new(config).unwrap(), raised: Vec::new() }
    }
}

impl<T> Callback<T> for Adapt {
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        let Event::Step { state, sums, .. } = event else { return Ok(()) };
        let factor = state.learning_rate_factor;
        if self.detector.update(sums.mean_loss()) == Drift::Drift {
            self.raised.push(state.step);
            run.set_learning_rate_factor(4.0);
        } else if factor > 1.0 {
            run.set_learning_rate_factor((factor * 0.9).max(1.0));
        }
        if state.step % 7 == 0 {
            run.reset_optimizer();
        }
        Ok(())
    }

    fn remember(&self, memory: &mut CallbackMemory) {
        memory.put("adapt.detector", self.detector.state());
        memory.put("adapt.raised", self.raised.iter().map(|&step| step as f64));
    }

    fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
        *self = Self::new();
        let Some(detector) = memory.get("adapt.detector") else { return Ok(()) };
        self.detector.restore(detector)?;
        self.raised = memory.get("adapt.raised").unwrap_or_default().iter().map(|&step| step as u64).collect();
        Ok(())
    }
}

fn online() -> Online {
    Online::new().passes(3).batch_size(5)
}

fn fail_at(step: Option<u64>) -> impl Callback<f64> {
    on_event(move |event: &Event<'_, f64>, _: &mut Control| match event {
        Event::Step { state, .. } if step.is_some_and(|step| state.step >= step) => {
            Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
        }
        _ => Ok(()),
    })
}

/// Rows of which the second half says the contrary of the first.
fn drifting() -> MemorySource<f64> {
    let all = rows::<f64>(240);
    let x = all.data().reals(all.schema().position("x").unwrap());
    let target = x.chunks(3).enumerate().map(|(row, x)| f64::from((x[0] > x[1]) == (row < 120))).collect();
    let builder = MemorySource::builder().reals("x", 3, x.to_vec()).indices("carrier", 5, vec![0; 240]);
    builder.target(target).build().unwrap()
}

/// From the checkpoint on, where there is one; the order of callbacks does not matter to it.
fn run(path: &Path, fails_at: Option<u64>, first: bool) -> (State<f64>, Vec<u64>) {
    let trainer = trainer::<f64>(0.3).engine(Serial);
    let mut state =
        if path.exists() { trainer.resume(path, metrics()).unwrap() } else { trainer.start_with(7, metrics()) };
    let (mut adapt, checkpoints, fail) = (Adapt::new(), Checkpoints::new(path, 1), fail_at(fails_at));
    let ended = if first {
        trainer.run(&online(), &mut state, &mut drifting(), &mut (checkpoints, &mut adapt, fail))
    } else {
        trainer.run(&online(), &mut state, &mut drifting(), &mut (fail, &mut adapt, checkpoints))
    };
    assert_eq!(ended.is_err(), fails_at.is_some());
    (state, adapt.raised)
}

#[test]
fn a_reaction_to_drift_is_resumed_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (want, raised) = run(&folder.path().join("undisturbed"), None, true);
    assert!(raised.len() > 1 && raised[0] < want.step, "drift was seen: {raised:?}");
    assert_ne!(bits(&want), bits(&train(&trainer::<f64>(0.3), &online(), &mut drifting())), "and made a difference");
    let around = raised.iter().take(3).flat_map(|&step| [step, step + 1]);
    for fails_at in (2..want.step).step_by(40).chain(around) {
        for first in [true, false] {
            let path = folder.path().join(format!("{fails_at}{first}"));
            run(&path, Some(fails_at), first);
            let (got, found) = run(&path, None, first);
            assert_eq!(found, raised, "killed in step {fails_at}");
            assert!(bits(&got) == bits(&want), "killed in step {fails_at}");
        }
    }
}

/// The first rank alone has a callback; the others do what it asks for.
#[test]
fn all_ranks_do_what_the_firsts_callback_asks_for() {
    use tidemill_collective::Collective;
    use tidemill_data::SourceExt;
    use tidemill_strategies::{AllReduce, Average, Distributed, FastAllReduce, GradientSync};

    type Wrap = fn(Distributed<Serial>) -> Distributed<Serial, Box<dyn GradientSync<f64>>>;
    let ways: [Wrap; 3] =
        [|e| e.sync(Box::new(AllReduce)), |e| e.sync(Box::new(Average::every(3))), |e| e.sync(Box::new(FastAllReduce))];
    for (way, wrap) in ways.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let train = |fails_at: Option<u64>| {
            world(2, |rank| {
                let number = rank.rank();
                let trainer = crate::ranks::large().engine(wrap(Distributed::new(rank, Serial)));
                let mut state = match number == 0 && path.exists() {
                    true => trainer.resume(&path, metrics()).unwrap(),
                    false => trainer.start_with(7, metrics()),
                };
                let adapt = (number == 0).then(Adapt::new);
                let mut callbacks = (adapt, Checkpoints::new(&path, 6), fail_at(fails_at));
                let mut source = drifting().shard(number as u64, 2).unwrap();
                let ended = trainer.run(&online(), &mut state, &mut source, &mut callbacks);
                assert_eq!(ended.is_err(), fails_at.is_some());
                (bits_of_training(&state), bits(&state))
            })
        };
        let want = train(None);
        // The first rank's callback remembers something.
        assert!(want[0].0 == want[1].0 || way == 1, "ranks that train apart keep moments of their own");
        let head = crate::ranks::large().start(0).params.len();
        assert!(want[0].1[..head] == want[1].1[..head], "parameters of the ranks");
        std::fs::remove_file(&path).unwrap();
        train(Some(21));
        let got = train(None);
        assert!(got.iter().map(|rank| &rank.0).eq(want.iter().map(|rank| &rank.0)), "way {way} is resumed");
        assert!(got[0].1 == want[0].1, "what the first rank's callback remembers is too");
    }
}

#[test]
fn two_callbacks_of_one_name_are_refused() {
    let trainer = trainer::<f64>(0.0);
    let (mut first, mut second) = (rows(20), rows(20));
    let mut callbacks =
        (EarlyStopping::new(trainer.program(), &mut first, 5), EarlyStopping::new(trainer.program(), &mut second, 50));
    let mut state = trainer.start(1);
    let error = trainer.run(&online(), &mut state, &mut rows(20), &mut callbacks).unwrap_err().to_string();
    assert_eq!(error, "callbacks: two of them remember early_stopping; give one another name");
    let mut callbacks = (callbacks.0, callbacks.1.named("late_stopping"));
    trainer.run(&online(), &mut trainer.start(1), &mut rows(20), &mut callbacks).unwrap();
}

#[test]
fn a_factor_that_is_none_is_refused() {
    for factor in [f64::NAN, -1.0, f64::INFINITY] {
        let trainer = trainer::<f64>(0.0);
        let mut callback = on_event(|event: &Event<'_, f64>, run: &mut Control| {
            if matches!(event, Event::Step { .. }) {
                run.set_learning_rate_factor(factor);
            }
            Ok(())
        });
        let mut state = trainer.start(1);
        let error = trainer.run(&online(), &mut state, &mut rows(20), &mut callback).unwrap_err().to_string();
        assert_eq!(error, format!("learning-rate factor: {factor}; expected a finite number from zero"));
        assert_eq!((state.learning_rate_factor, state.step), (1.0, 1));
    }
}

/// Plain gradient descent with twice the rate is that with a factor of two, in every engine; a factor of zero is no motion.
#[test]
fn the_factor_multiplies_the_rate_in_every_engine() {
    use tidemill_optim::sgd;
    use tidemill_strategies::{DataParallel, Engine, Hogwild, Trainer};

    fn check<E: Engine<f64> + 'static>(engine: impl Fn() -> E) {
        let train = |rate: f64, factor: f64| {
            let trainer = Trainer::new(crate::model::program(0.0), sgd(rate)).unwrap().engine(engine());
            let mut state = trainer.start(1);
            let mut callback = on_event(|event: &Event<'_, f64>, run: &mut Control| {
                if matches!(event, Event::Started { .. }) {
                    run.set_learning_rate_factor(factor);
                }
                Ok(())
            });
            trainer.run(&online(), &mut state, &mut rows(60), &mut callback).unwrap();
            state.params
        };
        assert_eq!(train(0.05, 2.0), train(0.1, 1.0));
        assert_ne!(train(0.05, 2.0), train(0.05, 1.0));
        assert_eq!(
            train(0.05, 0.0),
            Trainer::new(crate::model::program::<f64>(0.0), sgd(0.1)).unwrap().start(1).params
        );
    }
    check(|| Serial);
    check(|| DataParallel::new(2).shards(3));
    check(|| Hogwild::new(1).rows(2));
}

/// Ranks give each other what they hold of the state when one of them saves it after an epoch, and when all save it by the
/// session; without a word before a step, nothing incomplete is written.
#[test]
fn ranks_save_after_an_epoch_and_not_by_surprise() {
    use tidemill_collective::Collective;
    use tidemill_data::SourceExt;
    use tidemill_strategies::Distributed;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let train = |in_steps: bool| {
        world(2, |rank| {
            let number = rank.rank();
            let trainer = crate::ranks::large().engine(Distributed::new(rank, Serial));
            let mut state = match number == 0 && path.exists() {
                true => trainer.resume(&path, metrics()).unwrap(),
                false => trainer.start_with(7, metrics()),
            };
            let saves = on_event(|event: &Event<'_, f64>, run: &mut Control| {
                match event {
                    Event::Epoch { number: 0, .. } if !in_steps => run.save(&path),
                    Event::Step { state, .. } if in_steps && state.step == 5 => run.save(&path),
                    _ => {}
                }
                Ok(())
            });
            let mut callback = (number == 0).then_some(saves);
            let mut source = rows(160).shard(number as u64, 2).unwrap();
            let ended = trainer.run(&online(), &mut state, &mut source, &mut callback);
            (bits(&state), ended.map(|_| ()).map_err(|error| error.to_string()))
        })
    };
    let error = train(true)[0].1.clone().unwrap_err();
    assert!(error.contains("not written: parts of it are with other ranks") && error.contains("by `saves`"), "{error}");
    assert!(!path.exists());
    let undisturbed = train(false);
    assert!(path.exists() && undisturbed.iter().all(|(_, ended)| ended.is_ok()));
    assert!(train(false) == undisturbed, "resumed from the first epoch's end");
}
