//! Binned rankings against exact ones, wherever the scores lie: rare events, crowds, the ends of the unit interval.

mod common;

use common::bits;
use tidemill_metrics::{
    AveragePrecision, Error, Fading, LARGEST_ERROR, Metric, OneVsRest, RocAuc, Rows, Summary, Target, Windowed,
};
use tidemill_tensor::{Key, Scalar};

/// What `experiment` has.
const BINS: usize = 1 << 14;

struct Sample {
    name: &'static str,
    scores: Vec<f64>,
    labels: Vec<u32>,
}

/// Rows of which a share is positive; `score` makes a score of a standard logistic number and the label.
fn sample(name: &'static str, rows: u64, share: f64, score: impl Fn(f64, bool) -> f64) -> Sample {
    let key = Key::new(rows);
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for i in 0..rows {
        let unit = key.block(i).map(|bits| (f64::from(bits) + 0.5) / 4294967296.0);
        let positive = unit[0] < share;
        scores.push(score((unit[1] / (1.0 - unit[1])).ln(), positive));
        labels.push(u32::from(positive));
    }
    assert!(labels.contains(&1) && labels.contains(&0), "{name}");
    Sample { name, scores, labels }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn samples() -> Vec<Sample> {
    let lift = |positive: bool| if positive { 1.7 } else { 0.0 };
    let rows = 200_000;
    let mut sorted = sample("sorted", rows, 0.05, |z, y| sigmoid(z + lift(y) - 3.0));
    let mut order: Vec<usize> = (0..sorted.scores.len()).collect();
    order.sort_by(|&a, &b| sorted.scores[a].total_cmp(&sorted.scores[b]));
    sorted.scores = order.iter().map(|&i| sorted.scores[i]).collect();
    sorted.labels = order.iter().map(|&i| sorted.labels[i]).collect();
    let mut negatives_first = sample("negatives first", rows, 0.05, |z, y| sigmoid(z + lift(y) - 3.0));
    let mut order: Vec<usize> = (0..negatives_first.scores.len()).collect();
    order.sort_by_key(|&i| negatives_first.labels[i]);
    negatives_first.scores = order.iter().map(|&i| negatives_first.scores[i]).collect();
    negatives_first.labels = order.iter().map(|&i| negatives_first.labels[i]).collect();
    vec![
        sample("few positives, small probabilities", 1_000_000, 3e-5, |z, y| sigmoid(z + lift(y) - 11.0)),
        sample("few negatives, probabilities near one", rows, 1.0 - 2e-4, |z, y| sigmoid(z + lift(y) + 9.0)),
        sample("balanced", rows, 0.5, |z, y| sigmoid(z + lift(y))),
        sample("a crowd", rows, 0.1, |z, y| 0.3 + 1e-6 * sigmoid(z + lift(y))),
        sample("half a crowd", rows, 0.1, |z, y| {
            let p = sigmoid(z + lift(y));
            if (p * 1e6).fract() < 0.5 { p } else { 0.3 + 1e-9 * p }
        }),
        sample("logits", rows, 0.02, |z, y| z + lift(y) - 4.0),
        sample("large scores", rows, 0.02, |z, y| 1e12 * (z + lift(y))),
        sample("a constant", 50_000, 0.1, |_, _| 0.25),
        sample("overconfident", rows, 0.3, |z, y| sigmoid(20.0 * (z + lift(y) - 1.0))),
        sorted,
        negatives_first,
    ]
}

fn update<T: Scalar>(metrics: &mut [&mut dyn Metric<T>], sample: &Sample, rows: std::ops::Range<usize>) {
    let scores: Vec<T> = sample.scores[rows.clone()].iter().map(|&p| T::of(p)).collect();
    let labels = &sample.labels[rows];
    for (scores, labels) in scores.chunks(1000).zip(labels.chunks(1000)) {
        let rows = Rows::new(scores, 1, Target::Index(labels)).unwrap();
        metrics.iter_mut().for_each(|metric| metric.update(&rows).unwrap());
    }
}

fn near(name: &str, binned: &dyn Summary, exact: &dyn Summary) {
    let (apart, bound) = ((binned.value() - exact.value()).abs(), binned.error_bound());
    assert!(apart <= bound + 1e-9, "{name}, {}: {apart} apart, bound {bound}", exact.name());
    assert!(bound <= LARGEST_ERROR / 4.0, "{name}, {}: bound {bound}", exact.name());
}

fn check<T: Scalar>(sample: &Sample) {
    let (mut auc, mut precision) = (RocAuc::exact(), AveragePrecision::exact());
    let all = 0..sample.scores.len();
    update::<T>(&mut [&mut auc, &mut precision], sample, all.clone());
    let binned = || (RocAuc::binned(BINS).unwrap(), AveragePrecision::binned(BINS).unwrap());
    let (mut one, mut two) = binned();
    update::<T>(&mut [&mut one, &mut two], sample, all.clone());
    near(sample.name, &one, &auc);
    // Of few positives a single one moves the precision, and its bound.
    let (apart, bound) = ((two.estimate() - precision.value()).abs(), two.error_bound());
    assert!(apart <= bound + 1e-9, "{}, precision: {apart} apart, bound {bound}", sample.name);
    assert!(
        bound < 0.05 && two.value().is_nan() == (bound > LARGEST_ERROR),
        "{}, precision: bound {bound}",
        sample.name
    );

    // Shards, merged forwards and backwards.
    let shards: Vec<_> = (0..5).map(|i| i * all.end / 5..(i + 1) * all.end / 5).collect();
    for backwards in [false, true] {
        let (mut merged, _) = binned();
        let order: Vec<_> = if backwards { shards.iter().rev().collect() } else { shards.iter().collect() };
        for shard in order {
            let (mut one, _) = binned();
            update::<T>(&mut [&mut one], sample, shard.clone());
            merged.merge(&one.state()).unwrap();
        }
        near(sample.name, &merged, &auc);
    }
}

#[test]
fn cases_binned_areas_are_within_a_small_bound_wherever_the_scores_lie() {
    for sample in samples() {
        check::<f64>(&sample);
    }
}

#[test]
fn cases_binned_areas_of_single_precision() {
    for sample in samples().into_iter().take(4) {
        check::<f32>(&sample);
    }
}

/// Probabilities below 5e-5, one row in two hundred positive.
#[test]
fn cases_rare_events_with_tiny_probabilities() {
    let p: Vec<f32> = (0..10_000).map(|i| i as f32 * 5e-9).collect();
    let y: Vec<f32> = (0..10_000).map(|i| f32::from(i % 100 == 0 && i > 5_000)).collect();
    let rows = Rows::new(&p, 1, Target::Real(&y)).unwrap();
    let (mut exact, mut binned) = (RocAuc::exact(), RocAuc::binned(BINS).unwrap());
    exact.update(&rows).unwrap();
    binned.update(&rows).unwrap();
    assert_eq!((binned.value(), binned.error_bound()), (exact.value(), 0.0));
}

/// As many distinct scores as bins are kept one by one: ties are ties, and cost nothing.
#[test]
fn few_scores_are_exact_whatever_their_order() {
    let sample = sample("coarse", 50_000, 0.2, |z, y| (100.0 * sigmoid(z + f64::from(y))).round() / 100.0);
    let (mut exact, mut binned) = (AveragePrecision::exact(), AveragePrecision::binned(128).unwrap());
    update::<f64>(&mut [&mut exact, &mut binned], &sample, 0..50_000);
    assert_eq!(binned.error_bound(), 0.0);
    assert!((binned.value() - exact.value()).abs() < 1e-12);
}

#[test]
fn a_value_that_bins_leave_uncertain_is_refused() {
    let sample = sample("balanced", 20_000, 0.5, |z, y| sigmoid(z + f64::from(y)));
    let mut exact = RocAuc::exact();
    update::<f64>(&mut [&mut exact], &sample, 0..20_000);
    for bins in [1, 2, 10, 20] {
        let mut few = RocAuc::binned(bins).unwrap();
        update::<f64>(&mut [&mut few], &sample, 0..20_000);
        assert!(few.value().is_nan() && few.error_bound() > LARGEST_ERROR, "{bins} bins: {}", few.error_bound());
        assert!((few.estimate() - exact.value()).abs() <= few.error_bound() + 1e-9, "{bins} bins");
        assert!(bins > 1 || few.error_bound() == 0.5);
    }
}

/// A stream that crowds into one bin after these were fixed: the bound says so, and the value is refused.
#[test]
fn a_crowd_that_comes_late_is_told() {
    let wide = sample("wide", 50_000, 0.5, |z, y| sigmoid(3.0 * (z + f64::from(y))));
    let narrow = sample("narrow", 200_000, 0.5, |z, y| 0.3 + 1e-12 * sigmoid(z + f64::from(y)));
    let (mut exact, mut binned) = (RocAuc::exact(), RocAuc::binned(64).unwrap());
    for sample in [&wide, &narrow] {
        update::<f64>(&mut [&mut exact, &mut binned], sample, 0..sample.scores.len());
    }
    assert!(binned.value().is_nan());
    assert!((binned.estimate() - exact.value()).abs() <= binned.error_bound());
}

#[test]
fn adaptors_pass_the_bound_on() -> Result<(), Error> {
    let sample = sample("balanced", 3000, 0.5, |z, y| sigmoid(z + f64::from(y)));
    let few = || RocAuc::binned(20);
    let mut window = Windowed::new(few()?, 3, 1000)?;
    let mut fading = Fading::new(few()?, 0.9999)?;
    update::<f64>(&mut [&mut window, &mut fading], &sample, 0..3000);
    let mut classes = OneVsRest::new(few()?, 2)?;
    let scores: Vec<f64> = sample.scores.iter().flat_map(|&p| [1.0 - p, p]).collect();
    classes.update(&Rows::new(&scores, 2, Target::Index(&sample.labels))?)?;
    for metric in [&window as &dyn Summary, &fading, &classes] {
        assert!(metric.error_bound() > LARGEST_ERROR && metric.value().is_nan(), "{}", metric.name());
    }
    Ok(())
}

/// Beyond what bins hold one by one: what was collected and what was joined goes on bit for bit.
#[test]
fn a_restored_sketch_goes_on_bit_for_bit() {
    let sample = sample("balanced", 30_000, 0.3, |z, y| sigmoid(z + f64::from(y)));
    let (mut sketch, mut restored) = (RocAuc::binned(300).unwrap(), RocAuc::binned(300).unwrap());
    update::<f64>(&mut [&mut sketch], &sample, 0..12_345);
    restored.restore(&sketch.state()).unwrap();
    update::<f64>(&mut [&mut sketch, &mut restored], &sample, 12_345..30_000);
    assert_eq!(bits(&sketch.state()), bits(&restored.state()));
    let state = sketch.state();
    // Bins that overlap, or more than there may be.
    let mut spoilt = state.clone();
    spoilt.swap(1, 5);
    assert!(matches!(restored.restore(&spoilt), Err(Error::State { .. })));
    let mut fewer = RocAuc::binned(100).unwrap();
    assert!(matches!(fewer.merge(&state), Err(Error::State { .. })));
    assert_eq!(bits(&restored.state()), bits(&state));
}
