use tidemill_experiments::Error;
use tidemill_experiments::curves::curves;
use tidemill_experiments::results::{Baseline, Failure, Results, Scores};

use crate::samples::results;

#[test]
fn results_survive_the_round_trip() {
    let mut written = results(&[("Online", &[0.1 + 0.2, 1.0 / 3.0]), ("Batch", &[0.42, 5e-324])]);
    written.notice = Some("made up \"here\"".into());
    written.baseline =
        Some(Baseline { label: "mean".into(), held_out: Scores { rows: 1, loss: 0.7, score: 0.5, score_error: 0.0 } });
    written.failures.push(Failure { strategy: "batch".into(), seed: 9, reason: "no".into() });
    written.runs[0].prequential = None;
    written.runs[0].note = Some("\u{fc}ber".into());
    let text = written.to_json().expect("results are JSON");
    assert_eq!(Results::from_json(&text).expect("just written"), written);
}

#[test]
fn numbers_that_are_not_finite_are_null() {
    let mut written = results(&[("Online", &[f64::NAN, f64::INFINITY])]);
    written.seconds = f64::NEG_INFINITY;
    let text = written.to_json().expect("results are JSON");
    assert!(text.contains("\"seconds\": null"), "{text}");
    let read = Results::from_json(&text).expect("just written");
    assert!(read.seconds.is_nan() && read.runs.iter().all(|run| run.held_out.loss.is_nan()));
    assert_eq!(read.to_json().expect("results are JSON"), text);
}

#[test]
fn other_texts_are_refused_by_name() {
    let text = results(&[("Online", &[0.4])]).to_json().expect("results are JSON");
    let other = Results::from_json(&text.replace("\"version\": 1", "\"version\": 7"));
    assert!(matches!(other, Err(Error::Version { found: 7 })), "{other:?}");
    assert!(other.is_err_and(|error| error.to_string().contains("version 7, expected version 1")));
    for text in ["", "{}", "[1]", "{\"version\": 1}", "{\"version\": null}"] {
        assert!(matches!(Results::from_json(text), Err(Error::Json(_))), "{text}");
    }
}

#[test]
fn curves_are_columns_of_equal_length() {
    let results = results(&[("Online", &[0.4, 0.5]), ("Batch", &[0.3])]);
    let columns = curves(&results);
    assert_eq!(columns.strategy.len(), 9);
    assert_eq!(columns.strategy[5..7], ["online", "batch"]);
    assert_eq!(columns.seed, [1, 1, 1, 2, 2, 2, 1, 1, 1]);
    assert_eq!(columns.rows_trained[6..], [3_000, 15_000, 30_000]);
    assert_eq!(columns.position[..3], [30, 150, 300]);
    assert_eq!(columns.seconds[..3], [0.1, 0.5, 1.0]);
    assert_eq!(columns.loss[2], 0.4);
    assert_eq!((columns.loss.len(), columns.score.len()), (9, 9));
}
