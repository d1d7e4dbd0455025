use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Forward, Kernel, Op, Operand, Write};

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

    fn output_shape(&self, operands: &[Operand<'_>], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        super::expect(operands, 2, params, 0)?;
        super::alike(operands)
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
