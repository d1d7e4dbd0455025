use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

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

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], []) = (specs.reals()?, specs.params()?);
        match *x.shape {
            [channels, _, _] => Ok(Bound::new([channels, 1, 1], *self)),
            ref shape => Err(format!("{} is {shape:?}, expected [channels, height, width]", x.label)),
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
