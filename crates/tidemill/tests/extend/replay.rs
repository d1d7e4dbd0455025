//! A strategy of one's own: every batch is tested on as it comes, and trained on together with rows drawn from those before.

use tidemill::data::Batch as Rows;
use tidemill::prelude::*;
use tidemill::strategies::{Error, Plan, Session, Strategy, Summary};
use tidemill::tensor::{Key, Scalar};

use crate::model;

/// Keeps the last rows, and trains each new batch with as many of them.
struct Replay {
    batch_size: usize,
    keep: usize,
}

impl<T: Scalar> Strategy<T> for Replay {
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        let (mut buffer, mut next) = (Rows::new(source.schema().clone()), Rows::new(source.schema().clone()));
        let mut sample = Rows::new(source.schema().clone());
        let plan = Plan::epochs(1).batch_size(2 * self.batch_size);
        let mut session = Session::start(trainer, state, source, callback, plan)?;
        while session.is_running() {
            if session.next_batch(self.batch_size)? == 0 {
                session.end_epoch()?;
                continue;
            }
            // Test on the new rows; train on them and on old ones.
            session.score()?;
            sample.clear();
            sample.push_rows(session.batch(), 0..session.batch().rows());
            let drawn = Key::new(session.state().seed).fold(session.state().step);
            for draw in 0..self.batch_size.min(buffer.rows()) {
                let [number, ..] = drawn.block(draw as u64);
                let row = number as usize % buffer.rows();
                sample.push_rows(&buffer, row..row + 1);
            }
            session.train_on(&sample)?;
            next.clear();
            next.push_rows(&buffer, buffer.rows().saturating_sub(self.keep)..buffer.rows());
            next.push_rows(session.batch(), 0..session.batch().rows());
            std::mem::swap(&mut buffer, &mut next);
        }
        session.finish()
    }
}

#[test]
fn a_strategy_with_a_replay_buffer() {
    let trainer = model::trainer();
    let run = |batch_size| {
        let mut state = trainer.start_with(7, model::scores());
        let strategy = Replay { batch_size, keep: 64 };
        let summary = trainer.run(&strategy, &mut state, &mut model::rows(400), &mut ()).unwrap();
        (summary, state)
    };
    let (summary, state) = run(8);
    assert_eq!((summary.steps, summary.rows), (50, 400 + 49 * 8));
    // Before the rows change their mind, and after, by the same forward passes as online training has.
    let mut online = trainer.start_with(7, model::scores());
    trainer.run(&Online::new().batch_size(8), &mut online, &mut model::rows(400), &mut ()).unwrap();
    assert!(state.metric("log_loss").unwrap() != online.metric("log_loss").unwrap());
    assert!(state.metric("accuracy").unwrap() > 0.5);
    assert_eq!(run(8).1.params, state.params, "the same seed gives the same run");
}
