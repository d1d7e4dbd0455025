use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Forward, Kernel, Op, Operand};

/// `y[c] = Σ_p x[c, p] / (H W)`: the average of each plane.
///
/// # Shapes
///
/// `x [C, H, W]`, `y [C, 1, 1]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalAveragePool;

impl Op for GlobalAveragePool {
    fn name(&self) -> &'static str {
        "global average pooling"
    }

    fn output_shape(&self, operands: &[Operand<'_>], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        super::expect(operands, 1, params, 0)?;
        match *operands[0].shape {
            [channels, _, _] => Ok(vec![channels, 1, 1]),
            ref shape => Err(format!("{} is {shape:?}, expected [channels, height, width]", operands[0].label)),
        }
    }
}

impl<T: Scalar> Kernel<T> for GlobalAveragePool {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        let Some(len) = x.len().checked_div(cx.output.len()) else { return };
        for (y, x) in cx.output.iter_mut().zip(x.chunks_exact(len)) {
            *y = T::of(kernels::sum(x) / len as f64);
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        if let Some(x) = cx.operand(0) {
            let Some(len) = x.into.len().checked_div(x.upstream.len()) else { return };
            for (into, &g) in x.into.chunks_exact_mut(len).zip(&*x.upstream) {
                let share = g / T::of(len as f64);
                x.write.all(into, std::iter::repeat_n(share, len));
            }
        }
    }
}
