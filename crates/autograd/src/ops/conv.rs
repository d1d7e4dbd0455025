use std::sync::Arc;

use tidemill_tensor::kernels::{self, Activation};
use tidemill_tensor::{Convolution, Scalar, Window};

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y[o, p] = f(b[o] + Σ_c Σ_t w[o, c, t] x[c, stride p + dilation t - padding])`: a [`Convolution`], which is a
/// cross-correlation as in every framework; `f` is the identity until an activation is fused.
///
/// # Shapes
///
/// In two dimensions `x [C, H, W]`, `w [O, C / groups, kh, kw]`, `y [O, H', W']`; in one `x [C, T]`,
/// `w [O, C / groups, k]`, `y [O, T']`. `b [O]` or absent.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    sizes: Convolution,
    axes: Axes,
    activation: Activation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axes {
    Time,
    HeightAndWidth,
}

impl Conv {
    /// Over the height and width of images.
    pub fn two_dimensional(sizes: Convolution) -> Self {
        Self { sizes, axes: Axes::HeightAndWidth, activation: Activation::Identity }
    }

    /// Over time: the sizes are those of an image of one row.
    pub fn one_dimensional(sizes: Convolution) -> Self {
        Self { sizes, axes: Axes::Time, activation: Activation::Identity }
    }

    /// `count` and then the sizes of the axes that it goes over.
    fn shape(&self, counts: &[usize], [height, width]: [usize; 2]) -> Vec<usize> {
        match self.axes {
            Axes::Time => [counts, &[width]].concat(),
            Axes::HeightAndWidth => [counts, &[height, width]].concat(),
        }
    }
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let [x] = specs.reals()?;
        let (given, bias) = super::weight_and_bias(specs)?;
        let Convolution { channels, outputs, groups, image, window } = self.sizes;
        if self.axes == Axes::Time && (image[0], window.kernel[0], window.padding[0]) != (1, 1, 0) {
            let Window { kernel, padding, .. } = window;
            return Err(format!(
                "a window of {kernel:?} with padding {padding:?} does not stay in one row of {image:?}"
            ));
        }
        let expected = self.shape(&[channels], image);
        if x.shape != expected {
            return Err(format!("{} is {:?}, expected {expected:?}", x.label, x.shape));
        }
        if !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(format!("{groups} groups do not divide {channels} channels and {outputs} outputs"));
        }
        let weight = self.shape(&[outputs, channels / groups], window.kernel);
        if *given != weight {
            return Err(format!("weight is {given:?}, expected {weight:?}"));
        }
        if let Some(bias) = bias.filter(|bias| **bias != [outputs]) {
            return Err(format!("bias {bias:?} does not fit weight {weight:?}"));
        }
        let places = window.output(image).map_err(|error| error.to_string())?;
        let shape = self.shape(&[outputs], places);
        let elements = shape.iter().product::<usize>();
        let saved = if self.activation.saves_input() { elements } else { 0 };
        Ok(Bound::new(shape, *self).saves(saved).multiplications(elements * weight[1..].iter().product::<usize>()))
    }

    fn with_activation(&self, activation: Activation) -> Option<Arc<dyn Op>> {
        (self.activation == Activation::Identity).then(|| Arc::new(Self { activation, ..*self }) as Arc<dyn Op>)
    }
}

impl<T: Scalar> Kernel<T> for Conv {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (x, w) = (cx.operand(0), cx.param(0));
        let bias = (cx.param_count() == 2).then(|| cx.param(1));
        let activation = self.activation;
        if activation.saves_input() {
            self.sizes.forward(x, w, bias, cx.saved, |_| ());
            activation.forward_into(cx.saved, cx.output);
        } else {
            self.sizes.forward(x, w, bias, cx.output, |sums| activation.forward(sums));
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (x, w) = (cx.operand_values(0), cx.param_values(0));
        let saved = if self.activation.saves_input() { cx.saved } else { cx.output };
        let len: usize = cx.shape.iter().product();
        let activate = |row: usize, g: &mut [T]| self.activation.backward(&saved[row * len..][..len], g);

        let has_bias = cx.param_count() == 2;
        if let Some(both) = if has_bias { cx.two_params([0, 1]) } else { None } {
            let [weight, bias] = both.into;
            both.writes[0].begin(weight);
            both.writes[1].begin(bias);
            self.sizes.backward_weight(x, both.upstream, weight, Some(bias), activate);
        } else {
            if let Some(weight) = cx.param(0) {
                weight.write.begin(weight.into);
                self.sizes.backward_weight(x, weight.upstream, weight.into, None, activate);
            } else {
                cx.upstream.chunks_exact_mut(len).enumerate().for_each(|(row, g)| activate(row, g));
            }
            if let Some(bias) = if has_bias { cx.param(1) } else { None } {
                bias.write.begin(bias.into);
                let plane = len / bias.into.len();
                for (plane, i) in bias.upstream.chunks_exact(plane).zip((0..bias.into.len()).cycle()) {
                    bias.into[i] += T::of(kernels::sum(plane));
                }
            }
        }
        if let Some(input) = cx.operand(0) {
            self.sizes.backward_input(input.upstream, w, input.into, input.write);
        }
    }
}
