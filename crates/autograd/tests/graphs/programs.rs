//! What is computed when, what is fused, and what is said of a program.

use tidemill_autograd::{
    Activation, Backward, Bound, Coupling, Domain, Forward, Graph, Head, Initializer, Kernel, Mode, Op, Program, Role,
    Run, Scalar, Slices, Specs, Workspace, Write, ops,
};

use crate::models::{ACTIVATIONS, Recorded, linear, models, predict};
use crate::running::{Table, params, step};

#[test]
fn gradients_are_overwritten_or_added_to() {
    for model in models() {
        let program: Program<f64> = model.compile();
        let (params, table) = (params(&program), Table::draw(&program, 5));
        let run = table.run(&params, 0, Mode::Evaluate);
        let mut workspace = Workspace::new(&program, 5);
        let mut once = vec![f64::NAN; params.len()];
        step(&program, &run, &mut workspace, &mut once, Write::Assign);
        let mut twice = once.clone();
        step(&program, &run, &mut workspace, &mut twice, Write::Add);
        for (i, (twice, once)) in twice.iter().zip(&once).enumerate() {
            assert!((twice - 2.0 * once).abs() <= 1e-12 * (1.0 + once.abs()), "{}: gradient {i}", model.name);
        }
    }
}

#[test]
fn both_precisions_agree() {
    for model in models() {
        let (wide, narrow): (Program<f64>, Program<f32>) = (model.compile(), model.compile());
        let params: Vec<f32> = params(&narrow);
        let table = Table::draw(&narrow, 5);
        let mut narrow_gradients = vec![0.0; params.len()];
        let mut workspace = Workspace::new(&narrow, 5);
        let got =
            step(&narrow, &table.run(&params, 0, Mode::Evaluate), &mut workspace, &mut narrow_gradients, Write::Assign);

        let params: Vec<f64> = params.iter().map(|&x| f64::from(x)).collect();
        let table = Table::draw(&wide, 5);
        let mut gradients = vec![0.0; params.len()];
        let mut workspace = Workspace::new(&wide, 5);
        let want = step(&wide, &table.run(&params, 0, Mode::Evaluate), &mut workspace, &mut gradients, Write::Assign);
        for (got, want) in got.iter().zip(&want).chain(narrow_gradients.iter().zip(&gradients)) {
            assert!((f64::from(*got) - want).abs() <= 2e-5 * (1.0 + want.abs()), "{}: {got}, not {want}", model.name);
        }
    }
}

/// `f(linear(x))`, with the activation as an operation of its own where `f` is also asked for the linear's value.
fn activated(activation: Activation, keep: bool) -> impl Fn(&mut Graph) -> Recorded {
    move |graph| {
        let x = graph.input("x", &[3])?;
        let y = linear(graph, x, 4)?;
        let z = graph.add(ops::Activate(activation), &[y], &[])?;
        let second = if keep { y } else { z };
        predict(graph.add(ops::Concat::new([4, 4]), &[z, second], &[]))
    }
}

#[test]
fn an_activation_is_fused_into_the_linear_before_it_when_nobody_looks_between() {
    for activation in ACTIVATIONS {
        let fused: Program<f64> = Program::build(activated(activation, false)).unwrap();
        let kept: Program<f64> = Program::build(activated(activation, true)).unwrap();
        // Values of both steps and their gradients, against the fused one's; it keeps its input where the slope needs it.
        let saved = if activation.saves_input() { 4 } else { 0 };
        assert_eq!(kept.bytes_per_row() - fused.bytes_per_row(), (8 - saved) * size_of::<f64>(), "{activation:?}");

        let (params, table) = (params(&fused), Table::draw(&fused, 6));
        let values = |program: &Program<f64>| {
            let mut workspace = Workspace::new(program, 6);
            program.forward(&table.run(&params, 0, Mode::Evaluate), &mut workspace);
            workspace.prediction().chunks(8).flat_map(|row| row[..4].to_vec()).collect::<Vec<f64>>()
        };
        assert_eq!(values(&fused), values(&kept), "{activation:?}");
    }
}

#[test]
fn parameters_that_nobody_uses_have_zero_gradients() {
    let program: Program<f64> = Program::build(|graph| {
        let x = graph.input("x", &[2])?;
        graph.parameter("unused", &[3], Initializer::Constant(1.0))?;
        let y = linear(graph, x, 1)?;
        // Part of the prediction, not of the loss.
        let prediction = linear(graph, y, 2)?;
        Ok(Head::with_loss(prediction, y))
    })
    .unwrap();
    let (params, table) = (params(&program), Table::draw(&program, 3));
    let mut gradients = vec![f64::NAN; params.len()];
    let mut workspace = Workspace::new(&program, 3);
    step(&program, &table.run(&params, 0, Mode::Evaluate), &mut workspace, &mut gradients, Write::Assign);
    let of = |name: &str| program.layout().find(name).unwrap().range();
    for name in ["unused", "weight2", "bias2"] {
        assert!(gradients[of(name)].iter().all(|&g| g == 0.0), "{name}");
    }
    for name in ["weight1", "bias1"] {
        assert!(gradients[of(name)].iter().all(|&g| g.is_finite() && g != 0.0), "{name}");
    }
}

#[test]
fn the_padding_category_is_read_but_does_not_learn() {
    let run = |embedding: ops::Embedding| {
        let program: Program<f64> = Program::build(|graph| {
            let c = graph.index_input("c", &[], 3)?;
            let table = graph.parameter("table", &[3, 2], Initializer::Constant(0.0))?;
            predict(graph.add(embedding, &[c], &[table]))
        })
        .unwrap();
        let inputs = Slices::new().indices(&[1, 0, 2, 1]);
        let params = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let run = Run { params: &params, inputs: &inputs, rows: 4, first_row: 0, weights: None, mode: Mode::Evaluate };
        let mut workspace = Workspace::new(&program, 4);
        program.forward(&run, &mut workspace);
        assert_eq!(workspace.prediction(), [3.0, 4.0, 1.0, 2.0, 5.0, 6.0, 3.0, 4.0]);
        workspace.upstream().copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let mut gradients = [f64::NAN; 6];
        program.backward(&run, &mut workspace, &mut gradients, Write::Assign);
        gradients
    };
    assert_eq!(run(ops::Embedding::new()), [3.0, 4.0, 8.0, 10.0, 5.0, 6.0]);
    assert_eq!(run(ops::Embedding::new().padding(1)), [3.0, 4.0, 0.0, 0.0, 5.0, 6.0]);
}

/// The prediction is `2 w x`, the loss `(w x) t`.
fn beside(graph: &mut Graph) -> Recorded {
    let (x, t) = (graph.input("x", &[1])?, graph.target("target", &[1])?);
    let weight = graph.parameter("weight", &[1, 1], Initializer::Constant(1.0))?;
    let y = graph.add(ops::Linear::new(), &[x], &[weight])?;
    let prediction = graph.add(ops::Add, &[y, y], &[])?;
    let loss = graph.add(ops::Multiply, &[y, t], &[])?;
    Ok(Head::with_loss(prediction, loss))
}

#[test]
fn a_mode_computes_what_it_is_for_and_no_more() {
    let program: Program<f64> = Program::build(beside).unwrap();
    let features = Slices::new().reals(&[3.0]);
    let all = Slices::new().reals(&[3.0]).reals(&[10.0]);
    let mut workspace = Workspace::new(&program, 1);
    let mut run = |inputs: &Slices<'_, f64>, weight: f64, mode| {
        program.forward(&Run { params: &[weight], inputs, rows: 1, first_row: 0, weights: None, mode }, &mut workspace);
        (workspace.prediction()[0], workspace.losses()[0])
    };
    assert_eq!(run(&features, 1.0, Mode::Predict), (6.0, 0.0), "needs no target");
    assert_eq!(run(&all, 2.0, Mode::Evaluate), (12.0, 60.0));
    assert_eq!(run(&all, 3.0, Mode::Train(tidemill_autograd::Key::new(0))), (12.0, 90.0), "leaves the prediction");
}

#[test]
fn a_program_says_what_it_takes_and_gives() {
    let program: Program<f32> = Program::build(|graph| {
        let (x, c) = (graph.input("x", &[2, 3])?, graph.index_input("c", &[], 7)?);
        let table = graph.parameter("table", &[7, 3], Initializer::GlorotUniform)?;
        let c = graph.add(ops::Embedding::new(), &[c], &[table])?;
        let c = graph.add(ops::Reshape::new([1, 3]), &[c], &[])?;
        predict(graph.add(ops::Concat::new([6, 3]), &[x, c], &[]))
    })
    .unwrap();
    assert_eq!((program.prediction_shape(), program.prediction_width()), ([3, 3].as_slice(), 9));
    assert!(!program.has_loss() && !program.is_random() && program.coupling(true) == Coupling::None);
    let inputs: Vec<_> = program.inputs().iter().map(|i| (i.name.as_str(), i.width(), i.domain, i.role)).collect();
    let index = Domain::Index { cardinality: 7 };
    assert_eq!(inputs, [("x", 6, Domain::Real, Role::Feature), ("c", 1, index, Role::Feature)]);

    let program: Program<f32> = Program::build(beside).unwrap();
    assert!(program.has_loss());
    assert_eq!(program.inputs()[1].role, Role::Target);
    let dropped: Program<f32> = Program::build(|graph| {
        let x = graph.input("x", &[1])?;
        predict(graph.add(ops::Dropout::new(0.1), &[x], &[]))
    })
    .unwrap();
    assert!(dropped.is_random());
}

/// `yᵢ = Σₖ xₖ` over the rows of the batch.
#[derive(Clone, Copy, Debug)]
struct SumOfRows;

impl Op for SumOfRows {
    fn name(&self) -> &'static str {
        "sum of rows"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        Ok(Bound::new(specs.operands[0].shape, *self).couples(Coupling::Batch))
    }
}

impl<T: Scalar> Kernel<T> for SumOfRows {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let sum = cx.operand(0).iter().copied().sum();
        cx.output.fill(sum);
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        if let Some(x) = cx.operand(0) {
            let sum = x.upstream.iter().copied().sum();
            x.write.all(x.into, std::iter::repeat(sum));
        }
    }
}

#[test]
fn an_operation_of_ones_own_may_couple_rows() {
    let record = |graph: &mut Graph| {
        let x = graph.input("x", &[])?;
        predict(graph.add(SumOfRows, &[x], &[]))
    };
    tidemill_autograd::check_gradients(Default::default(), record).unwrap();
    let program = Program::<f64>::build(record).unwrap();
    assert_eq!((program.coupling(true), program.coupled_by(true)), (Coupling::Batch, "sum of rows"));
}

#[test]
fn targets_and_categories_have_no_input_gradient() {
    let mut graph = Graph::new();
    let ending = beside(&mut graph).unwrap();
    let program: Program<f64> = graph.compile_with_input_gradients(ending.clone()).unwrap();
    let workspace = Workspace::new(&program, 1);
    assert!(workspace.input_gradient(0).is_some() && workspace.input_gradient(1).is_none());
    let plain = Workspace::new(&graph.compile::<f64>(ending).unwrap(), 1);
    assert!(plain.input_gradient(0).is_none());
}

#[test]
#[should_panic(expected = "3 rows in a workspace for 2")]
fn a_batch_larger_than_the_workspace_is_refused() {
    let program: Program<f64> = Program::build(beside).unwrap();
    let inputs = Slices::new().reals(&[0.0; 3]).reals(&[0.0; 3]);
    let run = Run { params: &[1.0], inputs: &inputs, rows: 3, first_row: 0, weights: None, mode: Mode::Evaluate };
    program.forward(&run, &mut Workspace::new(&program, 2));
}

#[test]
#[should_panic(expected = "elements of input 1")]
fn an_input_of_another_length_is_refused() {
    let program: Program<f64> = Program::build(beside).unwrap();
    let inputs = Slices::new().reals(&[0.0; 2]).reals(&[0.0; 3]);
    let run = Run { params: &[1.0], inputs: &inputs, rows: 2, first_row: 0, weights: None, mode: Mode::Evaluate };
    program.forward(&run, &mut Workspace::new(&program, 2));
}

#[test]
#[should_panic(expected = "a workspace of this program")]
fn a_workspace_of_another_program_is_refused() {
    let program: Program<f64> = Program::build(beside).unwrap();
    let other: Program<f64> = models()[0].compile();
    let inputs = Slices::new().reals(&[0.0]).reals(&[0.0]);
    let run = Run { params: &[1.0], inputs: &inputs, rows: 1, first_row: 0, weights: None, mode: Mode::Evaluate };
    program.forward(&run, &mut Workspace::new(&other, 1));
}
