use tidemill_tensor::Scalar;

use crate::{Backward, Forward, Kernel, Op, Operand};

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
        let (a, b) = (cx.operand(0), cx.operand(1));
        for ((y, &a), &b) in cx.output.iter_mut().zip(a).zip(b) {
            *y = a * b;
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        for i in 0..2 {
            let other = cx.operand_values(1 - i);
            if let Some(x) = cx.operand(i) {
                x.write.all(x.into, x.upstream.iter().zip(other).map(|(&g, &o)| g * o));
            }
        }
    }
}
