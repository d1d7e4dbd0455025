//! From the third batch on, sources allocate nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidemill_data::{
    Batch, Cursor, Encoder, Encoding, Field, Kind, MemorySource, Missing, Role, Schema, Source, SourceExt, Split,
    channel,
};
use tidemill_tensor::Scalar;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the promises of `realloc`, and the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 64;

fn raw() -> MemorySource<f64> {
    let n = 4000;
    MemorySource::builder()
        .reals("distance", 1, (0..n).map(|row| f64::from(row % 97)).collect())
        .optional_reals("delay", (0..n).map(|row| (row % 7 > 0).then_some(f64::from(row % 31))))
        .texts("carrier", (0..n).map(|row| ["AA", "UA", "DL", "B6"].get(row as usize % 5).copied()))
        .indices("month", 12, (0..n as u32).map(|row| row % 12).collect())
        .build()
        .unwrap()
}

fn encoder() -> Encoder {
    let declared = Encoder::builder()
        .feature("distance", Encoding::standardize())
        .feature("carrier", Encoding::category())
        .feature_from("one", "carrier", Encoding::one_hot())
        .feature_from("bucket", "carrier", Encoding::hash(10))
        .feature_from("filled", "delay", Encoding::real().missing(Missing::MeanWithIndicator))
        .feature("month", Encoding::category())
        .feature_from("bin", "distance", Encoding::quantile_bins(9))
        .feature_from("robust", "distance", Encoding::robust().clip(0.01, 0.99))
        .target("delay", Encoding::above(15.0).missing(Missing::DropRow));
    declared.fit(&mut raw()).unwrap().0
}

/// Two batches warm up; then whole epochs follow, with a seek before each.
fn check<T: Scalar>(name: &str, mut source: impl Source<T>) {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut fill = |source: &mut dyn Source<T>| {
        batch.clear();
        source.fill(&mut batch, ROWS).unwrap()
    };
    fill(&mut source);
    fill(&mut source);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    let mut rows = 0;
    for epoch in 0..3 {
        source.seek(Cursor::start(epoch)).unwrap();
        loop {
            let n = fill(&mut source);
            if n == 0 {
                break;
            }
            rows += n;
        }
    }
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0, "{name}");
    assert!(rows > 0, "{name} gave no rows");
}

/// Rows are sent by another thread, so that both sides wait now and then.
fn check_channel() {
    let real = |name: &str, role| Field::new(name, Kind::Real { width: 1 }, role);
    let text = Field::new("carrier", Kind::Text, Role::Feature);
    let schema = Schema::new(vec![real("distance", Role::Feature), text, real("target", Role::Target)]);
    let (sender, source) = channel::<f32>(schema, 16).unwrap();
    let sending = std::thread::spawn(move || while sender.send((1.0, "AA", 0.0)).is_ok() {});
    let mut source = source.keep(64);
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut fill = |batches: usize| {
        for _ in 0..batches {
            batch.clear();
            assert_eq!(source.fill(&mut batch, 32).unwrap(), 32);
        }
    };
    fill(100);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    fill(500);
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0, "channel");
    drop(source);
    sending.join().unwrap();
}

fn main() {
    check_channel();
    check("memory", raw());
    check("shuffled memory", raw().shuffled(1));
    check("take", raw().skip_rows(100).take(3000));
    check("shard", raw().shard(1, 3).unwrap());
    let half = [("a", 0.5)];
    check("split by row", raw().part(&Split::by_row(1, half).unwrap(), "a").unwrap());
    check("split by key", raw().part(&Split::by_key("distance", 1, half).unwrap(), "a").unwrap());
    let condition = "distance > 30 and not (carrier in ('AA', 'B6') or delay is null) or month between 3 and 5";
    check("filter", raw().filter(&condition.parse().unwrap()).unwrap());
    check("shuffle", raw().shuffle(100, 1).unwrap());
    check(
        "exact shuffle",
        MemorySource::load(raw().encode::<f32>(&encoder()).unwrap(), 1 << 20)
            .unwrap()
            .shuffle_exactly(1, 150_000)
            .unwrap(),
    );
    check("encode", raw().encode::<f32>(&encoder()).unwrap());
    check(
        "prefetch",
        MemorySource::load(raw().encode::<f32>(&encoder()).unwrap(), 1 << 20).unwrap().prefetch(3, ROWS).unwrap(),
    );
    check("all", raw().encode::<f32>(&encoder()).unwrap().shuffle(100, 1).unwrap().prefetch(3, ROWS).unwrap());
}
