//! An update has the same bits however the arena is cut, and whoever measures which blocks.

use tidemill_optim::{
    Chain, ClipMode, Compose, Norm, Optimizer, adagrad, adam, adamw, clip, clip_by_global_norm,
    clip_by_global_norm_with, ftrl, l1, l2, lamb, lars, nadam, rmsprop, scale, sgd,
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
    for (name, len) in [("a.weight", 9_001), ("a.bias", 1), ("empty", 0), ("b.weight", 2_500), ("b.bias", 17)] {
        layout.push(name, &[len], Initializer::Normal { std: 1.0 }).unwrap();
    }
    layout
}

fn check<T: Scalar>(chain: &Chain) {
    let layout = layout();
    let optimizer = chain.build::<T>(&layout).unwrap();
    let whole = run(&optimizer, &layout, |step, scale, p, g, s| optimizer.update(step, scale, p, g, s));
    for cuts in [&[][..], &[1], &[4096, 9000, 9002], &[1023, 1024, 1025, 11_519, 11_519]] {
        let parts = run(&optimizer, &layout, |step, scale, p, g, s| in_parts(&optimizer, cuts, step, scale, p, g, s));
        assert!(whole == parts, "{chain:?} cut at {cuts:?}");
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

fn in_parts<T: Scalar>(
    optimizer: &Optimizer<T>,
    cuts: &[usize],
    step: u64,
    scale: T,
    parameters: &mut [T],
    gradients: &mut [T],
    state: &mut [T],
) {
    for phase in optimizer.phases() {
        let mut sums = vec![[f64::NAN; 2]; phase.blocks()];
        let blocks: Vec<usize> = (0..phase.blocks()).rev().collect();
        for block in blocks {
            phase.measure(block..block + 1, parameters, gradients, &mut sums[block..block + 1]);
        }
        let (part, factors) = optimizer.split(parameters, gradients, state);
        phase.settle(scale, &sums, factors);
        let mut parts = vec![part];
        for &cut in cuts {
            let (front, back) = parts.pop().unwrap().split_at(cut);
            parts.extend([front, back]);
        }
        for part in parts.iter_mut().rev() {
            phase.update(step, scale, part, factors);
        }
    }
}
