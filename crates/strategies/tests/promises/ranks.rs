//! Several ranks train what one would: equal shares or not, in any number, and whatever happens to one of them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Program, Write};
use tidemill_collective::{Collective, Error as Lost, Peer, Threads};
use tidemill_data::{Interrupt, MemorySource, Source, SourceExt};
use tidemill_layers::{Dense, Layer, Sequential};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_optim::{Compose, Optimizer, UpdateStep, adam, clip_by_global_norm};
use tidemill_strategies::{
    AllReduce, Arenas, Batch, Checkpoints, Control, DataParallel, Distributed, Engine, Error, Event, FastAllReduce,
    GradientSync, Online, Outputs, Running, Serial, State, Strategy, Sums, Task, Trainer, Updated, on_event,
};

use crate::model::{bits, close, metrics, program, rows, trainer};

/// What each rank of a world returns.
pub fn world<R: Send>(size: usize, work: impl Fn(Threads) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let ranks = Threads::world_within(size, Duration::from_secs(20));
        let ranks: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(|| work(rank))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// The state of each rank after a run with the engine that `make` gives it.
fn train_all<E: Engine<f64> + 'static>(
    size: usize,
    make: impl Fn(Threads) -> E + Sync,
    trainer: impl Fn() -> Trainer<f64> + Sync,
    strategy: &(impl Strategy<f64> + Sync),
    source: impl Fn(usize) -> Box<dyn Source<f64>> + Sync,
) -> Vec<State<f64>> {
    world(size, |rank| {
        let mut source = source(rank.rank());
        let trainer = trainer().engine(make(rank));
        let mut state = trainer.start_with(7, metrics());
        trainer.run(strategy, &mut state, &mut *source, &mut ()).unwrap();
        state
    })
}

/// All ranks hold the same bits; they are close to what is wanted, scores too.
fn check(what: &str, got: &[State<f64>], want: &State<f64>) {
    for (rank, state) in got.iter().enumerate() {
        assert!(bits(state) == bits(&got[0]), "{what}: rank {rank} holds another state than rank 0");
    }
    close(what, &got[0], want);
    assert_eq!(got[0].rows_trained, want.rows_trained, "{what}");
    for (got, want) in got[0].metrics.iter().zip(want.metrics.iter()) {
        // Batch training scores nothing.
        let (got, want, name) = (got.value(), want.value(), got.name());
        assert!((got - want).abs() < 1e-9 || got.is_nan() && want.is_nan(), "{what}: {name} is {got}, not {want}");
    }
}

pub fn serial(trainer: Trainer<f64>, strategy: &impl Strategy<f64>, mut source: impl Source<f64>) -> State<f64> {
    let mut state = trainer.start_with(7, metrics());
    trainer.run(strategy, &mut state, &mut source, &mut ()).unwrap();
    state
}

/// Enough parameters that ranks share the update.
pub fn large() -> Trainer<f64> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = Sequential::new()
            .add(Dense::new(90).tanh())
            .add(Dense::new(90).tanh())
            .add(Dense::new(1))
            .apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    Trainer::new(program.unwrap(), adam(1e-3)).unwrap()
}

#[test]
fn ranks_that_share_rows_train_as_one() {
    let (batch, online) = (Batch::new(2), Online::new().batch_size(13));
    for size in [1, 2, 3, 4, 5, 6, 7, 8] {
        let shared = |rank| Distributed::new(rank, Serial).share_rows();
        let all_rows = |_| -> Box<dyn Source<f64>> { Box::new(rows(101)) };
        // With dropout, whose masks are each row's own; the last batch is of 5 rows.
        let got = train_all(size, shared, || trainer(0.3), &batch, all_rows);
        check(&format!("{size} ranks, batch"), &got, &serial(trainer(0.3), &batch, rows(101)));
        let got = train_all(size, shared, || trainer(0.3), &online, all_rows);
        check(&format!("{size} ranks, online"), &got, &serial(trainer(0.3), &online, rows(101)));
        let got = train_all(size, shared, large, &online, all_rows);
        check(&format!("{size} ranks, larger"), &got, &serial(large(), &online, rows(101)));
    }
}

#[test]
fn engines_inside_and_ways_to_add_up_do_not_matter() {
    let all_rows = |_| -> Box<dyn Source<f64>> { Box::new(rows(101)) };
    let batch = Batch::new(2);
    let clipped = || Trainer::new(program(0.0), clip_by_global_norm(0.01).then(adam(0.02))).unwrap();
    let want = serial(clipped(), &batch, rows(101));
    check("clipped", &train_all(3, |r| Distributed::new(r, Serial).share_rows(), clipped, &batch, all_rows), &want);
    let want = serial(large(), &batch, rows(101));
    let shared = |r| Distributed::new(r, Serial).share_rows();
    let exact = train_all(3, shared, large, &batch, all_rows);
    check("shares", &exact, &want);
    for bytes in [0, 800, 1 << 20] {
        let overlapping = train_all(3, |r| shared(r).sync(AllReduce.overlap(bytes)), large, &batch, all_rows);
        assert_eq!(bits(&overlapping[0]), bits(&exact[0]), "parts of {bytes} bytes, begun early");
        check("overlapping", &overlapping, &want);
    }
    check("fast", &train_all(3, |r| shared(r).sync(FastAllReduce), large, &batch, all_rows), &want);
    let threads = |r| Distributed::new(r, DataParallel::new(2).shards(3)).share_rows();
    check("shards", &train_all(2, threads, large, &batch, all_rows), &want);
    check(
        "shards, overlapping",
        &train_all(2, |r| threads(r).sync(AllReduce.overlap(0)), large, &batch, all_rows),
        &want,
    );
}

/// Rows `range` of 48.
fn some(range: std::ops::Range<usize>) -> MemorySource<f64> {
    let all = rows::<f64>(48);
    let mut batch = tidemill_data::Batch::new(all.schema().clone());
    let mut part = all.clone();
    part.skip(range.start as u64).unwrap();
    part.fill(&mut batch, range.len()).unwrap();
    MemorySource::new(batch).unwrap()
}

#[test]
fn uneven_shards_train_as_all_rows_together() {
    let cuts = [0..1, 1..11, 11..11, 11..48];
    let strategy = Batch::new(6).full_batch().in_order();
    for trainer in [|| trainer(0.0), large] {
        let shard = |rank: usize| -> Box<dyn Source<f64>> { Box::new(some(cuts[rank].clone())) };
        let got = train_all(4, |rank| Distributed::new(rank, Serial), trainer, &strategy, shard);
        check("1, 10, 0 and 37 rows", &got, &serial(trainer(), &strategy, rows(48)));
    }
    // One rank has long run out of rows while another still has many; every row is trained on once an epoch.
    let strategy = Online::new().batch_size(4).passes(3);
    let shard = |rank: usize| -> Box<dyn Source<f64>> { Box::new(some(cuts[rank].clone())) };
    let got = train_all(4, |rank| Distributed::new(rank, Serial), large, &strategy, shard);
    assert_eq!((got[0].step, got[0].rows_trained, got[2].rows_trained), (3 * 10, 3 * 48, 3 * 48));
    assert!(got.iter().all(|state| state.params == got[0].params));
}

#[test]
fn shards_of_rows_in_turn_give_the_steps_of_one() {
    let strategy = Online::new().batch_size(12);
    for size in [2, 3, 4] {
        let shard =
            |rank: usize| -> Box<dyn Source<f64>> { Box::new(rows(96).shard(rank as u64, size as u64).unwrap()) };
        let own = Online::new().batch_size(12 / size);
        let got = train_all(size, |rank| Distributed::new(rank, Serial), || trainer(0.0), &own, shard);
        check(&format!("{size} shards"), &got, &serial(trainer(0.0), &strategy, rows(96)));
    }
}

#[test]
fn one_rank_saves_and_any_number_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let strategy = Batch::new(3).batch_size(24);
    let run = |size: usize, resume: bool, stop_at: Option<u64>| {
        let path = folder.path().join("state.safetensors");
        let states = world(size, |rank| {
            let is_first = rank.rank() == 0;
            let trainer = large().engine(Distributed::new(rank, Serial).share_rows());
            // Only the first rank reads: its state is everybody's.
            let mut state = if resume && is_first {
                trainer.resume(&path, metrics()).unwrap()
            } else {
                trainer.start_with(7, metrics())
            };
            let stop = on_event(|event: &Event<'_, f64>, _: &mut Control| match event {
                Event::Step { state, .. } if Some(state.step) == stop_at => {
                    Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
                }
                _ => Ok(()),
            });
            let mut callback = (Checkpoints::new(&path, 4), stop);
            let ended = trainer.run(&strategy, &mut state, &mut rows(101), &mut callback);
            assert_eq!(ended.is_ok(), stop_at.is_none());
            bits(&state)
        });
        states.into_iter().next().unwrap()
    };
    let undisturbed = run(2, false, None);
    // Stopped after the 6th step; what is there is the checkpoint after the 4th.
    run(2, false, Some(6));
    assert_eq!(run(2, true, None), undisturbed);
    let want = serial(large(), &strategy, rows(101));
    for size in [1, 3, 5] {
        run(4, false, Some(6));
        run(size, true, None);
        let resumed = large().resume(folder.path().join("state.safetensors"), metrics()).unwrap();
        close(&format!("resumed by {size} ranks"), &resumed, &want);
    }
}

#[test]
fn what_one_rank_cannot_do_ends_all() {
    let outcomes = world(3, |rank| {
        let odd = rank.rank() == 1;
        let trainer = large().engine(Distributed::new(rank, Serial).share_rows());
        let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| match event {
            Event::Step { state, .. } if odd && state.step == 5 => {
                Err(Error::Setting { what: "disk".into(), problem: "full".into() })
            }
            _ => Ok(()),
        });
        let mut state = trainer.start(1);
        let error = trainer.run(&Batch::new(9), &mut state, &mut rows(101), &mut callback).unwrap_err();
        (state.step, error.to_string())
    });
    let others = "step 5: rank 1 of 3 could not go on: disk: full".to_owned();
    assert_eq!(outcomes, [(5, others.clone()), (5, "disk: full".into()), (5, others)]);

    // Before the first step.
    let outcomes = world(2, |rank| {
        let n = if rank.rank() == 0 { 101 } else { 50 };
        let trainer = large().engine(Distributed::new(rank, Serial).share_rows());
        let strategy = Batch::new(1).budget(2000);
        trainer.run(&strategy, &mut trainer.start(1), &mut rows(n).take(60), &mut ()).unwrap_err().to_string()
    });
    assert!(outcomes.iter().any(|error| error.contains("2000")), "{outcomes:?}");

    // A row that is no number, on one rank.
    let outcomes = world(2, |rank| {
        let x = if rank.rank() == 1 { f64::NAN } else { 1.0 };
        let mut source = MemorySource::builder().reals("x", 3, vec![1.0, x, 1.0]).target(vec![1.0]).build().unwrap();
        let trainer = large().engine(Distributed::new(rank, Serial));
        trainer.run(&Online::new(), &mut trainer.start(1), &mut source, &mut ()).unwrap_err().to_string()
    });
    assert!(outcomes[1].starts_with("step 0: the loss of row 0"), "{outcomes:?}");
    assert!(outcomes[0].starts_with("step 0: rank 1 of 2 could not go on: step 0: the loss of row 0"), "{outcomes:?}");
}

#[test]
fn a_rank_that_stops_stops_all_after_the_same_step() {
    let steps = world(3, |rank| {
        let stop = Interrupt::new();
        let stops = rank.rank() == 2;
        let trainer = large().engine(Distributed::new(rank, Serial).share_rows());
        let set = stop.clone();
        let watch = on_event(move |event: &Event<'_, f64>, _: &mut Control| {
            if let Event::Step { state, .. } = event
                && stops
                && state.step == 7
            {
                set.set();
            }
            Ok(())
        });
        let mut state = trainer.start(1);
        let summary = trainer.run(&Batch::new(9), &mut state, &mut rows(101), &mut (watch, stop)).unwrap();
        (state.step, summary.stopped, bits(&state))
    });
    assert_eq!((steps[0].0, steps[0].1), (7, true));
    assert!(steps.iter().all(|other| *other == steps[0]));
}

#[test]
fn ranks_that_differ_are_told_apart_before_the_first_step() {
    type Make = fn(bool, Threads) -> (Trainer<f64>, MemorySource<f64>);
    fn engine(rank: Threads) -> Distributed<Serial> {
        Distributed::new(rank, Serial)
    }
    let cases: [(Make, &str); 5] = [
        (
            |odd, rank| (if odd { large() } else { trainer(0.0) }.engine(engine(rank)), rows(50)),
            "rank 1 of 3 has another number of parameters than rank 0: 6, not",
        ),
        (
            |odd, rank| {
                let rate = if odd { 0.1 } else { 0.2 };
                (Trainer::new(program(0.0), adam(rate)).unwrap().engine(engine(rank)), rows(50))
            },
            "rank 1 of 3 has another optimizer than rank 0:",
        ),
        (
            |odd, rank| {
                let size = if odd { 20 } else { 50 };
                (trainer(0.0).engine(engine(rank).share_rows()), rows(size))
            },
            "rank 1 of 3 has another number of rows than rank 0: 20, not 50",
        ),
        (
            |odd, rank| {
                let data = if odd { "flights of 2014" } else { "flights of 2013" };
                (trainer(0.0).engine(engine(rank).agree_on("data", data)), rows(50))
            },
            "rank 1 of 3 has another data than rank 0: flights of 2014, not flights of 2013",
        ),
        (
            |odd, rank| {
                let sync: Box<dyn GradientSync<f64>> = if odd { Box::new(FastAllReduce) } else { Box::new(AllReduce) };
                let engine = engine(rank).sync(sync);
                (trainer(0.0).engine(engine), rows(50))
            },
            "rank 1 of 3 has another engine than rank 0: 3 ranks, sums in any order, each serial, not",
        ),
    ];
    for (make, message) in cases {
        let errors = world(3, |rank| {
            let (trainer, mut source) = make(rank.rank() == 1, rank);
            trainer.run(&Online::new(), &mut trainer.start(1), &mut source, &mut ()).unwrap_err().to_string()
        });
        for error in errors {
            assert!(error.starts_with(&format!("step 0: {message}")), "{error}");
        }
    }
}

/// An engine that makes a mistake on one rank.
struct Faulty(bool);

struct FaultyRun(Box<dyn Running<f64>>, bool);

impl Engine<f64> for Faulty {
    fn start(&self, program: &Arc<Program<f64>>, rows: usize) -> Result<Box<dyn Running<f64>>, Error> {
        Ok(Box::new(FaultyRun(Serial.start(program, rows)?, self.0)))
    }

    fn describe(&self) -> String {
        "faulty".into()
    }
}

impl Running<f64> for FaultyRun {
    fn describe(&self) -> String {
        "faulty".into()
    }

    fn gradient(
        &mut self,
        task: &Task<'_, f64>,
        gradients: &mut [f64],
        write: Write,
        outputs: Option<&mut Outputs<f64>>,
    ) -> Sums {
        self.0.gradient(task, gradients, write, outputs)
    }

    fn evaluate(&mut self, task: &Task<'_, f64>, outputs: &mut Outputs<f64>) -> Sums {
        self.0.evaluate(task, outputs)
    }

    fn update(&mut self, optimizer: &Optimizer<f64>, step: UpdateStep, scale: f64, arenas: Arenas<'_, f64>) -> Updated {
        let Arenas { params, gradients, optimizer: memory, touched, timeline } = arenas;
        let inner = Arenas { params: &mut *params, gradients, optimizer: memory, touched, timeline };
        let updated = self.0.update(optimizer, step, scale, inner);
        if self.1 && step.number == 5 {
            params[3] = f64::from_bits(params[3].to_bits() ^ 1);
        }
        updated
    }
}

#[test]
fn parameters_that_differ_by_a_bit_are_noticed() {
    let errors = world(2, |rank| {
        let faulty = Faulty(rank.rank() == 1);
        let trainer = trainer(0.0).engine(Distributed::new(rank, faulty).compare_every(4));
        trainer.run(&Batch::new(9), &mut trainer.start(1), &mut rows(101), &mut ()).unwrap_err().to_string()
    });
    for error in errors {
        assert!(error.starts_with("step 8: rank 1 of 2 has another set of parameters than rank 0: one of"), "{error}");
    }
}

#[test]
fn a_rank_that_hangs_is_named_by_the_others_within_the_deadline() {
    // Long enough that no rank is late for want of a processor.
    let after = Duration::from_secs(4);
    let others = std::sync::Barrier::new(2);
    let errors = thread::scope(|scope| {
        let ranks: Vec<_> = Threads::world_within(2, after)
            .into_iter()
            .map(|rank| {
                let others = &others;
                scope.spawn(move || {
                    let hangs = rank.rank() == 1;
                    let trainer = trainer::<f64>(0.0).engine(Distributed::new(rank, Serial));
                    let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| {
                        if matches!(event, Event::Step { state, .. } if hangs && state.step == 3) {
                            // Until the other has given up.
                            others.wait();
                        }
                        Ok(())
                    });
                    let error =
                        trainer.run(&Batch::new(9), &mut trainer.start(1), &mut rows(101), &mut callback).unwrap_err();
                    if !hangs {
                        others.wait();
                    }
                    error
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>()
    });
    for error in errors {
        let Error::Ranks { step: 3, source: Lost::Late { peers, .. } } = error else { panic!("{error}") };
        assert_eq!(peers, [Peer { rank: 1, size: 2, host: None }]);
    }
}

#[test]
fn settings_that_cannot_be() {
    let of = |engine: &dyn Engine<f64>| engine.start(&program(0.0), 8).err().unwrap().to_string();
    let rank = || Threads::world(1).remove(0);
    let nested = Distributed::new(rank(), Distributed::new(rank(), Serial));
    assert!(of(&nested).contains("is distributed itself"));
    let engine = Distributed::new(rank(), Serial);
    let running = Engine::<f64>::start(&engine, &program(0.0), 8).unwrap();
    assert!(of(&engine).contains("another run has these workers"));
    drop(running);
    assert!(Engine::<f64>::start(&engine, &program(0.0), 8).is_ok());
}

/// Two precisions are no less than one.
#[test]
fn in_single_precision_too() {
    fn params<T: Scalar>() -> Vec<Vec<T>> {
        world(3, |rank| {
            let trainer = trainer::<T>(0.0).engine(Distributed::new(rank, Serial).share_rows());
            let mut state = trainer.start(7);
            trainer.run(&Batch::new(2), &mut state, &mut rows(60), &mut ()).unwrap();
            state.params
        })
    }
    let (single, double) = (params::<f32>(), params::<f64>());
    assert!(single.iter().all(|rank| *rank == single[0]));
    assert!(single[0].iter().zip(&double[0]).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-4));
}

/// Loaded shards are of different sizes, and a place in one is none in a shard of another world.
#[test]
fn loaded_shards_resume_on_as_many_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let run = |size: usize, resume: bool, epochs: u64, stop_at: Option<u64>| {
        world(size, |rank| {
            let (number, is_first) = (rank.rank(), rank.rank() == 0);
            let trainer = trainer(0.0).engine(Distributed::new(rank, Serial));
            let mut state = if resume && is_first {
                trainer.resume(&path, metrics()).unwrap()
            } else {
                trainer.start_with(7, metrics())
            };
            let stop = on_event(|event: &Event<'_, f64>, run: &mut Control| match event {
                Event::Step { state, .. } if Some(state.step) == stop_at => {
                    run.stop();
                    Ok(())
                }
                _ => Ok(()),
            });
            let mut source = rows(98).shard(number as u64, size as u64).unwrap();
            let mut callback = (Checkpoints::new(&path, 0), stop);
            let strategy = Batch::new(epochs).batch_size(5);
            trainer
                .run(&strategy, &mut state, &mut source, &mut callback)
                .map(|_| bits(&state))
                .map_err(|e| e.to_string())
        })
    };
    let undisturbed = run(3, false, 3, None);
    // In the midst of an epoch, and after its last step, when one rank has a row less.
    for step in [10, 14] {
        run(3, false, 3, Some(step));
        for error in run(2, true, 3, None) {
            assert!(error.unwrap_err().contains("by 3 rank(s) with rows of their own"));
        }
        assert!(run(3, true, 3, None) == undisturbed, "stopped after step {step}");
    }
    run(3, false, 2, None);
    assert!(run(2, true, 3, None).iter().all(Result::is_ok), "between epochs, any number goes on");
}
