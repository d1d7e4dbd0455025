//! Matrix products and kernels allocate nothing once a thread's buffer has grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tidemill_tensor::kernels::{Activation, bias_activation, column_sums, softmax_rows};
use tidemill_tensor::ndarray::Array2;
use tidemill_tensor::{Scalar, matmul};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: forwards to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// A step of a dense layer: forward, both gradients, the bias's.
struct Step<T> {
    x: Array2<T>,
    w: Array2<T>,
    bias: Vec<T>,
    y: Array2<T>,
    dx: Array2<T>,
    dw: Array2<T>,
}

impl<T: Scalar> Step<T> {
    fn new((b, i, o): (usize, usize, usize)) -> Self {
        let filled = |shape| Array2::from_elem(shape, T::of(0.01));
        let zeros = Array2::zeros;
        let bias = vec![T::one(); o];
        Self { x: filled((b, i)), w: filled((o, i)), bias, y: zeros((b, o)), dx: zeros((b, i)), dw: zeros((o, i)) }
    }

    fn run(&mut self) {
        matmul(self.y.view_mut(), self.x.view(), self.w.t(), T::zero());
        bias_activation(self.y.as_slice_mut().unwrap(), &self.bias, Activation::Gelu);
        softmax_rows(self.y.as_slice_mut().unwrap(), self.bias.len());
        matmul(self.dx.view_mut(), self.y.view(), self.w.view(), T::zero());
        matmul(self.dw.view_mut(), self.y.t(), self.x.view(), T::one());
        column_sums(&mut self.bias, self.y.as_slice().unwrap());
    }
}

fn check<T: Scalar>() {
    let shapes =
        [(128, 784, 512), (128, 512, 10), (1024, 28, 256), (1024, 256, 1), (32, 10, 10), (1, 784, 512), (3, 5, 7)];
    let mut steps = shapes.map(Step::<T>::new);
    assert_ne!(allocations(|| steps.iter_mut().for_each(Step::run)), 0, "the buffer grows at first");
    assert_eq!(allocations(|| steps.iter_mut().for_each(Step::run)), 0);
}

#[test]
fn nothing_is_allocated_from_the_second_step_on() {
    std::thread::spawn(check::<f32>).join().unwrap();
    std::thread::spawn(check::<f64>).join().unwrap();
}
