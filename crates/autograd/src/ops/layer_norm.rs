use tidemill_tensor::{Scalar, kernels};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = (x - mean) / sqrt(variance + ε) · w + b` over the last `axes` axes of a row; biased variance.
///
/// # Shapes
///
/// `x [.., N]`, where `N` stands for the normalised axes; `w` and `b` of their shape, or both absent; `y` as `x`.
///
/// # References
///
/// J. Ba, J. Kiros, G. Hinton, *Layer normalization*, 2016.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm {
    width: usize,
    epsilon: f64,
}

impl LayerNorm {
    /// Over the last axes, which have `width` elements together.
    pub fn new(width: usize, epsilon: f64) -> Self {
        Self { width, epsilon }
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer norm"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let [x] = specs.reals()?;
        if !specs.params.is_empty() {
            specs.params::<2>()?;
        }
        let mut width = 1;
        if !x.shape.iter().rev().any(|n| {
            width *= n;
            width == self.width
        }) {
            return Err(format!("{} is {:?}, whose last axes never have {} elements", x.label, x.shape, self.width));
        }
        if !(self.epsilon.is_finite() && self.epsilon >= 0.0) {
            return Err(format!("epsilon is {}, expected a number not below zero", self.epsilon));
        }
        match specs.params.iter().find(|shape| shape.iter().product::<usize>() != self.width) {
            Some(shape) => Err(format!("parameter {shape:?} does not fit {} normalised elements", self.width)),
            // The normalised values, and one over the standard deviation of each group.
            None => Ok(Bound::new(x.shape, *self).saves(x.width() + x.width() / self.width)),
        }
    }
}

impl<T: Scalar> Kernel<T> for LayerNorm {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        let affine = (cx.param_count() == 2).then(|| (cx.param(0), cx.param(1)));
        let (normalized, scales) = cx.saved.split_at_mut(x.len());
        let n = T::of(self.width as f64);
        let groups = x.chunks_exact(self.width).zip(normalized.chunks_exact_mut(self.width)).zip(scales);
        for ((x, z), scale) in groups {
            let mean = x.iter().copied().sum::<T>() / n;
            let variance = x.iter().map(|&x| (x - mean) * (x - mean)).sum::<T>() / n;
            *scale = (variance + T::of(self.epsilon)).sqrt().recip();
            z.iter_mut().zip(x).for_each(|(z, &x)| *z = (x - mean) * *scale);
        }
        match affine {
            None => cx.output.copy_from_slice(normalized),
            Some((w, b)) => {
                for (y, z) in cx.output.chunks_exact_mut(self.width).zip(normalized.chunks_exact(self.width)) {
                    for (((y, &z), &w), &b) in y.iter_mut().zip(z).zip(w).zip(b) {
                        *y = z * w + b;
                    }
                }
            }
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let width = self.width;
        let (normalized, scales) = cx.saved.split_at(cx.output.len());
        if cx.param_count() == 2 {
            if let Some(w) = cx.param(0) {
                w.write.begin(w.into);
                for (g, z) in w.upstream.chunks_exact(width).zip(normalized.chunks_exact(width)) {
                    w.into.iter_mut().zip(g).zip(z).for_each(|((w, &g), &z)| *w += g * z);
                }
            }
            if let Some(b) = cx.param(1) {
                b.write.begin(b.into);
                kernels::add_column_sums(b.into, b.upstream);
            }
            let values = cx.param_values(0);
            for g in cx.upstream.chunks_exact_mut(width) {
                g.iter_mut().zip(values).for_each(|(g, &w)| *g *= w);
            }
        }
        let Some(x) = cx.operand(0) else { return };
        let n = T::of(width as f64);
        // dx = scale (g - mean(g) - z mean(g z)), with g already times w.
        let groups = x.upstream.chunks_exact(width).zip(normalized.chunks_exact(width)).zip(scales);
        for (into, ((g, z), &scale)) in x.into.chunks_exact_mut(width).zip(groups) {
            let mean = g.iter().copied().sum::<T>() / n;
            let slope = g.iter().zip(z).map(|(&g, &z)| g * z).sum::<T>() / n;
            x.write.all(into, g.iter().zip(z).map(|(&g, &z)| scale * (g - mean - z * slope)));
        }
    }
}
