//! The verdict says what the numbers say, and no more.

use crate::samples::results;
use tidemill_experiments::results::{Baseline, Failure, ModelState, Results, Scores, TaskKind};
use tidemill_experiments::verdict::verdict;

fn check(results: &Results, headline: &str, findings: &[&str], caveats: &[&str]) {
    let found = verdict(results);
    assert_eq!(found.headline, headline);
    for expected in findings {
        assert!(found.findings.iter().any(|f| f == expected), "no finding {expected:?} in {:#?}", found.findings);
    }
    assert_eq!(found.caveats, caveats);
}

#[test]
fn a_clear_winner_is_named_with_its_cost() {
    check(
        &results(&[("Online", &[0.46, 0.461, 0.459]), ("Batch", &[0.42, 0.421, 0.419])]),
        "Batch did best on the held-out rows: log loss 0.4200 (median of three seeds), 8.7 % lower than Online, the \
         next, at 0.4600. The difference is larger than the spread over seeds.",
        &[
            "ROC AUC agrees: Batch comes first with 0.5800, then Online with 0.5400.",
            "Batch trained 30.0 k rows in 2.00 s, 10 times the rows of the cheapest: Online trained 3,000 rows in \
             1.00 s, for a loss 9.5 % higher.",
            "Online needed the least memory, 84 MB; Batch the most, 168 MB (2.0 times).",
            "Batch reached a held-out log loss of 0.4500 with the fewest rows, 15.0 k, in 500 ms; Online never did.",
            "Tested on each row before training on it (Q1 to Q3, the rows that all who test so share), Batch did best: \
             log loss 0.5367 against 0.5767 for Online.",
        ],
        &[],
    );
}

#[test]
fn ranges_that_overlap_are_a_tie() {
    check(
        &results(&[("Online", &[0.42, 0.424, 0.41]), ("Batch", &[0.421, 0.415, 0.43])]),
        "Online and Batch did equally well on the held-out rows: log loss 0.4200 and 0.4210 (median of three seeds); \
         their differences are within the spread over seeds.",
        &[
            "ROC AUC agrees: Online comes first with 0.5800, then Batch with 0.5790, within the spread over seeds.",
            "Of the best, Online is the cheapest with 3,000 rows trained in 1.00 s; Batch trained 30.0 k rows in \
             2.00 s, 10 times the rows.",
        ],
        &[],
    );
    check(
        &results(&[("A", &[0.42, 0.43]), ("B", &[0.425, 0.435]), ("C", &[0.43, 0.42]), ("D", &[0.5, 0.52])]),
        "A, C and B did best on the held-out rows: log loss 0.4250, 0.4250 and 0.4300 (median of two seeds); their \
         differences are within the spread over seeds. D follows at 0.5100, 20 % higher than the best.",
        &[],
        &[],
    );
}

#[test]
fn a_single_seed_proves_nothing() {
    check(
        &results(&[("Online", &[0.43]), ("Batch", &[0.42])]),
        "Batch did best on the held-out rows: log loss 0.4200, 2.3 % lower than Online, the next, at 0.4300.",
        &["ROC AUC agrees: Batch comes first with 0.5800, then Online with 0.5700."],
        &["Where there is only a single seed, chance cannot be told from difference."],
    );
}

#[test]
fn missing_runs_are_told() {
    let mut partial = results(&[("Online", &[0.43, 0.431][..]), ("Batch", &[0.42, 0.421]), ("Monthly", &[][..])]);
    partial.runs.retain(|run| !(run.strategy == "online" && run.seed == 2));
    let reason = "needs 2 GB".into();
    partial.failures.push(Failure { strategy: "online".into(), seed: 2, reason });
    partial.complete = false;
    partial.settings.quick = true;
    check(
        &partial,
        "Batch did best on the held-out rows: log loss 0.4205 (median of two seeds), 2.2 % lower than Online, the \
         next, at 0.4300.",
        &[],
        &[
            "3 of 6 runs have no result: Online, seed 2 (needs 2 GB); Monthly, seeds 1 and 2 (not run yet).",
            "The comparison is not finished: what it says may still change.",
            "Where there is only a single seed, chance cannot be told from difference.",
            "This was a quick trial: it shows that everything works, not which way is best.",
        ],
    );
}

#[test]
fn without_runs_there_is_no_verdict() {
    let nothing = "There is nothing to compare yet: no run has a finite loss on the held-out rows.";
    check(&results(&[]), nothing, &[], &[]);
    let caveat = "1 of 1 run has no result: Batch, seed 1 (not run yet).";
    let mut none = results(&[("Batch", &[0.4])]);
    none.runs.clear();
    check(&none, nothing, &[], &[caveat]);
    let one = "Only Batch has results so far: held-out log loss 0.4100 (median of two seeds).";
    check(&results(&[("Batch", &[0.40, 0.42])]), one, &[], &[]);
}

#[test]
fn a_diverged_run_counts_in_no_median() {
    check(
        &results(&[("Online", &[0.46, 0.461, f64::NAN]), ("Batch", &[0.42, 0.421, 0.419])]),
        "Batch did best on the held-out rows: log loss 0.4200 (median of three seeds), 8.8 % lower than Online, the \
         next, at 0.4605. The difference is larger than the spread over seeds.",
        &[],
        &["One run ended with a loss that is not finite and counts in no median."],
    );
}

#[test]
fn the_baseline_gives_the_scale() {
    let mut compared = results(&[("Online", &[0.43, 0.431]), ("Batch", &[0.42, 0.421])]);
    let scores = |loss| Scores { rows: 100, loss, score: 0.5, score_error: 0.0 };
    compared.baseline = Some(Baseline { label: "Always the mean".into(), held_out: scores(0.841) });
    let useful = "For scale: \"Always the mean\" has a log loss of 0.8410; the best is 50 % lower.";
    assert_eq!(verdict(&compared).findings[0], useful);
    compared.baseline = Some(Baseline { label: "Always the mean".into(), held_out: scores(0.4) });
    let useless =
        "Nothing useful was learnt: \"Always the mean\" has a log loss of 0.4000, and Batch, the best, is no better.";
    assert_eq!(verdict(&compared).findings[0], useless);
}

#[test]
fn the_score_may_disagree() {
    let mut compared = results(&[("Online", &[0.43, 0.431]), ("Batch", &[0.42, 0.421])]);
    for run in compared.runs.iter_mut().filter(|run| run.strategy == "online") {
        run.held_out.score = 0.9;
    }
    let expected = "ROC AUC says otherwise: Online comes first with 0.9000, then Batch with 0.5795.";
    assert_eq!(verdict(&compared).findings[0], expected);
}

/// Online is tested on more rows than the other, and on the harder ones: only the rows both share may be compared.
#[test]
fn prequential_losses_are_compared_over_common_rows() {
    let mut compared = results(&[("Online", &[0.40, 0.40]), ("Warm", &[0.41, 0.41])]);
    compared.runs.iter_mut().filter(|run| run.strategy == "warm").for_each(|run| {
        run.segments.remove(0);
    });
    let expected = "Tested on each row before training on it (Q2 to Q3, the rows that all who test so share), Online \
                    did best: log loss 0.4750 against 0.4850 for Warm.";
    assert!(verdict(&compared).findings.iter().any(|f| f == expected), "{:#?}", verdict(&compared).findings);
}

#[test]
fn root_mean_squares_are_pooled_as_squares() {
    let mut compared = results(&[("Online", &[1.0, 1.0]), ("Batch", &[2.0, 2.0])]);
    compared.task.kind = TaskKind::Regression;
    compared.metrics = TaskKind::Regression.metrics(None);
    for run in &mut compared.runs {
        let tested = run.segments.iter_mut().filter(|s| s.state == ModelState::Prequential);
        let losses = if run.strategy == "online" { [1.0, 1.0, 5.0] } else { [6.0, 6.0, 6.0] };
        tested.zip(losses).for_each(|(segment, loss)| segment.loss = loss);
    }
    let findings = verdict(&compared).findings;
    assert!(
        findings.iter().any(|f| f.ends_with("Online did best: RMSE 3.0000 against 6.0000 for Batch.")),
        "{findings:#?}"
    );
}

#[test]
fn drift_is_told_when_it_outweighs_the_choice() {
    let mut compared = results(&[("Online", &[0.41, 0.411]), ("Batch", &[0.40, 0.401])]);
    for run in &mut compared.runs {
        let mut later = run.segments[3].clone();
        run.segments[3].rows = 50;
        (later.first_row, later.rows, later.label, later.loss) = (350, 50, "Q5".into(), later.loss + 0.1);
        run.segments.push(later);
    }
    let expected = "When matters more than how: held-out log loss of Batch runs from 0.4005 (Q4) to 0.5005 (Q5), 10 \
                    times the gap between the best way and the last.";
    assert_eq!(verdict(&compared).findings.last().map(String::as_str), Some(expected));
}

#[test]
fn the_text_fits_a_terminal() {
    let text = verdict(&results(&[("Online", &[0.46, 0.461]), ("Batch", &[0.42, 0.421])])).to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.is_ascii(), "{text}");
    assert!(text.lines().count() > 5, "{text}");
}
