//! Every rule with a decay against the equations in 60 digits, for decays from 0 to almost 1, in both precisions.

use tidemill_optim::{
    Average, Bias, Chain, Compose, EpsilonMode, adadelta, adam, adamax, lamb, momentum, nadam, radam, rmsprop, sgd,
};
use tidemill_tensor::{Initializer, Layout, Scalar};

/// Written by `decays/table.py`: rule, `β₁`, `β₂`, how far one parameter moves from 0, and along how long a path.
const TABLE: &str = include_str!("decays/table.csv");

const STEPS: u64 = 60;
/// Powers of two, to be the same numbers in both precisions.
const LR: f64 = 1.0 / 1024.0;
const EPSILON: f64 = 1.0 / (1 << 27) as f64;

fn gradient<T: Scalar>(step: u64) -> T {
    T::of(((step * 7 % 11) as f64 - 4.0) / 8.0)
}

fn chain(rule: &str, beta1: f64, beta2: f64) -> Chain {
    let adam = || adam(LR).beta1(beta1).beta2(beta2).epsilon(EPSILON, EpsilonMode::Torch);
    match rule {
        "adam" => adam().into(),
        "adam_keras" => adam().epsilon(EPSILON, EpsilonMode::Keras).into(),
        "amsgrad" => adam().amsgrad().into(),
        "nadam" => nadam(LR).beta1(beta1).beta2(beta2).epsilon(EPSILON).momentum_decay(1.0 / 256.0).into(),
        "radam" => radam(LR).beta1(beta1).beta2(beta2).epsilon(EPSILON).into(),
        "adamax" => adamax(LR).beta1(beta1).beta2(beta2).epsilon(EPSILON).into(),
        "rmsprop" => rmsprop(LR).alpha(beta2).epsilon(EPSILON).into(),
        "centered" => rmsprop(LR).alpha(beta2).epsilon(EPSILON * f64::from(1 << 20)).centered().into(),
        "adadelta" => adadelta(LR).rho(beta2).epsilon(EPSILON).into(),
        "momentum" => sgd(LR).momentum(beta2).into(),
        "nesterov" => sgd(LR).momentum(beta2).nesterov().into(),
        "dampened" => sgd(LR).momentum(beta2).dampening(beta2).into(),
        _ => panic!("{rule} is not known here"),
    }
}

fn one_parameter() -> Layout {
    let mut layout = Layout::new();
    layout.push("w", &[1], Initializer::Constant(0.0)).unwrap();
    layout
}

fn moved<T: Scalar>(chain: &Chain) -> f64 {
    let optimizer = chain.build::<T>(&one_parameter()).unwrap();
    let (mut w, mut state) = ([T::zero()], optimizer.initial_state());
    (0..STEPS).for_each(|step| optimizer.update(step, T::one(), &mut w, &mut [gradient(step)], &mut state));
    w[0].widen()
}

fn averaged<T: Scalar>(decay: f64) -> f64 {
    let average = Average::new(decay, Bias::Corrected).unwrap();
    let (mut state, mut read) = (average.initial_state(&[T::zero()]), [T::nan()]);
    (0..STEPS).for_each(|step| average.update(&[gradient(step)], &mut state));
    average.read(STEPS - 1, &state, &mut read);
    read[0].widen()
}

fn rows() -> impl Iterator<Item = (&'static str, [f64; 4])> {
    TABLE.lines().skip(1).map(|line| {
        let (rule, numbers) = line.split_once(',').unwrap();
        let numbers: Vec<f64> = numbers.split(',').map(|number| number.parse().unwrap()).collect();
        (rule, numbers.try_into().unwrap())
    })
}

fn check<T: Scalar>(tolerance: f64) {
    let mut worst = (0.0, String::new());
    for (rule, [beta1, beta2, want, path]) in rows() {
        let got = if rule == "average" { averaged::<T>(beta2) } else { moved::<T>(&chain(rule, beta1, beta2)) };
        let error = (got - want).abs() / path;
        assert!(error.is_finite(), "{rule}, {beta1}, {beta2}: {got}");
        if error > worst.0 {
            worst = (error, format!("{rule}, {beta1}, {beta2}: {got}, not {want}"));
        }
    }
    assert!(worst.0 <= tolerance, "{:e} of the path: {}", worst.0, worst.1);
}

#[test]
fn cases_every_decay_is_what_was_asked_for_in_f32() {
    check::<f32>(2e-5);
}

#[test]
fn cases_every_decay_is_what_was_asked_for_in_f64() {
    check::<f64>(1e-12);
}

/// With one gradient again and again, all of these move by the learning rate at each step, whatever their decays are.
#[test]
fn cases_a_constant_gradient_moves_adam_by_the_learning_rate() {
    fn check<T: Scalar>(tolerance: f64) {
        for beta1 in [0.0, 0.4, 0.9, 0.999_999_99] {
            for beta2 in [0.0, 0.9, 0.999, 0.999_99, 0.999_999, 0.999_999_9, 0.999_999_99, 1.0 - f64::EPSILON] {
                for name in ["adam", "adam_keras", "amsgrad"] {
                    let optimizer = chain(name, beta1, beta2).build::<T>(&one_parameter()).unwrap();
                    let (mut w, mut state) = ([T::zero()], optimizer.initial_state());
                    for step in 0..3000 {
                        optimizer.update(step, T::one(), &mut w, &mut [T::of(0.25)], &mut state);
                    }
                    // Where epsilon is added to an uncorrected second moment it counts more.
                    let epsilon = if name == "adam_keras" { EPSILON / (0.25 * (1.0 - beta2).sqrt()) } else { 1e-7 };
                    let error = (w[0].widen() / (-3000.0 * LR) - 1.0).abs();
                    assert!(error <= tolerance + epsilon, "{name}, {beta1}, {beta2}: {}", w[0]);
                }
            }
        }
    }
    check::<f32>(2e-4);
    check::<f64>(1e-9);
}

/// LAMB's direction is Adam's, scaled to the size of the parameter.
#[test]
fn lamb_takes_decays_near_one() {
    for beta2 in [0.999, 0.999_999_9, 0.999_999_99] {
        let optimizer = Chain::from(lamb(LR).beta2(beta2)).build::<f32>(&one_parameter()).unwrap();
        let (mut w, mut state) = ([1.0], optimizer.initial_state());
        (0..100).for_each(|step| optimizer.update(step, 1.0, &mut w, &mut [0.5], &mut state));
        let want = (1.0 - LR).powi(100);
        assert!((f64::from(w[0]) - want).abs() < 1e-5, "{beta2}: {}, not {want}", w[0]);
    }
}

/// What momentum comes to under one gradient for ever, `g / (1 − μ)`.
#[test]
fn momentum_near_one_settles_where_it_should() {
    let mu = 1.0 - 1e-7;
    let optimizer = momentum(mu).then(tidemill_optim::learning_rate(0.0)).build::<f32>(&one_parameter()).unwrap();
    // Almost there: another step changes nothing.
    let mut state = vec![1e7_f32; optimizer.initial_state().len()];
    for step in 1..1000 {
        optimizer.update(step, 1.0, &mut [0.0], &mut [1.0], &mut state);
    }
    assert_eq!(state, [1e7]);
}
