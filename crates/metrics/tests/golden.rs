//! Metrics and drift detectors against scikit-learn and River.

use serde_json::Value;
use tidemill_golden::{Case, Group, Outcome};
use tidemill_metrics::drift::{
    Adwin, AdwinConfig, AfterDrift, Ddm, DdmConfig, Direction, Kswin, KswinConfig, PageHinkley, PageHinkleyConfig,
};
use tidemill_metrics::{
    Accuracy, Average, AveragePrecision, Brier, ClassScore, ConfusionMatrix, Drift, DriftDetector, ExplainedVariance,
    LogLoss, Mae, Mape, Metric, Mse, OneVsRest, R2, Rmse, RocAuc, Rows, RunningMoments, Summary, Target,
};

const TOLERANCE: f64 = 1e-9;

/// Batches as they come in training: the last one is ragged.
const BATCH: usize = 32;

#[test]
fn golden_metrics() {
    Group::load("metrics").run(&["progressive_validation"], |case| match case.kind {
        "binary_classification" => binary(case),
        "multiclass_classification" => multiclass(case),
        "regression" => regression(case),
        "adwin" => adwin(case),
        "page_hinkley" => page_hinkley(case),
        "ddm" => ddm(case),
        "kswin" => kswin(case),
        "standard_scaler" => standard_scaler(case),
        "progressive_validation" => Outcome::NotCovered("trains a model, which metrics do not know"),
        _ => Outcome::NotCovered("unknown kind"),
    });
}

/// Compares every expected scalar for which there is a metric; the others are named in `without_metric`.
fn check(case: &Case<'_>, rows: &Rows<'_, f64>, metric: impl Fn(&str) -> Option<Box<dyn Metric<f64>>>) -> Outcome {
    const WITHOUT_METRIC: [&str; 2] = ["max_error", "median_absolute_error"];
    for (name, want) in case.expected.as_object().expect("expected scalars") {
        if name == "roc_auc_ovr" {
            continue; // check_one_vs_rest
        }
        let Some(want) = want.as_f64() else { continue };
        let Some(mut metric) = metric(name) else {
            assert!(WITHOUT_METRIC.contains(&name.as_str()), "{}: {name} is not covered", case.name);
            println!("golden metrics: {} {name} not covered: there is no such metric", case.name);
            continue;
        };
        for from in (0..rows.len()).step_by(BATCH) {
            metric.update(&rows.slice(from..rows.len().min(from + BATCH))).unwrap();
        }
        case.close(name, [metric.value()], &[want], TOLERANCE, TOLERANCE);
    }
    Outcome::Checked
}

fn boxed<M: Metric<f64> + 'static>(metric: M) -> Option<Box<dyn Metric<f64>>> {
    Some(Box::new(metric))
}

fn binary(case: &Case<'_>) -> Outcome {
    let (scores, labels) = (case.tensor("y_score").values, case.tensor("y_true").indices());
    let rows = Rows::new(&scores, 1, Target::Index(&labels)).unwrap();
    let threshold = case.number("threshold");
    let score = |score| boxed(ConfusionMatrix::binary(threshold, score).unwrap());
    let positive = Average::Class(1);

    let mut confusion = ConfusionMatrix::binary(threshold, ClassScore::Accuracy).unwrap();
    confusion.update(&rows).unwrap();
    check_confusion(case, &confusion);
    check(case, &rows, |name| match name {
        "accuracy" => boxed(Accuracy::binary(threshold).unwrap()),
        "precision" => score(ClassScore::Precision(positive)),
        "recall" => score(ClassScore::Recall(positive)),
        "f1" => score(ClassScore::F1(positive)),
        "balanced_accuracy" => score(ClassScore::BalancedAccuracy),
        "mcc" => score(ClassScore::Matthews),
        "roc_auc" => boxed(RocAuc::exact()),
        "average_precision" => boxed(AveragePrecision::exact()),
        "log_loss" => boxed(LogLoss::default()),
        "brier" => boxed(Brier::default()),
        _ => None,
    })
}

fn multiclass(case: &Case<'_>) -> Outcome {
    let (proba, labels) = (case.tensor("proba").values, case.tensor("y_true").indices());
    let classes = case.count("classes");
    let rows = Rows::new(&proba, classes, Target::Index(&labels)).unwrap();
    let score = |score| boxed(ConfusionMatrix::multiclass(classes, score).unwrap());
    let average = |name: &str| match name {
        "macro" => Some(Average::Macro),
        "micro" => Some(Average::Micro),
        "weighted" => Some(Average::Weighted),
        _ => None,
    };

    let mut confusion = ConfusionMatrix::multiclass(classes, ClassScore::Accuracy).unwrap();
    confusion.update(&rows).unwrap();
    check_confusion(case, &confusion);
    let check_each = |name: &str, score: fn(Average) -> ClassScore| {
        let want = numbers(&case.expected[format!("{name}_per_class")]);
        let got = (0..classes as u32).map(|class| confusion.score(score(Average::Class(class))));
        case.close(name, got, &want, TOLERANCE, TOLERANCE);
    };
    check_each("precision", ClassScore::Precision);
    check_each("recall", ClassScore::Recall);
    check_each("f1", ClassScore::F1);
    check_one_vs_rest(case, &proba, &labels);
    check(case, &rows, |name| match name {
        "accuracy" => boxed(Accuracy::multiclass()),
        "balanced_accuracy" => score(ClassScore::BalancedAccuracy),
        "log_loss" => boxed(LogLoss::default()),
        _ => match name.split_once('_')? {
            ("top", k) => boxed(Accuracy::top(k.strip_suffix("_accuracy")?.parse().ok()?).unwrap()),
            ("precision", of) => score(ClassScore::Precision(average(of)?)),
            ("recall", of) => score(ClassScore::Recall(average(of)?)),
            ("f1", of) => score(ClassScore::F1(average(of)?)),
            _ => None,
        },
    })
}

/// The reference ranks scores after dividing each row by its sum. That matters for a class whose scores are all alike
/// up to rounding: in `multiclass_class_never_predicted` the order of class 3 is nothing but the noise of that division.
fn check_one_vs_rest(case: &Case<'_>, proba: &[f64], labels: &[u32]) {
    let Some(want) = case.expected["roc_auc_ovr"].as_f64() else { return };
    let classes = case.count("classes");
    let rows = proba.chunks_exact(classes);
    let normalized: Vec<f64> = rows.flat_map(|row| row.iter().map(|p| p / row.iter().sum::<f64>())).collect();
    let mut auc = OneVsRest::new(RocAuc::exact(), classes).unwrap();
    auc.update(&Rows::new(&normalized, classes, Target::Index(labels)).unwrap()).unwrap();
    case.close("roc_auc_ovr", [auc.value()], &[want], TOLERANCE, TOLERANCE);
}

fn check_confusion(case: &Case<'_>, confusion: &ConfusionMatrix) {
    let rows = case.expected["confusion"].as_array().expect("a confusion matrix");
    let want: Vec<f64> = rows.iter().flat_map(numbers).collect();
    assert_eq!(confusion.cells(), want, "{}: confusion matrix", case.name);
}

fn regression(case: &Case<'_>) -> Outcome {
    let (predictions, target) = (case.tensor("y_pred").values, case.tensor("y_true").values);
    let rows = Rows::new(&predictions, 1, Target::Real(&target)).unwrap();
    check(case, &rows, |name| match name {
        "r2" => boxed(R2::new(1).unwrap()),
        "explained_variance" => boxed(ExplainedVariance::new(1).unwrap()),
        "mse" => boxed(Mse::default()),
        "rmse" => boxed(Rmse::default()),
        "mae" => boxed(Mae::default()),
        "mape" => boxed(Mape::default()),
        _ => None,
    })
}

fn adwin(case: &Case<'_>) -> Outcome {
    let config = AdwinConfig {
        delta: case.number("delta"),
        clock: case.count("clock"),
        max_buckets: case.count("max_buckets"),
        min_window_length: case.count("min_window_length"),
        grace_period: case.count("grace_period"),
        after_drift: if case.flag("reset_after_drift") { AfterDrift::StartAnew } else { AfterDrift::KeepNewer },
    };
    let mut detector = Adwin::new(config).unwrap();
    let (mut widths, mut means) = (Vec::new(), Vec::new());
    check_drifts(case, &mut detector, |detector| {
        widths.push(detector.width() as f64);
        means.push(detector.mean());
    });
    assert_eq!(widths, case.tensor("width").values, "{}: width", case.name);
    case.close("estimation", means, &case.tensor("estimation").values, TOLERANCE, TOLERANCE);
    Outcome::Checked
}

fn page_hinkley(case: &Case<'_>) -> Outcome {
    let config = PageHinkleyConfig {
        min_instances: case.count("min_instances"),
        delta: case.number("delta"),
        threshold: case.number("threshold"),
        alpha: case.number("alpha"),
        direction: match case.params["mode"].as_str() {
            Some("up") => Direction::Up,
            Some("down") => Direction::Down,
            Some("both") => Direction::Both,
            mode => panic!("{}: mode {mode:?}", case.name),
        },
    };
    check_drifts(case, &mut PageHinkley::new(config).unwrap(), |_| {});
    Outcome::Checked
}

fn ddm(case: &Case<'_>) -> Outcome {
    let config = DdmConfig {
        warm_start: case.count("warm_start"),
        warning_threshold: case.number("warning_threshold"),
        drift_threshold: case.number("drift_threshold"),
    };
    check_drifts(case, &mut Ddm::new(config).unwrap(), |_| {});
    Outcome::Checked
}

fn kswin(case: &Case<'_>) -> Outcome {
    if case.count("window_size") != 2 * case.count("stat_size") {
        return Outcome::NotCovered("a random sample of a longer window");
    }
    let config = KswinConfig { alpha: case.number("alpha"), stat_size: case.count("stat_size") };
    let mut p_values = Vec::new();
    check_drifts(case, &mut Kswin::new(config).unwrap(), |detector| p_values.push(detector.p_value()));
    case.close("p_value", p_values, &case.tensor("p_value").values, TOLERANCE, TOLERANCE);
    Outcome::Checked
}

/// Runs a detector over the case's stream and compares the indices of drifts, and of warnings where there are any.
fn check_drifts<D: DriftDetector>(case: &Case<'_>, detector: &mut D, mut after_each: impl FnMut(&D)) {
    let (mut drifts, mut warnings) = (Vec::new(), Vec::new());
    for (i, x) in case.tensor("stream").values.into_iter().enumerate() {
        match detector.update(x) {
            Drift::None => {}
            Drift::Warning => warnings.push(i as f64),
            Drift::Drift => drifts.push(i as f64),
        }
        after_each(detector);
    }
    assert_eq!(drifts, numbers(&case.expected["drift"]), "{}: drifts", case.name);
    let warned = if case.expected["warning"].is_null() { Vec::new() } else { numbers(&case.expected["warning"]) };
    assert_eq!(warnings, warned, "{}: warnings", case.name);
}

fn standard_scaler(case: &Case<'_>) -> Outcome {
    let features = case.count("features");
    let x = case.tensor("x").values;
    let mut moments = vec![RunningMoments::default(); features];
    let (mut means, mut variances, mut scaled) = (Vec::new(), Vec::new(), Vec::new());
    for row in x.chunks_exact(features) {
        for (moments, &x) in moments.iter_mut().zip(row) {
            moments.update(x);
            let (mean, variance) = (moments.mean(), moments.variance());
            means.push(mean);
            variances.push(variance);
            scaled.push(if variance == 0.0 { 0.0 } else { (x - mean) / variance.sqrt() });
        }
    }
    case.close("mean", means, &case.tensor("mean").values, TOLERANCE, TOLERANCE);
    case.close("var", variances, &case.tensor("var").values, 0.0, 1e-6);
    case.close("scaled", scaled, &case.tensor("scaled").values, 1e-6, 1e-6);
    Outcome::Checked
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}
