use std::fmt::Debug;

use tidemill_autograd::{Backward, Ending, Error, Forward, Graph, Kernel, Op, Operand, Scalar, Var};

use crate::loss::compared;

/// A loss of one element of the prediction and one of the target: value and slope side by side.
pub(crate) trait Elementwise: Clone + Debug + Send + Sync + 'static {
    /// What the loss is called in errors.
    const NAME: &'static str;

    /// `l(p, t)` for the element at `column` of its row.
    fn value<T: Scalar>(&self, column: usize, p: T, t: T) -> T;

    /// `dl / dp`.
    fn slope<T: Scalar>(&self, column: usize, p: T, t: T) -> T;
}

/// Declares a target of the prediction's shape and ends in the mean of `loss` over each row.
pub(crate) fn end(graph: &mut Graph, prediction: Var, loss: impl Elementwise) -> Result<Ending, Error> {
    let shape = graph.shape(prediction).to_vec();
    let target = graph.target(&shape)?;
    let loss = graph.add(RowMean(loss), &[prediction, target], &[])?;
    Ok(Ending { prediction, loss: Some(loss) })
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

    fn output_shape(&self, operands: &[Operand<'_>], _: &[&[usize]]) -> Result<Vec<usize>, String> {
        compared(operands).map(|_| Vec::new())
    }
}

impl<L: Elementwise, T: Scalar> Kernel<T> for RowMean<L> {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (p, t) = (cx.operand(0), cx.operand(1));
        // Rows of one element are the rule, and are one loop.
        if p.len() == cx.rows {
            for ((loss, &p), &t) in cx.output.iter_mut().zip(p).zip(t) {
                *loss = self.0.value(0, p, t);
            }
            return;
        }
        let width = p.len() / cx.rows;
        let scale = T::of(1.0 / width as f64);
        for ((loss, p), t) in cx.output.iter_mut().zip(p.chunks_exact(width)).zip(t.chunks_exact(width)) {
            let values = p.iter().zip(t).enumerate().map(|(column, (&p, &t))| self.0.value(column, p, t));
            *loss = values.sum::<T>() * scale;
        }
    }

    // dpᵢⱼ = gᵢ / W l'(pᵢⱼ, tᵢⱼ)
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (p, t, rows) = (cx.operand_values(0), cx.operand_values(1), cx.rows);
        let Some(into) = cx.operand(0) else { return };
        if p.len() == rows {
            let slopes = into.upstream.iter().zip(p).zip(t).map(|((&g, &p), &t)| g * self.0.slope(0, p, t));
            return into.write.all(into.into, slopes);
        }
        let width = p.len() / rows;
        let scale = T::of(1.0 / width as f64);
        let compared = p.chunks_exact(width).zip(t.chunks_exact(width));
        for ((to, &g), (p, t)) in into.into.chunks_exact_mut(width).zip(&*into.upstream).zip(compared) {
            let slopes = p.iter().zip(t).enumerate().map(|(column, (&p, &t))| self.0.slope(column, p, t));
            into.write.all(to, slopes.map(|slope| g * scale * slope));
        }
    }
}
