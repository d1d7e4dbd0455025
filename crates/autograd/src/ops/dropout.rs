use tidemill_tensor::{Key, Scalar};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = x m / (1 - p)`, where each `m` is 0 with probability `p` and 1 otherwise; the identity when not training.
///
/// What is dropped is a function of (step, operation, row), so it is the same however a batch is cut.
///
/// # Shapes
///
/// `y` is of `x`'s.
///
/// # References
///
/// N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014; scaled while
/// training ("inverted"), as in PyTorch and Keras.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    probability: f64,
}

impl Dropout {
    /// Drops each element with this probability, `0 <= p < 1`.
    pub fn new(probability: f64) -> Self {
        Self { probability }
    }

    /// Calls `apply` on each element's position and its factor, a row after the other.
    fn each<T: Scalar>(self, key: Key, first_row: usize, rows: usize, width: usize, mut apply: impl FnMut(usize, T)) {
        let keep = T::of(1.0 / (1.0 - self.probability));
        // A u32 below the threshold is dropped.
        let threshold = (self.probability * 2.0_f64.powi(32)) as u64;
        for row in 0..rows {
            let key = key.fold((first_row + row) as u64);
            for block in 0..width.div_ceil(4) {
                let bits = key.block(block as u64);
                for (j, bits) in bits.into_iter().enumerate().take(width - 4 * block) {
                    let factor = if u64::from(bits) < threshold { T::zero() } else { keep };
                    apply(row * width + 4 * block + j, factor);
                }
            }
        }
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], []) = (specs.reals()?, specs.params()?);
        if !(0.0..1.0).contains(&self.probability) {
            return Err(format!("probability is {}, expected 0 <= p < 1", self.probability));
        }
        Ok(Bound::new(x.shape, *self).random())
    }
}

impl<T: Scalar> Kernel<T> for Dropout {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        match cx.key {
            None => cx.output.copy_from_slice(x),
            Some(key) => {
                let width = x.len() / cx.rows.max(1);
                self.each(key, cx.first_row, cx.rows, width, |i, factor: T| cx.output[i] = x[i] * factor);
            }
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (rows, first_row, key) = (cx.rows, cx.first_row, cx.key);
        let Some(x) = cx.operand(0) else { return };
        if let Some(key) = key {
            let width = x.upstream.len() / rows.max(1);
            self.each(key, first_row, rows, width, |i, factor: T| x.upstream[i] *= factor);
        }
        x.write.slice(x.into, x.upstream);
    }
}
