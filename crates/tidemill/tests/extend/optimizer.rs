//! An optimizer: a transform of one's own in a chain.

use tidemill::optim::{Chain, Chunk, Coefficients, Compose, Error, Rule, Schedule, Slot, Transform, learning_rate};
use tidemill::tensor::Scalar;

/// Momentum that waits where it does not agree with the gradient: `m ← β m + (1 - β) g`, and `u = m` where `m g > 0`,
/// otherwise 0.
///
/// # References
///
/// K. Liang et al., *Cautious optimizers: improving training with one line of code*, 2024.
#[derive(Clone, Copy, Debug)]
struct Cautious {
    beta: f64,
}

/// Cautious momentum `β` at this learning rate.
pub fn cautious(lr: impl Into<Schedule>, beta: f64) -> Chain {
    Cautious { beta }.then(learning_rate(lr))
}

impl Transform for Cautious {
    fn name(&self) -> &'static str {
        "cautious"
    }

    fn check(&self) -> Result<(), Error> {
        if (0.0..1.0).contains(&self.beta) {
            return Ok(());
        }
        let (owner, expected) = (self.name().to_owned(), "a number from 0, below 1".to_owned());
        Err(Error::HyperParameter { owner, name: "beta", value: self.beta, expected })
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum")]
    }
}

impl<T: Scalar> Rule<T> for Cautious {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        let (beta, rest) = (T::of(self.beta), T::of(1.0 - self.beta));
        let (updates, _, [momentum]) = chunk.parts();
        for (u, m) in updates.iter_mut().zip(momentum) {
            *m = beta * *m + rest * *u;
            *u = if *m * *u > T::zero() { *m } else { T::zero() };
        }
    }
}

mod tests {
    use tidemill::autograd::Initializer;
    use tidemill::optim::clip_by_global_norm;
    use tidemill::prelude::*;
    use tidemill::tensor::Layout;

    use super::*;
    use crate::data::{bits, close, linear, regression, rows};

    #[test]
    fn it_moves_only_where_momentum_and_gradient_agree() {
        let mut layout = Layout::new();
        layout.push("weight", &[2], Initializer::Constant(0.0)).unwrap();
        let optimizer = cautious(0.5, 0.5).build::<f64>(&layout).unwrap();
        let (mut params, mut state) = ([1.0, 1.0], optimizer.initial_state());
        for (step, gradient, wanted) in [
            // m = [2, -1], then [0.5, -1.5], of which the first is against its gradient.
            (0, [4.0, -2.0], [0.0, 1.5]),
            (1, [-1.0, -2.0], [0.0, 2.25]),
        ] {
            optimizer.update(step, 1.0, &mut params, &mut gradient.clone(), &mut state);
            assert_eq!(params, wanted, "step {step}");
        }
        assert_eq!(optimizer.state_blocks()[0].name, "cautious.momentum");
        let error = cautious(0.5, 1.0).build::<f64>(&layout).err().unwrap().to_string();
        assert_eq!(error, "cautious: beta is 1, expected a number from 0, below 1");
    }

    #[test]
    fn it_trains_beside_others_and_is_resumed() {
        let chain = || clip_by_global_norm(5.0).then(cautious(0.3, 0.9));
        let online = Online::new().batch_size(10);
        let run = |trainer: &Trainer<f64>, state: &mut State<f64>, callback: &mut dyn Callback<f64>| {
            let mut callback = callback;
            trainer.run(&online, state, &mut rows(500, linear), &mut callback).unwrap()
        };
        let trainer = Trainer::new(regression(), chain()).unwrap();
        let mut wanted = trainer.start(7);
        let summary = run(&trainer, &mut wanted, &mut ());
        assert!(wanted.params[..3].iter().zip([2.0, -1.0, 0.5]).all(|(p, want)| (p - want).abs() < 0.1));
        assert_eq!(summary.steps, 50);

        let mut state = trainer.start(7);
        let mut stop = on_event(|event: &Event<'_, f64>, run: &mut Control| {
            if let Event::Step { state, .. } = event
                && state.step == 20
            {
                run.stop();
            }
            Ok(())
        });
        run(&trainer, &mut state, &mut stop);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        trainer.save(&state, &path).unwrap();
        let mut state = trainer.resume(&path, Metrics::new()).unwrap();
        run(&trainer, &mut state, &mut ());
        assert_eq!(bits(&state), bits(&wanted));

        let parallel = Trainer::new(regression(), chain()).unwrap().engine(DataParallel::new(2));
        let mut state = parallel.start(7);
        run(&parallel, &mut state, &mut ());
        close("two shards", &state, &wanted);
    }
}
