//! Rows that come when they come. What would hang if it were wrong is done in threads that are joined.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidemill_data::{
    Batch, Cursor, Encoder, Encoding, Error, Field, Interrupt, Kind, Resume, Role, Schema, Source, SourceExt, Split,
    TrySend, Value, channel,
};

use crate::check::{read, rows};
use crate::memory::mixed;

/// A long time, for what must not come to pass.
const LONG: Duration = Duration::from_secs(3600);

fn schema() -> Arc<Schema> {
    Arc::clone(mixed(0).schema())
}

fn numbers() -> Schema {
    Schema::new(vec![
        Field::new("x", Kind::Real { width: 1 }, Role::Feature),
        Field::new("target", Kind::Real { width: 1 }, Role::Target),
    ])
}

/// The rows of a source in memory, pushed by a thread of its own.
fn pushed(n: usize, capacity: usize) -> tidemill_data::ChannelSource<f64> {
    let (sender, source) = channel(schema(), capacity).unwrap();
    thread::spawn(move || sender.send_batch(mixed(n).data()));
    source
}

#[test]
fn rows_come_as_they_were_sent() {
    for (n, capacity, size) in [(0, 1, 8), (1, 1, 1), (37, 1, 8), (37, 5, 8), (500, 64, 7), (500, 1000, 64)] {
        assert_eq!(read(&mut pushed(n, capacity), size).0, read(&mut mixed(n), size).0, "{n} by {size}");
        let encoder = || Encoder::builder().feature("maybe", Encoding::real().missing(tidemill_data::Missing::DropRow));
        if n > 0 {
            let (encoder, _) = encoder().fit(&mut mixed(n)).unwrap();
            let streamed = pushed(n, capacity).encode::<f64>(&encoder).unwrap().shuffle(10, 1).unwrap();
            let mut expected = mixed(n).encode::<f64>(&encoder).unwrap().shuffle(10, 1).unwrap();
            assert_eq!(read(&mut streamed.prefetch(3, size).unwrap(), size).0, read(&mut expected, size).0);
        }
        let split = Split::by_row(1, [("half", 0.5)]).unwrap();
        let mut half = pushed(n, capacity).part(&split, "half").unwrap();
        assert_eq!(read(&mut half, size).0, read(&mut mixed(n).part(&split, "half").unwrap(), size).0);
    }
}

#[test]
fn several_senders_lose_nothing() {
    let (sender, mut source) = channel::<f64>(numbers(), 16).unwrap();
    let senders: Vec<_> = (0..4)
        .map(|who| {
            let sender = sender.clone();
            thread::spawn(move || (0..250).try_for_each(|row| sender.send((f64::from(1000 * who + row), 0.0))))
        })
        .collect();
    drop(sender);
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, 32).unwrap() > 0 {}
    senders.into_iter().for_each(|sender| sender.join().unwrap().unwrap());
    for who in 0..4 {
        let own = batch.reals(0).iter().filter(|&&x| x as i32 / 1000 == who).copied();
        assert!(own.eq((0..250).map(|row| f64::from(1000 * who + row))), "the rows of sender {who}");
    }
}

#[test]
fn what_is_wrong_with_a_row_is_told_by_column() {
    let fields = vec![
        Field::new("x", Kind::Real { width: 1 }, Role::Feature),
        Field::new("wide", Kind::Real { width: 2 }, Role::Feature),
        Field::new("kind", Kind::Index { cardinality: 3 }, Role::Feature),
        Field { nullable: true, ..Field::new("name", Kind::Text, Role::Feature) },
        Field::new("target", Kind::Real { width: 1 }, Role::Target),
        Field::new("weight", Kind::Real { width: 1 }, Role::Weight),
    ];
    let (sender, mut source) = channel::<f32>(Schema::new(fields), 8).unwrap();
    let good = [
        Value::Real(f32::NAN),
        Value::Reals(&[1.0, 2.0]),
        Value::Index(2),
        Value::Null,
        Value::Real(1.0),
        Value::Real(0.5),
    ];
    let check = |place: usize, value: Value<'_, f32>, expected: &str| {
        let mut row = good;
        row[place] = value;
        assert_eq!(sender.send(row).unwrap_err().to_string(), expected);
    };
    check(0, Value::Null, "column x: it is real and not nullable, and the row has no value in it");
    check(0, Value::Text("1"), "column x: it is real, and the row has the text \"1\" in it");
    check(1, Value::Real(1.0), "column wide: a row has 2 numbers in it, not one");
    check(1, Value::Reals(&[1.0; 3]), "column wide: a row has 2 numbers in it, not 3");
    check(2, Value::Index(3), "column kind: 3 is not below the cardinality 3");
    check(2, Value::Null, "column kind: it is index below 3 and not nullable, and the row has no value in it");
    check(3, Value::Index(1), "column name: it is text, and the row has the index 1 in it");
    check(4, Value::Real(f32::NAN), "column target: the target NaN is not finite");
    check(5, Value::Real(-1.0), "column weight: the weight -1 is not a finite number from zero");
    let all = "x, wide, kind, name, target, weight";
    let problem = format!("row: it has 5 values, the channel 6 columns: {all}");
    assert_eq!(sender.send(&good[..5]).unwrap_err().to_string(), problem);
    sender.send(good).unwrap();
    sender.send((0.5, [1.0, 2.0], 1, Some("a"), 0.0, 1.0)).unwrap();
    let other = channel::<f32>(numbers(), 1).unwrap();
    assert!(sender.send_batch(&Batch::new(Arc::clone(other.1.schema()))).is_err());
    drop(sender);
    assert_eq!(
        read(&mut source, 8).0,
        ["[NaN] [1.0, 2.0] #2 None [1.0] [0.5]", "[0.5] [1.0, 2.0] #1 Some(\"a\") [0.0] [1.0]"]
    );
}

#[test]
fn batches_are_checked_by_the_schema_of_the_channel() {
    let (sender, _source) = channel::<f64>(numbers(), 8).unwrap();
    let memory = |target: f64| {
        tidemill_data::MemorySource::builder()
            .reals("x", 1, vec![0.0])
            .reals("target", 1, vec![target])
            .build()
            .unwrap()
    };
    sender.send_batch(memory(1.0).data()).unwrap();
    let error = sender.send_batch(memory(f64::NAN).data()).unwrap_err();
    assert_eq!(error.to_string(), "column target: target NaN in row 0 is not finite");
    let absent = tidemill_data::MemorySource::builder().optional_reals("x", [None]).target(vec![1.0]).build().unwrap();
    let error = sender.send_batch(absent.data()).unwrap_err();
    assert_eq!(error.to_string(), "column x: it is not nullable, and row 0 of the batch has no value in it");
}

#[test]
fn a_full_channel_waits_and_says_so() {
    let (sender, mut source) = channel::<f64>(numbers(), 2).unwrap();
    assert_eq!(sender.try_send((1.0, 0.0)).unwrap(), TrySend::Sent);
    assert_eq!(sender.try_send((2.0, 0.0)).unwrap(), TrySend::Sent);
    assert_eq!(sender.try_send((3.0, 0.0)).unwrap(), TrySend::Full);
    let blocked = thread::spawn(move || sender.send((3.0, 0.0)));
    assert_eq!(read(&mut source, 3).0.len(), 3);
    blocked.join().unwrap().unwrap();
}

#[test]
fn sending_to_nobody_is_an_error() {
    let (sender, source) = channel::<f64>(numbers(), 1).unwrap();
    sender.send((1.0, 0.0)).unwrap();
    let other = sender.clone();
    let blocked = thread::spawn(move || other.send((2.0, 0.0)).unwrap_err());
    drop(source);
    for error in [blocked.join().unwrap(), sender.send((2.0, 0.0)).unwrap_err()] {
        assert_eq!(error.to_string(), "channel: the source that takes the rows is gone");
    }
}

#[test]
fn a_sender_that_fails_is_an_error_behind_its_rows() {
    for panics in [false, true] {
        let (sender, mut source) = channel::<f64>(numbers(), 8).unwrap();
        let other = sender.clone();
        let _ = thread::spawn(move || {
            sender.send((1.0, 0.0)).unwrap();
            assert!(!panics, "as it was told to");
            sender.fail("the sensor is unplugged");
        })
        .join();
        let expected = if panics { "a thread that sent rows panicked" } else { "the sensor is unplugged" };
        let mut batch = Batch::new(Arc::clone(source.schema()));
        assert_eq!(source.fill(&mut batch, 4).unwrap(), 1);
        for _ in 0..2 {
            let error = source.fill(&mut batch, 4).unwrap_err();
            assert_eq!(error.to_string(), format!("channel: {expected}"));
        }
        assert_eq!(other.send((1.0, 0.0)).unwrap_err().to_string(), format!("channel: {expected}"));
    }
}

#[test]
fn a_slow_stream_gives_what_there_is() {
    let (sender, source) = channel::<f64>(numbers(), 8).unwrap();
    let mut source = source.max_wait(Duration::ZERO);
    let mut batch = Batch::new(Arc::clone(source.schema()));
    for sent in [1, 3, 2] {
        (0..sent).for_each(|_| sender.send((1.0, 0.0)).unwrap());
        assert_eq!(source.fill(&mut batch, 8).unwrap(), sent);
    }
    let mut source = source.prefetch(2, 8).unwrap();
    sender.send((1.0, 0.0)).unwrap();
    batch.clear();
    assert_eq!(source.fill(&mut batch, 8).unwrap(), 1, "prefetch hands on what there is");
    drop(sender);
    assert_eq!(source.fill(&mut batch, 8).unwrap(), 0);

    let (sender, source) = channel::<f64>(numbers(), 8).unwrap();
    let mut source = source.max_wait(LONG);
    (0..4).for_each(|_| sender.send((1.0, 0.0)).unwrap());
    assert_eq!(source.fill(&mut batch, 4).unwrap(), 4, "a full batch waits for nothing");
}

#[test]
fn positions_that_are_kept_can_be_gone_back_to() {
    let mut source = pushed(100, 10).keep(20);
    let all = read(&mut mixed(100), 8).0;
    let mut batch = Batch::new(Arc::clone(source.schema()));
    for _ in 0..9 {
        batch.clear();
        assert_eq!(source.fill(&mut batch, 8).unwrap(), 8);
    }
    for row in [72, 60, 52, 71] {
        source.seek(Cursor::start(0).push(row)).unwrap();
        batch.clear();
        assert_eq!(source.fill(&mut batch, 8).unwrap(), 8);
        assert_eq!(rows(&batch), all[row as usize..row as usize + 8]);
    }
    let error = source.seek(Cursor::start(0).push(3)).unwrap_err().to_string();
    assert!(error.starts_with("cannot go to epoch 0, position [3]: a stream cannot go back"), "{error}");
    let error = source.seek(Cursor::start(0).push(99)).unwrap_err().to_string();
    assert!(error.ends_with("rows after it are passed over only when it is read with Resume::Replay"), "{error}");
    let error = source.seek(Cursor::start(1)).unwrap_err().to_string();
    assert_eq!(error, "cannot go to epoch 1, start: the stream is one epoch, and its rows come once");
    assert!(source.seek(Cursor::start(0).push(1).push(1)).is_err());
}

#[test]
fn an_encoder_is_fitted_to_the_first_rows_which_are_then_trained_on() {
    let mut source = pushed(100, 10).keep(64);
    let (encoder, report) = Encoder::builder()
        .feature("maybe", Encoding::standardize().missing(tidemill_data::Missing::MeanWithIndicator))
        .fit(&mut (&mut source).take(50))
        .unwrap();
    let rows = read(&mut source.encode::<f32>(&encoder).unwrap(), 16).0;
    assert_eq!(rows, read(&mut mixed(100).encode::<f32>(&encoder).unwrap(), 16).0, "{report:?}");
}

#[test]
fn a_stream_that_is_opened_anew_goes_on_as_it_was_told() {
    let all = read(&mut mixed(50), 8).0;
    let there = Cursor::start(2).push(16);
    let error = pushed(50, 8).seek(there).unwrap_err().to_string();
    assert!(error.contains("Resume::Replay") && error.contains("Resume::Continue"), "{error}");

    let mut replayed = pushed(50, 8).resume(Resume::Replay);
    replayed.seek(there).unwrap();
    assert_eq!(read(&mut replayed, 8).0, all[16..]);

    let mut continued = pushed(50, 8).resume(Resume::Continue);
    continued.seek(there).unwrap();
    assert_eq!(continued.cursor(), there);
    assert_eq!(read(&mut continued, 8).0, all);
    assert_eq!(continued.cursor(), Cursor::start(2).push(66));

    let error = pushed(10, 8).resume(Resume::Replay).seek(there).unwrap_err().to_string();
    assert_eq!(error, "cannot go to epoch 2, position [16]: the stream has 10 rows");
}

#[test]
fn an_interrupt_ends_waiting_and_loses_nothing() {
    for ahead in [0, 2] {
        let (sender, mut source) = channel::<f64>(numbers(), 8).unwrap();
        let interrupt = Interrupt::new();
        source.watch(&Interrupt::any([interrupt.clone()]));
        let watched = Interrupt::any([interrupt.clone()]);
        source.watch(&watched);
        (0..ahead).for_each(|row| sender.send((f64::from(row), 0.0)).unwrap());
        let setter = interrupt.clone();
        let waiter = thread::spawn(move || {
            let mut batch = Batch::new(Arc::clone(source.schema()));
            let error = source.fill(&mut batch, 4).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "{error}");
            assert_eq!((batch.rows(), source.cursor()), (0, Cursor::start(0)));
            (source, watched)
        });
        setter.set();
        let (mut source, watched) = waiter.join().unwrap();
        interrupt.clear();
        (ahead..4).for_each(|row| sender.send((f64::from(row), 0.0)).unwrap());
        let mut batch = Batch::new(Arc::clone(source.schema()));
        assert_eq!(source.fill(&mut batch, 4).unwrap(), 4);
        assert_eq!(batch.reals(0), [0.0, 1.0, 2.0, 3.0]);
        interrupt.set();
        drop(watched);
        (0..4).for_each(|row| sender.send((f64::from(row), 0.0)).unwrap());
        assert_eq!(source.fill(&mut batch, 4).unwrap(), 4, "nobody has the handle that was watched");
    }
}

#[test]
fn a_sender_that_waits_can_be_interrupted() {
    let (mut sender, _source) = channel::<f64>(numbers(), 1).unwrap();
    let interrupt = Interrupt::new();
    sender.watch(&interrupt);
    sender.send((1.0, 0.0)).unwrap();
    let blocked = thread::spawn(move || sender.send((2.0, 0.0)).unwrap_err());
    interrupt.set();
    assert!(matches!(blocked.join().unwrap(), Error::Interrupted));
}

#[test]
fn a_thread_that_reads_ahead_of_an_idle_stream_is_stopped() {
    let (sender, source) = channel::<f64>(numbers(), 8).unwrap();
    (0..6).for_each(|row| sender.send((f64::from(row), 0.0)).unwrap());
    let mut source = source.shuffle(2, 1).unwrap().prefetch(2, 4).unwrap();
    let interrupt = Interrupt::new();
    source.watch(&interrupt);
    let mut batch = Batch::new(Arc::clone(source.schema()));
    assert_eq!(source.fill(&mut batch, 4).unwrap(), 4);
    let cursor = source.cursor();
    interrupt.set();
    assert!(matches!(source.fill(&mut batch, 4), Err(Error::Interrupted)));
    interrupt.clear();
    assert_eq!(source.cursor(), cursor);
    source.seek(cursor).unwrap();
    (6..8).for_each(|row| sender.send((f64::from(row), 0.0)).unwrap());
    batch.clear();
    assert_eq!(source.fill(&mut batch, 4).unwrap(), 4, "the rows that were read ahead are still there");
    let mut found = batch.reals(0).to_vec();
    found.sort_by(f64::total_cmp);
    assert_eq!(found, [4.0, 5.0, 6.0, 7.0]);
    // The thread waits for rows that never come: a seek to rows that are kept and a drop stop it.
    source.seek(Cursor::start(0)).unwrap();
    batch.clear();
    assert_eq!(source.fill(&mut batch, 8).unwrap(), 8);
    drop(source);
    assert!(matches!(sender.send((1.0, 0.0)), Err(Error::Closed { .. })), "the source was dropped");
}

/// A source that waits for nobody knows what, and does not listen.
struct Deaf(Arc<Schema>);

impl Source<f64> for Deaf {
    fn schema(&self) -> &Arc<Schema> {
        &self.0
    }

    fn fill(&mut self, _batch: &mut Batch<f64>, _rows: usize) -> Result<usize, Error> {
        loop {
            thread::park();
        }
    }

    fn cursor(&self) -> Cursor {
        Cursor::start(0)
    }

    fn seek(&mut self, _cursor: Cursor) -> Result<(), Error> {
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        None
    }
}

#[test]
fn a_source_that_never_returns_hangs_nobody() {
    let mut source = Deaf(schema()).prefetch(1, 4).unwrap();
    let interrupt = Interrupt::new();
    source.watch(&interrupt);
    interrupt.set();
    let mut batch = Batch::new(schema());
    assert!(matches!(source.fill(&mut batch, 4), Err(Error::Interrupted)));
    assert!(matches!(source.seek(Cursor::start(1)), Err(Error::Interrupted)));
    drop(source);
}

#[test]
fn waiting_is_measured() {
    let (sender, mut source) = channel::<f64>(numbers(), 8).unwrap();
    sender.send((1.0, 0.0)).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    source.fill(&mut batch, 1).unwrap();
    assert_eq!(source.blocked(), Duration::ZERO, "the row was there");
    let source = source.max_wait(Duration::from_millis(5));
    let mut source = source.take(4);
    sender.send((1.0, 0.0)).unwrap();
    assert_eq!(source.fill(&mut batch, 2).unwrap(), 1);
    assert!(source.blocked() >= Duration::from_millis(5), "{:?}", source.blocked());
}
