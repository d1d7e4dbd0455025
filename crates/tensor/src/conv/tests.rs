use crate::isa::on_every_path;
use crate::kernels::samples::whole;
use crate::{Convolution, Scalar, Window, Write};

/// Calls `f` with each triple of elements of `x`, weight and `y` that the equation joins.
fn terms(conv: &Convolution, mut f: impl FnMut(usize, usize, usize)) {
    let Convolution { channels, outputs, groups, image: [height, width], window } = *conv;
    let [places_y, places_x] = window.output([height, width]).unwrap();
    let (channels_of, outputs_of) = (channels / groups, outputs / groups);
    for o in 0..outputs {
        for c in 0..channels_of {
            for (ky, kx) in (0..window.kernel[0]).flat_map(|ky| (0..window.kernel[1]).map(move |kx| (ky, kx))) {
                for (py, px) in (0..places_y).flat_map(|py| (0..places_x).map(move |px| (py, px))) {
                    let y = (py * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.padding[0]);
                    let x = (px * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.padding[1]);
                    if y < height && x < width {
                        let channel = o / outputs_of * channels_of + c;
                        f(
                            (channel * height + y) * width + x,
                            ((o * channels_of + c) * window.kernel[0] + ky) * window.kernel[1] + kx,
                            (o * places_y + py) * places_x + px,
                        );
                    }
                }
            }
        }
    }
}

struct Sizes {
    x: usize,
    weight: usize,
    y: usize,
}

fn sizes(conv: &Convolution) -> Sizes {
    let places: usize = conv.window.output(conv.image).unwrap().iter().product();
    Sizes {
        x: conv.channels * conv.image[0] * conv.image[1],
        weight: conv.outputs * conv.channels / conv.groups * conv.window.len(),
        y: conv.outputs * places,
    }
}

fn check<T: Scalar>(conv: &Convolution, rows: usize) {
    let Sizes { x: x_len, weight: weight_len, y: y_len } = sizes(conv);
    let places = y_len / conv.outputs;
    let (x, weight) = (whole::<T>(rows * x_len, 1), whole::<T>(weight_len, 2));
    let (bias, g) = (whole::<T>(conv.outputs, 3), whole::<T>(rows * y_len, 4));
    let (old_x, old_weight, old_bias) = (whole(rows * x_len, 5), whole(weight_len, 6), whole(conv.outputs, 7));

    let mut want_y: Vec<T> = (0..rows * y_len).map(|i| bias[i / places % conv.outputs]).collect();
    let mut want_unbiased = vec![T::zero(); rows * y_len];
    let mut want_x: Vec<T> = old_x.clone();
    let mut want_assigned = vec![T::zero(); rows * x_len];
    let mut want_weight: Vec<T> = old_weight.clone();
    let mut want_bias: Vec<T> = old_bias.clone();
    for row in 0..rows {
        terms(conv, |i, j, k| {
            let (i, k) = (row * x_len + i, row * y_len + k);
            want_y[k] += x[i] * weight[j];
            want_unbiased[k] += x[i] * weight[j];
            want_x[i] += weight[j] * g[k];
            want_assigned[i] += weight[j] * g[k];
            want_weight[j] += x[i] * g[k];
        });
    }
    for (i, &g) in g.iter().enumerate() {
        want_bias[i / places % conv.outputs] += g;
    }

    on_every_path(|| {
        let mut y = vec![T::nan(); rows * y_len];
        conv.forward(&x, &weight, Some(&bias), &mut y, |y| y.iter_mut().for_each(|y| *y = *y + *y));
        assert!(y.iter().zip(&want_y).all(|(&y, &want)| y == want + want), "{conv:?}: y, doubled");
        conv.forward(&x, &weight, Some(&bias), &mut y, |_| ());
        assert!(y == want_y, "{conv:?}: y");
        conv.forward(&x, &weight, None, &mut y, |_| ());
        assert!(y == want_unbiased, "{conv:?}: y without bias");

        let (mut d_weight, mut d_bias) = (old_weight.clone(), old_bias.clone());
        let mut unprepared = vec![T::nan(); rows * y_len];
        conv.backward_weight(&x, &mut unprepared, &mut d_weight, Some(&mut d_bias), |row, to| {
            to.copy_from_slice(&g[row * y_len..][..y_len]);
        });
        assert!(d_weight == want_weight, "{conv:?}: gradient of weight");
        assert!(d_bias == want_bias, "{conv:?}: gradient of bias");
        d_weight.copy_from_slice(&old_weight);
        conv.backward_weight(&x, &mut unprepared, &mut d_weight, None, |_, _| ());
        assert!(d_weight == want_weight, "{conv:?}: gradient of weight without bias");

        let mut d_x = vec![T::nan(); rows * x_len];
        conv.backward_input(&g, &weight, &mut d_x, Write::Assign);
        assert!(d_x == want_assigned, "{conv:?}: gradient of x");
        d_x.copy_from_slice(&old_x);
        conv.backward_input(&g, &weight, &mut d_x, Write::Add);
        assert!(d_x == want_x, "{conv:?}: gradient added to x");
    });
}

fn conv(channels: usize, outputs: usize, image: [usize; 2], window: Window) -> Convolution {
    Convolution { channels, outputs, groups: 1, image, window }
}

fn check_all(cases: &[Convolution]) {
    for case in cases {
        check::<f32>(case, 2);
        check::<f64>(case, 2);
    }
}

#[test]
fn every_number_of_channels_agrees_with_the_equation() {
    let channels: &[usize] = if cfg!(miri) { &[1, 5] } else { &[1, 2, 3, 4, 8, 15, 16, 17, 32, 33, 50] };
    for &channels_in in channels {
        for &outputs in channels {
            check_all(&[conv(channels_in, outputs, [4, 5], Window::new([3, 3]))]);
        }
    }
}

#[test]
fn every_size_of_image_agrees_with_the_equation() {
    let sizes = if cfg!(miri) { 3..6 } else { 3..32 };
    for width in sizes {
        check_all(&[
            conv(1, 3, [4, width], Window::new([3, 3])),
            conv(3, 4, [width, 3], Window::new([2, 3]).padding([0, 1])),
            conv(2, 17, [3, width], Window::new([1, 1])),
        ]);
    }
}

/// More rows than one band has, and more channels than one panel.
#[test]
#[cfg(not(miri))]
fn large_images_agree_with_the_equation() {
    let window = Window::new([3, 3]).padding([1, 1]);
    check_all(&[
        conv(3, 40, [26, 25], window),
        conv(35, 20, [19, 23], window.stride([2, 2])),
        conv(2, 3, [150, 70], Window::new([5, 4]).dilation([2, 1])),
        Convolution { groups: 2, ..conv(6, 68, [30, 9], window) },
    ]);
}

#[test]
fn every_window_agrees_with_the_equation() {
    let kernels = if cfg!(miri) { 2..4 } else { 1..6 };
    for height in kernels.clone() {
        for width in kernels.clone() {
            let window = Window::new([height, width]);
            for window in [
                window,
                window.stride([2, 1]),
                window.stride([1, 3]).padding([1, 0]),
                window.stride([2, 2]).padding([1, 2]),
                window.dilation([2, 1]).padding([2, 2]),
                window.dilation([1, 2]).padding([1, 4]),
                window.stride([3, 2]).dilation([2, 3]).padding([5, 6]),
            ] {
                check_all(&[conv(1, 2, [9, 10], window), conv(3, 5, [7, 6], window)]);
            }
        }
    }
}

#[test]
fn groups_see_their_own_channels() {
    let window = Window::new([3, 2]).padding([1, 1]);
    for (channels, outputs, groups) in [(4, 6, 2), (3, 3, 3), (3, 6, 3), (40, 60, 2)] {
        let conv = Convolution { groups, ..conv(channels, outputs, [5, 4], window) };
        check_all(&[conv, Convolution { window: Window::new([1, 1]), ..conv }]);
    }
}

/// Numbers of which sums depend on the order.
fn rough(n: usize, salt: u64) -> Vec<f32> {
    whole::<f32>(n, salt).into_iter().map(|x| 1.0 / (x + 0.3)).collect()
}

#[test]
fn an_image_does_not_depend_on_how_many_there_are() {
    let conv = conv(3, 20, [7, 9], Window::new([3, 3]).padding([1, 0]));
    let Sizes { x: x_len, weight: weight_len, y: y_len } = sizes(&conv);
    let (x, weight, g) = (rough(5 * x_len, 1), rough(weight_len, 2), rough(5 * y_len, 3));
    on_every_path(|| {
        let (mut y, mut d_x) = (vec![0.0; 5 * y_len], vec![0.0; 5 * x_len]);
        conv.forward(&x, &weight, None, &mut y, |_| ());
        conv.backward_input(&g, &weight, &mut d_x, Write::Assign);
        for row in 0..5 {
            let (mut y_alone, mut d_x_alone) = (vec![0.0; y_len], vec![0.0; x_len]);
            conv.forward(&x[row * x_len..][..x_len], &weight, None, &mut y_alone, |_| ());
            conv.backward_input(&g[row * y_len..][..y_len], &weight, &mut d_x_alone, Write::Assign);
            assert_eq!(y_alone, y[row * y_len..][..y_len]);
            assert_eq!(d_x_alone, d_x[row * x_len..][..x_len]);
        }
    });
}

#[test]
fn no_image_adds_nothing() {
    let conv = conv(2, 3, [4, 4], Window::new([2, 2]));
    let (mut weight, mut bias) = (whole::<f64>(24, 1), whole::<f64>(3, 2));
    conv.forward(&[], &weight, Some(&bias), &mut [], |_| panic!("there is no image"));
    let old = (weight.clone(), bias.clone());
    conv.backward_weight(&[], &mut [], &mut weight, Some(&mut bias), |_, _| panic!("there is no image"));
    assert_eq!((weight, bias), old);
}

#[test]
#[should_panic(expected = "convolution: 5 channels and 4 outputs in 2 groups")]
fn groups_that_do_not_fit_are_refused() {
    let conv = Convolution { groups: 2, ..conv(5, 4, [4, 4], Window::new([2, 2])) };
    conv.forward::<f32>(&[], &[], None, &mut [], |_| ());
}

/// Strides and dilations that are never taken.
#[test]
fn steps_that_lead_nowhere_may_be_of_any_size() {
    let far = usize::MAX;
    check_all(&[
        conv(2, 3, [4, 5], Window::new([4, 5]).stride([far, far])),
        conv(2, 3, [4, 5], Window::new([1, 1]).dilation([far, far])),
        conv(1, 2, [4, 5], Window::new([1, 5]).stride([2, far]).dilation([far, 1])),
    ]);
}

#[test]
#[should_panic(expected = "numbers are too many")]
fn padding_as_large_as_wraps_around_is_refused() {
    let window = Window::new([1, 1]).stride([1 << 33, 1 << 33]).padding([(1 << 31) - 1; 2]);
    conv(1, 1, [2, 2], window).forward::<f32>(&[0.0; 4], &[1.0], None, &mut [0.0], |_| ());
}
