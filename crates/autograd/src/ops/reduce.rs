use tidemill_tensor::Scalar;

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// One number of all elements of a row.
///
/// # Shapes
///
/// `x [..]`, `y []`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// `y = Σⱼ xⱼ`.
    Sum,
    /// `y = Σⱼ xⱼ / W` of `W` elements.
    Mean,
    /// `y = maxⱼ xⱼ`; NaN where one is. The gradient goes to the first of several largest ones.
    Max,
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([_], []) = (specs.reals()?, specs.params()?);
        Ok(Bound::new([], *self))
    }
}

/// Where the largest element is, the first NaN being larger than all.
fn largest<T: Scalar>(x: &[T]) -> usize {
    let mut at = 0;
    for (i, &value) in x.iter().enumerate() {
        if x[at].is_nan() {
            break;
        }
        if value > x[at] || value.is_nan() {
            at = i;
        }
    }
    at
}

impl<T: Scalar> Kernel<T> for Reduce {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        let width = x.len() / cx.rows.max(1);
        let scale = T::of(1.0 / width as f64);
        for (y, x) in cx.output.iter_mut().zip(x.chunks_exact(width.max(1))) {
            *y = match self {
                Self::Sum => x.iter().copied().sum::<T>(),
                Self::Mean => x.iter().copied().sum::<T>() * scale,
                Self::Max => x[largest(x)],
            };
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (values, rows) = (cx.operand_values(0), cx.rows.max(1));
        let width = (values.len() / rows).max(1);
        let scale = T::of(1.0 / width as f64);
        let Some(x) = cx.operand(0) else { return };
        for ((into, values), &g) in x.into.chunks_exact_mut(width).zip(values.chunks_exact(width)).zip(&*x.upstream) {
            match self {
                Self::Sum => x.write.all(into, std::iter::repeat_n(g, width)),
                Self::Mean => x.write.all(into, std::iter::repeat_n(g * scale, width)),
                Self::Max => {
                    x.write.begin(into);
                    into[largest(values)] += g;
                }
            }
        }
    }
}
