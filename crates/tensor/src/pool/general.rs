//! Any window.

use std::ops::Range;

use crate::{Divisor, Pooling, Scalar, Write};

/// One place of a window in an image.
struct Place {
    /// Where the first element would be, by axis; may be outside.
    first: [isize; 2],
    /// Those of the window's rows and columns that are inside.
    inside: [Range<usize>; 2],
}

impl Pooling {
    /// All places, row by row.
    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let Self { image, window } = *self;
        let [height, width] = self.output();
        (0..height).flat_map(move |y| (0..width).map(move |x| [y, x])).map(move |at| {
            let first = [0, 1].map(|i| (at[i] * window.stride[i]) as isize - window.padding[i] as isize);
            let inside = [0, 1].map(|i| {
                let until = |bound: isize| (bound - first[i]).max(0).cast_unsigned().div_ceil(window.dilation[i]);
                until(0).min(window.kernel[i])..until(image[i] as isize).min(window.kernel[i])
            });
            Place { first, inside }
        })
    }

    /// The elements of a place that are inside: which of the window, and which of the plane.
    fn elements(&self, place: &Place) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Self { image, window } = *self;
        let first = place.first;
        let columns = place.inside[1].clone();
        let at = move |i: usize, k: usize| (first[i] + (k * window.dilation[i]) as isize).cast_unsigned();
        place.inside[0].clone().flat_map(move |ky| {
            columns.clone().map(move |kx| (ky * window.kernel[1] + kx, at(0, ky) * image[1] + at(1, kx)))
        })
    }

    fn divisor(&self, divisor: Divisor, place: &Place) -> usize {
        match divisor {
            Divisor::Window => self.window.len(),
            Divisor::Inside => place.inside.iter().map(Range::len).product::<usize>().max(1),
        }
    }

    fn plane_len(&self) -> usize {
        self.image[0] * self.image[1]
    }

    fn output_len(&self) -> usize {
        self.output().iter().product()
    }
}

pub(super) fn max<T: Scalar>(pooling: &Pooling, x: &[T], y: &mut [T], places: &mut [T]) {
    let len = pooling.output_len();
    let planes = y.chunks_exact_mut(len).zip(places.chunks_exact_mut(len));
    for (x, (y, places)) in x.chunks_exact(pooling.plane_len()).zip(planes) {
        for ((y, found), place) in y.iter_mut().zip(places).zip(pooling.places()) {
            (*y, *found) = (T::neg_infinity(), -T::one());
            for (k, i) in pooling.elements(&place) {
                if x[i] > *y || x[i].is_nan() || *found < T::zero() {
                    (*y, *found) = (x[i], T::of(k as f64));
                }
            }
        }
    }
}

pub(super) fn max_backward<T: Scalar>(pooling: &Pooling, g: &[T], places: &[T], x: &mut [T], write: Write) {
    let Pooling { image, window } = *pooling;
    let len = pooling.output_len();
    let planes = g.chunks_exact(len).zip(places.chunks_exact(len));
    for (x, (g, places)) in x.chunks_exact_mut(pooling.plane_len()).zip(planes) {
        write.begin(x);
        for ((&g, &found), place) in g.iter().zip(places).zip(pooling.places()) {
            let Some(k) = found.to_usize() else { continue };
            let k = [k / window.kernel[1], k % window.kernel[1]];
            let at = [0, 1].map(|i| (place.first[i] + (k[i] * window.dilation[i]) as isize).cast_unsigned());
            x[at[0] * image[1] + at[1]] += g;
        }
    }
}

pub(super) fn average<T: Scalar>(pooling: &Pooling, divisor: Divisor, x: &[T], y: &mut [T]) {
    for (x, y) in x.chunks_exact(pooling.plane_len()).zip(y.chunks_exact_mut(pooling.output_len())) {
        for (y, place) in y.iter_mut().zip(pooling.places()) {
            let sum = pooling.elements(&place).fold(T::zero(), |sum, (_, i)| sum + x[i]);
            *y = sum / T::of(pooling.divisor(divisor, &place) as f64);
        }
    }
}

pub(super) fn average_backward<T: Scalar>(pooling: &Pooling, divisor: Divisor, g: &[T], x: &mut [T], write: Write) {
    for (x, g) in x.chunks_exact_mut(pooling.plane_len()).zip(g.chunks_exact(pooling.output_len())) {
        write.begin(x);
        for (&g, place) in g.iter().zip(pooling.places()) {
            let share = g / T::of(pooling.divisor(divisor, &place) as f64);
            pooling.elements(&place).for_each(|(_, i)| x[i] += share);
        }
    }
}
