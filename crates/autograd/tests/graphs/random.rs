//! What is dropped depends on the seed, the step, the operation and the row, and on nothing else.

use tidemill_autograd::{Graph, Inputs, Key, Mode, Program, Slices, Workspace, Write, ops};

use crate::models::{Recorded, predict};

const WIDTH: usize = 50;
const ROWS: usize = 400;

/// Dropout of `x`, and another of `x` behind it.
fn two(graph: &mut Graph) -> Recorded {
    let x = graph.input("x", &[WIDTH])?;
    let first = graph.add(ops::Dropout::new(0.3), &[x], &[])?;
    let second = graph.add(ops::Dropout::new(0.3), &[x], &[])?;
    predict(graph.add(ops::Concat::new([WIDTH, WIDTH]), &[first, second], &[]))
}

fn run(program: &Program<f64>, inputs: &dyn Inputs<f64>, rows: usize, mode: Mode) -> Vec<f64> {
    let mut workspace = Workspace::new(program, rows);
    let run = tidemill_autograd::Run { params: &[], inputs, rows, first_row: 0, weights: None, mode };
    program.forward(&run, &mut workspace);
    workspace.prediction().to_vec()
}

#[test]
fn elements_are_dropped_as_often_as_asked_and_the_others_scaled() {
    let program = Program::build(two).unwrap();
    let ones = vec![1.0; ROWS * WIDTH];
    let inputs = Slices::new().reals(&ones);
    let y = run(&program, &inputs, ROWS, Mode::Train(Key::new(1)));
    assert!(y.iter().all(|&y| y == 0.0 || y == 1.0 / 0.7));
    for odd in [0, 1] {
        let half: Vec<f64> = y.chunks(WIDTH).skip(odd).step_by(2).flatten().copied().collect();
        let dropped = half.iter().filter(|&&y| y == 0.0).count() as f64 / half.len() as f64;
        // Five standard deviations of 20,000 draws.
        assert!((dropped - 0.3).abs() < 0.0163, "{dropped} dropped");
        let rows: Vec<&[f64]> = half.chunks(WIDTH).collect();
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "rows are dropped alike");
    }
    assert!(y.chunks(2 * WIDTH).all(|row| row[..WIDTH] != row[WIDTH..]), "two operations drop alike");
}

#[test]
fn a_step_is_repeated_exactly_and_the_next_differs() {
    let program = Program::build(two).unwrap();
    let ones = vec![1.0; 3 * WIDTH];
    let inputs = Slices::new().reals(&ones);
    let key = Key::new(1);
    let first = run(&program, &inputs, 3, Mode::Train(key.fold(0)));
    assert_eq!(run(&program, &inputs, 3, Mode::Train(key.fold(0))), first);
    assert_ne!(run(&program, &inputs, 3, Mode::Train(key.fold(1))), first);
    assert_ne!(run(&program, &inputs, 3, Mode::Train(Key::new(2).fold(0))), first);
}

#[test]
fn nothing_is_dropped_outside_training() {
    let program = Program::build(two).unwrap();
    let x: Vec<f64> = (0..3 * WIDTH).map(|i| i as f64).collect();
    let inputs = Slices::new().reals(&x);
    let twice: Vec<f64> = x.chunks(WIDTH).flat_map(|row| [row, row].concat()).collect();
    for mode in [Mode::Predict, Mode::Evaluate] {
        assert_eq!(run(&program, &inputs, 3, mode), twice);
    }
}

#[test]
fn the_gradient_flows_where_the_value_did() {
    let mut graph = Graph::new();
    let ending = two(&mut graph).unwrap();
    let program: Program<f64> = graph.compile_with_input_gradients(ending).unwrap();
    let ones = vec![1.0; 3 * WIDTH];
    let inputs = Slices::new().reals(&ones);
    let run = tidemill_autograd::Run {
        params: &[],
        inputs: &inputs,
        rows: 3,
        first_row: 5,
        weights: None,
        mode: Mode::Train(Key::new(1)),
    };
    let mut workspace = Workspace::new(&program, 3);
    program.forward(&run, &mut workspace);
    let sums: Vec<f64> = workspace
        .prediction()
        .chunks(2 * WIDTH)
        .flat_map(|row| row[..WIDTH].iter().zip(&row[WIDTH..]).map(|(a, b)| a + b).collect::<Vec<f64>>())
        .collect();
    workspace.upstream().fill(1.0);
    program.backward(&run, &mut workspace, &mut [], Write::Assign);
    assert_eq!(workspace.input_gradient(0).unwrap(), sums);
}
