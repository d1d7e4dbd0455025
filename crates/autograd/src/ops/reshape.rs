use tidemill_tensor::Scalar;

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// The same numbers in the same order, as another shape per row.
///
/// # Shapes
///
/// Any, of as many elements.
#[derive(Clone, Debug)]
pub struct Reshape {
    shape: Vec<usize>,
}

impl Reshape {
    /// To this shape per row.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Self { shape: shape.into() }
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([from], []) = (specs.reals()?, specs.params()?);
        if from.width() != self.shape.iter().product::<usize>() {
            return Err(format!("{} is {:?}, which does not become {:?}", from.label, from.shape, self.shape));
        }
        Ok(Bound::new(self.shape.clone(), self.clone()))
    }
}

impl<T: Scalar> Kernel<T> for Reshape {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        cx.output.copy_from_slice(cx.operand(0));
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        if let Some(x) = cx.operand(0) {
            x.write.slice(x.into, x.upstream);
        }
    }
}
