//! Operations of one's own: several outputs, buffers, groups of rows, weights; heads; frozen parameters.

use tidemill_autograd::{
    Backward, Bound, Coupling, Error, Forward, GradientCheck, Graph, Head, Initializer, Kernel, Merge, Mode, Op,
    Program, Run, Scalar, Slices, Specs, Workspace, Write, check_gradients, ops,
};

use crate::models::{batch_norm, linear};
use crate::running::{Table, params, step};

/// `y₀ = a b`, `y₁ = a / (1 + b²)`, of one operand `[2 W]`.
#[derive(Clone, Copy, Debug)]
struct Both;

impl Op for Both {
    fn name(&self) -> &'static str {
        "both"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let [x] = specs.reals()?;
        let half = x.width() / 2;
        Ok(Bound::new([half], *self).output([half]))
    }
}

impl<T: Scalar> Kernel<T> for Both {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        let [second] = cx.others.get();
        let half = second.len() / cx.rows;
        for (row, x) in x.chunks_exact(2 * half).enumerate() {
            for i in 0..half {
                let (a, b) = (x[i], x[half + i]);
                cx.output[row * half + i] = a * b;
                second[row * half + i] = a / (T::one() + b * b);
            }
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (values, half) = (cx.operand_values(0), cx.output.len() / cx.rows);
        let mut gradients = vec![T::zero(); values.len()];
        let [second] = cx.others.get();
        for (row, (x, g)) in values.chunks_exact(2 * half).zip(gradients.chunks_exact_mut(2 * half)).enumerate() {
            for i in 0..half {
                let (a, b) = (x[i], x[half + i]);
                let (g0, g1, d) = (cx.upstream[row * half + i], second[row * half + i], T::one() + b * b);
                g[i] = g0 * b + g1 / d;
                g[half + i] = g0 * a - g1 * a * T::of(2.0) * b / (d * d);
            }
        }
        if let Some(x) = cx.operand(0) {
            x.write.slice(x.into, &gradients);
        }
    }
}

#[test]
fn an_operation_may_have_several_outputs() {
    let both = |graph: &mut Graph| {
        let x = graph.input("x", &[4])?;
        let h = linear(graph, x, 6)?;
        graph.add_with_buffers(Both, &[h], &[], &[])
    };
    for used in [[true, true], [true, false], [false, true]] {
        let record = |graph: &mut Graph| {
            let outputs = both(graph)?;
            let parts: Vec<_> = outputs.into_iter().zip(used).filter(|(_, used)| *used).map(|(y, _)| y).collect();
            let joined = graph.add(ops::Concat::new(vec![3; parts.len()]), &parts, &[])?;
            Ok(Head::new(linear(graph, joined, 2)?))
        };
        check_gradients(GradientCheck::default(), record).unwrap();
    }
    // A prediction of one output, a loss of the other.
    check_gradients(GradientCheck::default(), |graph| {
        let outputs = both(graph)?;
        let loss = graph.sum(outputs[1])?;
        Ok(Head::with_loss(outputs[0], loss))
    })
    .unwrap();
    let error = Program::<f64>::build(|graph| {
        let x = graph.input("x", &[4])?;
        Ok(Head::new(graph.add(Both, &[x], &[])?))
    });
    assert_eq!(error.err().unwrap().to_string(), "both: has 2 outputs, not one");
}

/// Gives its operand, and counts rows and adds up the first element, by weight, of each group of two rows.
#[derive(Clone, Copy, Debug)]
struct Count;

impl Op for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], [_, _]) = (specs.reals()?, specs.buffers()?);
        let bound = Bound::new(x.shape, *self).saves_of_batch(1).scratch(1, 2);
        Ok(bound.buffer(Merge::Sum).buffer(Merge::Mean { momentum: 0.5 }).couples_in_training(Coupling::Group(2)))
    }
}

impl<T: Scalar> Kernel<T> for Count {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        assert!(!cx.training || cx.rows <= 2, "a group");
        assert_eq!(cx.scratch.len(), cx.rows + 2);
        cx.scratch.fill(T::nan());
        let x = cx.operand(0);
        cx.saved_of_batch[0] = x.first().copied().unwrap_or_default();
        cx.output.copy_from_slice(x);
        if cx.training {
            let [rows, first] = cx.updates.get();
            rows[0] = T::of(cx.rows as f64);
            let weight = |row: usize| cx.weights.map_or(T::one(), |weights| weights[row]);
            let total = (0..cx.rows).map(weight).sum::<T>();
            first[0] = (0..cx.rows).map(|row| weight(row) * x[row]).sum::<T>() / total;
        }
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        assert_eq!(cx.operand_values(0)[0], cx.saved_of_batch[0], "what was saved of this group");
        if let Some(x) = cx.operand(0) {
            x.write.slice(x.into, x.upstream);
        }
    }
}

#[test]
fn buffers_get_what_all_groups_give() {
    let program: Program<f64> = Program::build(|graph| {
        let x = graph.input("x", &[])?;
        let weight = graph.parameter("weight", &[1, 1], Initializer::Constant(1.0))?;
        let rows = graph.buffer("rows", &[1], Initializer::Constant(0.0))?;
        let first = graph.buffer("first", &[1], Initializer::Constant(100.0))?;
        let y = graph.add(ops::Linear::new(), &[x], &[weight])?;
        let y = graph.add(ops::Reshape::new([]), &[y], &[])?;
        Ok(Head::new(graph.add_with_buffers(Count, &[y], &[], &[rows, first])?[0]))
    })
    .unwrap();
    assert_eq!((program.coupling(true), program.coupling(false)), (Coupling::Group(2), Coupling::None));
    assert_eq!(program.coupled_by(true), "count");
    assert!(program.trains_differently() && !program.is_random());
    assert_eq!((program.layout().trainable_len(), program.gradient_len()), (1, 3));

    let (x, weights) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 1.0, 1.0, 4.0]);
    let mean = (1.0 + 6.0 + 3.0 + 4.0 + 20.0) / 10.0;
    // In one batch, and in parts at the borders of groups.
    for cuts in [&[0, 5][..], &[0, 2, 5], &[0, 4, 5]] {
        let mut params = program.layout().initialize(tidemill_autograd::Key::new(1));
        let mut workspace = Workspace::new(&program, 5);
        let mut gradients = [f64::NAN; 3];
        for (number, rows) in cuts.windows(2).map(|cut| cut[0]..cut[1]).enumerate() {
            let inputs = Slices::new().reals(&x[rows.clone()]);
            let run = Run {
                params: &params,
                inputs: &inputs,
                rows: rows.len(),
                first_row: rows.start,
                weights: Some(&weights[rows.clone()]),
                mode: Mode::Train(tidemill_autograd::Key::new(1)),
            };
            program.forward(&run, &mut workspace);
            workspace.upstream().copy_from_slice(&weights[rows]);
            let write = if number == 0 { Write::Assign } else { Write::Add };
            program.backward(&run, &mut workspace, &mut gradients, write);
        }
        assert_eq!(gradients[..2], [34.0, 5.0]);
        program.update_buffers(&mut params, &gradients, 10.0);
        assert_eq!(params[..2], [1.0, 5.0]);
        assert!((params[2] - (100.0 + 0.5 * (mean - 100.0))).abs() < 1e-12);
    }
}

#[test]
fn frozen_parameters_have_no_gradient_and_frozen_buffers_stay() {
    let record = |freeze: Option<&'static str>| {
        Program::<f64>::build(move |graph| {
            let x = graph.input("x", &[3])?;
            let h = graph.scoped("backbone", |graph| {
                let h = linear(graph, x, 4)?;
                batch_norm(graph, h, true)
            })?;
            let y = graph.scoped("head", |graph| linear(graph, h, 1))?;
            if let Some(pattern) = freeze {
                graph.freeze(pattern)?;
            }
            Ok(Head::with_loss(y, y))
        })
        .unwrap()
    };
    let all = record(None);
    let mode = Mode::Train(tidemill_autograd::Key::new(2));
    let gradients = |program: &Program<f64>, params: &[f64]| {
        let table = Table::draw(program, 7);
        let mut gradients = vec![f64::NAN; program.gradient_len()];
        step(program, &table.run(params, 0, mode), &mut Workspace::new(program, 7), &mut gradients, Write::Assign);
        gradients
    };
    let of = |program: &Program<f64>, gradients: &[f64], name: &str| {
        gradients[program.layout().find(name).unwrap().range()].to_vec()
    };
    let whole = gradients(&all, &params(&all));
    for (pattern, trained) in [
        ("backbone.*", &["head.weight1", "head.bias1"][..]),
        ("head.*", &["backbone.weight1", "backbone.bias1", "backbone.gain1", "backbone.shift1"]),
        ("*.bias1", &["backbone.weight1", "backbone.gain1", "head.weight1"]),
        ("*.weight1", &["backbone.bias1", "backbone.gain1", "head.bias1"]),
    ] {
        let program = record(Some(pattern));
        let layout = program.layout();
        let lens = trained.iter().map(|name| layout.find(name).unwrap().len()).sum::<usize>();
        assert!(lens <= layout.trainable_len() && layout.trainable_len() < all.layout().trainable_len(), "{pattern}");
        let found = gradients(&program, &params(&program));
        // The backbone's statistics are its buffers' where it is frozen, and then gradients differ.
        if pattern != "backbone.*" {
            for name in trained {
                assert_eq!(of(&program, &found, name), of(&all, &whole, name), "{pattern}, {name}");
            }
        } else {
            assert_eq!((layout.buffer_len(), program.coupling(true)), (0, Coupling::None));
        }
    }
    let error = Program::<f64>::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = linear(graph, x, 1)?;
        graph.freeze("back.*")?;
        Ok(Head::new(y))
    });
    assert_eq!(error.err().unwrap().to_string(), "freeze: no parameter matches back.*; there are weight1, bias1");
}

#[test]
fn heads_have_names_and_their_losses_are_added_by_weight() {
    let two = |graph: &mut Graph| {
        let (x, t, u) = (graph.input("x", &[2])?, graph.target("t", &[1])?, graph.target("u", &[1])?);
        let (a, b) = (linear(graph, x, 1)?, linear(graph, x, 1)?);
        let square = |graph: &mut Graph, p, t| {
            let error = graph.sub(p, t)?;
            let square = graph.square(error)?;
            graph.sum(square)
        };
        let (loss_a, loss_b) = (square(graph, a, t)?, square(graph, b, u)?);
        let free = graph.plus(a, b)?;
        Ok::<_, Error>([
            Head::with_loss(a, loss_a).named("a"),
            Head::with_loss(b, loss_b).named("b").weight(0.25),
            Head::new(free).named("both"),
        ])
    };
    check_gradients(GradientCheck::default(), two).unwrap();
    let program = Program::<f64>::build(two).unwrap();
    let heads: Vec<_> = program.heads().iter().map(|head| (head.name(), head.target(), head.has_loss())).collect();
    assert_eq!(heads, [("a", Some(1), true), ("b", Some(2), true), ("both", None, false)]);
    assert_eq!((program.head("b"), program.head("c")), (Some(1), None));

    let (params, table) = (params(&program), Table::draw(&program, 3));
    let mut workspace = Workspace::new(&program, 3);
    program.forward(&table.run(&params, 0, Mode::Evaluate), &mut workspace);
    let (a, b) = (workspace.head_losses(0).unwrap(), workspace.head_losses(1).unwrap());
    let sums: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + 0.25 * b).collect();
    assert_eq!(workspace.losses(), sums);
    assert!(workspace.head_losses(2).is_none());
    let both: Vec<f64> = workspace.head(0).iter().zip(workspace.head(1)).map(|(a, b)| a + b).collect();
    assert_eq!(workspace.head(2), both);

    let refused = |name: &str, weight: f64| {
        let heads = |graph: &mut Graph| {
            let heads = two(graph)?;
            let [a, b, _] = heads;
            Ok::<_, Error>([a, b.named(name).weight(weight)])
        };
        Program::<f64>::build(heads).err().unwrap().to_string()
    };
    assert_eq!(refused("a", 1.0), "head a: two heads have this name; give each its own");
    assert_eq!(refused("b", -1.0), "head b: its weight is -1, expected a number not below zero");
    let none = Program::<f64>::build(|_| Ok::<Vec<Head>, Error>(Vec::new()));
    assert_eq!(none.err().unwrap().to_string(), "graph: it ends in no head");
}

#[test]
fn a_table_that_two_inputs_read_is_one() {
    let program: Program<f64> = Program::build(|graph| {
        let (a, b) = (graph.index_input("a", &[], 3)?, graph.index_input("b", &[], 3)?);
        let table = graph.parameter("table", &[3, 2], Initializer::Constant(1.0))?;
        let a = graph.add(ops::Embedding::new(), &[a], &[table])?;
        let b = graph.add(ops::Embedding::new(), &[b], &[table])?;
        Ok(Head::new(graph.plus(a, b)?))
    })
    .unwrap();
    let [table] = program.tables() else { panic!("one table") };
    assert_eq!((&table.inputs[..], table.range.clone(), table.width), (&[0, 1][..], 0..6, 2));
}

/// A row of weight three counts as three rows, in the output, all gradients and the buffers.
#[test]
fn batch_norm_counts_rows_as_often_as_they_weigh() {
    let record = |graph: &mut Graph| {
        let x = graph.input("x", &[2, 3])?;
        let mean = graph.buffer("mean", &[2], Initializer::Constant(0.0))?;
        let variance = graph.buffer("variance", &[2], Initializer::Constant(1.0))?;
        let gain = graph.parameter("gain", &[2], Initializer::Constant(1.5))?;
        let shift = graph.parameter("shift", &[2], Initializer::Constant(-0.5))?;
        let op = ops::BatchNorm::new(1e-5, 0.3);
        let y = graph.add_with_buffers(op, &[x], &[gain, shift], &[mean, variance])?[0];
        let y = graph.square(y)?;
        let cube = graph.power(y, 1.5)?;
        Ok::<_, Error>(Head::with_loss(cube, graph.sum(cube)?))
    };
    let mut graph = Graph::new();
    let head = record(&mut graph).unwrap();
    let program: Program<f64> = graph.compile_with_input_gradients(head).unwrap();
    let rows: Vec<f64> = (0..4 * 6).map(|i| ((i * 37 + 11) % 19) as f64 / 7.0 - 1.0).collect();
    let weights = [1.0, 3.0, 1.0, 2.0];
    let repeated: Vec<usize> = vec![0, 1, 1, 1, 2, 3, 3];
    let run = |x: &[f64], weights: Option<&[f64]>| {
        let count = x.len() / 6;
        let inputs = Slices::new().reals(x);
        let mut params = program.layout().initialize(tidemill_autograd::Key::new(1));
        let mut workspace = Workspace::new(&program, count);
        let mut gradients = vec![f64::NAN; program.gradient_len()];
        let mode = Mode::Train(tidemill_autograd::Key::new(1));
        let run = Run { params: &params, inputs: &inputs, rows: count, first_row: 0, weights, mode };
        program.forward(&run, &mut workspace);
        let losses = workspace.losses().to_vec();
        match weights {
            Some(weights) => workspace.upstream().copy_from_slice(weights),
            None => workspace.upstream().fill(1.0),
        }
        program.backward(&run, &mut workspace, &mut gradients, Write::Assign);
        program.update_buffers(&mut params, &gradients, 7.0);
        let inputs = workspace.input_gradient(0).unwrap().to_vec();
        (losses, gradients[..4].to_vec(), inputs, params)
    };
    let (losses, gradients, inputs, params) = run(&rows, Some(&weights));
    let x: Vec<f64> = repeated.iter().flat_map(|&row| rows[6 * row..6 * row + 6].to_vec()).collect();
    let wanted = run(&x, None);
    let near = |found: &[f64], wanted: &[f64], what: &str| {
        let apart = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(found.len() == wanted.len() && apart < 1e-11, "{what}: {found:?}, not {wanted:?}");
    };
    near(&repeated.iter().map(|&row| losses[row]).collect::<Vec<_>>(), &wanted.0, "losses");
    near(&gradients, &wanted.1, "gradients of parameters");
    near(&params, &wanted.3, "buffers");
    // What a row that weighs three gets is what its three copies get together.
    let mut sums = vec![0.0; rows.len()];
    for (copy, &row) in repeated.iter().enumerate() {
        (0..6).for_each(|i| sums[6 * row + i] += wanted.2[6 * copy + i]);
    }
    near(&inputs, &sums, "gradients of inputs");
}
