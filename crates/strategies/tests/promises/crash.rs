//! Promise 4, the hard way: the process is killed, without a word, in the middle of training.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tidemill_strategies::{Batch, Checkpoints, Event, Flow, State, on_event};

use crate::model::{bits, metrics, rows, train, trainer};

const CHILD: &str = "TIDEMILL_CRASH_TEST_CHECKPOINT";

fn strategy() -> Batch {
    Batch::new(40).batch_size(10)
}

/// Trains to the end, or from the checkpoint on where there is one, saving after every step.
fn run(path: &Path, pause: Duration) -> State<f32> {
    let trainer = trainer::<f32>(0.3);
    let mut state =
        if path.exists() { trainer.resume(path, metrics()).unwrap() } else { trainer.start_with(7, metrics()) };
    let slow = on_event(|_: &Event<'_, f32>| {
        std::thread::sleep(pause);
        Ok(Flow::Continue)
    });
    trainer.run(&strategy(), &mut state, &mut rows(37), &mut (Checkpoints::new(&trainer, path, 1), slow)).unwrap();
    state
}

/// Not a test of its own: what the killed process does.
#[test]
fn child_of_the_crash_test() {
    if let Some(path) = std::env::var_os(CHILD) {
        run(&PathBuf::from(path), Duration::from_millis(2));
    }
}

#[test]
fn killed_and_resumed_is_as_if_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let mut last = 0;
    for kill in 1..=3 {
        let mut child = spawn(&path);
        wait_for(&path, last + 5 * kill);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "the child was killed before it was done");
        last = trainer::<f32>(0.3).resume(&path, metrics()).unwrap().step;
        assert!(last < 160, "killed in the middle, not at step {last}");
    }
    let got = run(&path, Duration::ZERO);
    let want = train(&trainer::<f32>(0.3), &strategy(), &mut rows(37));
    assert_eq!(bits(&got), bits(&want));
}

fn spawn(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_of_the_crash_test", "--exact", "--test-threads=1"])
        .env(CHILD, path)
        .spawn()
        .unwrap()
}

/// Waits until the checkpoint is of that step or a later one: whatever moment the file is read at, it is whole.
fn wait_for(path: &Path, step: u64) {
    let began = Instant::now();
    loop {
        if path.exists() && trainer::<f32>(0.3).resume(path, metrics()).unwrap().step >= step {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the child makes no steps");
    }
}
