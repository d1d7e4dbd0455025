//! A way for ranks to agree that is written outside of the crate, and what a state is when one of them is lost.

use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Gathered, Peer, Threads, Values};
use tidemill_data::SourceExt;
use tidemill_strategies::{
    AllReduce, Checkpoints, Compress, Compression, Control, Distributed, Error, Event, GradientSync, Online, OwnState,
    RankMemory, Serial, SyncRun, SyncStep, Synced, on_event,
};

use crate::model::{bits, metrics, rows, trainer};
use crate::ranks::{large, world};

/// The median of the ranks' mean gradients, smoothed by each rank over time before it is told.
#[derive(Default)]
struct Median<T> {
    smooth: Vec<T>,
    all: Vec<Vec<T>>,
}

impl<T: Scalar> GradientSync<T> for Median<T> {
    fn describe(&self) -> String {
        "median".into()
    }

    fn start(&mut self, run: &SyncRun<'_>) -> Result<(), Error> {
        self.smooth = vec![T::zero(); run.layout.len()];
        self.all = vec![self.smooth.clone(); run.ranks];
        Ok(())
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], step: &SyncStep) -> Result<Synced, Lost> {
        let weight = T::of(step.own_weight.max(1.0));
        for (own, smooth) in gradient.iter_mut().zip(&self.smooth) {
            *own = T::of(0.5) * (*own / weight + *smooth);
        }
        for (rank, one) in self.all.iter_mut().enumerate() {
            one.copy_from_slice(gradient);
            ranks.broadcast(rank, Values::of(one))?;
        }
        self.smooth.copy_from_slice(gradient);
        for (i, value) in gradient.iter_mut().enumerate() {
            self.all.sort_unstable_by(|a, b| a[i].widen().total_cmp(&b[i].widen()));
            *value = self.all[self.all.len() / 2][i];
        }
        Ok(Synced::Mean)
    }

    fn remember(&self, _state: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) {
        keep("median.smooth", &self.smooth);
    }

    fn recall(&mut self, memory: &RankMemory<'_, T>, _optimizer: &mut [T]) -> Result<(), Error> {
        if let Some(parts) = memory.get("median.smooth") {
            self.smooth.copy_from_slice(&parts[memory.rank]);
        }
        Ok(())
    }
}

fn ends_at(step: Option<u64>) -> impl tidemill_strategies::Callback<f64> {
    on_event(move |event: &Event<'_, f64>, _: &mut Control| match event {
        Event::Step { state, .. } if Some(state.step) == step => {
            Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
        }
        _ => Ok(()),
    })
}

#[test]
fn ones_own_sync_trains_and_is_resumed_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let online = Online::new().passes(3).batch_size(5);
    let run = |ends: Option<u64>| {
        world(3, |rank| {
            let number = rank.rank();
            let trainer = trainer::<f64>(0.2).engine(Distributed::new(rank, Serial).sync(Median::default()));
            assert_eq!(trainer.describe_engine(), "3 ranks, median, each serial");
            let mut state = match number == 0 && path.exists() {
                true => trainer.resume(&path, metrics()).unwrap(),
                false => trainer.start_with(7, metrics()),
            };
            let mut source = rows(130).shard(number as u64, 3).unwrap();
            let mut callbacks = (Checkpoints::new(&path, 4), ends_at(ends));
            let ended = trainer.run(&online, &mut state, &mut source, &mut callbacks);
            assert_eq!(ended.is_err(), ends.is_some());
            bits(&state)
        })
    };
    let want = run(None);
    assert!(want.iter().all(|state| *state == want[0]));
    std::fs::remove_file(&path).unwrap();
    run(Some(14));
    assert!(run(None) == want);
}

#[test]
fn what_another_sync_remembers_is_not_dropped_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let train = |keeps: bool, epochs: u64| {
        world(2, |rank| {
            let number = rank.rank();
            let compress = || Compress::new(Compression::Half);
            let sync: Box<dyn GradientSync<f64>> = if keeps { Box::new(compress()) } else { Box::new(AllReduce) };
            let trainer = trainer::<f64>(0.0).engine(Distributed::new(rank, Serial).sync(sync));
            let mut state = match number == 0 && path.exists() {
                true => trainer.resume(&path, metrics()).unwrap(),
                false => trainer.start_with(7, metrics()),
            };
            let mut source = rows(80).shard(number as u64, 2).unwrap();
            let online = Online::new().passes(epochs);
            let ended = trainer.run(&online, &mut state, &mut source, &mut Checkpoints::new(&path, 0));
            ended.map(|summary| summary.steps).map_err(|error| error.to_string())
        })
    };
    assert_eq!(train(true, 1), [Ok(2), Ok(2)]);
    for error in train(false, 2) {
        assert!(error.unwrap_err().contains("its ranks remember error_feedback, which this run's GradientSync"));
    }
    let serial = trainer::<f64>(0.0);
    let mut state = serial.resume(&path, metrics()).unwrap();
    let online = Online::new().passes(2);
    let error = serial.run(&online, &mut state, &mut rows(80), &mut ()).unwrap_err().to_string();
    assert!(error.contains("drop it by `state.forget_rank_memory()`"), "{error}");
    let mut state = serial.resume(&path, metrics()).unwrap();
    state.forget_rank_memory();
    serial.run(&online, &mut state, &mut rows(80), &mut ()).unwrap();
}

/// A rank whose connection breaks in the call of that number and kind.
#[derive(Debug)]
struct Breaks {
    inner: Threads,
    kind: &'static str,
    left: usize,
}

impl Breaks {
    fn call(&mut self, kind: &'static str) -> Result<(), Lost> {
        if kind != self.kind {
            return Ok(());
        }
        if self.left == 0 {
            let problem = "the connection broke".to_owned();
            self.inner.abandon(&problem);
            return Err(Lost::Transport { call: kind.into(), problem });
        }
        self.left -= 1;
        Ok(())
    }
}

impl Collective for Breaks {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn peer(&self, rank: usize) -> Peer {
        self.inner.peer(rank)
    }

    fn sum(&mut self, values: Values<'_>) -> Result<(), Lost> {
        self.call("sum")?;
        self.inner.sum(values)
    }

    fn sum_shares(&mut self, values: Values<'_>) -> Result<(), Lost> {
        self.call("sum shares")?;
        self.inner.sum_shares(values)
    }

    fn gather_shares(&mut self, values: Values<'_>) -> Result<(), Lost> {
        self.call("gather shares")?;
        self.inner.gather_shares(values)
    }

    fn max(&mut self, values: Values<'_>) -> Result<(), Lost> {
        self.inner.max(values)
    }

    fn broadcast(&mut self, from: usize, values: Values<'_>) -> Result<(), Lost> {
        self.inner.broadcast(from, values)
    }

    fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Lost> {
        self.call("gather")?;
        self.inner.gather(mine, all)
    }

    fn barrier(&mut self) -> Result<(), Lost> {
        self.inner.barrier()
    }

    fn abandon(&mut self, why: &str) {
        self.inner.abandon(why);
    }
}

/// Wherever in a step a rank is lost, what is left is the last completed step, scores included, or said to be of no use.
#[test]
fn a_lost_rank_leaves_the_last_step_or_says_that_the_state_is_lost() {
    for (kind, loses) in [("sum", false), ("sum shares", false), ("gather", false), ("gather shares", true)] {
        for compresses in [false, true] {
            if compresses && kind.ends_with("shares") {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            world(2, |rank| {
                let number = rank.rank();
                // Settings are compared by gathers; scores are gathered in each step, and so is what is compressed.
                let before = if kind == "gather" { 60 } else { 9 };
                let rank = Breaks { inner: rank, kind, left: if number == 0 { before } else { usize::MAX } };
                let sync: Box<dyn GradientSync<f64>> = match compresses {
                    true => Box::new(Compress::new(Compression::TopK(0.1))),
                    false => Box::new(AllReduce),
                };
                let trainer = large().engine(Distributed::new(rank, Serial).sync(sync));
                let mut state = trainer.start_with(7, metrics());
                let mut last = None;
                let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| {
                    if let Event::Step { state, .. } = event {
                        last = Some(bits(state));
                    }
                    Ok(())
                });
                let mut source = rows(800).shard(number as u64, 2).unwrap();
                let online = Online::new().batch_size(4);
                let error = trainer.run(&online, &mut state, &mut source, &mut callback).unwrap_err();
                let lost = matches!(error, Error::StateLost { .. });
                assert!(lost || matches!(error, Error::Ranks { .. }), "{error}");
                assert!(state.step > 3 && state.step < 100, "{kind}: a step in the midst, not {}", state.step);
                let path = folder.path().join(format!("{number}"));
                let save = trainer.save(&state, &path).unwrap_err().to_string();
                let again = trainer.run(&online, &mut state, &mut source, &mut ()).unwrap_err().to_string();
                assert!(save.contains("not written") && again.contains("resume from the last checkpoint"), "{again}");
                if !lost {
                    assert!(Some(bits(&state)) == last, "{kind}: rank {number} holds what is no step");
                } else {
                    assert!(loses && error.to_string().ends_with("resume from the last checkpoint"), "{error}");
                }
                assert!(number == 1 || loses == lost, "{kind}");
            });
        }
    }
}
