//! A callback that reacts to drift.

use tidemill::metrics::drift::{Drift, DriftDetector};
use tidemill::prelude::{Callback, Control, Event};
use tidemill::strategies::{CallbackMemory, Error};

/// Raises the learning rate when the loss drifts, and then lets it fall back step by step.
pub struct RaiseOnDrift<D> {
    detector: D,
    raised: f64,
    kept: f64,
}

impl<D: DriftDetector> RaiseOnDrift<D> {
    /// To `raised` times what the schedule gives; of what is above it, each step keeps the part `kept`.
    pub fn new(detector: D, raised: f64, kept: f64) -> Self {
        Self { detector, raised, kept }
    }
}

impl<T, D: DriftDetector> Callback<T> for RaiseOnDrift<D> {
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        let Event::Step { state, sums, .. } = event else { return Ok(()) };
        if self.detector.update(sums.mean_loss()) == Drift::Drift {
            run.set_learning_rate_factor(self.raised);
        } else if state.learning_rate_factor > 1.0 {
            run.set_learning_rate_factor(1.0 + self.kept * (state.learning_rate_factor - 1.0));
        }
        Ok(())
    }

    fn remember(&self, memory: &mut CallbackMemory) {
        memory.put("raise_on_drift", self.detector.state());
    }

    fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
        match memory.get("raise_on_drift") {
            Some(state) => self.detector.restore(state)?,
            None => self.detector.reset(),
        }
        Ok(())
    }
}

mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use tidemill::metrics::drift::{Direction, PageHinkley, PageHinkleyConfig};
    use tidemill::prelude::*;

    use super::RaiseOnDrift;
    use crate::data::{bits, linear, random, regression, rows};

    const CHILD: &str = "TIDEMILL_EXTEND_DRIFT_CHILD";
    const ONLINE_ROWS: usize = 4;

    /// Rows that say the contrary from the middle on, not quite exactly.
    fn turning() -> MemorySource<f64> {
        rows(1200, |row, x| linear(row, x) * if row < 600 { 1.0 } else { -1.0 } + 0.2 * random(3, row))
    }

    fn trainer() -> Trainer<f64> {
        Trainer::new(regression(), sgd(0.01)).unwrap()
    }

    fn metrics() -> Metrics<f64> {
        Metrics::new().with(Rmse::default())
    }

    fn callback() -> RaiseOnDrift<PageHinkley> {
        let direction = Direction::Up;
        let config = PageHinkleyConfig { delta: 0.05, threshold: 2.0, direction, ..PageHinkleyConfig::default() };
        RaiseOnDrift::new(PageHinkley::new(config).unwrap(), 10.0, 0.9)
    }

    /// Trains from the checkpoint on, if there is one, and saves after every step. A child gets stuck in the step after
    /// `last`.
    fn run(path: &Path, last: u64) -> State<f64> {
        let trainer = trainer();
        let mut state =
            if path.exists() { trainer.resume(path, metrics()).unwrap() } else { trainer.start_with(7, metrics()) };
        let stuck = on_event(|event: &Event<'_, f64>, _: &mut Control| {
            if let Event::Step { state, .. } = event
                && state.step > last
            {
                thread::sleep(Duration::from_secs(600));
                panic!("nobody has killed it");
            }
            Ok(())
        });
        let online = Online::new().batch_size(ONLINE_ROWS);
        let mut callbacks = (Checkpoints::new(path, 1), callback(), stuck);
        trainer.run(&online, &mut state, &mut turning(), &mut callbacks).unwrap();
        state
    }

    /// Not a test of its own: what the killed process does.
    #[test]
    fn child_of_the_kill_test() {
        if let Some(told) = std::env::var_os(CHILD) {
            let told = told.into_string().unwrap();
            let (step, path) = told.split_once(' ').unwrap();
            run(&PathBuf::from(path), step.parse().unwrap());
        }
    }

    fn start_and_kill(path: &Path, step: u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["drift::tests::child_of_the_kill_test", "--exact", "--test-threads=1"])
            .env(CHILD, format!("{step} {}", path.display()))
            .spawn()
            .unwrap();
        while !path.exists() || trainer().resume(path, metrics()).unwrap().step < step {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the child was killed");
    }

    #[test]
    fn the_learning_rate_rises_and_falls_back() {
        let mut factors = Vec::new();
        let watch = on_event(|event: &Event<'_, f64>, _: &mut Control| {
            if let Event::Step { state, .. } = event {
                factors.push((state.step, state.learning_rate_factor));
            }
            Ok(())
        });
        let train = |callback: &mut dyn Callback<f64>| {
            let mut state = trainer().start_with(7, metrics());
            let mut callback = callback;
            trainer().run(&Online::new().batch_size(ONLINE_ROWS), &mut state, &mut turning(), &mut callback).unwrap();
            state
        };
        let with = train(&mut (callback(), watch));
        let without = train(&mut ());
        let raised: Vec<_> = factors.windows(2).filter(|pair| pair[1].1 > pair[0].1).map(|pair| pair[1].0).collect();
        assert!(raised.iter().any(|step| (150..180).contains(step)), "raised after the change at step 150: {raised:?}");
        let last = factors.last().unwrap().1;
        assert!((1.0..1.1).contains(&last), "and fell back to {last}: {raised:?}");
        let [with, without] = [&with, &without].map(|state| state.metrics[0].value());
        assert!(with < without, "{with} is not better than {without}");
    }

    #[test]
    fn killed_and_resumed_is_as_if_never_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let wanted = run(&directory.path().join("undisturbed"), u64::MAX);
        let path = directory.path().join("state");
        let mut factors = Vec::new();
        for step in [3, 152, 160, 163, 200] {
            start_and_kill(&path, step);
            let state = trainer().resume(&path, metrics()).unwrap();
            assert_eq!(state.step, step);
            factors.push(state.learning_rate_factor);
        }
        // Before the drift, and while the learning rate is raised.
        assert!(factors[0] == 1.0 && factors.iter().any(|&factor| factor > 1.5), "{factors:?}");
        assert_eq!(bits(&run(&path, u64::MAX)), bits(&wanted));
    }
}
