//! After warm-up, updates allocate nothing.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{TASKS, Table, forgetful, plain};
use tidemill_metrics::drift::{Adwin, AdwinConfig, Ddm, DdmConfig, Kswin, KswinConfig, PageHinkley, PageHinkleyConfig};
use tidemill_metrics::{DriftDetector, Summary};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

#[test]
fn updates_allocate_nothing_after_warm_up() {
    for task in TASKS {
        let table = Table::<f32>::random(task, 500, 3);
        let rows = table.weighted();
        for mut metric in plain(task).unwrap().into_iter().chain(forgetful::<f32>(task).unwrap()) {
            metric.update(&rows).unwrap();
            // Exact rankings keep every score: what they held before the reset is their warm-up.
            metric.reset();
            let n = allocations(|| {
                for from in (0..500).step_by(50) {
                    metric.update(&rows.slice(from..from + 50)).unwrap();
                }
            });
            assert_eq!(n, 0, "{}", metric.name());
        }
    }
}

#[test]
fn detectors_allocate_nothing_once_built() {
    let mut detectors: Vec<Box<dyn DriftDetector>> = vec![
        Box::new(Adwin::new(AdwinConfig::default()).unwrap()),
        Box::new(PageHinkley::new(PageHinkleyConfig::default()).unwrap()),
        Box::new(Ddm::new(DdmConfig::default()).unwrap()),
        Box::new(Kswin::new(KswinConfig::default()).unwrap()),
    ];
    for detector in &mut detectors {
        let n = allocations(|| {
            (0..2000).for_each(|i| {
                detector.update(f64::from(i % 5 / 4));
            })
        });
        assert_eq!(n, 0, "{}", detector.name());
    }
}
