//! Promise 4, where files take part: stopped after any step and resumed, the same bits as never stopped.

use std::path::Path;

use tidemill::prelude::*;
use tidemill::strategies::Strategy;

use crate::table::{COLUMNS, Table, open};
use crate::training::{bits, encoder, metrics, train, trainer};

/// Stops after the step of that number.
fn stop_after(step: u64) -> impl Callback<f32> {
    on_event(move |event: &Event<'_, f32>, run: &mut Control| match event {
        Event::Step { state, .. } if state.step == step => {
            run.stop();
            Ok(())
        }
        _ => Ok(()),
    })
}

/// Stops after every step; each time trainer, state and source go, and come back from the checkpoint and the files.
fn check(strategy: impl Strategy<f32>, pipeline: impl Fn(Box<dyn Source<f64>>, &Encoder) -> Box<dyn Source<f32>>) {
    check_files(strategy, |path, encoder| pipeline(open(path).boxed(), encoder));
}

fn check_files(strategy: impl Strategy<f32>, pipeline: impl Fn(&Path, &Encoder) -> Box<dyn Source<f32>>) {
    let (table, folder) = (Table::new(137), tempfile::tempdir().unwrap());
    let path = table.folder(folder.path(), "rows", &[20, 0, 50]);
    let encoder = encoder(&mut table.memory());
    let source = || pipeline(&path, &encoder);
    let checkpoint = folder.path().join("state.safetensors");

    let whole = train(&trainer(&encoder), &strategy, &mut *source());
    assert!(whole.step > 10, "a run worth stopping");
    for stop in 1..whole.step {
        go_on(&encoder, &strategy, &mut *source(), &checkpoint, Some(stop));
        go_on(&encoder, &strategy, &mut *source(), &checkpoint, Some(stop + 3));
        go_on(&encoder, &strategy, &mut *source(), &checkpoint, None);
        let resumed = trainer::<f32>(&encoder).resume(&checkpoint, metrics()).unwrap();
        assert!(bits(&resumed) == bits(&whole), "stopped after step {stop}");
        std::fs::remove_file(&checkpoint).unwrap();
    }
}

/// Trains from the checkpoint, or from the start where there is none, and saves.
fn go_on(
    encoder: &Encoder,
    strategy: &impl Strategy<f32>,
    source: &mut dyn Source<f32>,
    checkpoint: &Path,
    stop: Option<u64>,
) {
    let trainer = trainer::<f32>(encoder);
    let mut state = if checkpoint.exists() {
        trainer.resume(checkpoint, metrics()).unwrap()
    } else {
        trainer.start_with(7, metrics())
    };
    let mut callback = (stop_after(stop.unwrap_or(u64::MAX)), Checkpoints::new(checkpoint, 0));
    trainer.run(strategy, &mut state, source, &mut callback).unwrap();
}

#[test]
fn online_through_files_encoder_shuffle_and_prefetch() {
    check(Online::new().passes(2).batch_size(16), |raw, encoder| {
        raw.encode(encoder).unwrap().shuffle(40, 3).unwrap().prefetch(2, 16).unwrap().boxed()
    });
}

#[test]
fn online_with_batches_that_are_not_those_read_ahead() {
    check(Online::new().batch_size(10), |raw, encoder| {
        raw.shuffle(30, 3).unwrap().encode(encoder).unwrap().prefetch(3, 7).unwrap().boxed()
    });
}

#[test]
fn online_over_the_rows_of_a_condition() {
    let condition = "distance > 900 and not carrier is null".parse().unwrap();
    check(Online::new().passes(2).batch_size(9), move |raw, encoder| {
        raw.filter(&condition).unwrap().encode(encoder).unwrap().boxed()
    });
}

#[test]
fn online_over_one_part_of_a_split() {
    check(Online::new().passes(3).batch_size(16), |raw, encoder| {
        let split = Split::by_row(1, [("train", 0.8), ("test", 0.2)]).unwrap();
        let train = raw.part(&split, "train").unwrap();
        train.encode(encoder).unwrap().shuffle(33, 3).unwrap().boxed()
    });
}

/// Raw rows that come block by block.
fn blocks(path: &Path) -> ParquetSource<f64> {
    ParquetSource::open(path).columns(COLUMNS).threads(2).shuffle_blocks(5).block_rows(9).build().unwrap()
}

#[test]
fn online_over_shuffled_blocks_and_windows() {
    check_files(Online::new().passes(2).batch_size(16), |path, encoder| {
        let shuffled = blocks(path).shuffle(40, 3).unwrap();
        shuffled.encode(encoder).unwrap().prefetch(2, 16).unwrap().boxed()
    });
}

#[test]
fn online_over_an_exact_shuffle() {
    check_files(Online::new().passes(2).batch_size(16), |path, encoder| {
        let shuffled = open(path).shuffle_exactly(3, 1 << 20).unwrap();
        shuffled.encode(encoder).unwrap().prefetch(2, 16).unwrap().boxed()
    });
}

#[test]
fn online_within_one_number_of_bytes() {
    check_files(Online::new().passes(2).batch_size(16), |path, encoder| {
        let feed = blocks(path).encode(encoder).unwrap().feed().batch_size(16).order(Order::Windows(3));
        feed.budget(4 << 20).build().unwrap().boxed()
    });
}

#[test]
fn batch_training_of_a_file() {
    check(Batch::new(3).batch_size(16), |raw, encoder| raw.encode(encoder).unwrap().boxed());
}

/// The epochs of a state are counted from its beginning, whatever the source: new rows are begun at their start by hand, as an
/// error says.
#[test]
fn a_state_that_was_trained_in_batches_goes_on_online() {
    let (table, folder) = (Table::new(160), tempfile::tempdir().unwrap());
    let encoder = encoder(&mut table.memory());
    let trainer = trainer::<f32>(&encoder);
    let mut state = train(&trainer, &Batch::new(2), &mut table.memory().encode(&encoder).unwrap());
    let (path, before) = (table.folder(folder.path(), "new", &[100]), state.step);
    let mut new_rows = open(&path).encode::<f32>(&encoder).unwrap();
    let online = Online::new().batch_size(10);

    let error = trainer.run(&online, &mut state, &mut new_rows, &mut ()).unwrap_err().to_string();
    assert!(error.contains("it has been trained for 2 epochs") && error.contains("Cursor::start(0)"), "{error}");
    assert_eq!(state.cursor, Cursor::start(2), "its one pass is long done");

    state.cursor = Cursor::start(0);
    let summary = trainer.run(&online, &mut state, &mut new_rows, &mut ()).unwrap();
    let rows = table.delay.iter().filter(|delay| !delay.is_nan()).count() as u64;
    assert_eq!((summary.rows, summary.steps), (rows, rows.div_ceil(10)));
    assert_eq!(state.step, before + summary.steps, "schedules and the optimizer's memory go on");
}
