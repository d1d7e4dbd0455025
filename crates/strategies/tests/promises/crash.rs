//! Promise 4, the hard way: the process is killed, without a word, in the middle of training.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tidemill_strategies::{Batch, Checkpoints, Control, Event, State, on_event};

use crate::model::{bits, metrics, rows, train, trainer};

const CHILD: &str = "TIDEMILL_CRASH_TEST_CHECKPOINT";

fn strategy() -> Batch {
    Batch::new(40).batch_size(10)
}

/// Steps that a process takes before it waits to be killed.
const STEPS: u64 = 17;

/// Trains to the end, or from the checkpoint on where there is one, saving after every step; where it is asked to, it
/// goes no further after some steps, and saves again and again.
fn run(path: &Path, is_child: bool) -> State<f32> {
    let trainer = trainer::<f32>(0.3);
    let mut state =
        if path.exists() { trainer.resume(path, metrics()).unwrap() } else { trainer.start_with(7, metrics()) };
    let last = state.step + STEPS;
    let waits = on_event(|event: &Event<'_, f32>, _: &mut Control| {
        if let Event::Step { state, .. } = event
            && is_child
            && state.step == last
        {
            // In the middle of saving, as often as not: whoever kills this does so at any moment.
            loop {
                trainer.save(state, path).unwrap();
            }
        }
        Ok(())
    });
    trainer.run(&strategy(), &mut state, &mut rows(37), &mut (Checkpoints::new(path, 1), waits)).unwrap();
    state
}

/// Not a test of its own: what the killed process does.
#[test]
fn child_of_the_crash_test() {
    if let Some(path) = std::env::var_os(CHILD) {
        run(&PathBuf::from(path), true);
    }
}

#[test]
fn killed_and_resumed_is_as_if_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for kill in 1..=3 {
        let mut child = spawn(&path);
        wait_for(&path, kill * STEPS, &mut child);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "the child was killed before it was done");
        assert_eq!(trainer::<f32>(0.3).resume(&path, metrics()).unwrap().step, kill * STEPS);
    }
    let got = run(&path, false);
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

/// Waits until the checkpoint is of that step: whatever moment the file is read at, it is whole.
fn wait_for(path: &Path, step: u64, child: &mut Child) {
    while !path.exists() || trainer::<f32>(0.3).resume(path, metrics()).unwrap().step < step {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
    }
}
