//! Matrix products, convolutions and kernels allocate nothing once a thread's buffers have grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tidemill_tensor::kernels::{Activation, bias_activation, column_sums, softmax_rows};
use tidemill_tensor::ndarray::Array2;
use tidemill_tensor::{Convolution, Scalar, Window, Write, matmul};

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

/// A step of a convolution, with a product while it works.
struct Images<T> {
    sizes: Convolution,
    x: Vec<T>,
    weight: Vec<T>,
    y: Vec<T>,
    d_x: Vec<T>,
    head: Step<T>,
}

impl<T: Scalar> Images<T> {
    fn new([channels, outputs, side]: [usize; 3]) -> Self {
        let window = Window::new([3, 3]).padding([1, 1]);
        let sizes = Convolution { channels, outputs, groups: 1, image: [side; 2], window };
        let filled = |len| vec![T::of(0.01); len];
        let (x, y) = (filled(2 * channels * side * side), filled(2 * outputs * side * side));
        let weight = filled(outputs * channels * window.len());
        Self { sizes, weight, y, d_x: x.clone(), x, head: Step::new((9, 40, 30)) }
    }

    fn run(&mut self) {
        let Self { sizes, x, weight, y, d_x, head } = self;
        sizes.forward(x, weight, None, y, |y| Activation::Relu.forward(y));
        sizes.backward_input(y, weight, d_x, Write::Assign);
        sizes.backward_weight(x, y, weight, None, |_, _| head.run());
    }
}

fn check<T: Scalar>() {
    let shapes =
        [(128, 784, 512), (128, 512, 10), (1024, 28, 256), (1024, 256, 1), (32, 10, 10), (1, 784, 512), (3, 5, 7)];
    let mut layers = shapes.map(Step::<T>::new);
    let mut convolutions = [[3, 20, 9], [64, 3, 70], [16, 8, 5]].map(Images::<T>::new);
    let mut step = || {
        layers.iter_mut().for_each(Step::run);
        convolutions.iter_mut().for_each(Images::run);
    };
    assert_ne!(allocations(&mut step), 0, "buffers grow at first");
    assert_eq!(allocations(&mut step), 0);
}

#[test]
fn nothing_is_allocated_from_the_second_step_on() {
    std::thread::spawn(check::<f32>).join().unwrap();
    std::thread::spawn(check::<f64>).join().unwrap();
}
