//! Rows of a table, moved by Adam, against PyTorch's `SparseAdam`.

use tidemill_optim::{Compose, EpsilonMode, Table, TableRows, Workers, adam};
use tidemill_tensor::{Initializer, Layout, Scalar};

/// Written by `sparse_adam/table.py`: step, row, its gradient, and the row after the step.
const TABLE: &str = include_str!("sparse_adam/table.csv");

const STEPS: u64 = 12;
const ROWS: usize = 10;
const WIDTH: usize = 3;

struct Alone;

impl Workers for Alone {
    fn count(&self) -> usize {
        1
    }

    fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        job(0);
    }
}

/// A line of the table.
struct Line {
    step: u64,
    row: u32,
    gradient: [f64; WIDTH],
    after: [f64; WIDTH],
}

fn lines() -> Vec<Line> {
    let numbers = |line: &str| line.split(',').map(|x| x.parse::<f64>().unwrap()).collect::<Vec<_>>();
    let line = |line: &str| match numbers(line)[..] {
        [step, row, g0, g1, g2, p0, p1, p2] => {
            Line { step: step as u64, row: row as u32, gradient: [g0, g1, g2], after: [p0, p1, p2] }
        }
        _ => panic!("a line of {line:?}"),
    };
    TABLE.lines().skip(2).map(line).collect()
}

fn check<T: Scalar>(tolerance: f64) {
    let mut layout = Layout::new();
    layout.push("table", &[ROWS, WIDTH], Initializer::Constant(0.0)).unwrap();
    let range = layout[0].range();
    let chain = adam(0.1).beta1(0.9).beta2(0.99).epsilon(1e-3, EpsilonMode::Keras);
    let optimizer = chain.build_with_tables::<T>(&layout, &[Table { range: range.clone(), width: WIDTH }]).unwrap();
    let start = |i: usize| ((i / WIDTH) as f64 - 4.0) / 4.0 + (i % WIDTH) as f64 / 8.0;
    let mut wanted: Vec<f64> = (0..layout.len()).map(start).collect();
    let mut parameters: Vec<T> = wanted.iter().copied().map(T::of).collect();
    let (mut gradients, mut state) = (vec![T::zero(); layout.len()], optimizer.initial_state());
    let lines = lines();
    assert!(lines.len() > 30);
    for step in 0..STEPS {
        let lines: Vec<&Line> = lines.iter().filter(|line| line.step == step).collect();
        let rows: Vec<u32> = lines.iter().map(|line| line.row).collect();
        for line in &lines {
            let place = line.row as usize * WIDTH..(line.row as usize + 1) * WIDTH;
            wanted[place.clone()].copy_from_slice(&line.after);
            std::iter::zip(&mut gradients[place], line.gradient).for_each(|(to, g)| *to = T::of(g));
        }
        let tables = [TableRows { range: range.clone(), width: WIDTH, rows: rows.clone() }];
        let arenas = [&mut parameters[..], &mut gradients, &mut state];
        optimizer.update_rows(step, T::one(), arenas, &tables[..], &mut Alone, &|_, _| ());
        for (i, (found, wanted)) in parameters.iter().zip(&wanted).enumerate() {
            assert!((found.widen() - wanted).abs() <= tolerance, "step {step}, [{i}]: {found}, not {wanted}");
        }
    }
}

#[test]
fn rows_move_as_by_sparse_adam() {
    check::<f64>(1e-13);
    check::<f32>(1e-6);
}
