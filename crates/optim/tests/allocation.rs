//! Nothing is allocated by an update.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;

use tidemill_optim::{
    Chain, Compose, Schedule, Table, TableRows, Workers, adam, adamw, clip_by_global_norm, ftrl, l1, l2, lamb, nadam,
    sgd,
};
use tidemill_tensor::{Initializer, Layout};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator; the count is a constant-initialized cell without destructor, whose
// use allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, at: *mut u8, memory: Memory) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, memory) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8; 100]));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn an_update_allocates_nothing() {
    let warm_up = Schedule::warmup_cosine(0.0, 0.1, 2, 9, 0.0);
    check(sgd(0.1).momentum(0.9).into());
    check(clip_by_global_norm(1.0).then(l2(0.1).only("*.weight")).then(l1(0.1)).then(adamw(warm_up)));
    check(sgd(Schedule::piecewise_constant(0.1, [(1, 0.5), (2, 0.5)])).into());
    check(nadam(0.1).only("a.*").then(adam(0.1).amsgrad().only("b.*")));
    check(lamb(0.1).into());
    check(ftrl(0.1).into());
}

struct InTurn;

impl Workers for InTurn {
    fn count(&self) -> usize {
        3
    }

    fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        (0..3).for_each(job);
    }
}

fn check(chain: Chain) {
    let mut layout = Layout::new();
    for (name, len) in [("a.weight", 5_000), ("a.bias", 10), ("b.weight", 300), ("b.bias", 10)] {
        layout.push(name, &[len], Initializer::Constant(0.5)).unwrap();
    }
    let optimizer = chain.build::<f32>(&layout).unwrap();
    let mut state = optimizer.initial_state();
    let mut parameters = vec![0.5; layout.len()];
    let mut gradients = vec![0.1; layout.len()];
    let before = ALLOCATIONS.get();
    for step in 0..5 {
        optimizer.update(step, 0.5, &mut parameters, &mut gradients, &mut state);
    }
    let all = [&mut parameters[..], &mut gradients, &mut state];
    optimizer.update_in_parallel(5, 0.5, all, &mut InTurn, &|_, _| ());
    if optimizer.is_elementwise() {
        optimizer.update_range(6, 0.5, 7..1000, &mut parameters, &mut gradients, &mut state);
    }
    optimizer.reset(&mut state);
    optimizer.learning_rate(3);
    assert_eq!(ALLOCATIONS.get(), before, "{chain:?}");
}

#[test]
fn an_update_of_rows_allocates_nothing() {
    let mut layout = Layout::new();
    for (name, shape) in [("dense", [50, 2]), ("table", [5_000, 4])] {
        layout.push(name, &shape, Initializer::Constant(0.5)).unwrap();
    }
    let (range, width) = (layout[1].range(), 4);
    let rows: Vec<u32> = (0..5_000).filter(|row| row % 3 == 0).collect();
    for chain in [clip_by_global_norm(1.0).then(l2(0.1)).then(sgd(0.1)), adamw(0.1).into()] {
        let table = Table { range: range.clone(), width };
        let optimizer = chain.build_with_tables::<f32>(&layout, &[table]).unwrap();
        let mut state = optimizer.initial_state();
        let mut parameters = vec![0.5; layout.len()];
        let mut gradients = vec![0.1; layout.len()];
        let tables = [TableRows { range: range.clone(), width, rows: rows.clone() }];
        let before = ALLOCATIONS.get();
        for step in 0..3 {
            optimizer.catch_up_rows(&tables, &mut parameters, &mut state, &mut InTurn);
            let all = [&mut parameters[..], &mut gradients, &mut state];
            optimizer.update_rows(step, 0.5, all, &tables[..], &mut InTurn, &|_, _| ());
        }
        optimizer.catch_up(&mut parameters, &mut state);
        assert_eq!(ALLOCATIONS.get(), before, "{chain:?}");
    }
}
