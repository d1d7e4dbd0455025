use ndarray::{Array2, ArrayView2, s};

use super::*;
use crate::isa::on_every_path;

/// Whole numbers so small that every product and sum of these tests is exact in `f32`.
fn filled<T: Scalar>(rows: usize, columns: usize, salt: usize) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| T::of(((i * 31 + j * 17 + i * j + salt) % 23) as f64 - 11.0))
}

/// `A B` by three loops, in `f64`.
fn reference<T: Scalar>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) -> Array2<f64> {
    let (a, b) = (a.mapv(T::widen), b.mapv(T::widen));
    let mut c = Array2::zeros((a.nrows(), b.ncols()));
    for i in 0..a.nrows() {
        for k in 0..a.ncols() {
            for j in 0..b.ncols() {
                c[[i, j]] += a[[i, k]] * b[[k, j]];
            }
        }
    }
    c
}

/// How a matrix lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Columns,
    /// Neither rows nor columns without gaps.
    Gaps,
    /// Rows without gaps, the last one first.
    Backwards,
    /// Columns without gaps, the last one first.
    BackwardColumns,
    /// Rows and columns in reverse, with gaps.
    BackwardGaps,
    /// Rows whose numbers are in reverse.
    Mirrored,
}

const LAYOUTS: [Layout; 7] = [
    Layout::Rows,
    Layout::Columns,
    Layout::Gaps,
    Layout::Backwards,
    Layout::BackwardColumns,
    Layout::BackwardGaps,
    Layout::Mirrored,
];

/// An array of which [`view`] is the matrix.
fn laid_out<T: Scalar>(rows: usize, columns: usize, salt: usize, layout: Layout) -> Array2<T> {
    match layout {
        Layout::Rows | Layout::Backwards | Layout::Mirrored => filled(rows, columns, salt),
        Layout::Columns | Layout::BackwardColumns => filled(columns, rows, salt),
        Layout::Gaps | Layout::BackwardGaps => filled(3 * rows, 2 * columns, salt),
    }
}

fn view<T: Scalar>(array: &mut Array2<T>, layout: Layout) -> ArrayViewMut2<'_, T> {
    match layout {
        Layout::Rows => array.view_mut(),
        Layout::Columns => array.view_mut().reversed_axes(),
        Layout::Gaps => array.slice_mut(s![..;3, ..;2]),
        Layout::Backwards => array.slice_mut(s![..;-1, ..]),
        Layout::BackwardColumns => array.slice_mut(s![..;-1, ..]).reversed_axes(),
        Layout::BackwardGaps => array.slice_mut(s![..;-3, ..;-2]),
        Layout::Mirrored => array.slice_mut(s![.., ..;-1]),
    }
}

fn check<T: Scalar>((m, k, n): (usize, usize, usize), of_a: Layout, of_b: Layout, of_c: &[Layout]) {
    let (mut a, mut b) = (laid_out::<T>(m, k, 1, of_a), laid_out::<T>(k, n, 2, of_b));
    let (a, b) = (view(&mut a, of_a), view(&mut b, of_b));
    let product = reference(a.view(), b.view());
    for &of_c in of_c {
        for beta in [0.0, 1.0, 0.5] {
            let old = laid_out::<T>(m, n, 3, of_c);
            let mut want = old.clone();
            view(&mut want, of_c).zip_mut_with(&product, |c, &ab| *c = T::of(ab + beta * c.widen()));
            on_every_path(|| {
                let mut got = old.clone();
                matmul(view(&mut got, of_c), a.view(), b.view(), T::of(beta));
                assert!(got == want, "{m}x{k}x{n}, {of_a:?} {of_b:?} {of_c:?}, beta {beta}");
            });
        }
    }
}

fn check_all(shapes: &[(usize, usize, usize)], layouts: &[Layout]) {
    for &shape in shapes {
        for &a in layouts {
            for &b in layouts {
                check::<f32>(shape, a, b, layouts);
                check::<f64>(shape, a, b, layouts);
            }
        }
    }
}

#[test]
fn small_products_agree_with_the_three_loops() {
    if cfg!(miri) {
        return check_all(&[(7, 5, 9), (1, 5, 7), (9, 1, 3)], &LAYOUTS[..3]);
    }
    let mut shapes = Vec::new();
    for m in [1, 2, 3, 4, 5, 8, 9, 13, 17, 33] {
        for n in [1, 2, 3, 5, 8, 12, 16, 17, 33, 49, 70] {
            shapes.extend([1, 2, 7, 17, 40].map(|k| (m, k, n)));
        }
    }
    check_all(&shapes, &LAYOUTS[..3]);
}

/// Strides below zero in every operand, on every way that a product may take: few rows or columns, an outer product,
/// tiles aside, transposed products.
#[test]
fn operands_in_reverse_agree_with_the_three_loops() {
    if cfg!(miri) {
        return check_all(&[(5, 3, 9)], &LAYOUTS);
    }
    check_all(&[(2, 3, 2), (9, 1, 18), (6, 40, 5), (17, 9, 33), (3, 7, 1)], &LAYOUTS);
    // So light that it is done transposed, and with many zeros.
    check_all(&[(5, 30, 70)], &[Layout::Rows, Layout::Backwards, Layout::BackwardColumns]);
    for of_a in LAYOUTS {
        for of_b in LAYOUTS {
            check_with_zeros((20, 70, 66), of_a, of_b, 6);
        }
    }
}

/// A row that is read again and again, as ndarray broadcasts it.
#[test]
fn broadcast_operands_agree_with_the_three_loops() {
    for (m, k, n) in [(9, 3, 10), (20, 30, 70), (3, 40, 3)] {
        let (row, column) = (filled::<f32>(1, k, 1), filled::<f32>(k, 1, 2));
        let (a, b) = (row.broadcast((m, k)).unwrap(), column.broadcast((k, n)).unwrap());
        let (at, bt) = (filled::<f32>(m, 1, 3), filled::<f32>(1, n, 4));
        let (at, bt) = (at.broadcast((m, k)).unwrap(), bt.broadcast((k, n)).unwrap());
        for (a, b) in [(a, b), (a, bt), (at, b), (at, bt)] {
            on_every_path(|| {
                let mut c = Array2::zeros((m, n));
                matmul(c.view_mut(), a, b, 0.0);
                assert_eq!(c.mapv(f64::from), reference(a, b), "{m}x{k}x{n}");
            });
        }
    }
}

#[test]
#[should_panic(expected = "0 elements are not 4294967296 rows of 4294967296")]
fn as_many_rows_as_wrap_around_are_refused() {
    RowMajor::<f32>::new(&[], 1 << 32, 1 << 32);
}

#[test]
#[should_panic(expected = "into 0 elements")]
fn a_result_as_large_as_wraps_around_is_refused() {
    let none = |rows, columns| RowMajor::<f32>::new(&[], rows, columns);
    multiply(&mut [], none(1 << 32, 0), none(0, 1 << 32), Write::Assign);
}

/// More rows, depth and columns than one block has, and columns of `A` farther apart than a page.
#[test]
#[cfg(not(miri))]
fn large_products_agree_with_the_three_loops() {
    check_all(&[(260, 520, 530), (5, 1500, 3), (1100, 1, 40), (1, 600, 1100)], &[Layout::Rows]);
    check_all(&[(1100, 20, 130), (1, 1100, 200), (40, 520, 2)], &[Layout::Columns, Layout::Backwards]);
}

#[test]
fn empty_products_scale_what_was_there() {
    let mut c = filled::<f64>(2, 3, 0);
    let want = c.mapv(|x| 0.5 * x);
    matmul(c.view_mut(), Array2::zeros((2, 0)).view(), Array2::zeros((0, 3)).view(), 0.5);
    assert_eq!(c, want);
    matmul(c.view_mut(), Array2::zeros((2, 0)).view(), Array2::zeros((0, 3)).view(), 0.0);
    assert_eq!(c, Array2::zeros((2, 3)));
    matmul(Array2::zeros((0, 3)).view_mut(), Array2::zeros((0, 4)).view(), filled(4, 3, 0).view(), 0.0_f32);
}

#[test]
fn beta_zero_does_not_read_the_old_values() {
    on_every_path(|| {
        for (m, k, n) in [(2, 2, 2), (9, 1, 5), (13, 6, 40), (1, 30, 9)] {
            for layout in LAYOUTS {
                let (a, b) = (filled::<f32>(m, k, 1), filled::<f32>(k, n, 2));
                let mut c = laid_out::<f32>(m, n, 0, layout);
                c.fill(f32::NAN);
                matmul(view(&mut c, layout), a.view(), b.view(), 0.0);
                assert!(view(&mut c, layout).iter().all(|x| x.is_finite()), "{m}x{k}x{n}, {layout:?}");
            }
        }
    });
}

/// `A` with about so many zeros out of ten, in clusters and alone.
fn with_zeros<T: Scalar>(mut a: ArrayViewMut2<'_, T>, of_ten: usize) {
    a.indexed_iter_mut()
        .filter(|((i, j), _)| (i * 7 + j * 3 + i * j / 5) % 10 < of_ten)
        .for_each(|(_, x)| *x = T::zero());
}

fn check_with_zeros((m, k, n): (usize, usize, usize), of_a: Layout, of_b: Layout, of_ten: usize) {
    let (mut a, mut b) = (laid_out::<f32>(m, k, 1, of_a), laid_out::<f32>(k, n, 2, of_b));
    with_zeros(view(&mut a, of_a), of_ten);
    let (a, b) = (view(&mut a, of_a), view(&mut b, of_b));
    let product = reference(a.view(), b.view());
    on_every_path(|| {
        let mut c = Array2::from_elem((m, n), f32::NAN);
        matmul(c.view_mut(), a.view(), b.view(), 0.0);
        assert_eq!(c.mapv(f64::from), product, "{m}x{k}x{n}, {of_a:?} {of_b:?}, {of_ten} of ten are zero");
        matmul(c.view_mut(), a.view(), b.view(), 1.0);
        assert_eq!(c.mapv(f64::from), 2.0 * &product, "{m}x{k}x{n}, {of_ten} of ten are zero, added");
    });
}

#[test]
fn products_with_many_zeros_agree_with_the_three_loops() {
    let shapes =
        if cfg!(miri) { vec![(16, 17, 33)] } else { vec![(16, 16, 64), (33, 100, 130), (300, 50, 67), (40, 97, 784)] };
    for shape in shapes {
        for (of_a, of_b) in
            [(Layout::Rows, Layout::Columns), (Layout::Columns, Layout::Rows), (Layout::Gaps, Layout::Gaps)]
        {
            [4, 5, 9, 10].into_iter().for_each(|of_ten| check_with_zeros(shape, of_a, of_b, of_ten));
        }
    }
}

/// `0 ∞` is NaN: whether it is met must not depend on how many zeros there are, nor on what else is in a block.
#[test]
fn a_zero_times_what_is_not_finite_is_nan_however_many_zeros_there_are() {
    fn check<T: Scalar>((m, k, n): (usize, usize, usize), of_a: Layout, of_b: Layout) {
        for (bad, row, column) in [
            (T::infinity(), 5, 7),
            (T::neg_infinity(), 0, n - 1),
            (T::nan(), k - 1, 0),
            (T::infinity(), k / 2, n / 2),
            (T::max_value(), 1, 1),
        ] {
            for of_ten in [0, 2, 3, 5, 9, 10] {
                let (mut a, mut b) = (laid_out::<T>(m, k, 1, of_a), laid_out::<T>(k, n, 2, of_b));
                let (mut a, mut b) = (view(&mut a, of_a), view(&mut b, of_b));
                with_zeros(a.view_mut(), of_ten);
                b[[row, column]] = bad;
                let want = reference(a.view(), b.view()).mapv(T::of);
                on_every_path(|| {
                    let mut c = filled::<T>(m, n, 3);
                    matmul(c.view_mut(), a.view(), b.view(), T::zero());
                    let alike = c.iter().zip(&want).all(|(c, want)| {
                        let close = (c.widen() - want.widen()).abs() <= 1e-5 * want.widen().abs();
                        c == want || c.is_nan() && want.is_nan() || bad == T::max_value() && close
                    });
                    assert!(
                        alike,
                        "{m}x{k}x{n}, {of_a:?} {of_b:?}, {bad} at {row}, {column}, {of_ten} of ten are zero"
                    );
                });
            }
        }
    }
    let shapes =
        if cfg!(miri) { vec![(16, 17, 33)] } else { vec![(8, 16, 64), (16, 64, 64), (33, 100, 130), (300, 70, 67)] };
    for shape in shapes {
        for (a, b) in [
            (Layout::Rows, Layout::Rows),
            (Layout::Rows, Layout::Columns),
            (Layout::Columns, Layout::Rows),
            (Layout::Columns, Layout::Gaps),
        ] {
            check::<f32>(shape, a, b);
            check::<f64>(shape, a, b);
        }
    }
}

/// Skipping zeros is a matter of speed alone.
#[test]
fn a_row_has_the_same_bits_whether_or_not_zeros_are_skipped() {
    let (m, k, n) = if cfg!(miri) { (16, 50, 33) } else { (70, 1100, 200) };
    let b = rough(k, n, 2);
    for of_a in [Layout::Rows, Layout::Columns] {
        // Two thirds of these rows have no zeros, so that the product does not look for zeros to skip.
        let mut dense = laid_out::<f32>(3 * m, k, 1, of_a).mapv(|x| 1.0 / (x + 0.3));
        with_zeros(view(&mut dense, of_a).slice_mut(s![..m, ..]), 5);
        let dense = view(&mut dense, of_a);
        let mut sparse = laid_out::<f32>(m, k, 1, of_a);
        view(&mut sparse, of_a).assign(&dense.slice(s![..m, ..]));
        let sparse = view(&mut sparse, of_a);
        on_every_path(|| {
            let (mut all, mut some) = (rough(3 * m, n, 3), rough(3 * m, n, 3));
            for beta in [0.0, 1.0, 1.0] {
                matmul(all.view_mut(), dense.view(), b.view(), beta);
                matmul(some.slice_mut(s![..m, ..]), sparse.view(), b.view(), beta);
                assert_eq!(some.slice(s![..m, ..]), all.slice(s![..m, ..]), "{of_a:?}, beta {beta}");
            }
        });
    }
}

/// Numbers of which sums depend on the order.
fn rough(rows: usize, columns: usize, salt: usize) -> Array2<f32> {
    filled::<f32>(rows, columns, salt).mapv(|x| 1.0 / (x + 0.3))
}

#[test]
fn a_row_does_not_depend_on_how_many_there_are() {
    on_every_path(|| {
        for (k, n) in
            if cfg!(miri) { [(1, 5), (5, 1), (5, 3), (3, 9)] } else { [(1, 40), (30, 3), (100, 10), (600, 70)] }
        {
            let (a, w) = (rough(20, k, 1), rough(n, k, 2));
            let mut all = Array2::zeros((20, n));
            matmul(all.view_mut(), a.view(), w.t(), 0.0);
            for rows in [5, 6, 12, 13] {
                let mut some = Array2::zeros((rows, n));
                matmul(some.view_mut(), a.slice(s![..rows, ..]), w.t(), 0.0);
                assert_eq!(some, all.slice(s![..rows, ..]), "{rows} rows of {k}, {n} columns");
            }
        }
    });
}

#[test]
fn the_same_product_has_the_same_bits() {
    let (m, k, n) = if cfg!(miri) { (9, 6, 10) } else { (33, 700, 50) };
    let (a, b) = (rough(m, k, 1), rough(k, n, 2));
    let multiply = || {
        let mut c = Array2::zeros((m, n));
        matmul(c.view_mut(), a.view(), b.view(), 0.0);
        c
    };
    let first = multiply();
    // Other products leave other numbers in the buffer.
    matmul(Array2::zeros((2 * m, 2 * n)).view_mut(), rough(2 * m, k, 3).view(), rough(2 * n, k, 4).t(), 0.0);
    assert_eq!(multiply(), first);
}

#[test]
#[should_panic(expected = "matmul: (2, 3) x (4, 5) into (2, 5)")]
fn shapes_that_do_not_fit_are_refused() {
    matmul(Array2::zeros((2, 5)).view_mut(), filled(2, 3, 0).view(), filled::<f64>(4, 5, 0).view(), 0.0);
}
