use tidemill_tensor::Scalar;
use tidemill_tensor::kernels::Activation;

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = f(x)`, element by element; compiled into the operation before where that can take it in.
///
/// # Shapes
///
/// `y` is of `x`'s.
#[derive(Clone, Copy, Debug)]
pub struct Activate(pub Activation);

impl Op for Activate {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], []) = (specs.reals()?, specs.params()?);
        self.0.validate().map_err(|error| error.to_string())?;
        Ok(Bound::new(x.shape, *self))
    }

    fn as_activation(&self) -> Option<Activation> {
        Some(self.0)
    }
}

impl<T: Scalar> Kernel<T> for Activate {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        self.0.forward_into(cx.operand(0), cx.output);
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let saved = if self.0.saves_input() { cx.operand_values(0) } else { cx.output };
        if let Some(x) = cx.operand(0) {
            self.0.backward(saved, x.upstream);
            x.write.slice(x.into, x.upstream);
        }
    }
}
