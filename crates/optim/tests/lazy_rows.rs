//! Rows that decay while no step touches them are caught up to what an update of everything makes of them.

use std::ops::Range;

use tidemill_optim::{
    Chain, Compose, Optimizer, Schedule, Table, TableRows, UpdateStep, Workers, adagrad, adam, adamw, clip,
    clip_by_global_norm, l2, scale, sgd, weight_decay,
};
use tidemill_tensor::{Initializer, Key, Layout, Scalar};

/// Workers that come one after the other, the last one first.
struct Backwards(usize);

impl Workers for Backwards {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        (0..self.0).rev().for_each(job);
    }
}

const ROWS: usize = 3_000;
const WIDTH: usize = 8;
const STEPS: u64 = 40;

fn layout() -> Layout {
    let mut layout = Layout::new();
    for (name, shape) in [("dense", [3, 4]), ("table", [ROWS, WIDTH]), ("behind", [5, 1]), ("other", [10, 2])] {
        layout.push(name, &shape, Initializer::Normal { std: 1.0 }).unwrap();
    }
    layout
}

fn tables() -> [Table; 2] {
    [Table { range: layout()[1].range(), width: WIDTH }, Table { range: layout()[3].range(), width: 2 }]
}

/// Where parameters lie that are no tables.
fn dense() -> [Range<usize>; 2] {
    [0, 2].map(|i| layout()[i].range())
}

/// Many rows in some steps, few in others, and none; some rows in no step.
fn rows(step: u64, table: usize) -> Vec<u32> {
    let count = [ROWS, 10][table] as u32;
    let one_in = [2, 7, 300, 1_000][(step % 4) as usize];
    let touched = |row: &u32| Key::new(step).fold(table as u64).block(u64::from(*row))[0].is_multiple_of(one_in);
    if step % 9 == 3 { Vec::new() } else { (0..count).filter(touched).filter(|row| row % 5 != 1).collect() }
}

/// A learning rate that changes with the step, and by hand.
fn at(step: u64) -> UpdateStep {
    UpdateStep { number: step, learning_rate_factor: if step / 10 == 2 { 0.25 } else { 1.0 } }
}

/// How a run's arenas are changed by a step.
type Update<'a, T> = dyn FnMut(u64, [&mut [T]; 3], &[TableRows]) + 'a;

fn run<T: Scalar>(optimizer: &Optimizer<T>, update: &mut Update<'_, T>) -> [Vec<T>; 2] {
    let layout = layout();
    let mut parameters = layout.initialize::<T>(Key::new(1));
    let mut state = optimizer.initial_state();
    for step in 0..STEPS {
        let drawn = layout.initialize::<T>(Key::new(10 + step));
        let mut gradients = vec![T::zero(); layout.len()];
        for place in dense() {
            gradients[place.clone()].copy_from_slice(&drawn[place]);
        }
        let touched = [rows(step, 0), rows(step, 1)];
        let tables: Vec<TableRows> = std::iter::zip(tables(), &touched)
            .map(|(Table { range, width }, rows)| TableRows { range, width, rows: rows.clone() })
            .collect();
        for table in &tables {
            for place in table.places() {
                gradients[place.clone()].copy_from_slice(&drawn[place]);
            }
        }
        update(step, [&mut parameters, &mut gradients, &mut state], &tables);
    }
    [parameters, state]
}

fn by_rows<T: Scalar>(optimizer: &Optimizer<T>, workers: usize) -> [Vec<T>; 2] {
    run(optimizer, &mut |step, arenas, tables| {
        optimizer.update_rows(at(step), T::of(0.25), arenas, tables, &mut Backwards(workers), &|_, _| ());
    })
}

fn check<T: Scalar>(chain: &Chain, tolerance: f64) {
    let optimizer = chain.build_with_tables::<T>(&layout(), &tables()).unwrap();
    assert_eq!(optimizer.why_not_rows(layout()[1].range()), None, "{chain:?}");
    assert!(optimizer.catches_up());
    let dense = run(&optimizer, &mut |step, [p, g, s], _| optimizer.update(at(step), T::of(0.25), p, g, s));
    let [mut parameters, mut state] = by_rows(&optimizer, 1);
    for workers in [2, 3, 100] {
        assert!(by_rows(&optimizer, workers) == [parameters.clone(), state.clone()], "{chain:?} by {workers}");
    }
    optimizer.catch_up(&mut parameters, &mut state);
    for (found, wanted) in [(&parameters, &dense[0]), (&state, &dense[1])] {
        for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            let (found, wanted) = (found.widen(), wanted.widen());
            let near = (found - wanted).abs() <= tolerance * (1.0 + wanted.abs());
            assert!(near, "{chain:?}: [{i}] is {found}, not {wanted}");
        }
    }
    let before = parameters.clone();
    optimizer.catch_up(&mut parameters, &mut state);
    assert!(parameters == before, "caught up twice");
}

#[test]
fn decay_comes_to_that_of_everything() {
    let halving = Schedule::step(0.2, 7, 0.5);
    for chain in [
        l2(0.05).then(sgd(0.1)),
        l2(0.05).then(sgd(halving.clone())),
        l2(0.3).only("*a*").then(sgd(halving.clone())),
        clip(0.2).then(l2(0.05)).then(sgd(0.1)),
        clip_by_global_norm(1.0).then(l2(0.05)).then(sgd(0.1)),
        l2(0.05).then(scale(halving.clone())).then(weight_decay(0.02)).then(sgd(0.1)).then(scale(0.5)),
        adagrad(halving.clone()).then(weight_decay(0.1)),
        adagrad(0.1).only("other").then(l2(0.1).except("other")).then(sgd(0.1).except("other")),
    ] {
        check::<f32>(&chain, 3e-6);
        check::<f64>(&chain, 1e-14);
    }
}

/// A rate by which nothing is left of a row, or less than nothing, has no logarithm.
#[test]
fn decay_by_everything_and_beyond() {
    let rate = |t| match t {
        12 => 1.0,
        15 | 30 => 1.5,
        _ => 0.1,
    };
    let schedule = Schedule::function(rate);
    let chain = l2(1.0).then(sgd(schedule));
    check::<f32>(&chain, 3e-6);
    check::<f64>(&chain, 1e-14);
}

#[test]
fn a_step_reads_rows_that_are_caught_up() {
    let optimizer = l2(0.05).then(sgd(0.1)).build_with_tables::<f64>(&layout(), &tables()).unwrap();
    let mut dense = Vec::new();
    run(&optimizer, &mut |step, [p, g, s], tables| {
        dense.push(tables.iter().flat_map(TableRows::places).map(|place| p[place].to_vec()).collect::<Vec<_>>());
        optimizer.update(at(step), 0.25, p, g, s);
    });
    run(&optimizer, &mut |step, [p, g, s], tables| {
        let mut previewed = p.to_vec();
        optimizer.preview_rows(tables, &mut previewed, s);
        optimizer.catch_up_rows(tables, p, s, &mut Backwards(3));
        assert!(previewed == p, "seen before");
        let read = tables.iter().flat_map(TableRows::places).map(|place| p[place].to_vec());
        for (read, wanted) in read.zip(&dense[step as usize]) {
            read.iter().zip(wanted).for_each(|(a, b)| assert!((a - b).abs() < 1e-14, "step {step}: {a}, not {b}"));
        }
        let caught_up = p.to_vec();
        optimizer.catch_up_rows(tables, p, s, &mut Backwards(3));
        assert!(caught_up == p, "caught up twice");
        optimizer.update_rows(at(step), 0.25, [p, g, s], tables, &mut Backwards(2), &|_, _| ());
    });
}

/// So that a step's cost does not depend on how many rows there are.
#[test]
fn rows_that_are_not_touched_are_not_written() {
    for chain in [l2(0.05).then(sgd(0.1)), adamw(0.1).into(), adam(0.1).into()] {
        let optimizer = chain.build_with_tables::<f32>(&layout(), &tables()).unwrap();
        run(&optimizer, &mut |step, [p, g, s], tables| {
            let (parameters, state) = (p.to_vec(), s.to_vec());
            optimizer.update_rows(at(step), 0.25, [p, g, s], tables, &mut Backwards(2), &|_, _| ());
            let changed = p.iter().zip(&parameters).filter(|(a, b)| a != b).count();
            let touched: usize = tables.iter().map(|table| table.rows.len() * table.width).sum();
            assert!(
                changed <= touched + dense().map(|place| place.len()).iter().sum::<usize>(),
                "step {step}: {changed} parameters"
            );
            let changed = s.iter().zip(&state).filter(|(a, b)| a != b).count();
            // Moments, times of rows, and the clocks of two tables.
            let most = 2 * (touched + dense().map(|place| place.len()).iter().sum::<usize>())
                + 3 * tables.iter().map(|t| t.rows.len()).sum::<usize>()
                + 6;
            assert!(changed <= most, "step {step}: {changed} numbers of state");
        });
    }
}

/// By the equations: moments as PyTorch's `SparseAdam`, decay of all rows in each step.
#[test]
fn adamw_decays_all_rows_and_leaves_moments_alone() {
    let [lr, b1, b2, eps, strength] = [0.01, 0.9, 0.999, 1e-8, 0.1];
    let optimizer = adamw(lr).weight_decay(strength).build_with_tables::<f64>(&layout(), &tables()).unwrap();
    let [mut found, mut state] = by_rows(&optimizer, 3);
    optimizer.catch_up(&mut found, &mut state);
    let mut moments = vec![[0.0; 2]; layout().len()];
    let [wanted, _] = run(&optimizer, &mut |step, [p, g, _], tables| {
        let lr = lr * at(step).learning_rate_factor;
        p.iter_mut().for_each(|p| *p -= lr * strength * *p);
        for i in dense().into_iter().chain(tables.iter().flat_map(TableRows::places)).flatten() {
            let g = 0.25 * g[i];
            let [m, v] = &mut moments[i];
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            let t = step as f64 + 1.0;
            let (mean, square) = (*m / (1.0 - f64::powf(b1, t)), *v / (1.0 - f64::powf(b2, t)));
            p[i] -= lr * mean / (square.sqrt() + eps);
        }
    });
    for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!((found - wanted).abs() < 1e-12, "parameter {i}: {found}, not {wanted}");
    }
}

#[test]
fn updates_of_everything_and_of_rows_take_turns() {
    fn check<T: Scalar>(tolerance: f64) {
        let optimizer = l2(0.05).then(sgd(0.1)).build_with_tables::<T>(&layout(), &tables()).unwrap();
        let [dense, _] = run(&optimizer, &mut |step, [p, g, s], _| optimizer.update(at(step), T::of(0.25), p, g, s));
        let [mut mixed, mut state] = run(&optimizer, &mut |step, [p, g, s], tables| match step % 6 {
            0 => optimizer.update(at(step), T::of(0.25), p, g, s),
            1 => optimizer.update_in_parallel(at(step), T::of(0.25), [p, g, s], &mut Backwards(2), &|_, _| ()),
            2 => optimizer.update_range(at(step), T::of(0.25), 0..layout().len(), p, g, s),
            _ => optimizer.update_rows(at(step), T::of(0.25), [p, g, s], tables, &mut Backwards(2), &|_, _| ()),
        });
        optimizer.catch_up(&mut mixed, &mut state);
        for (a, b) in mixed.iter().zip(&dense) {
            assert!((a.widen() - b.widen()).abs() <= tolerance * (1.0 + b.widen().abs()), "{a}, not {b}");
        }
    }
    check::<f32>(3e-6);
    check::<f64>(1e-14);
}

#[test]
fn a_reset_forgets_no_decay() {
    let optimizer = adamw(0.1).build_with_tables::<f64>(&layout(), &tables()).unwrap();
    let [parameters, state] = by_rows(&optimizer, 1);
    let (mut plain, mut reset) = (parameters.clone(), parameters);
    let mut after = state.clone();
    optimizer.reset(&mut after);
    assert!(after != state && after[..2 * layout().len()].iter().all(|&moment| moment == 0.0));
    optimizer.catch_up(&mut plain, &mut state.clone());
    optimizer.catch_up(&mut reset, &mut after);
    assert!(plain == reset && after == optimizer.initial_state());
}

#[test]
fn the_memory_of_rows_is_a_part_of_the_state() {
    let optimizer = l2(0.05).then(sgd(0.1)).build_with_tables::<f32>(&layout(), &tables()).unwrap();
    let blocks: Vec<_> =
        optimizer.state_blocks().iter().map(|block| (block.name.as_str(), block.range.len())).collect();
    assert_eq!(
        blocks,
        [("decay.table", 3), ("decay.table.rows", 3 * ROWS), ("decay.other", 3), ("decay.other.rows", 3 * 10)]
    );
    assert_eq!(optimizer.state_blocks().last().unwrap().range.end, optimizer.state_len());
    let nothing = adam(0.1).build_with_tables::<f32>(&layout(), &tables()).unwrap();
    assert!(!nothing.catches_up() && nothing.state_len() == 2 * layout().len());
}
