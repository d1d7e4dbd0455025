//! Results that nobody measured, shaped like those of a real comparison.

use tidemill_experiments::results::*;

const MONTHS: [(&str, u64); 12] = [
    ("Jan", 27_004),
    ("Feb", 24_951),
    ("Mar", 28_834),
    ("Apr", 28_330),
    ("May", 28_796),
    ("Jun", 28_243),
    ("Jul", 29_425),
    ("Aug", 29_327),
    ("Sep", 27_574),
    ("Oct", 28_889),
    ("Nov", 27_268),
    ("Dec", 28_135),
];
/// How hard each month is, beside everything else.
const HARD: [f64; 12] = [0.015, 0.012, 0.004, 0.028, 0.012, 0.05, 0.06, 0.01, -0.06, -0.045, -0.05, 0.075];
const TRAINING_MONTHS: usize = 9;

/// Four strategies over three seeds.
pub fn results() -> Results {
    let training_rows = MONTHS[..TRAINING_MONTHS].iter().map(|m| m.1).sum();
    let rows = MONTHS.iter().map(|m| m.1).sum();
    let seeds = vec![1, 2, 3];
    let ways = ways(training_rows);
    let runs = ways.iter().flat_map(|way| seeds.iter().map(|&seed| run(way, seed, training_rows))).collect();
    Results {
        version: VERSION,
        title: "Batch or online? Delays of flights in 2013".into(),
        notice: Some("Preview with made-up numbers: nothing on this page was measured.".into()),
        task: Task {
            kind: TaskKind::Binary,
            target: "late".into(),
            description: "whether a flight arrives more than 15 minutes late, from what is known before departure"
                .into(),
        },
        data: Data {
            name: "Flights from New York, 2013".into(),
            rows,
            training_rows,
            held_out_rows: rows - training_rows,
            features: 14,
            segment: "month".into(),
            source: "made up".into(),
        },
        machine: Machine {
            cpu: "Imaginary CPU at 3.0 GHz".into(),
            cores: 8,
            memory_bytes: Some(34_000_000_000),
            os: "Linux 6.1".into(),
        },
        settings: Settings {
            model: "embeddings, then dense 64-32-1, ReLU".into(),
            parameters: Some(8_193),
            optimizer: "Adam, learning rate 0.001".into(),
            batch_size: 256,
            epochs: 10,
            seeds,
            quick: false,
            more: vec![Setting { name: "memory budget".into(), value: "512 MB".into() }],
        },
        metrics: TaskKind::Binary.metrics(Some(0.48)),
        baseline: Some(Baseline {
            label: "Always the training mean".into(),
            held_out: Scores { rows: rows - training_rows, loss: 0.5261, score: 0.5, score_error: 0.0 },
        }),
        strategies: ways.into_iter().map(|way| way.strategy).collect(),
        runs,
        failures: Vec::new(),
        notes: vec!["Evaluations were made every 5,000 rows at first and twice as far apart later.".into()],
        started: "2026-01-02 03:04 UTC".into(),
        seconds: 1234.0,
        complete: true,
    }
}

/// Leaves the results as they are when a comparison was stopped half-way.
pub fn interrupt(results: &mut Results) {
    results.runs.retain(|run| run.strategy != "monthly" && !(run.strategy == "warm" && run.seed > 1));
    let reason = "needs 612 MB, the budget is 512 MB".into();
    results.failures.push(Failure { strategy: "monthly".into(), seed: 1, reason });
    results.complete = false;
    results.settings.quick = true;
}

struct Way {
    strategy: Strategy,
    rows_trained: u64,
    /// Loss after all training.
    floor: f64,
    /// Rows until the first quick gains are made.
    slowness: f64,
    /// First month tested before training on it.
    tested_from: Option<usize>,
    memory: u64,
    speed: f64,
}

fn ways(training_rows: u64) -> [Way; 4] {
    let way = |name: &str, label: &str, description: &str| Strategy {
        name: name.into(),
        label: label.into(),
        description: description.into(),
    };
    let all_so_far: u64 = (0..TRAINING_MONTHS).map(|m| MONTHS[..=m].iter().map(|m| m.1).sum::<u64>()).sum();
    [
        Way {
            strategy: way("batch", "Batch", "10 epochs over all training rows, reshuffled for each."),
            rows_trained: 10 * training_rows,
            floor: 0.4702,
            slowness: 9_000.0,
            tested_from: None,
            memory: 312_000_000,
            speed: 152_000.0,
        },
        Way {
            strategy: way("online", "Online", "One pass in time order; each row is tested, then trained on."),
            rows_trained: training_rows,
            floor: 0.4790,
            slowness: 5_000.0,
            tested_from: Some(0),
            memory: 84_000_000,
            speed: 121_000.0,
        },
        Way {
            strategy: way("warm", "Online after warm start", "Batch on the first three months, then online."),
            rows_trained: 10 * 80_789 + training_rows - 80_789,
            floor: 0.4741,
            slowness: 12_000.0,
            tested_from: Some(3),
            memory: 141_000_000,
            speed: 140_000.0,
        },
        Way {
            strategy: way("monthly", "Batch every month", "After every month, trained anew on all rows so far."),
            rows_trained: 5 * all_so_far,
            floor: 0.4705,
            slowness: 16_000.0,
            tested_from: Some(1),
            memory: 315_000_000,
            speed: 150_000.0,
        },
    ]
}

fn run(way: &Way, seed: u64, training_rows: u64) -> Run {
    let mut noise = Noise(seed * 7919 + way.rows_trained);
    let floor = way.floor + 0.0009 * noise.next();
    let speed = way.speed * (1.0 + 0.02 * noise.next());
    let score = |loss: f64| 0.5 + 1.9 * (0.575 - loss);
    let mut curve = Vec::new();
    let mut rows = 1_280;
    loop {
        let rows_trained = rows.min(way.rows_trained);
        let share = (rows_trained as f64 / way.rows_trained as f64).powf(0.7);
        let early = 0.22 * (-(rows_trained as f64) / way.slowness).exp();
        let loss = floor
            + early
            + 0.03 * (1.0 - share) * (60_000.0 / (60_000.0 + rows_trained as f64))
            + 0.0006 * noise.next();
        let position = rows_trained.min(training_rows);
        curve.push(Point { rows_trained, position, seconds: rows_trained as f64 / speed, loss, score: score(loss) });
        if rows_trained == way.rows_trained {
            break;
        }
        rows = (rows as f64 * 1.25) as u64;
    }
    let reached = curve.iter().find(|p| p.loss <= 0.48);
    let segments = segments(way, floor, &mut noise, score);
    let seconds = way.rows_trained as f64 / speed;
    let tested: Vec<&Segment> = segments.iter().filter(|s| s.state == ModelState::Prequential).collect();
    let tested_rows: u64 = tested.iter().map(|s| s.rows).sum();
    let mean = tested.iter().map(|s| s.loss * s.rows as f64).sum::<f64>() / tested_rows as f64;
    Run {
        strategy: way.strategy.name.clone(),
        seed,
        fingerprint: String::new(),
        threads: 1,
        held_out: Scores { rows: 84_292, loss: floor, score: score(floor), score_error: 0.0 },
        prequential: (tested_rows > 0).then(|| Scores {
            rows: tested_rows,
            loss: mean,
            score: score(mean),
            score_error: 0.0,
        }),
        to_target: reached.map(|p| ToTarget { rows: p.rows_trained, steps: p.rows_trained / 256, seconds: p.seconds }),
        curve,
        segments,
        rows_trained: way.rows_trained,
        steps: way.rows_trained / 256,
        training_seconds: seconds,
        waiting_seconds: 0.0,
        memory_plan: Vec::new(),
        total_seconds: seconds * 1.4 + 1.0,
        rows_per_second: speed,
        peak_memory_bytes: Some((way.memory as f64 * (1.0 + 0.01 * noise.next())) as u64),
        note: None,
    }
}

fn segments(way: &Way, floor: f64, noise: &mut Noise, score: impl Fn(f64) -> f64) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut first_row = 0;
    for (month, &(label, rows)) in MONTHS.iter().enumerate() {
        let held_out = month >= TRAINING_MONTHS;
        if held_out || way.tested_from.is_some_and(|from| month >= from) {
            let young = if held_out { 0.0 } else { 0.04 / (1.0 + month as f64) };
            let loss = floor + HARD[month] + young + 0.0012 * noise.next();
            let state = if held_out { ModelState::HeldOut } else { ModelState::Prequential };
            segments.push(Segment {
                label: label.into(),
                first_row,
                rows,
                loss,
                score: score(loss - 0.6 * HARD[month]),
                state,
            });
        }
        first_row += rows;
    }
    segments
}

/// Numbers between -1 and 1 that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}
