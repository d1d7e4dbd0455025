//! Promises 2 and 4 where rows come when they come.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidemill_data::{Batch as Rows, ChannelSource, Interrupt, RowSender, Source, SourceExt, channel};
use tidemill_strategies::{Batch, Callback, Control, Event, Online, on_event};

use crate::model::{bits, metrics, rows, train, trainer};

const ALL: usize = 75;

fn stream(capacity: usize) -> (RowSender<f32>, ChannelSource<f32>) {
    channel(Arc::clone(rows::<f32>(0).schema()), capacity).unwrap()
}

/// Sends the rows between two numbers.
fn send(sender: &RowSender<f32>, from: usize, to: usize) {
    let mut part = Rows::new(Arc::clone(sender.schema()));
    part.push_rows(rows::<f32>(ALL).data(), from..to);
    sender.send_batch(&part).unwrap();
}

#[test]
fn a_stream_gives_the_steps_of_rows_in_memory() {
    let online = Online::new().batch_size(8);
    let want = bits(&train(&trainer::<f32>(0.3), &online, &mut rows(ALL)));
    for capacity in [1, 8, 1000] {
        let (sender, mut source) = stream(capacity);
        let sending = thread::spawn(move || send(&sender, 0, ALL));
        assert_eq!(bits(&train(&trainer::<f32>(0.3), &online, &mut source)), want, "capacity {capacity}");
        sending.join().unwrap();
    }
}

/// Sets an interrupt when a step has been taken, and observes with it.
fn interrupt_after(step: u64, interrupt: &Interrupt) -> impl Callback<f32> {
    let setter = interrupt.clone();
    let watcher = on_event(move |event: &Event<'_, f32>, _: &mut Control| {
        if matches!(event, Event::Step { state, .. } if state.step == step) {
            // Not before the run waits for rows again, most of the time; it need not be.
            let setter = setter.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                setter.set();
            });
        }
        Ok(())
    });
    (watcher, interrupt.clone())
}

/// A run that waits in vain is stopped, and goes on when the rows are there; this hangs where it is not stopped.
fn check<S: Source<f32>>(sent: usize, whole_steps: u64, adapt: impl Fn(ChannelSource<f32>) -> S) {
    let online = Online::new().batch_size(8);
    let want = bits(&train(
        &trainer::<f32>(0.3),
        &online,
        &mut adapt({
            let (sender, source) = stream(ALL);
            send(&sender, 0, ALL);
            source
        }),
    ));
    let (sender, source) = stream(ALL);
    let mut source = adapt(source);
    send(&sender, 0, sent);
    let (trainer, interrupt) = (trainer(0.3), Interrupt::new());
    let mut state = trainer.start_with(7, metrics());
    let mut callback = interrupt_after(whole_steps, &interrupt);
    let summary = trainer.run(&online, &mut state, &mut source, &mut callback).unwrap();
    assert!(summary.stopped);
    assert_eq!((state.step, summary.steps), (whole_steps, whole_steps));
    assert!(summary.waiting.total >= summary.waiting.blocked && summary.waiting.total <= summary.time);
    send(&sender, sent, ALL);
    drop(sender);
    let summary = trainer.run(&online, &mut state, &mut source, &mut ()).unwrap();
    assert!(!summary.stopped);
    assert_eq!(bits(&state), want, "interrupted after {sent} rows");
}

#[test]
fn an_idle_stream_is_interrupted_and_nothing_is_lost() {
    check(16, 2, |source| source);
    check(20, 2, |source| source);
    check(20, 2, |source| source.prefetch(2, 8).unwrap());
    check(20, 2, |source| source.prefetch(2, 5).unwrap());
    check(38, 2, |source| source.shuffle(20, 1).unwrap().take(50));
    check(40, 2, |source| source.shard(1, 2).unwrap().prefetch(3, 8).unwrap());
}

#[test]
fn loading_a_stream_is_interrupted() {
    let (sender, mut source) = stream(ALL);
    send(&sender, 0, 20);
    let (trainer, interrupt) = (trainer::<f32>(0.0), Interrupt::new());
    let mut state = trainer.start(7);
    interrupt.set();
    let summary = trainer.run(&Batch::new(2), &mut state, &mut source, &mut interrupt.clone()).unwrap();
    assert!(summary.stopped && summary.steps == 0 && state.step == 0);
    interrupt.clear();
    drop(sender);
    assert_eq!(trainer.run(&Batch::new(2), &mut state, &mut source, &mut interrupt.clone()).unwrap().rows, 40);
}

#[test]
fn a_slow_stream_trains_on_what_there_is() {
    let (sender, source) = stream(ALL);
    let mut source = source.max_wait(Duration::ZERO);
    send(&sender, 0, 5);
    let trainer = trainer::<f32>(0.0);
    let mut state = trainer.start(7);
    let mut stop = on_event(|event: &Event<'_, f32>, run: &mut Control| {
        if matches!(event, Event::Step { .. }) {
            run.stop();
        }
        Ok(())
    });
    let summary = trainer.run(&Online::new().batch_size(8), &mut state, &mut source, &mut stop).unwrap();
    assert_eq!((summary.steps, summary.rows), (1, 5));
}
