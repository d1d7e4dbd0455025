//! Chains against a slow, obvious implementation in `f64`: one closure for each transform, one element after another.

use tidemill_optim::{
    Chain, Compose, Schedule, adagrad, adam, clip, clip_by_global_norm, l1, l2, learning_rate, momentum, scale, sgd,
    weight_decay,
};
use tidemill_tensor::{Initializer, Key, Layout};

/// From the updates and parameters of all elements, and the step, the new updates of all elements.
type Slow = Box<dyn FnMut(&mut [f64], &[f64], u64)>;

#[test]
fn sgd_after_everything() {
    let halved = Schedule::step(0.5, 2, 0.5);
    check(
        l2(0.1).then(l1(0.2)).then(clip(0.7)).then(clip_by_global_norm(3.0)).then(sgd(halved)),
        vec![slow_l2(0.1), slow_l1(0.2), slow_clip(0.7), slow_global_norm(3.0), slow_halving(0.5)],
    );
}

#[test]
fn decoupled_decay_between_momentum_and_rate() {
    check(
        momentum(0.8).then(weight_decay(0.3)).then(learning_rate(0.1)),
        vec![slow_momentum(0.8), slow_l2(0.3), slow_scale(0.1)],
    );
}

#[test]
fn the_norm_is_of_what_came_before() {
    check(
        l2(5.0).then(clip_by_global_norm(0.5)).then(l2(0.1)).then(clip_by_global_norm(0.4)).then(adam(0.1)),
        vec![slow_l2(5.0), slow_global_norm(0.5), slow_l2(0.1), slow_global_norm(0.4), slow_adam(), slow_scale(0.1)],
    );
}

#[test]
fn a_rate_that_is_not_last() {
    // A rate that changes: a constant one may be multiplied anywhere.
    let halved = Schedule::step(0.5, 2, 0.5);
    check(
        learning_rate(halved).then(momentum(0.9)).then(scale(0.5)),
        vec![slow_halving(0.5), slow_momentum(0.9), slow_scale(0.5)],
    );
}

#[test]
fn a_long_chain_takes_several_passes() {
    let long = (0..30).fold(Chain::new(), |chain, _| chain.then(momentum(0.3)));
    let slow = (0..30).map(|_| slow_momentum(0.3)).chain([slow_scale(0.01)]).collect();
    check(long.then(learning_rate(0.01)), slow);
}

#[test]
fn adagrad_on_a_clipped_gradient() {
    check(clip(0.3).then(adagrad(0.1)), vec![slow_clip(0.3), slow_adagrad(), slow_scale(0.1)]);
}

fn check(chain: Chain, mut slow: Vec<Slow>) {
    let mut layout = Layout::new();
    layout.push("weight", &[70, 30], Initializer::Normal { std: 1.0 }).unwrap();
    layout.push("bias", &[30], Initializer::Normal { std: 1.0 }).unwrap();
    let optimizer = chain.build::<f64>(&layout).unwrap();
    let mut parameters = layout.initialize::<f64>(Key::new(0));
    let mut want = parameters.clone();
    let mut state = optimizer.initial_state();
    for step in 0..6 {
        let gradients = layout.initialize::<f64>(Key::new(10 + step));
        optimizer.update(step, 0.25, &mut parameters, &mut gradients.clone(), &mut state);

        let mut updates: Vec<f64> = gradients.iter().map(|g| 0.25 * g).collect();
        slow.iter_mut().for_each(|transform| transform(&mut updates, &want, step));
        want.iter_mut().zip(&updates).for_each(|(p, u)| *p -= u);
        for (i, (got, want)) in parameters.iter().zip(&want).enumerate() {
            assert!(
                (got - want).abs() <= 1e-12 * want.abs().max(1.0),
                "{chain:?}, step {step}: [{i}] {got}, want {want}"
            );
        }
    }
}

fn each(f: impl Fn(f64, f64) -> f64 + 'static) -> Slow {
    Box::new(move |u, p, _| (0..u.len()).for_each(|i| u[i] = f(u[i], p[i])))
}

fn slow_l2(strength: f64) -> Slow {
    each(move |u, p| u + strength * p)
}

fn slow_l1(strength: f64) -> Slow {
    each(move |u, p| u + if p == 0.0 { 0.0 } else { strength * p.signum() })
}

fn slow_clip(bound: f64) -> Slow {
    each(move |u, _| u.clamp(-bound, bound))
}

fn slow_scale(factor: f64) -> Slow {
    each(move |u, _| factor * u)
}

fn slow_halving(first: f64) -> Slow {
    Box::new(move |u, _, step| u.iter_mut().for_each(|u| *u *= first / f64::from(1 << (step / 2))))
}

fn slow_global_norm(max_norm: f64) -> Slow {
    Box::new(move |u, _, _| {
        let norm = u.iter().map(|u| u * u).sum::<f64>().sqrt();
        let factor = (max_norm / (norm + 1e-6)).min(1.0);
        assert!(factor < 1.0, "this would test nothing: the norm is {norm}");
        u.iter_mut().for_each(|u| *u *= factor);
    })
}

fn slow_momentum(momentum: f64) -> Slow {
    let mut velocity = vec![0.0; 10_000];
    Box::new(move |u, _, _| {
        for (u, b) in u.iter_mut().zip(&mut velocity) {
            *b = momentum * *b + *u;
            *u = *b;
        }
    })
}

fn slow_adagrad() -> Slow {
    let mut sums = vec![0.0; 10_000];
    Box::new(move |u, _, _| {
        for (u, s) in u.iter_mut().zip(&mut sums) {
            *s += *u * *u;
            *u /= s.sqrt() + 1e-10;
        }
    })
}

fn slow_adam() -> Slow {
    let mut moments = vec![[0.0; 2]; 10_000];
    Box::new(move |u, _, step| {
        let t = step as i32 + 1;
        for (u, [m, v]) in u.iter_mut().zip(&mut moments) {
            *m = 0.9 * *m + 0.1 * *u;
            *v = 0.999 * *v + 0.001 * *u * *u;
            let (m, v) = (*m / (1.0 - 0.9_f64.powi(t)), *v / (1.0 - 0.999_f64.powi(t)));
            *u = m / (v.sqrt() + 1e-8);
        }
    })
}
