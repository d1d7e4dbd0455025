use crate::isa::on_every_path;
use crate::kernels::dot;
use crate::kernels::samples::whole;
use crate::{Divisor, Pooling, Scalar, Window, Write};

/// The elements of each window, `None` outside of the image: which of the plane.
fn windows(pooling: &Pooling) -> Vec<Vec<Option<usize>>> {
    let Pooling { image: [height, width], window } = *pooling;
    let [rows, columns] = window.output([height, width]).unwrap();
    let mut windows = Vec::new();
    for (py, px) in (0..rows).flat_map(|py| (0..columns).map(move |px| (py, px))) {
        let mut elements = Vec::new();
        for (ky, kx) in (0..window.kernel[0]).flat_map(|ky| (0..window.kernel[1]).map(move |kx| (ky, kx))) {
            let y = (py * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.padding[0]);
            let x = (px * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.padding[1]);
            elements.push((y < height && x < width).then(|| y * width + x));
        }
        windows.push(elements);
    }
    windows
}

fn check_max<T: Scalar>(pooling: &Pooling, planes: usize) {
    let (len, windows) = (pooling.image[0] * pooling.image[1], windows(pooling));
    let (x, g) = (whole::<T>(planes * len, 1), whole::<T>(planes * windows.len(), 2));
    let old = whole::<T>(planes * len, 3);
    let (mut want_y, mut want_x) = (Vec::new(), vec![T::zero(); planes * len]);
    for plane in 0..planes {
        for (window, elements) in windows.iter().enumerate() {
            let inside = elements.iter().flatten().map(|i| plane * len + i);
            let largest = inside.clone().map(|i| x[i]).fold(T::neg_infinity(), T::max);
            want_y.push(largest);
            if let Some(i) = inside.clone().find(|&i| x[i] == largest) {
                want_x[i] += g[plane * windows.len() + window];
            }
        }
    }
    let want_added: Vec<T> = old.iter().zip(&want_x).map(|(&old, &x)| old + x).collect();
    on_every_path(|| {
        let (mut y, mut places) = (vec![T::nan(); g.len()], vec![T::nan(); g.len()]);
        pooling.max(&x, &mut y, &mut places);
        assert!(y == want_y, "{pooling:?}: max");
        let mut d_x = vec![T::nan(); x.len()];
        pooling.max_backward(&g, &places, &mut d_x, Write::Assign);
        assert!(d_x == want_x, "{pooling:?}: gradient of max");
        d_x.copy_from_slice(&old);
        pooling.max_backward(&g, &places, &mut d_x, Write::Add);
        assert!(d_x == want_added, "{pooling:?}: added gradient of max");
    });
}

fn check_average<T: Scalar>(pooling: &Pooling, divisor: Divisor, planes: usize) {
    let (len, windows) = (pooling.image[0] * pooling.image[1], windows(pooling));
    let (x, g) = (whole::<T>(planes * len, 1), whole::<T>(planes * windows.len(), 2));
    let want = |plane: usize, elements: &[Option<usize>]| {
        let inside = elements.iter().flatten();
        let count = if divisor == Divisor::Window { elements.len() } else { inside.clone().count() };
        inside.map(|i| x[plane * len + i].widen()).sum::<f64>() / count as f64
    };
    on_every_path(|| {
        let mut y = vec![T::nan(); g.len()];
        pooling.average(divisor, &x, &mut y);
        for (i, y) in y.iter().enumerate() {
            let want = want(i / windows.len(), &windows[i % windows.len()]);
            assert!((y.widen() - want).abs() < 1e-5, "{pooling:?}, {divisor:?}: {y}, not {want}");
        }
        // The map is linear, and backward is its transpose.
        let mut d_x = vec![T::nan(); x.len()];
        pooling.average_backward(divisor, &g, &mut d_x, Write::Assign);
        assert!((dot(&d_x, &x) - dot(&g, &y)).abs() < 1e-4 * planes as f64, "{pooling:?}, {divisor:?}");
        let once = d_x.clone();
        pooling.average_backward(divisor, &g, &mut d_x, Write::Add);
        for (twice, once) in d_x.iter().zip(once) {
            assert!((twice.widen() - 2.0 * once.widen()).abs() < 1e-5, "{pooling:?}, {divisor:?}");
        }
    });
}

fn poolings() -> Vec<Pooling> {
    let mut poolings = Vec::new();
    let sizes = if cfg!(miri) { 2..5 } else { 2..40 };
    for width in sizes {
        let window = Window::new([2, 2]).stride([2, 2]);
        poolings.push(Pooling { image: [2 + width % 5, width], window });
    }
    for window in [
        Window::new([1, 1]),
        Window::new([2, 2]),
        Window::new([3, 3]).stride([2, 2]).padding([1, 1]),
        Window::new([3, 2]).stride([1, 2]).padding([1, 0]),
        Window::new([2, 3]).stride([4, 3]).padding([1, 1]),
        Window::new([2, 2]).stride([2, 2]).dilation([2, 3]).padding([1, 2]),
    ] {
        poolings.extend([[4, 4], [5, 8], [7, 7]].map(|image| Pooling { image, window }));
    }
    poolings
}

#[test]
fn the_largest_is_found_and_its_first_place_gets_the_gradient() {
    for pooling in poolings() {
        check_max::<f32>(&pooling, 3);
        check_max::<f64>(&pooling, 3);
    }
}

#[test]
fn averages_divide_as_told() {
    for pooling in poolings() {
        for divisor in [Divisor::Window, Divisor::Inside] {
            if pooling.window.dilation == [1, 1] {
                check_average::<f32>(&pooling, divisor, 3);
                check_average::<f64>(&pooling, divisor, 3);
            }
        }
    }
}

#[test]
fn nan_stays_and_a_window_without_elements_has_no_gradient() {
    let nan = f32::NAN;
    let both = |pooling: Pooling, x: &[f32], want: &[f32]| {
        on_every_path(|| {
            let (mut y, mut places) = (vec![0.0; want.len()], vec![0.0; want.len()]);
            pooling.max(x, &mut y, &mut places);
            for (y, want) in y.iter().zip(want) {
                assert!(y == want || (y.is_nan() && want.is_nan()), "{y}, not {want}");
            }
            let mut d_x = vec![0.0; x.len()];
            pooling.max_backward(&vec![1.0; want.len()], &places, &mut d_x, Write::Assign);
            assert_eq!(d_x.iter().sum::<f32>(), places.iter().filter(|p| **p >= 0.0).count() as f32);
        });
    };
    let window = Window::new([2, 2]).stride([2, 2]);
    both(Pooling { image: [2, 4], window }, &[nan, 1.0, 3.0, 2.0, 5.0, 2.0, nan, 1.0], &[nan, nan]);
    both(Pooling { image: [2, 2], window }, &[f32::NEG_INFINITY; 4], &[f32::NEG_INFINITY]);
    both(Pooling { image: [1, 3], window: Window::new([1, 3]) }, &[1.0, nan, 2.0], &[nan]);
    let beyond = Window::new([1, 2]).dilation([1, 3]).padding([0, 2]);
    both(Pooling { image: [1, 1], window: beyond }, &[1.0], &[f32::NEG_INFINITY; 2]);
}

#[test]
#[should_panic(expected = "pooling: 9 numbers and 1 for planes of [2, 4]")]
fn sizes_that_do_not_fit_are_refused() {
    let pooling = Pooling { image: [2, 4], window: Window::new([2, 2]).stride([2, 2]) };
    pooling.average::<f32>(Divisor::Window, &[0.0; 9], &mut [0.0; 1]);
}

#[test]
#[should_panic(expected = "pooling: ")]
fn images_as_large_as_wrap_around_are_refused() {
    let pooling = Pooling { image: [1 << 32, (1 << 32) + 2], window: Window::new([2, 2]).stride([2, 2]) };
    let (x, mut y, mut places) = (vec![0.0_f32; 16], vec![0.0; 16], vec![0.0; 16]);
    pooling.max(&x, &mut y, &mut places);
}
