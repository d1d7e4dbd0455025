//! Small results in which every number can be told.

use tidemill_experiments::results::*;

/// A comparison of strategies, each with the held-out losses of its seeds.
pub fn results(losses: &[(&str, &[f64])]) -> Results {
    let seeds = losses.iter().map(|(_, losses)| losses.len()).max().unwrap_or(0);
    let strategy = |label: &str| Strategy {
        name: label.to_lowercase(),
        label: label.into(),
        description: format!("How {label} trains."),
    };
    let runs = losses.iter().enumerate().flat_map(|(i, (label, losses))| {
        losses.iter().enumerate().map(move |(seed, &loss)| run(&label.to_lowercase(), seed as u64 + 1, i as u64, loss))
    });
    Results {
        version: VERSION,
        title: "A comparison".into(),
        notice: None,
        task: Task { kind: TaskKind::Binary, target: "late".into(), description: "whether it is late".into() },
        data: Data {
            name: "rows".into(),
            rows: 400,
            training_rows: 300,
            held_out_rows: 100,
            features: 3,
            segment: "quarter".into(),
            source: "nowhere".into(),
        },
        machine: Machine { cpu: "CPU".into(), cores: 2, memory_bytes: Some(8_000_000_000), os: "Linux".into() },
        settings: Settings {
            model: "3-1".into(),
            parameters: Some(4),
            optimizer: "SGD".into(),
            batch_size: 10,
            epochs: 2,
            seeds: (1..=seeds as u64).collect(),
            quick: false,
            more: Vec::new(),
        },
        metrics: TaskKind::Binary.metrics(Some(0.45)),
        baseline: None,
        strategies: losses.iter().map(|(label, _)| strategy(label)).collect(),
        runs: runs.collect(),
        failures: Vec::new(),
        notes: Vec::new(),
        started: "2026-01-02T03:04:05Z".into(),
        seconds: 12.5,
        complete: true,
    }
}

/// A run of the strategy at place `place`: each place costs ten times that before it.
fn run(strategy: &str, seed: u64, place: u64, loss: f64) -> Run {
    let rows_trained = 3_000 * 10u64.pow(place as u32);
    let segment = |quarter: u64, state, loss| Segment {
        label: format!("Q{}", quarter + 1),
        first_row: 100 * quarter,
        rows: 100,
        loss,
        score: 1.0 - loss,
        state,
    };
    let point = |share: f64| Point {
        rows_trained: (rows_trained as f64 * share) as u64,
        position: (300.0 * share) as u64,
        seconds: share,
        loss: loss + 0.1 * (1.0 - share),
        score: 0.7 * share,
    };
    Run {
        strategy: strategy.into(),
        seed,
        fingerprint: String::new(),
        threads: 1,
        curve: [0.1, 0.5, 1.0].map(point).into(),
        segments: vec![
            segment(0, ModelState::Prequential, loss + 0.2),
            segment(1, ModelState::Prequential, loss + 0.1),
            segment(2, ModelState::Prequential, loss + 0.05),
            segment(3, ModelState::HeldOut, loss),
        ],
        held_out: Scores { rows: 100, loss, score: 1.0 - loss, score_error: 0.0 },
        prequential: Some(Scores { rows: 300, loss: loss + 0.1, score: 0.9 - loss, score_error: 0.0 }),
        to_target: (loss <= 0.45).then_some(ToTarget {
            rows: rows_trained / 2,
            steps: rows_trained / 20,
            seconds: 0.5,
        }),
        rows_trained,
        steps: rows_trained / 10,
        training_seconds: (place + 1) as f64,
        waiting_seconds: 0.25,
        memory_plan: Vec::new(),
        total_seconds: (place + 2) as f64,
        rows_per_second: 1_000.0,
        peak_memory_bytes: Some(84_000_000 * (place + 1)),
        note: None,
    }
}
