use tidemill_tensor::Scalar;

use crate::op::counted;
use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// Operands one behind the other, along the first axis of a row.
///
/// # Shapes
///
/// `[A, ..]`, `[B, ..]`, … to `[A + B + …, ..]`.
#[derive(Clone, Debug, Default)]
pub struct Concat {
    widths: Vec<usize>,
}

impl Concat {
    /// For operands of these widths: elements a row.
    pub fn new(widths: impl Into<Vec<usize>>) -> Self {
        Self { widths: widths.into() }
    }

    fn total(&self) -> usize {
        self.widths.iter().sum()
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let (operands, []) = (specs.operands, specs.params()?);
        super::real(operands)?;
        if operands.len() != self.widths.len() {
            return Err(counted(self.widths.len(), operands.len(), "operand"));
        }
        let Some(first) = operands.first() else { return Err("takes at least one operand".into()) };
        let mut shape = first.shape.to_vec();
        let Some(length) = shape.first_mut() else { return Err(format!("{} has no axis", first.label)) };
        *length = 0;
        for (operand, &width) in operands.iter().zip(&self.widths) {
            if operand.shape.get(1..) != first.shape.get(1..) {
                return Err(format!("{} is {:?}, {} is {:?}", first.label, first.shape, operand.label, operand.shape));
            }
            if operand.width() != width {
                return Err(format!("{} has {} elements a row, expected {width}", operand.label, operand.width()));
            }
            *length += operand.shape[0];
        }
        Ok(Bound::new(shape, self.clone()))
    }
}

impl<T: Scalar> Kernel<T> for Concat {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let mut start = 0;
        for (i, &width) in self.widths.iter().enumerate() {
            let operand = cx.operand(i);
            let rows = cx.output.chunks_exact_mut(self.total());
            for (to, from) in rows.zip(operand.chunks_exact(width)) {
                to[start..start + width].copy_from_slice(from);
            }
            start += width;
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let mut start = 0;
        for (i, &width) in self.widths.iter().enumerate() {
            if let Some(x) = cx.operand(i) {
                let rows = x.upstream.chunks_exact(self.total());
                for (to, from) in x.into.chunks_exact_mut(width).zip(rows) {
                    x.write.slice(to, &from[start..start + width]);
                }
            }
            start += width;
        }
    }
}
