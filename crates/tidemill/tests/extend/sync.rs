//! A way of one's own for ranks to agree.

use tidemill::collective::{Collective, Error as Lost, Values};
use tidemill::strategies::{Error, GradientSync, OwnState, RankMemory, SyncRun, SyncStep, Synced};
use tidemill::tensor::Scalar;

/// Sums of gradients, of which each rank makes its own shorter where it is longer than usual: one that has met bad rows
/// does not lead all others astray.
///
/// A gradient is longer than usual where the mean over the rank's rows is above `limit` times its running average.
#[derive(Clone, Debug)]
pub struct ClippedSum<T> {
    limit: f64,
    /// The running average, zero before the first step.
    usual: T,
}

impl<T: Scalar> ClippedSum<T> {
    /// Above zero; 2 is twice the usual.
    pub fn new(limit: f64) -> Self {
        Self { limit, usual: T::zero() }
    }
}

const NAME: &str = "clipped_sum.usual";

impl<T: Scalar> GradientSync<T> for ClippedSum<T> {
    fn describe(&self) -> String {
        format!("sums, clipped at {} times the usual length", self.limit)
    }

    fn start(&mut self, _: &SyncRun<'_>) -> Result<(), Error> {
        self.usual = T::zero();
        if self.limit > 0.0 {
            return Ok(());
        }
        let problem = format!("the limit is {}, expected a number above zero", self.limit);
        Err(Error::Setting { what: "clipped sum".into(), problem })
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], step: &SyncStep) -> Result<Synced, Lost> {
        let mut usual = self.usual;
        if step.own_weight > 0.0 {
            let square: f64 = gradient.iter().map(|g| g.widen() * g.widen()).sum();
            let length = square.sqrt() / step.own_weight;
            let first = usual == T::zero();
            let most = if first { length } else { self.limit * usual.widen() };
            if length > most {
                let factor = T::of(most / length);
                gradient.iter_mut().for_each(|g| *g *= factor);
            }
            usual = T::of(if first { length } else { 0.9 * usual.widen() + 0.1 * length.min(most) });
        }
        ranks.sum(Values::of(gradient))?;
        // Not before all have agreed: a step that fails leaves what was.
        self.usual = usual;
        Ok(Synced::Sum)
    }

    fn remember(&self, _: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) {
        keep(NAME, &[self.usual]);
    }

    fn recall(&mut self, memory: &RankMemory<'_, T>, _: &mut [T]) -> Result<(), Error> {
        // Where there are more ranks than before, the new ones begin anew.
        if let Some(mine) = memory.get(NAME).and_then(|ranks| ranks.get(memory.rank)) {
            let &[usual] = &mine[..] else { return Err(memory.of_another_model(NAME, mine.len(), 1)) };
            self.usual = usual;
        }
        Ok(())
    }
}

mod tests {
    use std::path::Path;
    use std::thread;

    use tidemill::collective::Threads;
    use tidemill::prelude::*;
    use tidemill::strategies::AllReduce;

    use super::*;
    use crate::data::{bits, features, linear, regression};

    /// Rows of which every rank has a part; those of the last have targets that are too large by `wrong` now and then.
    fn part(rank: usize, wrong: f64) -> MemorySource<f64> {
        let x = features(300);
        let mine = x.chunks(3).enumerate().filter(|(row, _)| row % 3 == rank).map(|(_, x)| x);
        let factor = |i: usize| if rank == 2 && i % 20 == 19 { wrong } else { 1.0 };
        let target = mine.clone().enumerate().map(|(i, x)| factor(i) * linear(0, x)).collect();
        MemorySource::builder().reals("x", 3, mine.flatten().copied().collect()).target(target).build().unwrap()
    }

    /// What each of three ranks ends with, resumed where there is a checkpoint.
    fn train<S: GradientSync<f64> + 'static>(
        sync: impl Fn() -> S + Sync,
        wrong: f64,
        checkpoint: Option<&Path>,
        ends_at: Option<u64>,
    ) -> Vec<State<f64>> {
        let train = |rank: Threads| {
            let number = rank.rank();
            let trainer =
                Trainer::new(regression(), sgd(0.1)).unwrap().engine(Distributed::new(rank, Serial).sync(sync()));
            let mut state = match checkpoint.filter(|path| number == 0 && path.exists()) {
                Some(path) => trainer.resume(path, Metrics::new()).unwrap(),
                None => trainer.start(7),
            };
            let ends = on_event(move |event: &Event<'_, f64>, _: &mut Control| match event {
                Event::Step { state, .. } if Some(state.step) == ends_at => {
                    Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
                }
                _ => Ok(()),
            });
            let mut callbacks = (checkpoint.map(|path| Checkpoints::new(path, 3)), ends);
            let online = Online::new().passes(3).batch_size(5);
            let ended = trainer.run(&online, &mut state, &mut part(number, wrong), &mut callbacks);
            assert_eq!(ended.is_err(), ends_at.is_some());
            state
        };
        thread::scope(|scope| {
            let ranks: Vec<_> = Threads::world(3).into_iter().map(|rank| scope.spawn(|| train(rank))).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    fn off(state: &State<f64>) -> f64 {
        state.params.iter().zip([2.0, -1.0, 0.5, 0.0]).map(|(p, want)| (p - want) * (p - want)).sum::<f64>().sqrt()
    }

    #[test]
    fn all_ranks_agree_and_bad_rows_do_less_harm() {
        let clipped = train(|| ClippedSum::new(2.0), 50.0, None, None);
        assert!(clipped.iter().all(|state| bits(state) == bits(&clipped[0])));
        let plain = train(|| AllReduce, 50.0, None, None);
        let [clipped, plain] = [&clipped[0], &plain[0]].map(off);
        assert!(clipped < 0.5 * plain, "off by {clipped}, and by {plain} with plain sums");
    }

    #[test]
    fn without_a_limit_it_is_the_sum() {
        let sums = train(|| AllReduce, 50.0, None, None);
        let clipped = train(|| ClippedSum::new(f64::INFINITY), 50.0, None, None);
        assert_eq!(bits(&clipped[0]), bits(&sums[0]));
    }

    #[test]
    fn what_it_remembers_is_resumed_to_the_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let clipped = || ClippedSum::new(1.5);
        let wanted = train(clipped, 20.0, Some(&path), None);
        std::fs::remove_file(&path).unwrap();
        train(clipped, 20.0, Some(&path), Some(31));
        let resumed = train(clipped, 20.0, Some(&path), None);
        assert_eq!(bits(&resumed[0]), bits(&wanted[0]));
        assert_eq!(resumed[0].rank_memory(NAME), wanted[0].rank_memory(NAME));
        assert_eq!(resumed[0].rank_memory(NAME).map(<[_]>::len), Some(3));
    }

    #[test]
    fn a_limit_that_is_none_is_refused() {
        let world = Threads::world(1).remove(0);
        let engine = Distributed::new(world, Serial).sync(ClippedSum::new(0.0));
        let trainer = Trainer::new(regression(), sgd(0.1)).unwrap().engine(engine);
        let error = trainer.run(&Online::new(), &mut trainer.start(1), &mut part(0, 1.0), &mut ()).unwrap_err();
        assert_eq!(error.to_string(), "clipped sum: the limit is 0, expected a number above zero");
    }
}
