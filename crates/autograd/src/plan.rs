//! From a graph to the steps of a program: what is needed, what is fused, where everything lies.

use std::ops::Range;

use tidemill_tensor::{Parameter, ParameterKind, Scalar};

use crate::graph::{Domain, Graph, Node, Origin, Role};
use crate::kernel::{Place, Target};
use crate::op::{Bound, Coupling};
use crate::program::{Coupled, Differentiate, HeadSpec, Program, Table, TargetCheck};
use crate::step::{Needed, Operand, Step};
use crate::{Error, Head, ModelOutput, Var, Write, ops};

pub(crate) fn compile<T: Scalar>(
    graph: &Graph,
    output: &ModelOutput,
    differentiate: Differentiate,
) -> Result<Program<T>, Error> {
    let heads = &output.heads[..];
    check_heads(graph, heads)?;
    let mut graph = graph.clone();
    let loss = total_loss(&mut graph, heads)?;
    let ends: Vec<Var> =
        heads.iter().flat_map(|head| [Some(head.prediction), head.loss]).flatten().chain(loss).collect();
    fuse(&mut graph, &ends);
    let for_heads = ancestors(&graph, ends.iter().copied());
    find_tables(&mut graph, &for_heads);
    let graph = &graph;
    let for_prediction = ancestors(graph, heads.iter().map(|head| head.prediction));
    let root = loss.unwrap_or(heads[0].prediction);
    let for_loss = ancestors(graph, [root]);
    let wanted = wants_gradient(graph, &for_loss, differentiate);

    let mut program = Program {
        layout: graph.layout.clone(),
        inputs: graph.inputs.clone(),
        steps: Vec::new(),
        heads: Vec::new(),
        loss: None,
        upstream: Place { offset: 0, width: graph.width(root) },
        root_step: 0,
        row_values: 0,
        row_gradients: 0,
        input_gradients: vec![None; graph.inputs.len()],
        unwritten: Vec::new(),
        coupling: Coupled::default(),
        coupling_outside_training: Coupled::default(),
        multiplications: 0,
        random: false,
        tables: Vec::new(),
        target_checks: Vec::new(),
        merges: Vec::new(),
    };
    let mut values: Vec<Option<Operand>> = vec![None; graph.values.len()];
    let mut gradients: Vec<Option<Place>> = vec![None; graph.values.len()];
    let mut places = Vec::new();
    for index in 0..graph.values.len() {
        let width = graph.width(Var(index));
        if wanted[index] {
            gradients[index] = Some(allot(&mut program.row_gradients, width));
        }
        let node = match graph.values[index].origin {
            Origin::Input(input) => {
                values[index] = Some(Operand::Input { input, width });
                program.input_gradients[input] = gradients[index];
                continue;
            }
            Origin::Node(number) if graph.nodes[number].first == index => number,
            Origin::Node(_) => continue,
        };
        let outputs = graph.nodes[node].outputs();
        if outputs.clone().all(|value| !for_heads[value]) {
            continue;
        }
        // Consecutive: those of further outputs are allotted when their turn comes, without any between.
        for value in outputs.clone() {
            values[value] = Some(Operand::Value(allot(&mut program.row_values, graph.width(Var(value)))));
        }
        let any = |set: &[bool]| outputs.clone().any(|value| set[value]);
        let needed = Needed { prediction: any(&for_prediction), loss: any(&for_loss) };
        places.push(node);
        let step = step(graph, &graph.nodes[node], needed, &values, &mut program);
        program.steps.push(step);
    }
    for (step, &node) in program.steps.iter_mut().zip(&places) {
        step.gradients = graph.nodes[node].outputs().map(|value| gradients[value]).collect();
        if let Some(Some(gradient)) = step.gradients.first() {
            (step.gradient, step.has_gradient) = (*gradient, true);
        }
    }
    let place = |var: Var| match values[var.0] {
        Some(Operand::Value(place)) => place,
        _ => unreachable!("heads were checked to end in operations"),
    };
    program.loss = loss.map(place);
    program.heads = heads
        .iter()
        .map(|head| HeadSpec {
            name: head.name.clone(),
            shape: graph.shape(head.prediction).to_vec(),
            target: head.loss.and_then(|loss| only_target(graph, loss)),
            place: place(head.prediction),
            loss: head.loss.map(place),
        })
        .collect();
    let is_root = |&node: &usize| graph.nodes[node].outputs().contains(&root.0);
    program.root_step = places.iter().position(is_root).expect("the root is a step");
    program.upstream = gradients[root.0].unwrap_or_else(|| allot(&mut program.row_gradients, graph.width(root)));
    program.tables = tables(graph, &places);
    plan_writes(graph, &places, &gradients, root, &mut program);
    Ok(program)
}

/// A node as a step, which takes its share of what the program says of itself.
fn step<T: Scalar>(
    graph: &Graph,
    node: &Node,
    needed: Needed,
    values: &[Option<Operand>],
    program: &mut Program<T>,
) -> Step<T> {
    let bound = &node.bound;
    let outputs = node.outputs().map(|value| match values[value] {
        Some(Operand::Value(place)) => place,
        _ => unreachable!("operations give values"),
    });
    let outputs: Vec<Place> = outputs.collect();
    let layout = &graph.layout;
    let first_buffer = layout.len() - layout.buffer_len();
    let frozen = node.buffers.iter().any(|&index| layout[index].kind() == ParameterKind::Frozen);
    let updated: &[usize] = if frozen { &[] } else { &node.buffers };
    let updates: Vec<Range<usize>> = updated
        .iter()
        .map(|&index| layout[index].range())
        .map(|range| range.start - first_buffer..range.end - first_buffer)
        .collect();
    let coupling = if frozen { bound.coupling_outside_training } else { bound.coupling };
    program.merges.extend(updates.iter().cloned().zip(bound.merges.iter().copied()));
    program.target_checks.extend(target_checks(graph, node));
    couple(&mut program.coupling, coupling, node);
    couple(&mut program.coupling_outside_training, bound.coupling_outside_training, node);
    // Backward takes two products for each one of forward.
    program.multiplications += 3 * bound.multiplications;
    program.random |= bound.random;
    Step {
        kernel: bound.kernel::<T>(),
        number: node.first as u64,
        random: bound.random,
        shape: bound.outputs[0].clone(),
        operands: node.operands.iter().map(|v| values[v.0].expect("operands come before")).collect(),
        output: outputs[0],
        gradient: outputs[0],
        has_gradient: false,
        is_plain: is_plain(bound),
        outputs,
        saved: allot(&mut program.row_values, bound.saved),
        of_batch: bound.saved_of_batch,
        scratch: [bound.scratch, bound.scratch_of_batch],
        ranges: node.params.iter().map(|&p| layout[p].range()).collect(),
        buffers: node.buffers.iter().map(|&b| layout[b].range()).collect(),
        updates,
        merges: bound.merges.clone(),
        frozen,
        coupling,
        coupling_outside_training: bound.coupling_outside_training,
        needed,
        gradients: Vec::new(),
        zeroed: Vec::new(),
        targets: Vec::new(),
        param_writes: Vec::new(),
        whole_from: 0,
    }
}

fn is_plain(bound: &Bound) -> bool {
    let couples_groups = |coupling: Coupling| matches!(coupling, Coupling::Group(_));
    bound.outputs.len() == 1
        && bound.merges.is_empty()
        && [bound.saved_of_batch, bound.scratch, bound.scratch_of_batch] == [0; 3]
        && !couples_groups(bound.coupling)
        && !couples_groups(bound.coupling_outside_training)
}

fn couple(coupled: &mut Coupled, coupling: Coupling, node: &Node) {
    let both = coupled.coupling.and(coupling);
    if both != coupled.coupling {
        *coupled = Coupled { coupling: both, by: node.op.name() };
    }
}

/// The sum of the heads' losses, each times its weight.
fn total_loss(graph: &mut Graph, heads: &[Head]) -> Result<Option<Var>, Error> {
    let losses: Vec<(Var, f64)> = heads.iter().filter_map(|head| Some((head.loss?, head.weight))).collect();
    match losses[..] {
        [] => Ok(None),
        [(loss, 1.0)] => Ok(Some(loss)),
        _ => {
            let (losses, weights): (Vec<Var>, Vec<f64>) = losses.into_iter().unzip();
            Ok(Some(graph.add(ops::WeightedSum::new(weights), &losses, &[])?))
        }
    }
}

/// What an operation accepts of a target, where it reads one.
fn target_checks(graph: &Graph, node: &Node) -> impl Iterator<Item = TargetCheck> {
    node.operands.iter().filter_map(|operand| {
        let input = target(graph, operand.0)?;
        Some(TargetCheck { input, loss: node.op.name(), range: node.bound.target_range.clone() })
    })
}

/// The number of the input that a value is, where that is a target.
fn target(graph: &Graph, value: usize) -> Option<usize> {
    match graph.values[value].origin {
        Origin::Input(input) if graph.inputs[input].role == Role::Target => Some(input),
        _ => None,
    }
}

/// The target that a loss is computed of, if it is one alone.
fn only_target(graph: &Graph, loss: Var) -> Option<usize> {
    let set = ancestors(graph, [loss]);
    let mut targets = (0..set.len()).filter(|&value| set[value]).filter_map(|value| target(graph, value));
    let first = targets.next()?;
    targets.next().is_none().then_some(first)
}

/// The input whose categories are the rows of its one parameter that a node reads.
fn rows_read(graph: &Graph, node: &Node) -> Option<usize> {
    let (&[operand], &[_]) = (&node.operands[..], &node.params[..]) else { return None };
    match graph.values[operand.0].origin {
        Origin::Input(input) if node.bound.reads_rows => Some(input),
        _ => None,
    }
}

/// Marks the parameters that are trained and read by rows alone, by whatever reads them.
fn find_tables(graph: &mut Graph, needed: &[bool]) {
    let mut read = vec![[false; 2]; graph.layout.parameters().len()];
    for node in graph.nodes.iter().filter(|node| node.outputs().any(|value| needed[value])) {
        let by_rows = rows_read(graph, node).is_some();
        node.params.iter().for_each(|&param| read[param][usize::from(by_rows)] = true);
    }
    for (param, read) in read.into_iter().enumerate() {
        if read == [false, true] && graph.layout[param].kind() == ParameterKind::Trainable {
            graph.layout.set_table(param);
        }
    }
}

/// The tables, in the order of the arena.
fn tables(graph: &Graph, places: &[usize]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for &index in places {
        let node = &graph.nodes[index];
        let Some(input) = rows_read(graph, node) else { continue };
        let parameter = &graph.layout[node.params[0]];
        match tables.iter_mut().find(|table| table.range == parameter.range()) {
            Some(table) => table.inputs.push(input),
            None if parameter.is_table() && !parameter.is_empty() => {
                let width = parameter.shape()[1..].iter().product();
                tables.push(Table { inputs: vec![input], range: parameter.range(), width });
            }
            None => {}
        }
    }
    tables.sort_by_key(|table| table.range.start);
    tables
}

fn check_heads(graph: &Graph, heads: &[Head]) -> Result<(), Error> {
    if heads.is_empty() {
        return Err(Error::invalid("graph", "it ends in no head"));
    }
    for (number, head) in heads.iter().enumerate() {
        let invalid =
            |problem: std::fmt::Arguments<'_>| Err(Error::invalid(format_args!("head {}", head.name), problem));
        if heads[..number].iter().any(|other| other.name == head.name) {
            return invalid(format_args!("two heads have this name; give each its own"));
        }
        if !(head.weight.is_finite() && head.weight >= 0.0) {
            return invalid(format_args!("its weight is {}, expected a number not below zero", head.weight));
        }
        for var in [Some(head.prediction), head.loss].into_iter().flatten() {
            if matches!(graph.values[var.0].origin, Origin::Input(_)) {
                return Err(Error::invalid("graph", format_args!("it ends in its input {}", graph.label(var))));
            }
        }
        if let Some(loss) = head.loss.filter(|&loss| graph.width(loss) != 1) {
            let problem = format_args!("a loss is one value a row, this is {:?}", graph.shape(loss));
            return Err(Error::invalid(graph.label(loss), problem));
        }
    }
    Ok(())
}

/// Builds activations into the operations before them, where those can and nobody else looks between.
fn fuse(graph: &mut Graph, ends: &[Var]) {
    let mut uses = vec![0; graph.values.len()];
    for node in &graph.nodes {
        node.operands.iter().for_each(|v| uses[v.0] += 1);
    }
    ends.iter().for_each(|end| uses[end.0] += 1);
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Some(activation) = node.op.as_activation() else { continue };
        let (before, Origin::Node(number)) = (node.operands[0].0, graph.values[node.operands[0].0].origin) else {
            continue;
        };
        let absorbed = &graph.nodes[number];
        if uses[before] != 1 || absorbed.bound.outputs.len() != 1 {
            continue;
        }
        let Some(op) = absorbed.op.with_activation(activation) else { continue };
        let Ok(bound) = graph.bind(&*op, &absorbed.operands, &absorbed.params, &absorbed.buffers) else { continue };
        let fused = Node { op, bound, first: node.first, ..absorbed.clone() };
        graph.nodes[index] = fused;
    }
}

/// Whether each value is needed to compute one of these, itself included.
fn ancestors(graph: &Graph, roots: impl IntoIterator<Item = Var>) -> Vec<bool> {
    let mut set = vec![false; graph.values.len()];
    roots.into_iter().for_each(|root| set[root.0] = true);
    for node in graph.nodes.iter().rev() {
        if node.outputs().any(|value| set[value]) {
            node.operands.iter().for_each(|v| set[v.0] = true);
        }
    }
    set
}

/// Whether each value gets a gradient: those between what is differentiated by and the root.
fn wants_gradient(graph: &Graph, for_loss: &[bool], differentiate: Differentiate) -> Vec<bool> {
    let mut wanted = vec![false; graph.values.len()];
    for (index, value) in graph.values.iter().enumerate() {
        if let Origin::Input(input) = value.origin {
            // Targets get no gradient: losses do not give one.
            let is_real_feature = value.domain == Domain::Real && graph.inputs[input].role == Role::Feature;
            wanted[index] = for_loss[index] && is_real_feature && differentiate == Differentiate::ParametersAndInputs;
        }
    }
    let is_trained = |&index: &usize| graph.layout[index].kind() == ParameterKind::Trainable;
    for node in &graph.nodes {
        let on_path = node.outputs().any(|value| for_loss[value]);
        if on_path && (node.params.iter().any(is_trained) || node.operands.iter().any(|v| wanted[v.0])) {
            node.outputs().for_each(|value| wanted[value] = true);
        }
    }
    wanted
}

/// Decides who writes first. Backward goes through the steps from the last to the first, and through the operands and
/// parameters of a step from the first to the last.
fn plan_writes<T: Scalar>(
    graph: &Graph,
    places: &[usize],
    gradients: &[Option<Place>],
    root: Var,
    program: &mut Program<T>,
) {
    let mut written = vec![false; graph.values.len()];
    // By whoever runs the program.
    written[root.0] = true;
    let mut param_written = vec![false; graph.layout.parameters().len()];
    let first = |seen: &mut bool| if std::mem::replace(seen, true) { Write::Add } else { Write::Assign };
    let root_step = program.root_step;
    for (step, &index) in program.steps.iter_mut().zip(places).take(root_step + 1).rev() {
        let node = &graph.nodes[index];
        if step.gradients.iter().all(Option::is_none) {
            continue;
        }
        step.zeroed = node.outputs().filter(|&value| !written[value]).filter_map(|value| gradients[value]).collect();
        for var in &node.operands {
            let target = gradients[var.0].map(|place| Target { place, write: first(&mut written[var.0]) });
            step.targets.push(target);
        }
        for &param in &node.params {
            let parameter = &graph.layout[param];
            let write = |seen| if parameter.is_table() { Write::Add } else { first(seen) };
            let is_trained = parameter.kind() == ParameterKind::Trainable;
            step.param_writes.push(is_trained.then(|| write(&mut param_written[param])));
        }
    }
    let parameters = graph.layout.parameters().iter().zip(&param_written);
    let is_dense = |p: &Parameter| p.kind() == ParameterKind::Trainable && !p.is_table();
    let unwritten = parameters.filter(|(p, written)| !**written && is_dense(p));
    program.unwritten = unwritten.map(|(parameter, _)| parameter.range()).collect();
    // What a step adds to is not whole after any step that comes before it in backward.
    let mut end = 0;
    for (step, &index) in program.steps.iter_mut().zip(places) {
        step.whole_from = end;
        if step.gradients.iter().any(Option::is_some) {
            let dense = graph.nodes[index].params.iter().filter(|&&param| is_dense(&graph.layout[param]));
            end = dense.map(|&param| graph.layout[param].range().end).fold(end, usize::max);
        }
    }
}

fn allot(len: &mut usize, width: usize) -> Place {
    let place = Place { offset: *len, width };
    *len += width;
    place
}
