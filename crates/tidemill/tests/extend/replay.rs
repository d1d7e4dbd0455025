//! A strategy that replays rows of the past: it tests on each batch as it comes, and trains on it together with rows
//! that came before.

use std::cell::RefCell;
use std::sync::Arc;

use tidemill::data::{Batch, Column, Kind, Schema};
use tidemill::prelude::{Callback, Control, Event, Source, State, Trainer};
use tidemill::strategies::{CallbackMemory, Error, Outcome, Plan, Session, Strategy, Summary};
use tidemill::tensor::{Key, Scalar};

/// One pass over a stream. Scores are those of rows that the model has not been trained on.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Rows that are read, tested on and trained on at a time.
    pub batch_size: usize,
    /// Earlier rows that are trained on with them.
    pub replayed: usize,
    /// Rows that are kept.
    pub capacity: usize,
}

impl<T: Scalar> Strategy<T> for Replay {
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        let reservoir = RefCell::new(Reservoir::new(source.schema(), self.capacity)?);
        let mut sample = Batch::new(Arc::clone(source.schema()));
        // What is kept is saved and restored with what callbacks remember.
        let mut callbacks = (Kept(&reservoir), callback);
        let plan = Plan::epochs(1).batch_size(self.batch_size + self.replayed);
        let mut session = Session::start(trainer, state, source, &mut callbacks, plan)?;
        while session.is_running() {
            let mut read = [session.next_batch(self.batch_size)? as f64];
            session.sum_over_ranks(&mut read)?;
            if read == [0.0] {
                // The end of the rows, unless somebody has stopped the run.
                if session.train()? == Outcome::EpochOver {
                    session.end_epoch()?;
                }
                continue;
            }
            session.score()?;
            let random = Key::new(session.state().seed).fold(REPLAY).fold(session.state().step);
            let mut reservoir = reservoir.borrow_mut();
            reservoir.draw(&mut sample, self.replayed, random.fold(0));
            reservoir.take(session.batch(), random.fold(1));
            sample.push_rows(session.batch(), 0..session.batch().rows());
            drop(reservoir);
            session.train_on(&sample)?;
        }
        session.finish()
    }
}

/// Tells these random numbers from others of the same seed.
const REPLAY: u64 = 0x7265_706c_6179;

/// A sample of the rows that have come so far, each of which is in it with the same probability.
///
/// # References
///
/// J. Vitter, *Random sampling with a reservoir*, 1985.
struct Reservoir<T> {
    rows: Batch<T>,
    next: Batch<T>,
    capacity: usize,
    seen: u64,
    /// For each place, the row of a batch that takes it.
    taken: Vec<Option<usize>>,
}

impl<T: Scalar> Reservoir<T> {
    fn new(schema: &Arc<Schema>, capacity: usize) -> Result<Self, Error> {
        if let Some(field) = schema.fields.iter().find(|field| field.kind == Kind::Text) {
            let problem = format!("it keeps numbers, and column {} is text; encode it first", field.name);
            return Err(Error::Setting { what: "replay".into(), problem });
        }
        let empty = Batch::new(Arc::clone(schema));
        Ok(Self { rows: empty.clone(), next: empty, capacity, seen: 0, taken: Vec::new() })
    }

    /// Replaces `sample` by so many rows, if there are any.
    fn draw(&self, sample: &mut Batch<T>, rows: usize, random: Key) {
        sample.clear();
        if self.rows.rows() > 0 {
            (0..rows).for_each(|i| sample.push_row(&self.rows, below(self.rows.rows() as u64, random, i) as usize));
        }
    }

    /// Takes in the rows of a batch.
    fn take(&mut self, batch: &Batch<T>, random: Key) {
        self.taken.clear();
        self.taken.resize(self.rows.rows(), None);
        for row in 0..batch.rows() {
            self.seen += 1;
            if self.taken.len() < self.capacity {
                self.taken.push(Some(row));
            } else if let Some(place) = self.taken.get_mut(below(self.seen, random, row) as usize) {
                *place = Some(row);
            }
        }
        self.next.clear();
        for (place, taken) in self.taken.iter().enumerate() {
            match taken {
                Some(row) => self.next.push_row(batch, *row),
                None => self.next.push_row(&self.rows, place),
            }
        }
        std::mem::swap(&mut self.rows, &mut self.next);
    }

    /// How many rows have come, and all numbers of the rows that are kept, column by column.
    fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let columns = self.rows.columns().iter().map(|column| match column {
            Column::Real { values, .. } => values.iter().map(|value| value.widen()).collect::<Vec<_>>(),
            Column::Index { values } => values.iter().map(|&index| f64::from(index)).collect(),
            Column::Text { .. } => Vec::new(),
        });
        [self.seen as f64].into_iter().chain(columns.flatten())
    }

    fn restore(&mut self, numbers: &[f64]) -> Result<(), Error> {
        self.rows.clear();
        self.seen = 0;
        let Some((&seen, mut numbers)) = numbers.split_first() else { return Ok(()) };
        let width = |column: &Column<T>| match column {
            Column::Real { width, .. } => *width,
            Column::Index { .. } => 1,
            Column::Text { .. } => 0,
        };
        let widths: usize = self.rows.columns().iter().map(width).sum();
        let rows = numbers.len() / widths;
        if rows * widths != numbers.len() || rows > self.capacity {
            let problem = format!("{} numbers of {widths} a row, for {} rows", numbers.len(), self.capacity);
            return Err(Error::Setting { what: "replay".into(), problem });
        }
        self.seen = seen as u64;
        self.rows.append(rows, |columns| {
            for column in columns {
                let (own, rest) = numbers.split_at(rows * width(column));
                numbers = rest;
                match column {
                    Column::Real { values, .. } => values.extend(own.iter().map(|&value| T::of(value))),
                    Column::Index { values } => values.extend(own.iter().map(|&value| value as u32)),
                    Column::Text { .. } => {}
                }
            }
            Ok(())
        })
    }
}

/// A whole number below `n`.
fn below(n: u64, random: Key, i: usize) -> u64 {
    let [high, low, ..] = random.block(i as u64).map(u128::from);
    ((((high << 32) | low) * u128::from(n)) >> 64) as u64
}

/// Has what is kept be part of the state.
struct Kept<'a, T>(&'a RefCell<Reservoir<T>>);

impl<T: Scalar> Callback<T> for Kept<'_, T> {
    fn on_event(&mut self, _: &Event<'_, T>, _: &mut Control) -> Result<(), Error> {
        Ok(())
    }

    fn remember(&self, memory: &mut CallbackMemory) {
        memory.put("replay", self.0.borrow().numbers());
    }

    fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
        self.0.borrow_mut().restore(memory.get("replay").unwrap_or_default())
    }
}

mod tests {
    use std::path::Path;

    use tidemill::collective::{Collective, Threads};
    use tidemill::prelude::*;

    use super::{Replay, Reservoir};
    use crate::data::{bits, features, linear, random, regression, rows};

    const REPLAY: Replay = Replay { batch_size: 8, replayed: 24, capacity: 50 };

    /// Rows that say the contrary from the middle on, with a column of categories beside what the model reads.
    fn turning() -> MemorySource<f64> {
        let x = features(203);
        let target = x.chunks(3).enumerate().map(|(row, x)| linear(row, x) * if row < 100 { 1.0 } else { -1.0 });
        let builder = MemorySource::builder().target(target.collect()).reals("x", 3, x);
        builder.indices("day", 7, (0..203).map(|row| row % 7).collect()).build().unwrap()
    }

    fn trainer() -> Trainer<f64> {
        Trainer::new(regression(), adam(0.02)).unwrap()
    }

    fn metrics() -> Metrics<f64> {
        Metrics::new().with(Rmse::default())
    }

    fn stop_after(step: u64) -> impl Callback<f64> {
        on_event(move |event: &Event<'_, f64>, run: &mut Control| {
            if let Event::Step { state, .. } = event
                && state.step == step
            {
                run.stop();
            }
            Ok(())
        })
    }

    #[test]
    fn it_tests_on_new_rows_and_trains_on_more() {
        let (trainer, mut state) = (trainer(), trainer().start_with(7, metrics()));
        let summary = trainer.run(&REPLAY, &mut state, &mut turning(), &mut ()).unwrap();
        // 26 batches, of which the first finds nothing to replay.
        assert_eq!((summary.steps, summary.rows), (26, 203 + 25 * 24));
        // The score is of each row of the source once: its weight is the first number of a mean's state.
        assert_eq!(state.metrics[0].state()[0], 203.0);

        let mut other = trainer.start_with(7, metrics());
        trainer.run(&Online::new().batch_size(8), &mut other, &mut rows(203, linear), &mut ()).unwrap();
        let mut replayed = trainer.start_with(7, metrics());
        trainer.run(&REPLAY, &mut replayed, &mut rows(203, linear), &mut ()).unwrap();
        let [with, without] = [&replayed, &other].map(|state| state.metrics[0].value());
        assert!(with < without, "rows that do not change are worth replaying: {with}, {without} without");
    }

    #[test]
    fn all_rows_are_kept_alike() {
        let n = 3000;
        let mut source = MemorySource::builder().reals("row", 1, (0..n).map(f64::from).collect()).build().unwrap();
        let mut reservoir = Reservoir::new(source.schema(), 300).unwrap();
        let mut batch = tidemill::data::Batch::new(source.schema().clone());
        for step in 0.. {
            batch.clear();
            if source.fill(&mut batch, 7).unwrap() == 0 {
                break;
            }
            reservoir.take(&batch, tidemill::tensor::Key::new(step));
        }
        let kept = reservoir.rows.reals(0);
        assert_eq!((kept.len(), reservoir.seen), (300, 3000));
        let mean = kept.iter().sum::<f64>() / 300.0;
        // The standard deviation of this mean is 50.
        assert!((mean - 1500.0).abs() < 200.0, "{mean}");
        let distinct: std::collections::BTreeSet<_> = kept.iter().map(|row| *row as u64).collect();
        assert_eq!(distinct.len(), 300, "each row is kept once");
    }

    #[test]
    fn it_is_resumed_to_the_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let (trainer, mut wanted) = (trainer(), trainer().start_with(7, metrics()));
        trainer.run(&REPLAY, &mut wanted, &mut turning(), &mut ()).unwrap();
        for stop in 1..wanted.step {
            let mut state = trainer.start_with(7, metrics());
            let summary = trainer.run(&REPLAY, &mut state, &mut turning(), &mut stop_after(stop)).unwrap();
            assert!(summary.stopped && state.step == stop);
            trainer.save(&state, &path).unwrap();
            let mut state = trainer.resume(&path, metrics()).unwrap();
            trainer.run(&REPLAY, &mut state, &mut turning(), &mut ()).unwrap();
            assert_eq!(bits(&state), bits(&wanted), "stopped after step {stop}");
        }
        a_smaller_one_is_refused(&trainer, &path);
    }

    fn a_smaller_one_is_refused(trainer: &Trainer<f64>, path: &Path) {
        let mut state = trainer.resume(path, metrics()).unwrap();
        let small = Replay { capacity: 10, ..REPLAY };
        let error = trainer.run(&small, &mut state, &mut turning(), &mut ()).unwrap_err().to_string();
        assert_eq!(error, "replay: 250 numbers of 5 a row, for 10 rows");
    }

    #[test]
    fn text_is_refused_before_the_first_step() {
        let builder = MemorySource::builder().reals("x", 3, features(2)).texts("carrier", [Some("AA"), None]);
        let mut source = builder.target(vec![1.0, 2.0]).build().unwrap();
        let error = trainer().run(&REPLAY, &mut trainer().start(1), &mut source, &mut ()).unwrap_err().to_string();
        assert_eq!(error, "replay: it keeps numbers, and column carrier is text; encode it first");
    }

    #[test]
    fn ranks_of_uneven_rows_stay_together() {
        let states = std::thread::scope(|scope| {
            let train = |rank: Threads| {
                let number = rank.rank() as u64;
                let trainer = trainer().engine(Distributed::new(rank, Serial));
                let mut source = rows(101, |row, x| linear(row, x) + random(5, row)).shard(number, 2).unwrap();
                let mut state = trainer.start_with(7, metrics());
                trainer.run(&REPLAY, &mut state, &mut source, &mut ()).unwrap();
                state
            };
            let ranks: Vec<_> = Threads::world(2).into_iter().map(|rank| scope.spawn(move || train(rank))).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(bits(&states[0]), bits(&states[1]));
        assert_eq!((states[0].step, states[0].metrics[0].state()[0]), (7, 101.0));
    }
}
