//! Tables are aligned, fit their page and mark what is best.

use crate::samples::results;
use tidemill_experiments::results::{Baseline, Scores};
use tidemill_experiments::table::{markdown, terminal};

#[test]
fn the_terminal_table_is_aligned() {
    let mut compared = results(&[("Online", &[0.46, 0.461, 0.459]), ("Batch", &[0.42, 0.421, 0.419])]);
    compared.baseline = Some(Baseline {
        label: "Always the mean".into(),
        held_out: Scores { rows: 100, loss: 0.69, score: 0.5, score_error: 0.0 },
    });
    let expected = "                 --------- held-out rows ----------   - prequential --
Quality         log loss        over seeds  ROC AUC  log loss  ROC AUC
-----------------------------------------------------------------------
Online            0.4600  0.4590 to 0.4610   0.5400    0.5600   0.4400
Batch             0.4200* 0.4190 to 0.4210   0.5800*   0.5200*  0.4800*
Always the mean   0.6900                 -   0.5000         -        -

              ---------------- whole training -----------------   until log loss 0.4500
                rows         training    waited            peak
Cost         trained  steps      time  for data  rows/s  memory     rows  steps    time
----------------------------------------------------------------------------------------
Online         3,000*   300*   1.00 s*   250 ms  1.00 k   84 MB*   never  never   never
Batch         30.0 k  3,000    2.00 s    250 ms  1.00 k  168 MB   15.0 k* 1,500* 500 ms*

* best median of its column. Values are medians of three seeds.
";
    assert_eq!(terminal(&compared), expected, "\n{}", terminal(&compared));
}

#[test]
fn the_markdown_table_has_the_same_values() {
    let compared = results(&[("On|line", &[0.46, 0.461, 0.459]), ("Batch", &[0.42, 0.421, 0.419])]);
    let text = markdown(&compared);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "| :-- | --: | --: | --: | --: | --: |");
    assert_eq!(lines[2], "| On\\|line | 0.4600 | 0.4590 to 0.4610 | 0.5400 | 0.5600 | 0.4400 |");
    assert_eq!(lines[3], "| Batch | **0.4200** | 0.4190 to 0.4210 | **0.5800** | **0.5200** | **0.4800** |");
    let cost = lines.iter().position(|line| line.starts_with("| Cost")).expect("a table of costs");
    assert_eq!(
        lines[cost],
        "| Cost | rows trained | steps | training time | waited for data | rows/s | peak memory | \
         rows (until log loss 0.4500) | steps (until log loss 0.4500) | time (until log loss 0.4500) |",
    );
}

#[test]
fn equal_values_are_marked_equally_and_single_ones_not_at_all() {
    let equal = terminal(&results(&[("A", &[0.42, 0.42]), ("B", &[0.42, 0.42]), ("C", &[0.43, 0.43])]));
    assert_eq!(equal.matches("0.4200*").count(), 2, "{equal}");
    assert!(!equal.contains("1.00 k*"), "{equal}");
    let alone = terminal(&results(&[("A", &[0.42, 0.42])]));
    assert!(!alone.contains('*'), "{alone}");
}

#[test]
fn a_target_that_some_seeds_missed_is_not_best() {
    let text = terminal(&results(&[("A", &[0.44, 0.46]), ("B", &[0.42, 0.42])]));
    let a = text.lines().rfind(|line| line.starts_with("A ")).expect("a row for A");
    assert!(a.contains("1,500 ") && text.contains("15.0 k*"), "{text}");
    assert!(text.contains("A reached the target loss in 1 of 2"), "{text}");
}

#[test]
fn prequential_values_over_different_rows_are_not_marked() {
    let mut compared = results(&[("A", &[0.42, 0.42]), ("B", &[0.43, 0.43])]);
    let last = compared.runs.iter_mut().filter(|run| run.strategy == "b");
    last.for_each(|run| run.prequential.as_mut().expect("a sample has one").rows = 200);
    let text = terminal(&compared);
    assert!(text.contains("0.4200*") && !text.contains("0.5200*"), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(
        words.join(" ").contains("Prequential values are over different rows, so none is marked as best."),
        "{text}"
    );
}

/// Long names, huge and missing numbers.
#[test]
fn no_table_is_wider_than_a_terminal() {
    let label = "A strategy with a name that nobody would call short";
    let mut compared = results(&[(label, &[1.5e9, 2.5e-9]), ("B", &[f64::NAN, f64::INFINITY])]);
    for run in &mut compared.runs {
        (run.rows_trained, run.steps) = (u64::MAX, 999_999_999_999);
        (run.training_seconds, run.rows_per_second) = (1e7, f64::NAN);
        run.peak_memory_bytes = Some(999_999_999_999);
    }
    compared.metrics.target_loss = Some(1e-7);
    let text = terminal(&compared);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "\n{text}");
    assert!(text.is_ascii() && text.contains("nobody"), "\n{text}");
}

#[test]
fn without_runs_the_table_is_empty_but_there() {
    let text = terminal(&results(&[]));
    assert!(text.contains("Quality") && text.contains("Cost"), "{text}");
}

#[test]
fn columns_without_any_value_are_left_out() {
    let mut compared = results(&[("A", &[0.42, 0.43]), ("B", &[0.44, 0.45])]);
    assert!(terminal(&compared).contains("prequential") && terminal(&compared).contains("memory"));
    compared.runs.iter_mut().for_each(|run| (run.prequential, run.peak_memory_bytes) = (None, None));
    assert!(!terminal(&compared).contains("prequential") && !terminal(&compared).contains("memory"));
}
