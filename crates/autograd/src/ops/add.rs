use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = a + b`.
///
/// # Shapes
///
/// All alike.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let (_, []) = (specs.reals::<2>()?, specs.params()?);
        Ok(Bound::new(specs.alike()?, *self))
    }
}

impl<T: Scalar> Kernel<T> for Add {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        kernels::add(cx.output, cx.operand(0), cx.operand(1));
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        for i in 0..2 {
            if let Some(x) = cx.operand(i) {
                x.write.slice(x.into, x.upstream);
            }
        }
    }
}
