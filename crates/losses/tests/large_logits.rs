//! Losses of logits of any size, against the equation in `f64` with the largest logit taken off first.

use tidemill_autograd::{Domain, Graph, Mode, Program, Run, Scalar, Slices, Workspace, Write, ops};
use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss, SoftmaxCrossEntropy};

/// Loss and gradient of one row.
fn one_row<T: Scalar>(loss: &dyn Loss, x: &[T], target: T) -> (f64, Vec<f64>) {
    let mut graph = Graph::new();
    let input = graph.input("x", &[x.len()]).unwrap();
    let y = graph.add(ops::Reshape::new([x.len()]), &[input], &[]).unwrap();
    let head = loss.apply(&mut graph, y).unwrap();
    let program: Program<T> = graph.compile_with_input_gradients(head).unwrap();
    let (reals, class) = ([target], [target.widen() as u32]);
    let inputs = Slices::new().reals(x);
    let inputs = match program.inputs()[1].domain {
        Domain::Real => inputs.reals(&reals),
        Domain::Index { .. } => inputs.indices(&class),
    };
    let run = Run { params: &[], inputs: &inputs, rows: 1, first_row: 0, weights: None, mode: Mode::Evaluate };
    let mut workspace = Workspace::new(&program, 1);
    program.forward(&run, &mut workspace);
    let value = workspace.losses()[0].widen();
    workspace.upstream().fill(T::one());
    program.backward(&run, &mut workspace, &mut [], Write::Assign);
    (value, workspace.input_gradient(0).unwrap().iter().map(|g| g.widen()).collect())
}

/// `(loss, gradient)` of smoothed, weighted cross entropy.
fn reference(z: &[f64], class: usize, smoothing: f64, weights: &[f64]) -> (f64, Vec<f64>) {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = z.iter().map(|z| (z - max).exp()).sum();
    let share = |k: usize| weights[k] * (smoothing / z.len() as f64 + if k == class { 1.0 - smoothing } else { 0.0 });
    let weighed = |k: usize, loss: f64| if share(k) == 0.0 { 0.0 } else { share(k) * loss };
    let loss = (0..z.len()).map(|k| weighed(k, (max - z[k]) + sum.ln())).sum();
    let total: f64 = (0..z.len()).map(share).sum();
    (loss, (0..z.len()).map(|k| total * (z[k] - max).exp() / sum - share(k)).collect())
}

fn close(what: &str, got: f64, want: f64, tolerance: f64) {
    let alike = got == want || (got - want).abs() <= tolerance * want.abs().max(0.2);
    assert!(alike, "{what}: {got}, not {want}");
}

fn check_softmax<T: Scalar>(tolerance: f64) {
    for level in [0.0, 1.0, -50.0, 1e4, -1e6, 1e8, -1e8, 1e15, -1e30, 1e37] {
        for apart in [[0.0, 0.0, 0.0], [0.0, 1.0, 3.0], [20.0, 0.0, -20.0], [0.0, 1e6, -1e6], [-1e8, 0.0, 1e8]] {
            let z: Vec<T> = apart.iter().map(|x| T::of(level + x)).collect();
            let wide: Vec<f64> = z.iter().map(|z| z.widen()).collect();
            for smoothing in [0.0, 0.1, 0.9] {
                for weights in [[1.0; 3], [0.5, 2.0, 1.0], [0.0, 1.0, 3.0], [1.0, 0.0, 0.0]] {
                    for class in 0..3 {
                        let loss = SoftmaxCrossEntropy::new().label_smoothing(smoothing).class_weights(weights);
                        let (got, gradient) = one_row::<T>(&loss, &z, T::of(class as f64));
                        let (want, slopes) = reference(&wide, class, smoothing, &weights);
                        let what = format!("{wide:?}, class {class}, smoothing {smoothing}, weights {weights:?}");
                        close(&what, got, want, tolerance);
                        for (got, want) in gradient.into_iter().zip(slopes) {
                            assert!((got - want).abs() <= tolerance * 4.0, "{what}: slope {got}, not {want}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn cases_smoothed_cross_entropy_of_large_logits_in_f32() {
    check_softmax::<f32>(2e-6);
    let loss = SoftmaxCrossEntropy::new().label_smoothing(0.1);
    for logit in [0.0_f32, 1e6, 1e8, -1e8, 1e38] {
        close(&format!("{logit}"), one_row(&loss, &[logit; 3], 0.0).0, 3.0_f64.ln(), 1e-6);
    }
}

#[test]
fn cases_smoothed_cross_entropy_of_large_logits_in_f64() {
    check_softmax::<f64>(1e-12);
}

/// A class that is ruled out by a logit of minus infinity, and by its weight where every class has a part in the loss.
#[test]
fn classes_may_be_ruled_out() {
    fn check<T: Scalar>() {
        let z = [T::of(1e8), T::neg_infinity(), T::of(1e8)];
        let plain = SoftmaxCrossEntropy::new();
        let (loss, gradient) = one_row(&plain, &z, T::zero());
        close("plain", loss, 2.0_f64.ln(), 1e-6);
        assert_eq!(gradient, [-0.5, 0.0, 0.5]);
        let (loss, _) = one_row(&plain, &z, T::one());
        assert_eq!(loss, f64::INFINITY);
        let smoothed = SoftmaxCrossEntropy::new().label_smoothing(0.3).class_weights([1.0, 0.0, 1.0]);
        let (loss, gradient) = one_row(&smoothed, &z, T::zero());
        close("smoothed", loss, 0.9 * 2.0_f64.ln(), 1e-6);
        assert!(gradient.iter().all(|g| g.is_finite()));
        assert!(one_row(&smoothed, &z, T::one()).0.is_finite());
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn binary_cross_entropy_keeps_its_digits_for_every_logit() {
    fn check<T: Scalar>(tolerance: f64) {
        for z in [0.0, 1e-3, 0.5, 5.0, 12.0, 20.0, 50.0, 1e4, 1e8, 1e30].into_iter().flat_map(|z| [z, -z]) {
            for (t, weight) in [(0.0, 1.0), (1.0, 1.0), (0.25, 1.0), (1.0, 7.0), (0.0, 7.0)] {
                let z = T::of(z);
                let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
                let want = weight * t * softplus(-z.widen()) + (1.0 - t) * softplus(z.widen());
                let loss = BinaryCrossEntropyWithLogits::new().positive_weight(weight);
                let (got, _) = one_row(&loss, &[z], T::of(t));
                // Relative, be the loss as small as it may.
                let small = T::min_positive_value().widen();
                assert!((got - want).abs() <= tolerance * want + small, "logit {z}, target {t}: {got}, not {want}");
            }
        }
    }
    check::<f32>(1e-6);
    check::<f64>(1e-14);
}
