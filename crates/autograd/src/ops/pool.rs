use tidemill_tensor::{Divisor, Pooling, Scalar, Window};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y[c, p] = max_t x[c, stride p + dilation t - padding]`, where what is outside of the image does not count. The
/// gradient goes to the first of several largest ones.
///
/// # Shapes
///
/// `x [C, H, W]`, `y [C, H', W']`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool(pub Pooling);

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max pooling"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let shape = output_shape(&self.0, specs)?;
        // Which element of its window each output is.
        let saved = shape.iter().product();
        Ok(Bound::new(shape, *self).saves(saved))
    }
}

impl<T: Scalar> Kernel<T> for MaxPool {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        self.0.max(cx.operand(0), cx.output, cx.saved);
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let places = cx.saved;
        if let Some(x) = cx.operand(0) {
            self.0.max_backward(x.upstream, places, x.into, x.write);
        }
    }
}

/// `y[c, p] = Σ_t x[c, stride p + t - padding] / n`, where what is outside of the image is zero and `n` counts the
/// elements of the window, or those [inside](Divisor::Inside).
///
/// # Shapes
///
/// `x [C, H, W]`, `y [C, H', W']`.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool {
    pooling: Pooling,
    divisor: Divisor,
}

impl AveragePool {
    /// The averages of this window.
    pub fn new(pooling: Pooling, divisor: Divisor) -> Self {
        Self { pooling, divisor }
    }
}

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        "average pooling"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        Ok(Bound::new(output_shape(&self.pooling, specs)?, *self))
    }
}

impl<T: Scalar> Kernel<T> for AveragePool {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        self.pooling.average(self.divisor, cx.operand(0), cx.output);
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        if let Some(x) = cx.operand(0) {
            self.pooling.average_backward(self.divisor, x.upstream, x.into, x.write);
        }
    }
}

fn output_shape(pooling: &Pooling, specs: &Specs<'_>) -> Result<Vec<usize>, String> {
    let ([x], []) = (specs.reals()?, specs.params()?);
    let Pooling { image, window } = *pooling;
    let &[channels, height, width] = x.shape else {
        return Err(format!("{} is {:?}, expected [channels, height, width]", x.label, x.shape));
    };
    if [height, width] != image {
        return Err(format!("{} is {:?}, expected images of {image:?}", x.label, x.shape));
    }
    let [height, width] = window.output(image).map_err(|error| error.to_string())?;
    let Window { padding, .. } = window;
    let extent = window.extent();
    if (0..2).any(|i| 2 * padding[i] > extent[i]) {
        return Err(format!("padding {padding:?} is more than half of the window, which spans {extent:?}"));
    }
    Ok(vec![channels, height, width])
}
