use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y_k = exp(x_k) / Σ_j exp(x_j)` over the last axis.
///
/// # Shapes
///
/// `x [.., K]`, `y [.., K]`.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        Ok(Bound::new(classes(specs)?, *self))
    }
}

impl<T: Scalar> Kernel<T> for Softmax {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        cx.output.copy_from_slice(cx.operand(0));
        kernels::softmax_rows(cx.output, last(cx.shape));
    }

    // dx = y (g - Σ_j g_j y_j)
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (y, width) = (cx.output, last(cx.shape));
        let Some(x) = cx.operand(0) else { return };
        kernels::softmax_backward(y, x.upstream, width);
        x.write.slice(x.into, x.upstream);
    }
}

/// `y_k = x_k - log Σ_j exp(x_j)` over the last axis.
///
/// # Shapes
///
/// `x [.., K]`, `y [.., K]`.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax;

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log softmax"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        Ok(Bound::new(classes(specs)?, *self))
    }
}

impl<T: Scalar> Kernel<T> for LogSoftmax {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        cx.output.copy_from_slice(cx.operand(0));
        kernels::log_softmax_rows(cx.output, last(cx.shape));
    }

    // dx = g - exp(y) Σ_j g_j
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (y, width) = (cx.output, last(cx.shape));
        let Some(x) = cx.operand(0) else { return };
        kernels::log_softmax_backward(y, x.upstream, width);
        x.write.slice(x.into, x.upstream);
    }
}

fn classes<'a>(specs: &Specs<'a>) -> Result<&'a [usize], String> {
    let ([x], []) = (specs.reals()?, specs.params()?);
    if x.shape.is_empty() { Err(format!("{} has no axis of classes", x.label)) } else { Ok(x.shape) }
}

fn last(shape: &[usize]) -> usize {
    *shape.last().expect("the graph has checked that there is an axis")
}
