//! A window of 2×2 that moves by 2: the one that most models have.

use crate::{Scalar, Write, vectorized};

/// The pairs of a row; a last odd element belongs to none.
#[inline(always)]
fn pairs<T>(row: &[T]) -> &[[T; 2]] {
    row.as_chunks().0
}

#[inline(always)]
fn pairs_mut<T>(row: &mut [T]) -> &mut [[T; 2]] {
    row.as_chunks_mut().0
}

/// The larger one, and its place.
#[inline(always)]
fn larger<T: Scalar>(first: (T, T), second: (T, T)) -> (T, T) {
    // Both comparisons, without a branch between them.
    if (second.0 > first.0) | second.0.is_nan() { second } else { first }
}

vectorized! {
    pub(super) fn max<T: Scalar>(image: [usize; 2], x: &[T], y: &mut [T], places: &mut [T]) {
        let [height, width] = image;
        let (rows, columns) = (height / 2, width / 2);
        let [zero, one, two, three] = [0.0, 1.0, 2.0, 3.0].map(T::of);
        let planes = y.chunks_exact_mut(rows * columns).zip(places.chunks_exact_mut(rows * columns));
        for (x, (y, places)) in x.chunks_exact(height * width).zip(planes) {
            let outputs = y.chunks_exact_mut(columns).zip(places.chunks_exact_mut(columns));
            for (x, (y, places)) in x.chunks_exact(2 * width).zip(outputs) {
                let (upper, lower) = x.split_at(width);
                let windows = pairs(upper).iter().zip(pairs(lower));
                for ((y, place), (&[a, b], &[c, d])) in y.iter_mut().zip(places).zip(windows) {
                    let upper = larger((a, zero), (b, one));
                    (*y, *place) = larger(larger(upper, (c, two)), (d, three));
                }
            }
        }
    }
}

vectorized! {
    pub(super) fn average<T: Scalar>(image: [usize; 2], x: &[T], y: &mut [T]) {
        let [height, width] = image;
        let (rows, columns) = (height / 2, width / 2);
        for (x, y) in x.chunks_exact(height * width).zip(y.chunks_exact_mut(rows * columns)) {
            for (x, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(columns)) {
                let (upper, lower) = x.split_at(width);
                for (y, (&[a, b], &[c, d])) in y.iter_mut().zip(pairs(upper).iter().zip(pairs(lower))) {
                    *y = (a + b + c + d) * T::of(0.25);
                }
            }
        }
    }
}

vectorized! {
    pub(super) fn max_backward<T: Scalar>(
        image: [usize; 2],
        g: &[T],
        places: &[T],
        x: &mut [T],
        write: Write,
    ) {
        let gradient = |&(&g, &place): &(&T, &T)| {
            let at = |k: f64| if place == T::of(k) { g } else { T::zero() };
            [at(0.0), at(1.0), at(2.0), at(3.0)]
        };
        let [height, width] = image;
        let (rows, columns) = (height / 2, width / 2);
        let planes = g.chunks_exact(rows * columns).zip(places.chunks_exact(rows * columns));
        for (x, (g, places)) in x.chunks_exact_mut(height * width).zip(planes) {
            let outputs = g.chunks_exact(columns).zip(places.chunks_exact(columns));
            for (x, (g, places)) in x.chunks_exact_mut(2 * width).zip(outputs) {
                spread(x, g.iter().zip(places).map(|output| gradient(&output)), write);
            }
            write.begin(&mut x[rows * 2 * width..]);
        }
    }
}

vectorized! {
    pub(super) fn average_backward<T: Scalar>(image: [usize; 2], g: &[T], x: &mut [T], write: Write) {
        let [height, width] = image;
        let (rows, columns) = (height / 2, width / 2);
        for (x, g) in x.chunks_exact_mut(height * width).zip(g.chunks_exact(rows * columns)) {
            for (x, g) in x.chunks_exact_mut(2 * width).zip(g.chunks_exact(columns)) {
                spread(x, g.iter().map(|&g| [g * T::of(0.25); 4]), write);
            }
            write.begin(&mut x[rows * 2 * width..]);
        }
    }
}

/// Writes the four elements of each window to two rows.
#[inline(always)]
fn spread<T: Scalar>(x: &mut [T], windows: impl Iterator<Item = [T; 4]>, write: Write) {
    let (upper, lower) = x.split_at_mut(x.len() / 2);
    let places = pairs_mut(upper).iter_mut().zip(pairs_mut(lower));
    match write {
        Write::Assign => {
            for ((upper, lower), [a, b, c, d]) in places.zip(windows) {
                (*upper, *lower) = ([a, b], [c, d]);
            }
            for row in [upper, lower] {
                if let (_, [last]) = row.as_chunks_mut::<2>() {
                    *last = T::zero();
                }
            }
        }
        Write::Add => {
            for ((upper, lower), [a, b, c, d]) in places.zip(windows) {
                (*upper, *lower) = ([upper[0] + a, upper[1] + b], [lower[0] + c, lower[1] + d]);
            }
        }
    }
}
