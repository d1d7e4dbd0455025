use tidemill_autograd::tensor::kernels;
use tidemill_autograd::{Backward, Bound, Error, Forward, Graph, Head, Kernel, Op, Scalar, Specs, Var, Write, ops};

use crate::Loss;
use crate::loss::compared;

/// `loss = -(1 - ε) w_y ln p_y - ε/K Σₖ wₖ ln pₖ`, where `p = softmax(z)` of logits `z` and `y` is the target's class.
/// What the model predicts is `p`.
///
/// The label smoothing `ε` is zero and the class weights `w` are one unless given.
///
/// Class weights multiply a row's loss and leave what it is averaged by alone, as Keras's `class_weight` and PyTorch's
/// reductions `sum` and `none` do. PyTorch's `mean` divides by the sum of the weights instead: without smoothing, that is
/// what comes of giving no class weights here, and `w_y` as the weight of each row. PyTorch's `ignore_index` is a row
/// weight of zero.
///
/// # Shapes
///
/// Logits `[K]`, target one class below `K`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_losses::{Loss, SoftmaxCrossEntropy};
///
/// let mut graph = Graph::new();
/// let logits = graph.input("logits", &[10])?;
/// let head = SoftmaxCrossEntropy::new().label_smoothing(0.1).apply(&mut graph, logits)?;
/// assert_eq!(graph.shape(head.prediction()), [10]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// C. Szegedy et al., *Rethinking the Inception architecture for computer vision*, 2016 (label smoothing).
#[derive(Clone, Debug, Default)]
pub struct SoftmaxCrossEntropy {
    smoothing: f64,
    weights: Option<Vec<f64>>,
}

impl SoftmaxCrossEntropy {
    /// Without smoothing, all classes weighing one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much of the target is spread over all classes, `0 <= ε < 1`.
    #[must_use]
    pub fn label_smoothing(mut self, epsilon: f64) -> Self {
        self.smoothing = epsilon;
        self
    }

    /// How much each class weighs.
    #[must_use]
    pub fn class_weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// The checked settings for this many classes.
    fn op(&self, classes: usize) -> Result<CrossEntropy, String> {
        let weights = self.weights.clone().unwrap_or_else(|| vec![1.0; classes]);
        if weights.len() != classes {
            return Err(format!("{} class weights for {classes} classes", weights.len()));
        }
        if let Some(weight) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(format!("a class weight is {weight}, expected a number not below zero"));
        }
        if !(0.0..1.0).contains(&self.smoothing) {
            return Err(format!("label smoothing is {}, expected 0 <= ε < 1", self.smoothing));
        }
        let plain = self.smoothing == 0.0 && weights.iter().all(|&w| w == 1.0);
        let uniform = self.smoothing / classes as f64;
        Ok(CrossEntropy { plain, chosen: 1.0 - self.smoothing, uniform, total: weights.iter().sum(), weights })
    }
}

const NAME: &str = "softmax cross entropy";

impl Loss for SoftmaxCrossEntropy {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        let invalid = |problem: String| Error::invalid(NAME, problem);
        let &[width] = graph.shape(prediction) else {
            let (label, shape) = (graph.label(prediction), graph.shape(prediction));
            return Err(invalid(format!("{label} is {shape:?}, expected one axis of classes")));
        };
        if width < 2 {
            let label = graph.label(prediction);
            return Err(invalid(format!("{label} has one class; for yes or no use the binary cross entropy")));
        }
        let classes = u32::try_from(width).map_err(|_| invalid(format!("{width} classes are too many")))?;
        let op = self.op(width).map_err(invalid)?;
        let target = graph.index_target(target, classes)?;
        let loss = graph.add(op, &[prediction, target], &[])?;
        Ok(Head::with_loss(graph.add(ops::Softmax, &[prediction], &[])?, loss))
    }
}

#[derive(Clone, Debug)]
struct CrossEntropy {
    /// Neither smoothed nor weighted.
    plain: bool,
    /// `1 - ε`.
    chosen: f64,
    /// `ε / K`.
    uniform: f64,
    weights: Vec<f64>,
    /// `Σₖ wₖ`.
    total: f64,
}

impl CrossEntropy {
    fn classes(&self) -> usize {
        self.weights.len()
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        compared(specs.operands)?;
        // The probabilities.
        Ok(Bound::new([], self.clone()).saves(self.classes()))
    }
}

impl<T: Scalar> Kernel<T> for CrossEntropy {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (z, classes) = (cx.operand(0), cx.indices(1));
        cx.saved.copy_from_slice(z);
        kernels::softmax_cross_entropy(cx.saved, classes, cx.output);
        if self.plain {
            return;
        }
        let rows = z.chunks_exact(self.classes()).zip(cx.saved.chunks_exact(self.classes()));
        for ((loss, &class), (z, p)) in cx.output.iter_mut().zip(classes).zip(rows) {
            // -ln p = (max - z) + ln s with s = Σ exp(z - max): no digits are lost where logits are large, as they would be
            // in ln Σ exp z. The largest probability is 1/s.
            // What weighs nothing adds nothing, though its logit be minus infinity.
            let weighed = |weight: f64, loss: T| if weight == 0.0 { T::zero() } else { T::of(weight) * loss };
            let mut all = T::zero();
            if self.uniform != 0.0 {
                let larger = |a: T, &b: &T| if b > a { b } else { a };
                let max = z.iter().fold(T::neg_infinity(), larger);
                let log_sum = -p.iter().fold(T::zero(), larger).ln();
                all = z.iter().zip(&self.weights).map(|(&z, &w)| weighed(w, (max - z) + log_sum)).sum();
            }
            *loss = weighed(self.chosen * self.weights[class as usize], *loss) + T::of(self.uniform) * all;
        }
    }

    // dzₖ = g (((1 - ε) w_y + ε/K Σⱼ wⱼ) pₖ - ε/K wₖ - (1 - ε) w_y [k = y])
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (p, classes) = (cx.saved, cx.indices(1));
        let Some(z) = cx.operand(0) else { return };
        if self.plain && z.write == Write::Assign {
            return kernels::softmax_cross_entropy_backward(z.into, p, classes, z.upstream);
        }
        let rows = z.into.chunks_exact_mut(self.classes()).zip(p.chunks_exact(self.classes()));
        for (((into, p), &class), &g) in rows.zip(classes).zip(&*z.upstream) {
            let chosen = self.chosen * self.weights[class as usize];
            let (all, uniform) = (g * T::of(chosen + self.uniform * self.total), g * T::of(self.uniform));
            z.write.all(into, p.iter().zip(&self.weights).map(|(&p, &w)| all * p - uniform * T::of(w)));
            into[class as usize] -= g * T::of(chosen);
        }
    }
}
