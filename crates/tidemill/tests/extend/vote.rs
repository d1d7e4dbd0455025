//! A way for ranks to agree of one's own: each has a vote on the direction of every parameter.

use tidemill::collective::{Collective, Error as Lost, Threads, Values};
use tidemill::prelude::*;
use tidemill::strategies::{SyncStep, Synced};
use tidemill::tensor::Scalar;

use crate::model;

/// `g ← sign Σᵣ sign g⁽ʳ⁾`
///
/// J. Bernstein et al., *signSGD with majority vote is communication efficient and fault tolerant*, 2019.
struct MajorityVote;

impl<T: Scalar> GradientSync<T> for MajorityVote {
    fn describe(&self) -> String {
        "majority vote".into()
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], _: &SyncStep) -> Result<Synced, Lost> {
        sign(gradient);
        ranks.sum(Values::of(gradient))?;
        sign(gradient);
        // A sign is not divided by the number of rows.
        Ok(Synced::Mean)
    }
}

fn sign<T: Scalar>(values: &mut [T]) {
    for value in values {
        *value = if *value == T::zero() { T::zero() } else { value.signum() };
    }
}

#[test]
fn a_gradient_sync_of_ones_own() {
    let train = |rank: Threads| {
        let number = rank.rank() as u64;
        let trainer = model::trainer().engine(Distributed::new(rank, Serial).sync(MajorityVote));
        assert_eq!(trainer.describe_engine(), "3 ranks, majority vote, each serial");
        let mut state = trainer.start_with(7, model::scores());
        let mut rows = model::rows(300).shard(number, 3).unwrap();
        trainer.run(&Online::new().batch_size(4).passes(4), &mut state, &mut rows, &mut ()).unwrap();
        state
    };
    let states: Vec<State<f32>> = std::thread::scope(|scope| {
        let ranks: Vec<_> = Threads::world(3).into_iter().map(|rank| scope.spawn(|| train(rank))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    assert!(states.iter().all(|state| state.params == states[0].params));
    assert_eq!((states[0].step, states[0].rows_trained), (4 * 25, 4 * 300));
    assert!(states[0].metric("log_loss").unwrap().is_finite());
}
