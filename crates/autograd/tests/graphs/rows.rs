//! A batch may be cut by rows, lie in a larger workspace, or be empty.

use tidemill_autograd::{Coupling, Key, Mode, Program, Scalar, Workspace, Write};

use crate::models::models;
use crate::running::{Table, params, step};

fn modes() -> [Mode; 2] {
    [Mode::Evaluate, Mode::Train(Key::new(3))]
}

/// Cuts seven rows in two. Values are the same bits, but for matrix products, which may round otherwise with other rows.
fn cut_in_two<T: Scalar>(tolerance: f64) {
    for model in models() {
        let program: Program<T> = model.compile();
        let (params, rows) = (params(&program), Table::draw(&program, 7));
        let multiplies = program.layout().parameters().iter().any(|p| p.name().starts_with("weight"));
        let close = |got: &[T], want: &[T], tolerance: f64, what: &str| {
            assert_eq!(got.len(), want.len());
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                let apart = (got.widen() - want.widen()).abs();
                assert!(
                    apart <= tolerance * (1.0 + want.widen().abs()),
                    "{}, {what} {i}: {got}, not {want}",
                    model.name
                );
            }
        };
        for mode in modes() {
            let run = |table: &Table<T>, first_row, gradients: &mut [T], write| {
                let mut workspace = Workspace::new(&program, table.rows);
                step(&program, &table.run(&params, first_row, mode), &mut workspace, gradients, write)
            };
            let mut whole = vec![T::nan(); program.gradient_len()];
            let values = run(&rows, 0, &mut whole, Write::Assign);
            // Groups stay whole.
            let cuts = if program.coupling(true) == Coupling::None { [0, 1, 3, 7] } else { [0, 3, 6, 7] };
            for at in cuts {
                let mut sum = vec![T::nan(); program.gradient_len()];
                let first = run(&rows.part(0..at), 0, &mut sum, Write::Assign);
                let second = run(&rows.part(at..7), at, &mut sum, Write::Add);
                close(&[first, second].concat(), &values, if multiplies { tolerance } else { 0.0 }, "value");
                close(&sum, &whole, tolerance, "gradient");
            }
        }
    }
}

#[test]
fn parts_give_the_same_rows_and_their_gradients_add_up() {
    cut_in_two::<f64>(1e-13);
    cut_in_two::<f32>(1e-5);
}

#[test]
fn larger_workspaces_and_their_past_change_nothing() {
    for model in models() {
        let program: Program<f64> = model.compile();
        let (params, rows) = (params(&program), Table::draw(&program, 9));
        let part = rows.part(2..6);
        let mut roomy = Workspace::new(&program, 20);
        let mut gradients = vec![0.0; program.gradient_len()];
        step(&program, &rows.run(&params, 0, modes()[1]), &mut roomy, &mut gradients, Write::Assign);
        for mode in modes() {
            let mut fresh = Workspace::new(&program, 4);
            let (mut want, mut got) = (vec![f64::NAN; program.gradient_len()], vec![f64::NAN; program.gradient_len()]);
            let values = step(&program, &part.run(&params, 2, mode), &mut fresh, &mut want, Write::Assign);
            assert_eq!(step(&program, &part.run(&params, 2, mode), &mut roomy, &mut got, Write::Assign), values);
            assert_eq!(got, want, "{}", model.name);
            assert_eq!((roomy.rows(), roomy.capacity()), (4, 20));
        }
    }
}

#[test]
fn no_rows_have_no_gradient() {
    for model in models() {
        let program: Program<f32> = model.compile();
        let (params, rows) = (params(&program), Table::draw(&program, 1).part(0..0));
        let mut workspace = Workspace::new(&program, 3);
        let mut gradients = vec![f32::NAN; program.gradient_len()];
        for mode in modes() {
            let values = step(&program, &rows.run(&params, 0, mode), &mut workspace, &mut gradients, Write::Assign);
            assert!(values.is_empty());
            assert_eq!(gradients, vec![0.0; program.gradient_len()], "{}", model.name);
            gradients.fill(7.0);
            step(&program, &rows.run(&params, 0, mode), &mut workspace, &mut gradients, Write::Add);
            assert_eq!(gradients, vec![7.0; program.gradient_len()], "{}", model.name);
        }
    }
}
