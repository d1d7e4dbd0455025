//! An operation that couples rows, and has a buffer.

use tidemill::autograd::{Backward, Bound, Coupling, Forward, Kernel, Merge, Op, Specs};
use tidemill::tensor::Scalar;

/// `y = x - μ`, element by element: in training, `μ` is the mean of the rows of each group, by their weights; otherwise
/// it is the running mean.
///
/// # Shapes
///
/// `x [..]`, buffer `μ` and `y` as `x`.
#[derive(Clone, Copy, Debug)]
pub struct Center {
    /// Rows that are centered together.
    pub group: usize,
    /// How far the running mean moves to that of a batch, from 0 to 1.
    pub momentum: f64,
}

impl Op for Center {
    fn name(&self) -> &'static str {
        "center"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], [mean]) = (specs.reals()?, specs.buffers()?);
        if mean != x.shape {
            return Err(format!("its buffer is {mean:?}, {} is {:?}; they must be alike", x.label, x.shape));
        }
        let bound = Bound::new(x.shape, *self).scratch(0, x.width());
        let bound = bound.buffer(Merge::Mean { momentum: self.momentum });
        Ok(bound.couples_in_training(Coupling::Group(self.group)))
    }
}

impl<T: Scalar> Kernel<T> for Center {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (x, width) = (cx.operand(0), cx.operand(0).len() / cx.rows);
        let mut mean = cx.buffer(0);
        if cx.training {
            let [update] = cx.updates.get();
            update.fill(T::zero());
            let share = shares(cx.weights, cx.rows);
            for (row, x) in x.chunks_exact(width).enumerate() {
                update.iter_mut().zip(x).for_each(|(mean, &x)| *mean += share(row) * x);
            }
            mean = update;
        }
        for (y, x) in cx.output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            y.iter_mut().zip(x.iter().zip(mean)).for_each(|(y, (&x, &mean))| *y = x - mean);
        }
    }

    // In training dxᵢ = gᵢ - ωᵢ Σⱼ gⱼ, where ωᵢ is the row's share of the group's weight; otherwise dx = g.
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (rows, training, weights) = (cx.rows, cx.training, cx.weights);
        let sums = std::mem::take(&mut cx.scratch);
        let width = sums.len();
        let Some(x) = cx.operand(0) else { return };
        if !training {
            return x.write.slice(x.into, x.upstream);
        }
        sums.fill(T::zero());
        for g in x.upstream.chunks_exact(width) {
            sums.iter_mut().zip(g).for_each(|(sum, &g)| *sum += g);
        }
        let share = shares(weights, rows);
        let gradients = x.upstream.iter().enumerate().map(|(i, &g)| g - share(i / width) * sums[i % width]);
        x.write.all(x.into, gradients);
    }
}

/// What part of all rows' weight each has.
fn shares<T: Scalar>(weights: Option<&[T]>, rows: usize) -> impl Fn(usize) -> T + '_ {
    let weight = move |row: usize| weights.map_or(T::one(), |weights| weights[row]);
    let total: T = (0..rows).map(weight).sum();
    move |row| weight(row) / total
}

mod tests {
    use tidemill::autograd::{GradientCheck, check_gradients, tensor::Initializer};
    use tidemill::prelude::*;

    use super::*;

    #[test]
    fn its_gradients_are_right() {
        for (rows, training) in [(1, true), (5, true), (8, true), (5, false)] {
            let check = GradientCheck { rows, training, ..GradientCheck::default() };
            check_gradients(check, |graph| {
                let x = graph.input("x", &[2, 3])?;
                let mean = graph.buffer("mean", &[2, 3], Initializer::Constant(0.5))?;
                let y = graph.add_with_buffers(Center { group: 4, momentum: 0.1 }, &[x], &[], &[mean])?;
                Ok(Head::new(graph.square(y[0])?))
            })
            .unwrap();
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let refused = |shape: &[usize], group, momentum| {
            let mut graph = Graph::new();
            let x = graph.input("x", &[2, 3]).unwrap();
            let mean = graph.buffer("mean", shape, Initializer::Constant(0.0)).unwrap();
            graph.add_with_buffers(Center { group, momentum }, &[x], &[], &[mean]).unwrap_err().to_string()
        };
        assert_eq!(refused(&[3], 4, 0.1), "center: its buffer is [3], x is [2, 3]; they must be alike");
        assert!(refused(&[2, 3], 0, 0.1).contains("groups of 0 rows"));
        assert!(refused(&[2, 3], 4, 1.5).contains("a momentum from 0 to 1"));
    }
}
