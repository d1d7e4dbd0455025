//! Running a program allocates nothing after the first run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tidemill_autograd::tensor::matmul;
use tidemill_autograd::tensor::ndarray::Array2;
use tidemill_autograd::{Activation, Key, Mode, Program, Workspace, Write, ops};

use crate::models::{Model, linear, models, predict};
use crate::running::{Table, params};

/// The system's allocator, counting what the current thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(mut work: impl FnMut()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// A model whose matrix products are large enough for the product's own buffers.
fn wide() -> Model {
    Model {
        name: "wide".into(),
        record: Box::new(|g| {
            let x = g.input("x", &[300])?;
            let h = linear(g, x, 260)?;
            let h = g.add(ops::Activate(Activation::Gelu), &[h], &[])?;
            let h = g.add(ops::Dropout::new(0.2), &[h], &[])?;
            predict(linear(g, h, 130))
        }),
    }
}

/// Whether matrix products bring memory of their own in this build; theirs is then not counted against programs.
fn products_allocate() -> bool {
    let (a, b) = (Array2::<f32>::ones((96, 300)), Array2::<f32>::ones((300, 260)));
    let mut c = Array2::zeros((96, 260));
    let mut product = || matmul(c.view_mut(), a.view(), b.view(), 0.0);
    product();
    allocations(product) > 0
}

#[test]
fn running_allocates_nothing_after_the_first_run() {
    assert!(allocations(|| drop(vec![0_u8; 100])) > 0, "the counter counts");
    let products_allocate = products_allocate();
    for (model, rows) in models().into_iter().map(|model| (model, 6)).chain([(wide(), 96)]) {
        let program: Program<f32> = model.compile();
        if products_allocate && program.layout().parameters().iter().any(|p| p.name().starts_with("weight")) {
            continue;
        }
        let (params, table) = (params(&program), Table::draw(&program, rows));
        let mut workspace = Workspace::new(&program, rows);
        let mut gradients = vec![0.0; program.gradient_len()];
        let mut run = |step: u64| {
            let train = table.run(&params, 0, Mode::Train(Key::new(1).fold(step)));
            program.forward(&train, &mut workspace);
            workspace.upstream().fill(1.0);
            program.backward(&train, &mut workspace, &mut gradients, Write::Assign);
            program.backward(&train, &mut workspace, &mut gradients, Write::Add);
            program.forward(&table.run(&params, 0, Mode::Evaluate), &mut workspace);
            program.forward(&table.run(&params, 0, Mode::Predict), &mut workspace);
        };
        run(0);
        assert_eq!(allocations(|| (1..4).for_each(&mut run)), 0, "{}", model.name);
    }
}
