//! Rows of tables are updated alone, to the result that an update of everything has.

use std::sync::Arc;

use tidemill_autograd::{Graph, Program, Var, Write, ops};
use tidemill_collective::{Collective, Threads};
use tidemill_data::{MemorySource, SourceExt};
use tidemill_layers::{Dense, Embedding, Layer};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_optim::{
    Chain, Compose, Optimizer, Schedule, UpdateStep, adagrad, adam, clip_by_global_norm, l2, momentum, sgd,
    weight_decay,
};
use tidemill_strategies::{
    Adasum, AllReduce, Arenas, Average, Batch, Compress, Compression, Control, DataParallel, Distributed, Engine,
    Error, Event, FastAllReduce, GradientSync, Hogwild, Online, Outcome, Outputs, Plan, Running, Serial, Session,
    State, Strategy, Sums, Task, Trainer, Updated, evaluate, on_event,
};

use crate::model::{bits, close};
use crate::ranks::world;

const WORDS: u32 = 400;
const USERS: u32 = 9;

/// A table that two inputs read, another, and a dense part with enough parameters that ranks share them.
fn program() -> Program<f64> {
    let record = |graph: &mut Graph| {
        let words =
            graph.parameter("words", &[WORDS as usize, 3], tidemill_autograd::Initializer::Normal { std: 0.5 })?;
        let word = |graph: &mut Graph, name: &str| -> Result<Var, tidemill_autograd::Error> {
            let word = graph.index_input(name, &[], WORDS)?;
            graph.add(ops::Embedding::new(), &[word], &[words])
        };
        let (first, second) = (word(graph, "first")?, word(graph, "second")?);
        let user = graph.index_input("user", &[], USERS)?;
        let user = Embedding::new(USERS, 3).apply(graph, user)?;
        let both = graph.add(ops::Add, &[first, second], &[])?;
        let all = graph.add(ops::Multiply, &[both, user], &[])?;
        let hidden = Dense::new(1_100).tanh().apply(graph, all)?;
        let y = Dense::new(1).apply(graph, hidden)?;
        MeanSquaredError.apply(graph, y)
    };
    Program::build(record).unwrap()
}

fn number(stream: u32, i: u32, below: u32) -> u32 {
    // Small numbers come often, large ones seldom.
    let u = f64::from((i * 7_919 + stream * 104_729) % 10_007) / 10_007.0;
    (u * u * u * f64::from(below)) as u32
}

fn source(n: u32) -> MemorySource<f64> {
    let column = |stream, below| (0..n).map(|i| number(stream, i, below)).collect::<Vec<u32>>();
    let (first, second, user) = (column(1, WORDS), column(2, WORDS), column(3, USERS));
    let target = (0..n as usize).map(|i| f64::from((first[i] + 2 * second[i] + 5 * user[i]) % 11) / 11.0);
    let target = target.collect();
    let source = MemorySource::builder().indices("first", WORDS, first).indices("second", WORDS, second);
    source.indices("user", USERS, user).target(target).build().unwrap()
}

fn trainer(chain: impl Into<Chain>) -> Trainer<f64> {
    Trainer::new(program(), chain).unwrap()
}

fn run(trainer: &Trainer<f64>, strategy: &impl Strategy<f64>, n: u32) -> State<f64> {
    let mut state = trainer.start(7);
    trainer.run(strategy, &mut state, &mut source(n), &mut ()).unwrap();
    state
}

fn decaying() -> [Chain; 3] {
    let falling = Schedule::step(0.1, 5, 0.9);
    [
        l2(0.05).then(sgd(falling)),
        adagrad(0.05).then(weight_decay(0.1)),
        clip_by_global_norm(0.1).then(l2(0.2)).then(sgd(0.1)),
    ]
}

#[test]
fn rows_come_to_what_everything_comes_to() {
    for strategy in [Batch::new(3).batch_size(20), Batch::new(3).batch_size(1).in_order()] {
        for chain in [sgd(0.1).into(), adagrad(0.05).into()] {
            let chain: Chain = chain;
            let (rows, whole) = (trainer(chain.clone()), trainer(chain).whole_tables());
            assert_eq!((rows.why_whole_tables(), whole.why_whole_tables()), (None, Some("it was asked for")));
            assert!(bits(&run(&rows, &strategy, 155)) == bits(&run(&whole, &strategy, 155)));
        }
        for chain in decaying() {
            let whole = trainer(chain.clone()).whole_tables();
            close("decay", &run(&trainer(chain), &strategy, 155), &run(&whole, &strategy, 155));
        }
    }
}

#[test]
fn every_engine_comes_to_what_serial_comes_to() {
    let strategy = Batch::new(2).batch_size(20);
    let mut chains = decaying().to_vec();
    chains.push(adam(0.01).into());
    for chain in chains {
        let serial = run(&trainer(chain.clone()), &strategy, 155);
        for (threads, shards) in [(2, 2), (2, 3), (1, 3)] {
            let parallel = trainer(chain.clone()).engine(DataParallel::new(threads).shards(shards));
            close("data parallel", &run(&parallel, &strategy, 155), &serial);
        }
        for size in [2, 3] {
            let ranks = world(size, |rank| {
                let engine = Distributed::new(rank, DataParallel::new(2).shards(2)).share_rows().compare_every(1);
                run(&trainer(chain.clone()).engine(engine), &strategy, 155)
            });
            ranks.iter().for_each(|rank| assert!(bits(rank) == bits(&ranks[0]), "{size} ranks"));
            close("ranks", &ranks[0], &serial);
        }
    }
}

fn train_ranks<S: GradientSync<f64> + 'static>(
    chain: &Chain,
    make: impl Fn() -> S + Sync,
    prepare: impl Fn(Trainer<f64>) -> Trainer<f64> + Sync,
) -> State<f64> {
    let mut states = world(2, |rank: Threads| {
        let mut shard = source(200).shard(rank.rank() as u64, 2).unwrap();
        let engine = Distributed::new(rank, Serial).sync(make()).compare_every(1);
        let trainer = prepare(trainer(chain.clone()).engine(engine));
        let mut state = trainer.start(7);
        trainer.run(&Batch::new(2).batch_size(10).in_order(), &mut state, &mut shard, &mut ()).unwrap();
        state
    });
    assert!(states[0].params == states[1].params, "ranks hold the same");
    states.swap_remove(0)
}

/// Ranks with rows of their own: whole sums have the bits of an update of everything, and what a sync does to other
/// gradients it does not do to rows.
#[test]
fn every_sync_leaves_rows_whole() {
    let rows = |trainer: Trainer<f64>| trainer;
    let sgd: Chain = sgd(0.1).into();
    let whole = train_ranks(&sgd, || AllReduce, Trainer::whole_tables);
    assert!(bits(&whole) == bits(&train_ranks(&sgd, || AllReduce, rows)));
    assert!(bits(&whole) == bits(&train_ranks(&sgd, || AllReduce.overlap(100), rows)));
    close("fast", &train_ranks(&sgd, || FastAllReduce, rows), &whole);
    // Everything is sent when all elements are the largest.
    let all = || Compress::new(Compression::TopK(1.0));
    close("compressed", &train_ranks(&sgd, all, rows), &train_ranks(&sgd, all, Trainer::whole_tables));
    let (all, halves) = (train_ranks(&sgd, all, rows), || Compress::new(Compression::Half));
    close("halves", &train_ranks(&sgd, halves, rows), &train_ranks(&sgd, || halves().overlap(100), rows));
    let learns = |state: &State<f64>| {
        evaluate(
            trainer(sgd.clone()).program(),
            &state.params,
            &mut source(200),
            &mut tidemill_strategies::Metrics::new(),
        )
        .unwrap()
        .loss()
    };
    let (before, after) = (learns(&trainer(sgd.clone()).start(7)), learns(&all));
    for loss in [train_ranks(&sgd, Adasum::new, rows), train_ranks(&sgd, || Average::every(3), rows)].iter().map(learns)
    {
        assert!(
            loss < before && (loss - after).abs() < 0.3 * (before - after),
            "{loss}, from {before}, other syncs {after}"
        );
    }
    // Ranks that train apart leave different rows behind, and catch up before they take the average.
    for chain in decaying() {
        let whole = train_ranks(&chain, || Average::every(3), Trainer::whole_tables);
        close("apart", &train_ranks(&chain, || Average::every(3), rows), &whole);
    }
}

#[test]
fn one_table_that_two_inputs_read_is_one_table() {
    let program = program();
    let tables: Vec<(Vec<usize>, usize)> = program.tables().iter().map(|t| (t.inputs.clone(), t.range.len())).collect();
    assert_eq!(tables, [(vec![0, 1], 3 * WORDS as usize), (vec![2], 3 * USERS as usize)]);
}

/// Stopped after any step and resumed from a checkpoint, with rows left behind.
#[test]
fn rows_left_behind_are_resumed_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let strategy = Batch::new(2).batch_size(20);
    for chain in decaying() {
        let trainer = trainer(chain);
        let undisturbed = run(&trainer, &strategy, 155);
        for stop in [1, 3, 8, 9] {
            let mut state = trainer.start(7);
            let mut callback = on_event(|event: &Event<'_, f64>, control: &mut Control| {
                if let Event::Step { state, .. } = event
                    && state.step == stop
                {
                    control.stop();
                }
                Ok(())
            });
            let summary = trainer.run(&strategy, &mut state, &mut source(155), &mut callback).unwrap();
            assert!(summary.stopped);
            trainer.save(&state, &path).unwrap();
            let mut resumed = trainer.resume(&path, tidemill_strategies::Metrics::new()).unwrap();
            trainer.run(&strategy, &mut resumed, &mut source(155), &mut ()).unwrap();
            assert!(bits(&resumed) == bits(&undisturbed), "stopped after step {stop}");
        }
    }
}

/// What is predicted and scored within an epoch is of parameters that are up to date, and changes none.
#[test]
fn rows_are_read_up_to_date() {
    for chain in decaying() {
        let (rows, whole) = (trainer(chain.clone()), trainer(chain.clone()).whole_tables());
        let mut seen = [Vec::new(), Vec::new()];
        let mut states = Vec::new();
        for (trainer, seen) in [&rows, &whole].into_iter().zip(&mut seen) {
            let (mut state, mut source) = (trainer.start(7), source(155));
            let plan = Plan::epochs(1).batch_size(20);
            let mut callback = ();
            let mut session = Session::start(trainer, &mut state, &mut source, &mut callback, plan).unwrap();
            while session.next_batch(20).unwrap() > 0 {
                seen.extend_from_slice(session.predict().values);
                seen.push(session.score().unwrap().loss);
                seen.extend_from_slice(session.predict().values);
                assert!(matches!(session.train().unwrap(), Outcome::Step(_)));
                let params = trainer.parameters(session.state());
                assert!(trainer.model(session.state()).params() == &*params);
                seen.extend_from_slice(&params);
            }
            session.end_epoch().unwrap();
            session.finish().unwrap();
            states.push(state);
        }
        let [found, wanted] = seen;
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-9, "{found}, not {wanted}");
        }
        close("read on the way", &states[0], &states[1]);
        let online = Online::new().batch_size(20);
        assert!(states[0].params == run(&rows, &online, 155).params, "what was read has changed nothing");
    }
}

#[test]
fn what_moves_every_row_updates_whole_tables_and_says_why() {
    let trainer = trainer(momentum(0.9).then(sgd(0.1)));
    let why = trainer.why_whole_tables().unwrap();
    assert!(why.contains("words") && why.contains("momentum"), "{why}");
    let hogwild = self::trainer(sgd(0.1)).engine(Hogwild::new(1).rows(4));
    let why = hogwild.why_whole_tables().unwrap();
    assert!(why.contains("hogwild, 1 threads with steps of 4 rows"), "{why}");
    close(
        "hogwild",
        &run(&hogwild, &Batch::new(1).batch_size(20), 100),
        &run(&self::trainer(sgd(0.1)), &Batch::new(1).batch_size(4), 100),
    );
}

#[test]
fn the_last_engine_counts() {
    let again = trainer(sgd(0.1)).engine(Hogwild::new(1)).engine(Serial);
    assert_eq!(again.why_whole_tables(), None);
    let asked = trainer(sgd(0.1)).whole_tables().engine(Serial);
    assert_eq!(asked.why_whole_tables(), Some("it was asked for"));
}

/// An engine of one's own that knows nothing of rows.
struct Plain;

struct RunningPlain(Box<dyn Running<f64>>);

impl Engine<f64> for Plain {
    fn start(&self, program: &Arc<Program<f64>>, rows: usize) -> Result<Box<dyn Running<f64>>, Error> {
        Ok(Box::new(RunningPlain(Serial.start(program, rows)?)))
    }

    fn describe(&self) -> String {
        "plain".into()
    }
}

impl Running<f64> for RunningPlain {
    fn describe(&self) -> String {
        "plain".into()
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
        optimizer.update(step, scale, arenas.params, arenas.gradients, arenas.optimizer);
        Updated::default()
    }
}

#[test]
fn an_engine_that_knows_nothing_of_rows_updates_everything() {
    let strategy = Batch::new(2).batch_size(20);
    let plain = trainer(sgd(0.1)).engine(Plain);
    assert!(plain.why_whole_tables().is_some_and(|why| why.contains("plain")));
    assert!(bits(&run(&plain, &strategy, 155)) == bits(&run(&trainer(sgd(0.1)), &strategy, 155)));
}

/// Whatever is asked for, a step has no more rows than the source.
#[test]
fn a_batch_of_everything_makes_room_for_the_rows_that_there_are() {
    let all = |rows: usize| run(&trainer(sgd(0.1)), &Batch::new(2).batch_size(rows), 155);
    assert!(bits(&all(usize::MAX)) == bits(&all(155)));
}

/// A batch of rows that weigh nothing, and one that is skipped by all, leave no gradient behind.
#[test]
fn a_skipped_step_leaves_no_gradient_behind() {
    let weighted = |n: u32| {
        let column = |stream, below| (0..n).map(|i| number(stream, i, below)).collect::<Vec<u32>>();
        let weights = (0..n).map(|i| f64::from(u8::from((i / 20) % 2 == 0)));
        let source = MemorySource::builder().indices("first", WORDS, column(1, WORDS));
        let source = source.indices("second", WORDS, column(2, WORDS)).indices("user", USERS, column(3, USERS));
        source.target(vec![0.5; n as usize]).weights(weights.collect()).build().unwrap()
    };
    let train = |trainer: Trainer<f64>| {
        let mut state = trainer.start(7);
        trainer.run(&Batch::new(2).batch_size(20).in_order(), &mut state, &mut weighted(150), &mut ()).unwrap();
        state
    };
    let engine = || DataParallel::new(2).shards(3);
    let rows = train(trainer(sgd(0.1)).engine(engine()));
    assert!(bits(&rows) == bits(&train(trainer(sgd(0.1)).whole_tables().engine(engine()))));
}
