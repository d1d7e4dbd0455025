use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs, Write};

/// `y = a b`, element by element.
///
/// # Shapes
///
/// All alike.
#[derive(Clone, Copy, Debug)]
pub struct Multiply;

impl Op for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let (_, []) = (specs.reals::<2>()?, specs.params()?);
        Ok(Bound::new(specs.alike()?, *self))
    }
}

impl<T: Scalar> Kernel<T> for Multiply {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        kernels::multiply(cx.output, cx.operand(0), cx.operand(1));
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        for i in 0..2 {
            let other = cx.operand_values(1 - i);
            if let Some(x) = cx.operand(i) {
                match x.write {
                    Write::Assign => kernels::multiply(x.into, x.upstream, other),
                    Write::Add => kernels::multiply_add(x.into, x.upstream, other),
                }
            }
        }
    }
}
