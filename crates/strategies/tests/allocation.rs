//! Promise 5: nothing allocated from the second step on, for every engine and both strategies. One test, because it
//! counts what the whole process allocates.

#[path = "promises/model.rs"]
#[allow(dead_code, reason = "shared with the tests of the other promises")]
mod model;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use model::{metrics, program, rows, trainer};
use tidemill_collective::Threads;
use tidemill_data::{Source, SourceExt};
use tidemill_optim::sgd;
use tidemill_strategies::{
    Adasum, AllReduce, Average, Batch, Compress, Compression, Control, DataParallel, Distributed, Engine, Event,
    FastAllReduce, GradientSync, Hogwild, Online, Serial, Strategy, Timeline, Trainer, on_event,
};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: all calls go to the system's allocator as they come; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations between the end of the second step and the last one, of a run that writes down its time.
fn check(engine: impl Engine<f32> + 'static, strategy: impl Strategy<f32>, source: impl Source<f32>) {
    check_trainer(trainer(0.3), engine, strategy, source);
}

fn check_trainer(
    trainer: Trainer<f32>,
    engine: impl Engine<f32> + 'static,
    strategy: impl Strategy<f32>,
    mut source: impl Source<f32>,
) {
    let what = engine.describe();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let timeline = Timeline::to_file(trace.path()).unwrap();
    let trainer = trainer.engine(engine).timeline(timeline);
    let mut state = trainer.start_with(7, metrics());
    let (mut before, mut after, mut events) = (0, 0, 0);
    let mut callback = on_event(|event: &Event<'_, f32>, _: &mut Control| {
        if let Event::Step { .. } = event {
            let count = COUNT.load(Ordering::Relaxed);
            events += 1;
            if events == 2 { before = count } else { after = count }
        }
        Ok(())
    });
    trainer.run(&strategy, &mut state, &mut source, &mut callback).unwrap();
    assert!(state.step > 10, "a run worth counting");
    assert_eq!(after - before, 0, "allocations with {what}");
}

/// As `check`, of two ranks at once.
fn check_ranks<S: GradientSync<f32> + 'static>(
    make: impl Fn(Threads) -> Distributed<Serial, S> + Sync,
    strategy: impl Strategy<f32> + Copy + Send + Sync,
    shard: impl Fn(u64) -> Box<dyn Source<f32>> + Sync,
) {
    std::thread::scope(|scope| {
        for (rank, collective) in (0..).zip(Threads::world(2)) {
            let (make, shard) = (&make, &shard);
            scope.spawn(move || check(make(collective), strategy, shard(rank)));
        }
    });
}

/// As `check_ranks`, of ranks with rows of their own that agree by this.
fn check_sync<S: GradientSync<f32> + 'static>(
    sync: impl Fn() -> S + Sync,
    strategy: impl Strategy<f32> + Copy + Send + Sync,
) {
    let make = |rank| Distributed::new(rank, Serial).sync(sync());
    check_ranks(make, strategy, |rank| Box::new(rows(150 + rank as usize)));
}

#[test]
fn nothing_is_allocated_from_the_second_step_on() {
    let before = COUNT.load(Ordering::Relaxed);
    drop(std::hint::black_box(vec![0_u8; 10]));
    assert!(COUNT.load(Ordering::Relaxed) > before, "the counter counts");

    let (batch, online) = (Batch::new(3).batch_size(20), Online::new().passes(2).batch_size(20));
    check(Serial, batch, rows(155));
    check(Serial, online, rows(155));
    check(DataParallel::new(2), batch, rows(155));
    check(DataParallel::new(2).shards(3), online, rows(155));
    check_ranks(|rank| Distributed::new(rank, Serial).share_rows(), batch, |_| Box::new(rows(155)));
    check_ranks(|rank| Distributed::new(rank, Serial), online, |rank| Box::new(rows(310).shard(rank, 2).unwrap()));
    check_sync(|| AllReduce, online);
    check_sync(|| FastAllReduce, online);
    check_sync(|| AllReduce.overlap(100), online);
    for kind in [Compression::Half, Compression::TopK(0.1), Compression::OneBit] {
        check_sync(|| Compress::new(kind), online);
        check_sync(|| Compress::new(kind).overlap(100), batch);
        check_sync(|| Compress::new(kind).after(1), online);
    }
    check_sync(Adasum::new, online);
    check_sync(|| Average::every(1), batch);
    check_sync(|| Average::every(1).after(1), online);
    let plain = Trainer::new(program::<f32>(0.3), sgd(0.001)).unwrap();
    check_trainer(plain, Hogwild::new(2).rows(3), online, rows(155));
    check(Serial, Online::new().passes(2).batch_size(20), rows(155).shuffle(50, 1).unwrap());
    check(DataParallel::new(2), online, rows(155).prefetch(3, 20).unwrap());
}
