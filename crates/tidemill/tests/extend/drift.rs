//! A callback of one's own: it raises the learning rate when the loss drifts, and is resumed to the bit.

use std::path::Path;

use tidemill::metrics::drift::{Drift, DriftDetector, PageHinkley, PageHinkleyConfig};
use tidemill::prelude::*;
use tidemill::strategies::{CallbackMemory, Error};

use crate::model;

/// Four times the learning rate from a drift on, falling back by a tenth a step.
struct RaiseOnDrift {
    detector: PageHinkley,
    drifts: u64,
}

impl RaiseOnDrift {
    fn new() -> Self {
        let config = PageHinkleyConfig { min_instances: 10, delta: 0.02, threshold: 1.0, ..Default::default() };
        Self { detector: PageHinkley::new(config).unwrap(), drifts: 0 }
    }
}

impl<T> Callback<T> for RaiseOnDrift {
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        let Event::Step { state, sums, .. } = event else { return Ok(()) };
        if self.detector.update(sums.mean_loss()) == Drift::Drift {
            self.drifts += 1;
            run.set_learning_rate_factor(4.0);
            run.reset_optimizer();
        } else if state.learning_rate_factor > 1.0 {
            run.set_learning_rate_factor((0.9 * state.learning_rate_factor).max(1.0));
        }
        Ok(())
    }

    fn remember(&self, memory: &mut CallbackMemory) {
        memory.put("raise_on_drift.detector", self.detector.state());
        memory.put("raise_on_drift.drifts", [self.drifts as f64]);
    }

    fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
        *self = Self::new();
        if let (Some(detector), Some([drifts])) =
            (memory.get("raise_on_drift.detector"), memory.get("raise_on_drift.drifts"))
        {
            self.detector.restore(detector)?;
            self.drifts = *drifts as u64;
        }
        Ok(())
    }
}

fn train(path: &Path, is_killed_at: Option<u64>) -> (State<f32>, u64) {
    let trainer = model::trainer();
    let mut state = match path.exists() {
        true => trainer.resume(path, model::scores()).unwrap(),
        false => trainer.start_with(7, model::scores()),
    };
    let kill = on_event(move |event: &Event<'_, f32>, _: &mut Control| match event {
        Event::Step { state, .. } if Some(state.step) == is_killed_at => {
            Err(Error::Setting { what: "the test".into(), problem: "ends the run".into() })
        }
        _ => Ok(()),
    });
    let mut raise = RaiseOnDrift::new();
    let mut callbacks = (Checkpoints::new(path, 7), &mut raise, kill);
    let ended = trainer.run(&Online::new().batch_size(4), &mut state, &mut model::rows(800), &mut callbacks);
    assert_eq!(ended.is_err(), is_killed_at.is_some());
    (state, raise.drifts)
}

#[test]
fn a_callback_that_raises_the_learning_rate_on_drift() {
    let folder = tempfile::tempdir().unwrap();
    let (want, drifts) = train(&folder.path().join("undisturbed"), None);
    assert!(drifts > 0, "the rows change their mind");
    let mut plain = model::trainer().start_with(7, model::scores());
    let online = Online::new().batch_size(4);
    model::trainer().run(&online, &mut plain, &mut model::rows(800), &mut ()).unwrap();
    assert!(want.metric("log_loss").unwrap() < plain.metric("log_loss").unwrap(), "it learns anew sooner");
    for is_killed_at in [8, 60, 101, 105, 110, 150, 199] {
        let path = folder.path().join(is_killed_at.to_string());
        train(&path, Some(is_killed_at));
        let (got, found) = train(&path, None);
        assert_eq!((found, &got.params, &got.optimizer), (drifts, &want.params, &want.optimizer), "{is_killed_at}");
        assert_eq!(got.learning_rate_factor.to_bits(), want.learning_rate_factor.to_bits());
    }
}
