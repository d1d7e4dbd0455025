use std::fmt::Debug;
use std::ops::RangeInclusive;

use tidemill_autograd::tensor::kernels::{self, Update};
use tidemill_autograd::{Backward, Bound, Error, Forward, Graph, Head, Kernel, Op, Scalar, Specs, Var};

use crate::loss::compared;

/// A loss that compares each element of the prediction with one of the target.
pub(crate) trait Elementwise: Clone + Debug + Send + Sync + 'static {
    /// What the loss is called in errors.
    const NAME: &'static str;

    /// The targets that it is a loss of.
    const TARGETS: RangeInclusive<f64> = f64::MIN..=f64::MAX;

    /// The comparison of one element.
    type Comparison: Comparison;

    /// The comparison of the elements at `column` of their rows.
    fn at(&self, column: usize) -> Self::Comparison;
}

/// A loss of two numbers: value and slope side by side.
pub(crate) trait Comparison: Copy {
    /// `l(p, t)`.
    fn value<T: Scalar>(self, p: T, t: T) -> T;

    /// `dl / dp`.
    fn slope<T: Scalar>(self, p: T, t: T) -> T;
}

/// Declares a target of the prediction's shape and ends in the mean of `loss` over each row.
pub(crate) fn end(graph: &mut Graph, prediction: Var, target: &str, loss: impl Elementwise) -> Result<Head, Error> {
    let shape = graph.shape(prediction).to_vec();
    let target = graph.target(target, &shape)?;
    let loss = graph.add(RowMean(loss), &[prediction, target], &[])?;
    Ok(Head::with_loss(prediction, loss))
}

/// `lossᵢ = 1/W Σⱼ l(pᵢⱼ, tᵢⱼ)`.
///
/// # Shapes
///
/// `p` and `t [B, ..]` of `W` elements a row, `loss [B]`.
#[derive(Clone, Debug)]
struct RowMean<L>(L);

impl<L: Elementwise> Op for RowMean<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        compared(specs.operands)?;
        Ok(Bound::new([], self.clone()).targets(L::TARGETS))
    }
}

impl<L: Elementwise, T: Scalar> Kernel<T> for RowMean<L> {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (p, t) = (cx.operand(0), cx.operand(1));
        // Rows of one element are the rule, and are one loop.
        if p.len() == cx.rows {
            return kernels::update(Value(self.0.at(0)), cx.output, p, t);
        }
        let width = p.len() / cx.rows;
        let scale = T::of(1.0 / width as f64);
        for ((loss, p), t) in cx.output.iter_mut().zip(p.chunks_exact(width)).zip(t.chunks_exact(width)) {
            let values = p.iter().zip(t).enumerate().map(|(column, (&p, &t))| self.0.at(column).value(p, t));
            *loss = values.sum::<T>() * scale;
        }
    }

    // dpᵢⱼ = gᵢ / W l'(pᵢⱼ, tᵢⱼ)
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (p, t, rows) = (cx.operand_values(0), cx.operand_values(1), cx.rows);
        let Some(into) = cx.operand(0) else { return };
        if p.len() == rows {
            kernels::update(Slope(self.0.at(0)), into.upstream, p, t);
            return into.write.slice(into.into, into.upstream);
        }
        let width = p.len() / rows;
        let scale = T::of(1.0 / width as f64);
        let compared = p.chunks_exact(width).zip(t.chunks_exact(width));
        for ((to, &g), (p, t)) in into.into.chunks_exact_mut(width).zip(&*into.upstream).zip(compared) {
            let slopes = p.iter().zip(t).enumerate().map(|(column, (&p, &t))| self.0.at(column).slope(p, t));
            into.write.all(to, slopes.map(|slope| g * scale * slope));
        }
    }
}

/// `y ← l(p, t)`.
#[derive(Clone, Copy)]
struct Value<C>(C);

impl<C: Comparison, T: Scalar> Update<T> for Value<C> {
    #[inline(always)]
    fn apply(self, _: T, p: T, t: T) -> T {
        self.0.value(p, t)
    }
}

/// `g ← g l'(p, t)`.
#[derive(Clone, Copy)]
struct Slope<C>(C);

impl<C: Comparison, T: Scalar> Update<T> for Slope<C> {
    #[inline(always)]
    fn apply(self, g: T, p: T, t: T) -> T {
        g * self.0.slope(p, t)
    }
}
