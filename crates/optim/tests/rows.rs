//! Rows of tables are updated as if everything were, or as documented.

use tidemill_optim::{
    Chain, Compose, Optimizer, Table, TableRows, Workers, adagrad, adam, clip, clip_by_global_norm, ftrl, l1, l2, lamb,
    momentum, rmsprop, sgd,
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

const WIDTHS: [usize; 2] = [8, 3];
const ROWS: [usize; 2] = [2_000, 900];

/// The indices of tables in the layout, and of other parameters.
const TABLES: [usize; 2] = [1, 3];
const DENSE: [usize; 3] = [0, 2, 4];

fn layout() -> Layout {
    let mut layout = Layout::new();
    let [a, b] = [0, 1].map(|i| [ROWS[i], WIDTHS[i]]);
    for (name, shape) in
        [("dense.weight", [70, 90]), ("a", a), ("dense.bias", [1, 9]), ("b", b), ("dense.last", [9, 500])]
    {
        layout.push(name, &shape, Initializer::Normal { std: 1.0 }).unwrap();
    }
    layout
}

/// The rows that a step touches: neighbours and lone ones, the first and the last, another number in each step.
fn rows(step: u64, table: usize) -> Vec<u32> {
    let last = ROWS[table] as u32 - 1;
    let touched = |row: &u32| {
        let [bits, ..] = Key::new(step).fold(table as u64).block(u64::from(*row));
        *row == 0 || *row == last || bits % 3 == 0 || (*row / 50) % 4 == step as u32 % 4
    };
    if step == 2 && table == 1 { Vec::new() } else { (0..=last).filter(touched).collect() }
}

struct Ran<T> {
    parameters: Vec<T>,
    state: Vec<T>,
}

/// Some steps whose gradients are zero but for dense parameters and touched rows.
fn run<T: Scalar>(optimizer: &Optimizer<T>, mut update: impl FnMut(u64, [&mut [T]; 3], &[TableRows])) -> Ran<T> {
    let layout = layout();
    let mut parameters = layout.initialize::<T>(Key::new(1));
    let mut state = optimizer.initial_state();
    for step in 0..5 {
        let drawn = layout.initialize::<T>(Key::new(10 + step));
        let mut gradients = vec![T::zero(); layout.len()];
        for place in DENSE.map(|i| layout[i].range()) {
            gradients[place.clone()].copy_from_slice(&drawn[place]);
        }
        let touched = [rows(step, 0), rows(step, 1)];
        let tables: Vec<TableRows> = (0..2)
            .map(|i| TableRows { range: layout[TABLES[i]].range(), width: WIDTHS[i], rows: touched[i].clone() })
            .collect();
        for table in &tables {
            for &row in &table.rows {
                let start = table.range.start + row as usize * table.width;
                gradients[start..start + table.width].copy_from_slice(&drawn[start..start + table.width]);
            }
        }
        update(step, [&mut parameters, &mut gradients, &mut state], &tables);
    }
    Ran { parameters, state }
}

fn by_rows<T: Scalar>(optimizer: &Optimizer<T>, workers: usize) -> Ran<T> {
    run(optimizer, |step, arenas, tables| {
        let [parameters, gradients, state] = arenas;
        let arenas = [parameters, &mut *gradients, state];
        optimizer.update_rows(step, T::of(0.25), arenas, tables, &mut Backwards(workers), &|_, _| ());
        let mut rows = tables.iter().flat_map(|table| &gradients[table.range.clone()]);
        assert!(rows.all(|&g| g == T::zero()), "rows are used up");
    })
}

fn whole<T: Scalar>(optimizer: &Optimizer<T>) -> Ran<T> {
    run(optimizer, |step, [p, g, s], _| optimizer.update(step, T::of(0.25), p, g, s))
}

fn tables() -> [Table; 2] {
    [0, 1].map(|i| Table { range: layout()[TABLES[i]].range(), width: WIDTHS[i] })
}

fn check<T: Scalar>(chain: &Chain, tolerance: f64) {
    let optimizer = chain.build_with_tables::<T>(&layout(), &tables()).unwrap();
    assert!(optimizer.updates_rows(layout()[1].range()), "{chain:?}");
    let (wanted, found) = (whole(&optimizer), by_rows(&optimizer, 1));
    let near = |found: &[T], wanted: &[T]| {
        let apart = |(a, b): (&T, &T)| (a.widen() - b.widen()).abs() <= tolerance * (1.0 + b.widen().abs());
        found.iter().zip(wanted).all(apart)
    };
    assert!(near(&found.parameters, &wanted.parameters), "{chain:?}");
    assert!(near(&found.state, &wanted.state), "{chain:?}");
    for workers in [2, 3, 100] {
        let again = by_rows(&optimizer, workers);
        assert!(again.parameters == found.parameters && again.state == found.state, "{chain:?} by {workers}");
    }
}

#[test]
fn sgd_and_adagrad_come_to_the_same_bits() {
    for chain in [sgd(0.1).into(), adagrad(0.1).into(), clip(0.5).then(sgd(0.1)), clip(0.5).then(adagrad(0.1))] {
        check::<f32>(&chain, 0.0);
        check::<f64>(&chain, 0.0);
    }
}

#[test]
fn norms_are_those_of_everything() {
    for chain in [clip_by_global_norm(1.0).then(sgd(0.1)), clip_by_global_norm(0.1).only("*a*").then(adagrad(0.1))] {
        check::<f32>(&chain, 1e-6);
        check::<f64>(&chain, 1e-14);
    }
}

/// The rule of `SparseAdam`, by its equations: moments of rows without a gradient stay as they are.
#[test]
fn adam_leaves_rows_alone_as_sparse_adam_does() {
    let optimizer = Chain::from(adam(0.01)).build::<f64>(&layout()).unwrap();
    let found = by_rows(&optimizer, 3);
    let [b1, b2, lr, eps] = [0.9, 0.999, 0.01, 1e-8];
    let mut moments = vec![[0.0; 2]; layout().len()];
    let wanted = run(&optimizer, |step, [p, g, _], tables| {
        let t = step as f64 + 1.0;
        let dense = DENSE.into_iter().flat_map(|i| layout()[i].range());
        let rows = tables.iter().flat_map(|table| {
            table.rows.iter().flat_map(|&row| {
                let start = table.range.start + row as usize * table.width;
                start..start + table.width
            })
        });
        for i in dense.chain(rows.collect::<Vec<_>>()) {
            let g = 0.25 * g[i];
            let [m, v] = &mut moments[i];
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            let (mean, square) = (*m / (1.0 - f64::powf(b1, t)), *v / (1.0 - f64::powf(b2, t)));
            p[i] -= lr * mean / (square.sqrt() + eps);
        }
    });
    for (i, (found, wanted)) in found.parameters.iter().zip(&wanted.parameters).enumerate() {
        assert!((found - wanted).abs() < 1e-12, "parameter {i}: {found}, not {wanted}");
    }
}

#[test]
fn what_others_computed_is_added_to_rows_and_to_what_is_dense() {
    let optimizer = Chain::from(adagrad(0.1)).build::<f64>(&layout()).unwrap();
    let wanted = by_rows(&optimizer, 1);
    let found = run(&optimizer, |step, [p, g, s], tables| {
        let all = g.to_vec();
        g.fill(0.0);
        optimizer.update_rows(step, 0.25, [p, g, s], tables, &mut Backwards(3), &|range, gradients| {
            gradients.copy_from_slice(&all[range]);
        });
    });
    assert!(found.parameters == wanted.parameters && found.state == wanted.state);
}

#[test]
fn what_rows_cannot_be_updated_alone_is_told_with_a_way_out() {
    let check = |chain: Chain, want: &str| {
        let optimizer = chain.build_with_tables::<f32>(&layout(), &tables()).unwrap();
        let found = optimizer.why_not_rows(layout()[1].range());
        assert_eq!(found, Some(want), "{chain:?}");
        assert!(!optimizer.updates_rows(layout()[1].range()));
    };
    let changes =
        |name: &str, instead: &str| format!("a: {name} changes rows that have no gradient; use {instead} for tables");
    check(sgd(0.1).momentum(0.9).into(), &changes("sgd", "sgd without momentum, adagrad or adam"));
    check(momentum(0.9).then(sgd(0.1)), &changes("momentum", "sgd without momentum, adagrad or adam"));
    check(rmsprop(0.1).into(), &changes("rmsprop", "adagrad or adam"));
    check(ftrl(0.1).into(), &changes("ftrl", "adagrad"));
    check(l1(0.1).then(sgd(0.1)), &changes("l1", "l2"));
    check(lamb(0.1).into(), "a: trust_ratio measures all rows of a table; exclude tables from it by except(...)");
    let before = |name: &str| format!("a: l2 stands before {name}; put it, or weight_decay, behind {name} for tables");
    check(l2(0.1).then(adam(0.1)), &before("adam"));
    check(l2(0.1).then(clip_by_global_norm(1.0)).then(sgd(0.1)), &before("clip_by_global_norm"));

    let undeclared = l2(0.1).then(sgd(0.1)).build::<f32>(&layout()).unwrap();
    let want = "a: its rows decay without a gradient; name it when the optimizer is built";
    assert_eq!(undeclared.why_not_rows(layout()[1].range()), Some(want));
    let elsewhere = l2(0.1).only("dense*").then(adam(0.1)).build::<f32>(&layout()).unwrap();
    assert_eq!(elsewhere.why_not_rows(layout()[1].range()), None);
}

#[test]
fn a_table_is_a_parameter() {
    let range = layout()[1].range();
    for table in [
        Table { range: range.start..range.end - 8, width: 8 },
        Table { range: range.clone(), width: 7 },
        Table { range: range.clone(), width: 0 },
    ] {
        let error = sgd(0.1).build_with_tables::<f32>(&layout(), std::slice::from_ref(&table)).unwrap_err();
        let Table { range, width } = &table;
        let want = format!(
            "a table of rows of {width} at elements {} to {}, where no parameter of such rows lies",
            range.start, range.end
        );
        assert_eq!(error.to_string(), want);
    }
}
