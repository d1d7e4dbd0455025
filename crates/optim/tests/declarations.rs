//! What a chain says of its parameters and its hyper-parameters: selections, state, errors.

use tidemill_optim::{
    Average, Bias, Chain, Compose, EpsilonMode, Schedule, adagrad, adam, adamw, clip, clip_by_global_norm, ftrl, l1,
    l2, learning_rate, momentum, rmsprop, scale, sgd, trust_ratio, weight_decay,
};
use tidemill_tensor::{Initializer, Layout};

fn layout() -> Layout {
    let mut layout = Layout::new();
    for (name, len) in [("dense1.weight", 4), ("dense1.bias", 2), ("dense2.weight", 2), ("dense2.bias", 1)] {
        layout.push(name, &[len], Initializer::Constant(0.0)).unwrap();
    }
    layout
}

/// Where nine parameters of 1 are after one step of gradient 1.
fn moved(chain: Chain) -> Vec<f64> {
    let optimizer = chain.build::<f64>(&layout()).unwrap();
    let mut parameters = vec![1.0; 9];
    optimizer.update(0, 1.0, &mut parameters, &mut [1.0; 9], &mut optimizer.initial_state());
    parameters
}

#[test]
fn a_selection_restricts_a_regularizer() {
    let [w, b] = [1.0 - 0.5 * (1.0 + 0.5), 0.5];
    assert_eq!(moved(l2(0.5).only("*.weight").then(sgd(0.5))), [w, w, w, w, b, b, w, w, b]);
    assert_eq!(moved(l1(0.5).except("*.bias").then(sgd(0.5))), [w, w, w, w, b, b, w, w, b]);
    let both = l2(0.5).only("*.weight").only("dense2.*").then(sgd(0.5));
    assert_eq!(moved(both), [b, b, b, b, b, b, w, w, b]);
    assert_eq!(moved(sgd(0.5).then(scale(0.5).only("dense?.bias"))), [b, b, b, b, 0.75, 0.75, b, b, 0.75]);
}

#[test]
fn what_gets_no_learning_rate_stays() {
    let half = weight_decay(0.5).then(sgd(0.5).only("dense1.*"));
    let moved = moved(half);
    assert_eq!(moved, [0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 1.0, 1.0, 1.0]);
}

#[test]
fn every_group_has_its_optimizer() {
    let chain = sgd(0.5).only("dense1.*").then(sgd(0.25).momentum(0.9).only("dense2.*"));
    assert_eq!(moved(chain.clone()), [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.75, 0.75, 0.75]);
    assert_eq!(chain.build::<f32>(&layout()).unwrap().learning_rate(0), 0.5);
}

#[test]
fn a_selected_norm_is_of_the_selected() {
    // Six weights of gradient 1.
    let moved = moved(clip_by_global_norm(1.0).only("*.weight").then(sgd(1.0)));
    let weight = 1.0 - 1.0 / (6.0_f64.sqrt() + 1e-6);
    moved.iter().zip([1, 1, 1, 1, 0, 0, 1, 1, 0]).for_each(|(&p, is_weight)| {
        assert!((p - if is_weight == 1 { weight } else { 0.0 }).abs() < 1e-15, "{moved:?}");
    });
}

#[test]
fn decay_of_adamw_on_weights_only() {
    let moved = moved(adamw(0.5).weight_decay_only(0.5, "*.weight").into());
    assert!((moved[0] - 0.25).abs() < 1e-7 && (moved[4] - 0.5).abs() < 1e-7, "{moved:?}");
}

#[test]
fn state_is_named_and_covered() {
    let chain = clip_by_global_norm(1.0).then(adam(0.1).only("dense1.*")).then(adam(0.1).amsgrad().only("dense2.*"));
    let optimizer = chain.then(trust_ratio()).build::<f32>(&layout()).unwrap();
    let names: Vec<&str> = optimizer.state_blocks().iter().map(|b| b.name.as_str()).collect();
    let want = [
        "adam.first_moment",
        "adam.second_moment",
        "adam2.first_moment",
        "adam2.second_moment",
        "adam.second_moment_maximum",
        "clip_by_global_norm.factor",
        "trust_ratio.factor",
    ];
    assert_eq!(names, want);
    let mut end = 0;
    for block in optimizer.state_blocks() {
        assert_eq!(block.range.start, end);
        end = block.range.end;
    }
    assert_eq!(end, optimizer.state_len());
    assert_eq!(optimizer.initial_state().len(), end);
    assert_eq!(end, 5 * 9 + 1 + 4);
}

#[test]
fn a_model_without_parameters_is_fine() {
    let chain = clip_by_global_norm(1.0).then(adam(0.1)).then(trust_ratio());
    let optimizer = chain.build::<f32>(&Layout::new()).unwrap();
    optimizer.update(0, 1.0, &mut [], &mut [], &mut optimizer.initial_state());
}

#[test]
fn slots_start_where_they_are_told() {
    let optimizer = adagrad(0.1).initial_accumulator(0.25).build::<f32>(&layout()).unwrap();
    assert_eq!(optimizer.initial_state(), [0.25; 9]);
}

#[test]
fn errors_name_the_hyper_parameter() {
    let check = |chain: Chain, want: &str| {
        assert_eq!(chain.build::<f32>(&layout()).unwrap_err().to_string(), want);
        assert_eq!(chain.build::<f64>(&layout()).unwrap_err().to_string(), want);
    };
    check(adam(0.1).beta1(1.5).into(), "adam: beta1 is 1.5, expected 0 <= beta1 < 1");
    check(adamw(0.1).beta2(-0.5).into(), "adamw: beta2 is -0.5, expected 0 <= beta2 < 1");
    check(adam(0.1).epsilon(0.0, EpsilonMode::Keras).into(), "adam: epsilon is 0, expected epsilon > 0");
    check(adamw(0.1).weight_decay(-1.0).into(), "weight_decay: strength is -1, expected strength >= 0");
    check(sgd(-0.1).into(), "sgd: lr is -0.1, expected lr >= 0");
    check(rmsprop(f64::NAN).into(), "rmsprop: lr is NaN, expected lr >= 0");
    check(sgd(0.1).momentum(1.0).into(), "sgd: momentum is 1, expected 0 <= momentum < 1");
    check(sgd(0.1).nesterov().into(), "sgd: momentum is 0, expected momentum > 0 with nesterov or dampening");
    let contradiction = sgd(0.1).momentum(0.9).dampening(0.5).nesterov();
    check(contradiction.into(), "sgd: dampening is 0.5, expected dampening = 0 with nesterov");
    check(clip(0.0).then(sgd(0.1)), "clip: bound is 0, expected bound > 0");
    check(
        clip_by_global_norm(f64::INFINITY).then(sgd(0.1)),
        "clip_by_global_norm: max_norm is inf, expected max_norm > 0",
    );
    check(
        ftrl(0.1).learning_rate_power(0.5).into(),
        "ftrl: learning_rate_power is 0.5, expected learning_rate_power <= 0",
    );
    let cycle = Schedule::one_cycle(0.1, 100).pct_start(1.5);
    check(adam(cycle).into(), "adam, one-cycle schedule: pct_start is 1.5, expected 1/100 < pct_start < 1");
    assert_eq!(
        Average::new(1.0, Bias::Initial).unwrap_err().to_string(),
        "average: decay is 1, expected 0 <= decay < 1"
    );
}

#[test]
fn errors_name_the_selection() {
    let check = |chain: Chain, want: &str| {
        assert_eq!(chain.build::<f32>(&layout()).unwrap_err().to_string(), want);
    };
    check(
        l2(0.1).only("*.wieght").then(sgd(0.1)),
        "l2: no parameter matches \"*.wieght\"; the parameters are dense1.weight, dense1.bias, dense2.weight, dense2.bias",
    );
    check(
        l2(0.1).only("*.weight").except("dense*").then(sgd(0.1)),
        "l2: its selections (only \"*.weight\", except \"dense*\") leave no parameter over",
    );
    check(
        momentum(0.9),
        "the chain sets no learning rate; end it with learning_rate(...) or use an optimizer such as sgd(...)",
    );
    check(
        adam(0.1).then(sgd(0.1).only("dense2.*")),
        "parameter dense2.weight gets a learning rate from both adam and sgd; restrict one with only(...)",
    );
    check(
        learning_rate(0.1).then(ftrl(0.1)),
        "parameter dense1.weight gets a learning rate from both learning_rate and ftrl; restrict one with only(...)",
    );
}

#[test]
fn errors_name_the_schedule() {
    let check = |schedule: Schedule, want: &str| assert_eq!(schedule.check().unwrap_err().to_string(), want);
    check(Schedule::step(0.1, 0, 0.5), "step schedule: step_size is 0, expected step_size >= 1");
    check(
        Schedule::piecewise_constant(0.1, [(5, 0.5), (5, 0.5)]),
        "piecewise constant schedule: boundary is 5, expected each boundary after the one before, which is 5",
    );
    check(
        Schedule::warmup_cosine(0.0, 1.0, 10, 10, 0.0),
        "warm-up cosine schedule: decay_steps is 10, expected decay_steps > warmup_steps, which is 10",
    );
    check(Schedule::warm_restarts(0.1, 10, 0, 0.0), "warm restarts schedule: t_mult is 0, expected t_mult >= 1");
    check(Schedule::linear(f64::INFINITY, 0.0, 1), "linear schedule: init is inf, expected init >= 0");
    check(Schedule::exponential(0.1, 0.0, 1), "exponential schedule: rate is 0, expected rate > 0");
    check(Schedule::polynomial(0.1, 0.0, -1.0, 9), "polynomial schedule: power is -1, expected power > 0");
    check(Schedule::cosine(0.1, 0.0, 0), "cosine schedule: steps is 0, expected steps >= 1");
    check(Schedule::inverse_sqrt(0.1, 0), "inverse square root schedule: warmup is 0, expected warmup >= 1");
    check(Schedule::constant(-0.1), "constant schedule: lr is -0.1, expected lr >= 0");
    check(
        Schedule::exponential_decay(0.1, 0.5, 10).end(-1.0).into(),
        "exponential decay schedule: end is -1, expected end >= 0",
    );
    check(
        Schedule::join(0.1, [(5, 0.2.into()), (4, 0.3.into())]),
        "joined schedules: start is 4, expected each start after the one before, which is 5",
    );
    check(
        Schedule::join(0.1, [(5, Schedule::step(0.1, 3, -1.0))]).delayed(3),
        "step schedule: gamma is -1, expected gamma > 0",
    );
}

#[test]
fn unchecked_schedules_do_not_panic() {
    for schedule in [
        Schedule::step(0.1, 0, 0.5),
        Schedule::linear(0.1, 0.0, 0),
        Schedule::cosine(0.1, 0.0, 0),
        Schedule::warm_restarts(0.1, 0, 0, 0.0),
        Schedule::warm_restarts(0.1, 0, 2, 0.0),
        Schedule::piecewise_constant(0.1, [(5, 0.5), (3, 0.5)]),
        Schedule::join(0.1, [(5, 0.2.into()), (4, 0.3.into())]),
        Schedule::warmup_cosine(0.0, 1.0, 10, 5, 0.0),
        Schedule::one_cycle(0.1, 0).into(),
        Schedule::exponential_decay(0.0, 0.0, 0).end(0.0).into(),
        Schedule::inverse_sqrt(0.1, 0),
    ] {
        for step in [0, 1, 7, u64::MAX] {
            schedule.at(step);
        }
    }
}

/// Tables lie behind what was declared after them.
#[test]
fn a_layout_need_not_be_in_the_order_of_its_places() {
    let mut layout = Layout::new();
    for name in ["table", "weight"] {
        layout.push(name, &[2, 2], Initializer::Constant(0.0)).unwrap();
    }
    layout.set_table(0);
    let optimizer = adam(0.5).build::<f64>(&layout).unwrap();
    let mut parameters = [0.0; 8];
    optimizer.update(0, 1.0, &mut parameters, &mut [1.0; 8], &mut optimizer.initial_state());
    assert!(parameters.iter().all(|p| (p + 0.5).abs() < 1e-6), "{parameters:?}");
}
