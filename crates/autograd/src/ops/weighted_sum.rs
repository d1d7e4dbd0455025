use tidemill_tensor::Scalar;

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = Σᵢ wᵢ xᵢ` of operands `x` and constants `w`.
///
/// # Shapes
///
/// All alike.
#[derive(Clone, Debug)]
pub struct WeightedSum {
    weights: Vec<f64>,
}

impl WeightedSum {
    /// With a weight for each operand.
    pub fn new(weights: impl Into<Vec<f64>>) -> Self {
        Self { weights: weights.into() }
    }
}

impl Op for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted sum"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let [] = specs.params()?;
        super::real(specs.operands)?;
        if specs.operands.len() != self.weights.len() {
            return Err(format!("{} weights for {} operands", self.weights.len(), specs.operands.len()));
        }
        if let Some(weight) = self.weights.iter().find(|weight| !weight.is_finite()) {
            return Err(format!("a weight is {weight}, expected a finite number"));
        }
        Ok(Bound::new(specs.alike()?, self.clone()))
    }
}

impl<T: Scalar> Kernel<T> for WeightedSum {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        for (i, &weight) in self.weights.iter().enumerate() {
            let (x, weight) = (cx.operand(i), T::of(weight));
            let both = cx.output.iter_mut().zip(x);
            match i {
                0 => both.for_each(|(y, &x)| *y = weight * x),
                _ => both.for_each(|(y, &x)| *y += weight * x),
            }
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        for (i, &weight) in self.weights.iter().enumerate() {
            let Some(x) = cx.operand(i) else { continue };
            let weight = T::of(weight);
            x.write.all(x.into, x.upstream.iter().map(|&g| weight * g));
        }
    }
}
