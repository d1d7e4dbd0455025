use std::sync::Arc;

use tidemill_tensor::kernels::{self, Activation};
use tidemill_tensor::{RowMajor, Scalar, Write, multiply};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = f(x Wᵀ + b)` on the last axis; `f` is the identity until an activation is fused.
///
/// # Shapes
///
/// `x [.., I]`, `W [O, I]`, `b [O]` or absent, `y [.., O]`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    activation: Activation,
}

impl Default for Linear {
    fn default() -> Self {
        Self { activation: Activation::Identity }
    }
}

impl Linear {
    /// Without an activation.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let [x] = specs.reals()?;
        let (weight, bias) = super::weight_and_bias(specs)?;
        let &[outputs, inputs] = weight else {
            return Err(format!("weight {weight:?} is no matrix [out, in]"));
        };
        let given = x.shape.last().copied().unwrap_or(1);
        if given != inputs {
            return Err(format!("weight {weight:?} takes {inputs} inputs, {} gives {given}", x.label));
        }
        if let Some(bias) = bias.filter(|bias| **bias != [outputs]) {
            return Err(format!("bias {bias:?} does not fit weight {weight:?}"));
        }
        let mut shape = x.shape.to_vec();
        shape.pop();
        shape.push(outputs);
        let elements = shape.iter().product::<usize>();
        let saved = if self.activation.saves_input() { elements } else { 0 };
        Ok(Bound::new(shape, *self).saves(saved).multiplications(elements * inputs))
    }

    fn with_activation(&self, activation: Activation) -> Option<Arc<dyn Op>> {
        (self.activation == Activation::Identity).then(|| Arc::new(Self { activation }) as Arc<dyn Op>)
    }
}

impl<T: Scalar> Kernel<T> for Linear {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (x, w) = (cx.operand(0), cx.param(0));
        let bias = (cx.param_count() == 2).then(|| cx.param(1));
        let size = Size::of(cx.rows, cx.shape, w.len());
        let saves_input = self.activation.saves_input();
        let product = if saves_input { &mut *cx.saved } else { &mut *cx.output };
        multiply(product, size.inputs(x), size.weight(w).t(), Write::Assign);
        match (saves_input, bias) {
            (false, Some(bias)) => kernels::bias_activation(cx.output, bias, self.activation),
            (false, None) => self.activation.forward(cx.output),
            (true, Some(bias)) => kernels::bias_activation_into(cx.saved, bias, self.activation, cx.output),
            (true, None) => self.activation.forward_into(cx.saved, cx.output),
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (x, w) = (cx.operand_values(0), cx.param_values(0));
        let size = Size::of(cx.rows, cx.shape, w.len());
        if self.activation != Activation::Identity {
            let saved = if self.activation.saves_input() { cx.saved } else { cx.output };
            self.activation.backward(saved, cx.upstream);
        }
        if let Some(weight) = cx.param(0) {
            multiply(weight.into, size.outputs(weight.upstream).t(), size.inputs(x), weight.write);
        }
        if cx.param_count() == 2
            && let Some(bias) = cx.param(1)
        {
            bias.write.begin(bias.into);
            kernels::add_column_sums(bias.into, bias.upstream);
        }
        if let Some(input) = cx.operand(0) {
            multiply(input.into, size.outputs(input.upstream), size.weight(w), input.write);
        }
    }
}

/// `[N, I]`, `[O, I]`, `[N, O]`: the matrices of this run.
#[derive(Clone, Copy)]
struct Size {
    n: usize,
    i: usize,
    o: usize,
}

impl Size {
    fn of(rows: usize, shape: &[usize], weights: usize) -> Self {
        let (&o, outer) = shape.split_last().expect("an output of at least one axis");
        Self { n: rows * outer.iter().product::<usize>(), i: weights / o, o }
    }

    fn inputs<T>(self, x: &[T]) -> RowMajor<'_, T> {
        RowMajor::new(x, self.n, self.i)
    }

    fn weight<T>(self, w: &[T]) -> RowMajor<'_, T> {
        RowMajor::new(w, self.o, self.i)
    }

    fn outputs<T>(self, y: &[T]) -> RowMajor<'_, T> {
        RowMajor::new(y, self.n, self.o)
    }
}
