//! What holds for every drift detector, and two of them against slow obvious references.

mod common;

use common::{bits, close};
use tidemill_metrics::drift::{
    Adwin, AdwinConfig, AfterDrift, Ddm, DdmConfig, Kswin, KswinConfig, PageHinkley, PageHinkleyConfig,
};
use tidemill_metrics::{Drift, DriftDetector, Error, RunningMoments};
use tidemill_tensor::Key;

fn detectors() -> Vec<Box<dyn DriftDetector>> {
    let keep = AdwinConfig { after_drift: AfterDrift::KeepNewer, clock: 7, ..AdwinConfig::default() };
    let sensitive = PageHinkleyConfig { threshold: 5.0, ..PageHinkleyConfig::default() };
    vec![
        Box::new(Adwin::new(AdwinConfig::default()).unwrap()),
        Box::new(Adwin::new(keep).unwrap()),
        Box::new(PageHinkley::new(sensitive).unwrap()),
        Box::new(Ddm::new(DdmConfig::default()).unwrap()),
        Box::new(Kswin::new(KswinConfig::default()).unwrap()),
    ]
}

/// Zeros and ones, whose rate of ones changes at every quarter.
fn stream(len: usize) -> Vec<f64> {
    let key = Key::new(5);
    let rate = |i: usize| [0.1, 0.6, 0.3, 0.9][4 * i / len];
    (0..len).map(|i| f64::from(u8::from(f64::from(key.block(i as u64)[0]) / 4294967296.0 < rate(i)))).collect()
}

#[test]
fn a_restored_detector_goes_on_bit_for_bit() {
    for (mut detector, mut restored) in detectors().into_iter().zip(detectors()) {
        let mut drifts = 0;
        for (i, x) in stream(1200).into_iter().enumerate() {
            let said = detector.update(x);
            drifts += usize::from(said == Drift::Drift);
            if i % 97 == 50 || drifts == 1 && said == Drift::Drift {
                restored.restore(&detector.state()).unwrap();
            } else if i > 50 {
                assert_eq!(restored.update(x), said, "{} at {i}", detector.name());
            }
            if i >= 50 {
                assert_eq!(bits(&restored.state()), bits(&detector.state()), "{} at {i}", detector.name());
            }
        }
        assert!(drifts > 0, "{} found nothing", detector.name());
    }
}

#[test]
fn a_reset_detector_is_new() {
    for (mut detector, fresh) in detectors().into_iter().zip(detectors()) {
        stream(300).into_iter().for_each(|x| {
            detector.update(x);
        });
        assert_ne!(bits(&detector.state()), bits(&fresh.state()));
        detector.reset();
        assert_eq!(bits(&detector.state()), bits(&fresh.state()), "{}", detector.name());
    }
}

#[test]
fn what_is_not_finite_is_drift_and_ignored() {
    for mut detector in detectors() {
        stream(100).into_iter().for_each(|x| {
            detector.update(x);
        });
        let state = detector.state();
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(detector.update(x), Drift::Drift, "{}", detector.name());
            assert_eq!(bits(&detector.state()), bits(&state));
        }
    }
}

#[test]
fn another_state_is_refused_and_changes_nothing() {
    for mut detector in detectors() {
        stream(100).into_iter().for_each(|x| {
            detector.update(x);
        });
        let state = detector.state();
        let mut spoilt = state.clone();
        spoilt[0] = -0.5;
        for wrong in [&spoilt, &state[..1], &[&state[..], &[f64::NAN]].concat()] {
            let answer = detector.restore(wrong);
            assert!(matches!(answer, Err(Error::State { .. })), "{}: {answer:?}", detector.name());
            assert_eq!(bits(&detector.state()), bits(&state), "{}", detector.name());
        }
    }
}

#[test]
fn settings_are_checked() {
    let message = |error: Error| error.to_string();
    let adwin = Adwin::new(AdwinConfig { delta: 0.0, ..AdwinConfig::default() });
    assert_eq!(adwin.map(drop).map_err(message), Err("adwin: delta is 0, expected above 0 and at most 1".to_owned()));
    let kswin = Kswin::new(KswinConfig { stat_size: 0, ..KswinConfig::default() });
    assert_eq!(kswin.map(drop).map_err(message), Err("kswin: stat_size is 0, expected from 1 to 1048576".to_owned()));
    assert!(Ddm::new(DdmConfig { drift_threshold: 1.0, ..DdmConfig::default() }).is_err());
    assert!(PageHinkley::new(PageHinkleyConfig { alpha: f64::NAN, ..PageHinkleyConfig::default() }).is_err());
}

/// The histogram's mean and variance are those of the last `width` numbers, which here are kept.
#[test]
fn adwin_knows_its_window() {
    for max_buckets in [1, 2, 5] {
        let config = AdwinConfig { max_buckets, after_drift: AfterDrift::KeepNewer, ..AdwinConfig::default() };
        let mut adwin = Adwin::new(config).unwrap();
        let numbers: Vec<f64> = stream(2000).iter().enumerate().map(|(i, x)| x + (i % 10) as f64 / 10.0).collect();
        for n in 1..=numbers.len() {
            adwin.update(numbers[n - 1]);
            let mut window = RunningMoments::default();
            numbers[n - adwin.width() as usize..n].iter().for_each(|&x| window.update(x));
            close("mean", adwin.mean(), window.mean(), 1e-9);
            close("variance", adwin.variance(), window.variance(), 1e-9);
        }
        assert!(adwin.width() < 2000);
    }
}

/// The p-value by trying every way to part the window into halves.
#[test]
fn kswin_knows_the_chance_of_its_distance() {
    let n = 5;
    let distance = |newer: u32| {
        let steps = (0..2 * n).scan(0i32, |apart, i| {
            *apart += if newer >> i & 1 == 1 { 1 } else { -1 };
            Some(apart.abs())
        });
        steps.max().unwrap_or(0)
    };
    let halves: Vec<u32> = (0u32..1 << (2 * n)).filter(|halves| halves.count_ones() == n).collect();
    for &half in &halves {
        let mut kswin = Kswin::new(KswinConfig { alpha: 1e-9, stat_size: n as usize }).unwrap();
        for newer in [0, 1] {
            (0..2 * n).filter(|&i| half >> i & 1 == newer).for_each(|i| {
                kswin.update(f64::from(i));
            });
        }
        let at_least = halves.iter().filter(|&&other| distance(other) >= distance(half)).count();
        close("p-value", kswin.p_value(), at_least as f64 / halves.len() as f64, 1e-12);
    }
}

#[test]
fn moments_merge_and_restore() {
    let numbers: Vec<f64> = stream(500).iter().enumerate().map(|(i, x)| 1e9 + x + i as f64 / 100.0).collect();
    let (mut all, mut merged) = (RunningMoments::default(), RunningMoments::default());
    numbers.iter().for_each(|&x| all.update(x));
    for part in [&numbers[..0], &numbers[..1], &numbers[1..400], &numbers[400..]] {
        let (mut shard, mut restored) = (RunningMoments::default(), RunningMoments::default());
        part.iter().for_each(|&x| shard.update(x));
        restored.restore(&shard.state()).unwrap();
        assert_eq!(restored, shard);
        merged.merge(&restored);
    }
    assert_eq!(merged.weight(), 500.0);
    close("mean", merged.mean(), all.mean(), 1e-15);
    close("variance", merged.variance(), all.variance(), 1e-9);
    let mean = numbers.iter().map(|x| x - 1e9).sum::<f64>() / 500.0;
    let variance = numbers.iter().map(|x| (x - 1e9 - mean).powi(2)).sum::<f64>() / 500.0;
    close("variance", all.variance(), variance, 1e-9);
    assert!(RunningMoments::default().mean().is_nan() && RunningMoments::default().variance().is_nan());
}

/// A constant has not changed, however large, small or odd, and however long.
#[test]
fn cases_a_constant_is_never_drift() {
    for constant in
        [1e9 + 0.1, -1e9 - 0.1, 0.1, -0.3, 1e15 + 0.3, 1e-300, -1e-310, 1e300, f64::MAX, 0.0, 1.0, 1.0 / 3.0]
    {
        for mut detector in detectors() {
            let numbers = if detector.name() == "adwin" { 100_000 } else { 5000 };
            let alarms = (0..numbers).filter(|_| detector.update(constant) != Drift::None).count();
            assert_eq!(alarms, 0, "{} of {constant}", detector.name());
        }
    }
}

/// Once a change was seen and the older part forgotten, what follows is a constant.
#[test]
fn cases_a_constant_far_from_where_the_window_began_is_never_drift() {
    let keep = AdwinConfig { after_drift: AfterDrift::KeepNewer, ..AdwinConfig::default() };
    for constant in [1e9 + 0.1, -1e12 - 0.7] {
        let mut adwin = Adwin::new(keep).unwrap();
        (0..1000).for_each(|_| {
            adwin.update(0.25);
        });
        let alarms: Vec<usize> = (0..100_000).filter(|_| adwin.update(constant) == Drift::Drift).collect();
        assert!(!alarms.is_empty() && alarms[alarms.len() - 1] < 200, "{constant}: {alarms:?}");
        close("mean", adwin.mean(), constant, 1e-15);
    }
}

/// A large offset changes nothing that a detector of changes says.
#[test]
fn an_offset_is_no_change() {
    let sensitive = PageHinkleyConfig { threshold: 5.0, ..PageHinkleyConfig::default() };
    let detectors = || -> Vec<Box<dyn DriftDetector>> {
        vec![
            Box::new(Adwin::new(AdwinConfig::default()).unwrap()),
            Box::new(PageHinkley::new(sensitive).unwrap()),
            Box::new(Kswin::new(KswinConfig::default()).unwrap()),
        ]
    };
    for offset in [2.0_f64.powi(30), -(2.0_f64.powi(50))] {
        for (mut near, mut far) in detectors().into_iter().zip(detectors()) {
            let mut drifts = 0;
            for (i, x) in stream(3000).into_iter().enumerate() {
                let said = near.update(x);
                drifts += usize::from(said == Drift::Drift);
                assert_eq!(far.update(offset + x), said, "{} at {i}", near.name());
            }
            assert!(drifts > 0, "{}", near.name());
        }
    }
}
