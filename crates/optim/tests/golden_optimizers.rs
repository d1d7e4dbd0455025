//! Optimizers against PyTorch, Keras and optax: trajectories over stored gradients.

use serde_json::Value;
use tidemill_golden::{Case, Group, Outcome};
use tidemill_optim::{
    Average, Bias, Chain, ClipMode, Compose, EpsilonMode, Norm, adadelta, adagrad, adam, adamax, adamw, clip,
    clip_by_global_norm_with, ftrl, l2, lamb, lars, learning_rate, lion, nadam, radam, rmsprop, sgd,
};
use tidemill_tensor::{DType, Initializer, Layout, Scalar};

const STEPS: usize = 30;

#[test]
fn golden_optimizers_f64() {
    Group::load("optimizers").run(&[], check::<f64>);
}

#[test]
fn golden_optimizers_f32() {
    Group::load("optimizers").run(&[], check::<f32>);
}

fn check<T: Scalar>(case: &Case<'_>) -> Outcome {
    match case.kind {
        "logistic_regression" => return logistic_regression::<T>(case),
        "clip_value" | "clip_global_norm" => return clipped::<T>(case),
        "ema" => return averaged::<T>(case),
        _ => {}
    }
    let Some(chain) = declared(case) else {
        return Outcome::NotCovered("no such optimizer here");
    };
    trajectory::<T>(case, &chain);
    Outcome::Checked
}

/// The chain that a case describes.
fn declared(case: &Case<'_>) -> Option<Chain> {
    let x = |name: &str| case.number(name);
    let decay = |name: &str| if case.params[name].is_null() { Chain::new() } else { l2(x(name)) };
    let chain = match case.kind {
        "sgd" => {
            let sgd = sgd(x("lr")).momentum(x("momentum")).dampening(x("dampening"));
            if case.flag("nesterov") { sgd.nesterov().into() } else { sgd.into() }
        }
        "adam" => {
            let mode = match case.params["epsilon_mode"].as_str() {
                Some("torch") => EpsilonMode::Torch,
                Some("keras") => EpsilonMode::Keras,
                other => panic!("{}: epsilon_mode {other:?}", case.name),
            };
            let adam = adam(x("lr")).beta1(x("beta1")).beta2(x("beta2")).epsilon(x("eps"), mode);
            if case.flag("amsgrad") { adam.amsgrad().into() } else { adam.into() }
        }
        "adamw" => {
            let adam = adamw(x("lr")).beta1(x("beta1")).beta2(x("beta2")).epsilon(x("eps"), EpsilonMode::Torch);
            let adam = adam.weight_decay(x("weight_decay"));
            return Some(if case.flag("amsgrad") { adam.amsgrad().into() } else { adam.into() });
        }
        "rmsprop" => {
            let rmsprop = rmsprop(x("lr")).alpha(x("alpha")).epsilon(x("eps")).momentum(x("momentum"));
            if case.flag("centered") { rmsprop.centered().into() } else { rmsprop.into() }
        }
        "adagrad" => adagrad(x("lr"))
            .lr_decay(x("lr_decay"))
            .initial_accumulator(x("initial_accumulator_value"))
            .epsilon(x("eps"))
            .into(),
        "adadelta" => adadelta(x("lr")).rho(x("rho")).epsilon(x("eps")).into(),
        "adamax" => adamax(x("lr")).beta1(x("beta1")).beta2(x("beta2")).epsilon(x("eps")).into(),
        "nadam" => {
            let nadam = nadam(x("lr")).beta1(x("beta1")).beta2(x("beta2")).epsilon(x("eps"));
            let nadam = nadam.momentum_decay(x("momentum_decay"));
            if case.flag("decoupled_weight_decay") {
                return Some(nadam.weight_decay(x("weight_decay")).into());
            }
            nadam.into()
        }
        "radam" => {
            let radam = radam(x("lr")).beta1(x("beta1")).beta2(x("beta2")).epsilon(x("eps"));
            if case.flag("decoupled_weight_decay") {
                return Some(radam.weight_decay(x("weight_decay")).into());
            }
            radam.into()
        }
        "lion" => {
            let lion = lion(x("lr")).beta1(x("beta1")).beta2(x("beta2"));
            return Some(lion.weight_decay(x("weight_decay")).into());
        }
        "lamb" => {
            let lamb = lamb(x("lr")).beta1(x("beta1")).beta2(x("beta2")).epsilon(x("eps"));
            return Some(lamb.weight_decay(x("weight_decay")).into());
        }
        "lars" => {
            let lars = lars(x("lr")).trust_coefficient(x("trust_coefficient")).epsilon(x("eps"));
            let lars = lars.momentum(x("momentum")).weight_decay(x("weight_decay"));
            return Some(if case.flag("nesterov") { lars.nesterov().into() } else { lars.into() });
        }
        "ftrl" => ftrl(x("lr"))
            .learning_rate_power(x("learning_rate_power"))
            .initial_accumulator(x("initial_accumulator_value"))
            .l1(x("l1"))
            .l2(x("l2"))
            .l2_shrinkage(x("l2_shrinkage"))
            .beta(x("beta"))
            .into(),
        "clip_global_norm_sgd" => clip_by_global_norm_with(x("max_norm"), Norm::L2, ClipMode::Torch)
            .then(sgd(x("lr")).momentum(x("momentum"))),
        _ => return None,
    };
    Some(decay("weight_decay").then(chain))
}

fn layout(case: &Case<'_>, names: [&str; 2]) -> Layout {
    let mut layout = Layout::new();
    for (name, tensor) in ["w", "b"].iter().zip(names) {
        let tensor = case.tensor(tensor);
        let shape = if tensor.shape.first() == Some(&STEPS) { &tensor.shape[1..] } else { &tensor.shape };
        layout.push(*name, shape, Initializer::Constant(0.0)).unwrap();
    }
    layout
}

/// The values of both tensors at one step, as one arena.
fn at<T: Scalar>(case: &Case<'_>, names: [&str; 2], step: usize) -> Vec<T> {
    let of = |name| {
        let values = case.tensor(name).values;
        let n = values.len() / STEPS;
        values[step * n..(step + 1) * n].iter().map(|&x| T::of(x)).collect::<Vec<T>>()
    };
    names.into_iter().flat_map(of).collect()
}

fn trajectory<T: Scalar>(case: &Case<'_>, chain: &Chain) {
    let layout = layout(case, ["w0", "b0"]);
    let optimizer = chain.build::<T>(&layout).unwrap();
    let first = [case.tensor("w0").values, case.tensor("b0").values].concat();
    let mut parameters: Vec<T> = first.into_iter().map(T::of).collect();
    let mut state = optimizer.initial_state();
    for step in 0..STEPS {
        // As the engines do: sums of gradients, and one division. A power of two, so that both are exact.
        let mut gradients: Vec<T> = at(case, ["grad_w", "grad_b"], step);
        gradients.iter_mut().for_each(|g| *g *= T::of(64.0));
        optimizer.update(step as u64, T::of(1.0 / 64.0), &mut parameters, &mut gradients, &mut state);
        close::<T>(case, &format!("step {step}"), &parameters, &at::<f64>(case, ["traj_w", "traj_b"], step));
    }
}

/// Without momentum and with a rate of one, the parameters move by the clipped gradient.
fn clipped<T: Scalar>(case: &Case<'_>) -> Outcome {
    let chain = match case.kind {
        "clip_value" => clip(case.number("clip_value")),
        _ => {
            let norm = match &case.params["norm_type"] {
                Value::String(name) if name == "inf" => Norm::Max,
                Value::Number(two) if two.as_f64() == Some(2.0) => Norm::L2,
                other => panic!("{}: norm_type {other}", case.name),
            };
            let mode = match case.params["eps_mode"].as_str() {
                Some("torch") => ClipMode::Torch,
                Some("exact") => ClipMode::Exact,
                other => panic!("{}: eps_mode {other:?}", case.name),
            };
            clip_by_global_norm_with(case.number("max_norm"), norm, mode)
        }
    };
    let optimizer = chain.then(learning_rate(1.0)).build::<T>(&layout(case, ["grad_w", "grad_b"])).unwrap();
    for step in 0..STEPS {
        let mut gradients: Vec<T> = at(case, ["grad_w", "grad_b"], step);
        let mut parameters = vec![T::zero(); gradients.len()];
        let mut state = optimizer.initial_state();
        optimizer.update(step as u64, T::one(), &mut parameters, &mut gradients, &mut state);
        let moved: Vec<T> = parameters.into_iter().map(|p| -p).collect();
        close::<T>(case, &format!("step {step}"), &moved, &at::<f64>(case, ["clipped_w", "clipped_b"], step));
    }
    Outcome::Checked
}

fn averaged<T: Scalar>(case: &Case<'_>) -> Outcome {
    let bias = if case.flag("debias") { Bias::Corrected } else { Bias::Initial };
    let average = Average::new(case.number("decay"), bias).unwrap();
    let first: Vec<T> = [case.tensor("w0").values, case.tensor("b0").values].concat().into_iter().map(T::of).collect();
    let mut state = average.initial_state(&first);
    let mut read = vec![T::zero(); first.len()];
    for step in 0..STEPS {
        average.update(&at::<T>(case, ["traj_w", "traj_b"], step), &mut state);
        average.read(step as u64, &state, &mut read);
        close::<T>(case, &format!("step {step}"), &read, &at::<f64>(case, ["ema_w", "ema_b"], step));
    }
    Outcome::Checked
}

/// Full batches, and the gradient of the mean binary cross-entropy by hand.
fn logistic_regression<T: Scalar>(case: &Case<'_>) -> Outcome {
    let x: Vec<T> = case.tensor("x").values.into_iter().map(T::of).collect();
    let y: Vec<T> = case.tensor("y").values.into_iter().map(T::of).collect();
    let columns = x.len() / y.len();
    let mut layout = Layout::new();
    layout.push("w", &[columns], Initializer::Constant(0.0)).unwrap();
    layout.push("b", &[1], Initializer::Constant(0.0)).unwrap();

    let number = |name: &str| case.number(name);
    let adam = adam(number("lr")).beta1(number("beta1")).beta2(number("beta2"));
    let chain = l2(number("weight_decay")).then(adam.epsilon(number("eps"), EpsilonMode::Torch));
    let optimizer = chain.build::<T>(&layout).unwrap();
    let mut state = optimizer.initial_state();
    let mut parameters = vec![T::zero(); columns + 1];
    let weight = T::of(1.0 / y.len() as f64);
    let mut losses = Vec::new();
    for step in 0..=case.count("steps") {
        let (loss, mut gradients) = cross_entropy(&x, &y, &parameters);
        losses.push((loss * weight).widen());
        if step < case.count("steps") {
            optimizer.update(step as u64, weight, &mut parameters, &mut gradients, &mut state);
        }
    }
    let tolerance = if T::DTYPE == DType::F64 { 1e-9 } else { 1e-4 };
    case.close("loss", losses, &case.tensor("loss").values, tolerance, tolerance);
    let want = [case.tensor("w").values, case.tensor("b").values].concat();
    case.close("parameters", parameters.iter().map(|p| p.widen()), &want, tolerance, tolerance);
    Outcome::Checked
}

/// The sum over rows of the loss, and its gradient for weights and bias.
fn cross_entropy<T: Scalar>(x: &[T], y: &[T], parameters: &[T]) -> (T, Vec<T>) {
    let (bias, w) = parameters.split_last().unwrap();
    let mut gradients = vec![T::zero(); parameters.len()];
    let mut loss = T::zero();
    for (row, &y) in x.chunks_exact(w.len()).zip(y) {
        let z = *bias + row.iter().zip(w).map(|(&x, &w)| x * w).sum::<T>();
        loss += z.max(T::zero()) - z * y + (-z.abs()).exp().ln_1p();
        let error = T::one() / (T::one() + (-z).exp()) - y;
        for (g, &x) in gradients.iter_mut().zip(row) {
            *g += error * x;
        }
        gradients[w.len()] += error;
    }
    (loss, gradients)
}

fn close<T: Scalar>(case: &Case<'_>, what: &str, got: &[T], want: &[f64]) {
    let (atol, rtol) = if T::DTYPE == DType::F64 { (1e-10, 1e-9) } else { (1e-5, 1e-5) };
    case.close(what, got.iter().map(|x| x.widen()), want, atol, rtol);
}
