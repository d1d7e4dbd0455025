//! An update has the same bits however the arena is cut, and whoever measures which blocks.

use tidemill_optim::{
    Chain, ClipMode, Compose, Norm, Optimizer, Schedule, UpdateStep, Workers, adagrad, adam, adamw, clip,
    clip_by_global_norm, clip_by_global_norm_with, ftrl, l1, l2, lamb, lars, learning_rate, nadam, rmsprop, scale, sgd,
};
use tidemill_tensor::{Initializer, Key, Layout, Scalar};

#[test]
fn cut_into_parts_f32() {
    chains().iter().for_each(check::<f32>);
}

#[test]
fn cut_into_parts_f64() {
    chains().iter().for_each(check::<f64>);
}

fn chains() -> Vec<Chain> {
    let layers = |chain: Chain| chain.only("*.weight");
    vec![
        sgd(0.1).momentum(0.9).nesterov().into(),
        adam(0.01).amsgrad().into(),
        adam(0.01).into(),
        layers(l2(0.1)).then(layers(l1(0.01))).then(adamw(0.01)),
        clip_by_global_norm(1.0).then(rmsprop(0.01).centered().momentum(0.9)),
        clip(0.1).then(clip_by_global_norm_with(0.5, Norm::Max, ClipMode::Exact)).then(adagrad(0.1)),
        clip_by_global_norm(0.5).only("*.bias").then(nadam(0.01).only("a*")).then(sgd(0.1).except("a*")),
        lamb(0.01).weight_decay(0.1).into(),
        lars(0.1).weight_decay(0.1).nesterov().into(),
        adam(0.01).then(scale(0.5).only("b.*")),
        ftrl(0.1).l1(0.01).into(),
        // More transforms than one pass holds.
        (0..20).fold(Chain::new(), |chain, _| chain.then(l2(0.01)).then(clip(2.0))).then(adam(0.1)),
    ]
}

/// Tensors larger and smaller than a block, one empty, one of one element.
fn layout() -> Layout {
    let mut layout = Layout::new();
    for (name, len) in [("a.weight", 39_001), ("a.bias", 1), ("empty", 0), ("b.weight", 2_500), ("b.bias", 17)] {
        layout.push(name, &[len], Initializer::Normal { std: 1.0 }).unwrap();
    }
    layout
}

fn check<T: Scalar>(chain: &Chain) {
    let layout = layout();
    let optimizer = chain.build::<T>(&layout).unwrap();
    let whole = run(&optimizer, &layout, |step, scale, p, g, s| optimizer.update(step, scale, p, g, s));
    for count in [1, 2, 3, 7, 100] {
        let parts = run(&optimizer, &layout, |step, scale, p, g, s| {
            optimizer.update_in_parallel(step, scale, [p, g, s], &mut Backwards(count), &|_, _| ());
        });
        assert!(whole == parts, "{chain:?} by {count} workers");
    }
    if !optimizer.is_elementwise() {
        return;
    }
    for cuts in [&[][..], &[1], &[4096, 9000, 9002], &[1023, 1024, 1025, 41_519, 41_519]] {
        let parts = run(&optimizer, &layout, |step, scale, p, g, s| {
            let ends = cuts.iter().copied().chain([layout.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            for (start, end) in starts.zip(ends) {
                optimizer.update_range(step, scale, start..end, p, g, s);
            }
        });
        assert!(whole == parts, "{chain:?} cut at {cuts:?}");
    }
}

/// A chain that is done in one pass, and the same with a transform in between that changes nothing.
#[test]
fn one_pass_has_the_bits_of_three() {
    fn check<T: Scalar>() {
        let layout = layout();
        let run = |chain: Chain| {
            let optimizer = chain.build::<T>(&layout).unwrap();
            run(&optimizer, &layout, |step, scale, p, g, s| optimizer.update(step, scale, p, g, s))
        };
        assert!(run(adam(0.01).into()) == run(adam(0.01).direction().then(scale(1.0)).then(learning_rate(0.01))));
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn what_is_done_to_gradients_first_is_done_to_each_once() {
    let layout = layout();
    for chain in chains() {
        let optimizer = chain.build::<f64>(&layout).unwrap();
        if optimizer.measures_first() {
            continue;
        }
        let plain = run(&optimizer, &layout, |step, scale, p, g, s| optimizer.update(step, scale, p, g, s));
        let completed = run(&optimizer, &layout, |step, scale, p, g, s| {
            let missing: Vec<f64> = (0..g.len()).map(|i| (i % 3) as f64).collect();
            g.iter_mut().zip(&missing).for_each(|(g, m)| *g -= m);
            let reduced: Vec<f64> = g.iter().zip(&missing).map(|(g, m)| g + m).collect();
            optimizer.update_in_parallel(step, scale, [p, g, s], &mut Backwards(3), &|range, gradients| {
                gradients.copy_from_slice(&reduced[range]);
            });
        });
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + b.abs()));
        assert!(near(&completed.0, &plain.0) && near(&completed.1, &plain.1), "{chain:?}");
    }
}

/// Some steps; parameters and state afterwards.
fn run<T: Scalar>(
    optimizer: &Optimizer<T>,
    layout: &Layout,
    update: impl Fn(u64, T, &mut [T], &mut [T], &mut [T]),
) -> (Vec<T>, Vec<T>) {
    let mut parameters = layout.initialize::<T>(Key::new(1));
    let mut state = optimizer.initial_state();
    for step in 0..4 {
        let mut gradients = layout.initialize::<T>(Key::new(2 + step));
        update(step, T::of(1.0 / 3.0), &mut parameters, &mut gradients, &mut state);
    }
    assert!(parameters.iter().all(|p| p.is_finite()));
    (parameters, state)
}

/// Workers that come one after the other, the last one first.
struct Backwards(usize);

impl Workers for Backwards {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        (0..self.0).rev().for_each(job);
    }
}

#[test]
fn a_factor_multiplies_every_learning_rate() {
    let layout = layout();
    let falling = Schedule::from(0.5);
    for (declared, halved) in [(adam(falling.clone()), adam(0.25)), (adam(0.02), adam(0.01))] {
        let of = |chain: Chain, factor: f64| {
            let optimizer = chain.build::<f64>(&layout).unwrap();
            run(&optimizer, &layout, |number, scale, p, g, s| {
                optimizer.update(UpdateStep { number, learning_rate_factor: factor }, scale, p, g, s);
            })
        };
        assert!(of(declared.into(), 0.5) == of(halved.into(), 1.0));
    }
    let of = |chain: Chain, factor: f64| {
        let optimizer = chain.build::<f64>(&layout).unwrap();
        run(&optimizer, &layout, |number, scale, p, g, s| {
            optimizer.update(UpdateStep { number, learning_rate_factor: factor }, scale, p, g, s);
        })
    };
    assert!(of(ftrl(0.1).into(), 0.5) == of(ftrl(0.05).into(), 1.0), "a rate inside of a rule");
}

#[test]
fn a_reset_state_is_that_before_the_first_step() {
    let layout = layout();
    for chain in chains() {
        let optimizer = chain.build::<f64>(&layout).unwrap();
        let (_, mut state) = run(&optimizer, &layout, |step, scale, p, g, s| optimizer.update(step, scale, p, g, s));
        optimizer.reset(&mut state);
        assert!(state == optimizer.initial_state(), "{chain:?}");
    }
}
