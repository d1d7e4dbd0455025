//! From a graph to the steps of a program: what is needed, what is fused, where everything lies.

use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::Scalar;

use crate::graph::{Domain, Graph, Role, Source};
use crate::op::{self, Op, Place, Target};
use crate::program::{Differentiate, Needed, Operand, Program, Step, Table, TargetCheck};
use crate::{Ending, Error, Var, Write};

/// A node of the graph after fusing.
struct Planned {
    op: Arc<dyn Op>,
    operands: Vec<Var>,
    params: Vec<usize>,
}

pub(crate) fn compile<T: Scalar>(
    graph: &Graph,
    ending: Ending,
    differentiate: Differentiate,
) -> Result<Program<T>, Error> {
    check_ending(graph, ending)?;
    let nodes = fuse(graph, ending);
    let for_prediction = ancestors(graph, &nodes, ending.prediction);
    let for_loss = ending.loss.map(|loss| ancestors(graph, &nodes, loss));
    let root = ending.loss.unwrap_or(ending.prediction);
    let on_path = for_loss.as_ref().unwrap_or(&for_prediction);
    let wanted = wants_gradient(graph, &nodes, on_path, differentiate);

    let mut program = Program {
        layout: graph.layout.clone(),
        inputs: graph.inputs.clone(),
        steps: Vec::new(),
        prediction: Place { offset: 0, width: graph.width(ending.prediction) },
        prediction_shape: graph.shape(ending.prediction).to_vec(),
        loss: None,
        upstream: Place { offset: 0, width: graph.width(root) },
        root_step: 0,
        value_len: 0,
        gradient_len: 0,
        input_gradients: vec![None; graph.inputs.len()],
        unwritten: Vec::new(),
        couples_rows: false,
        multiplications: 0,
        random: false,
        tables: Vec::new(),
        target_checks: Vec::new(),
    };
    let mut values = vec![None; graph.nodes.len()];
    let mut gradients: Vec<Option<Place>> = vec![None; graph.nodes.len()];
    let mut places = Vec::new();
    for index in 0..graph.nodes.len() {
        let width = graph.width(Var(index));
        if wanted[index] {
            gradients[index] = Some(allot(&mut program.gradient_len, width));
        }
        match (&graph.nodes[index].source, &nodes[index]) {
            (&Source::Input(input), _) => {
                values[index] = Some(Operand::Input { input, width });
                program.input_gradients[input] = gradients[index];
            }
            (Source::Op { .. }, None) => {}
            (Source::Op { .. }, Some(node)) => {
                let in_loss = for_loss.as_ref().is_some_and(|set| set[index]);
                let needed = Needed { prediction: for_prediction[index], loss: in_loss };
                if !needed.prediction && !needed.loss {
                    continue;
                }
                let output = allot(&mut program.value_len, width);
                let saved = allot(&mut program.value_len, node.op.saved(&graph.nodes[index].shape));
                let operands = node.operands.iter().map(|v| values[v.0].expect("operands come before")).collect();
                values[index] = Some(Operand::Value(output));
                program.target_checks.extend(target_checks(graph, node));
                program.couples_rows |= node.op.couples_rows();
                let shapes: Vec<&[usize]> = node.params.iter().map(|&p| graph.layout[p].shape()).collect();
                // Backward takes two products for each one of forward.
                program.multiplications += 3 * node.op.multiplications(&graph.nodes[index].shape, &shapes);
                program.random |= node.op.is_random();
                places.push(index);
                program.steps.push(Step {
                    kernel: op::kernel::<T>(&node.op),
                    node: index as u64,
                    random: node.op.is_random(),
                    shape: graph.nodes[index].shape.clone(),
                    operands,
                    output,
                    saved,
                    ranges: node.params.iter().map(|&p| graph.layout[p].range()).collect(),
                    needed,
                    gradient: gradients[index],
                    targets: Vec::new(),
                    param_writes: Vec::new(),
                    whole_from: 0,
                });
            }
        }
    }
    let place = |var: Var| match values[var.0] {
        Some(Operand::Value(place)) => place,
        _ => unreachable!("the ending was checked to be an operation's"),
    };
    (program.prediction, program.loss) = (place(ending.prediction), ending.loss.map(&place));
    program.root_step = places.iter().position(|&i| i == root.0).expect("the root is a step");
    program.upstream = gradients[root.0].unwrap_or_else(|| allot(&mut program.gradient_len, graph.width(root)));
    program.tables = tables(&nodes, &places, &program.steps, graph);
    plan_writes(graph, &nodes, &places, &gradients, &mut program);
    Ok(program)
}

/// What an operation accepts of the target, where it reads it.
fn target_checks(graph: &Graph, node: &Planned) -> impl Iterator<Item = TargetCheck> {
    node.operands.iter().filter_map(|operand| match graph.nodes[operand.0].source {
        Source::Input(input) if graph.inputs[input].role == Role::Target => {
            Some(TargetCheck { input, loss: Op::name(&*node.op), range: node.op.target_range() })
        }
        _ => None,
    })
}

/// Parameters that are read by rows alone, by whatever reads them.
fn tables<T>(nodes: &[Option<Planned>], places: &[usize], steps: &[Step<T>], graph: &Graph) -> Vec<Table> {
    let table = |(step, &index): (&Step<T>, &usize)| {
        let node = nodes[index].as_ref()?;
        let (&[Operand::Input { input, .. }], &[param]) = (&step.operands[..], &node.params[..]) else { return None };
        let width = graph.layout[param].shape()[1..].iter().product();
        node.op.reads_rows().then(|| Table { input, range: graph.layout[param].range(), width })
    };
    let all: Vec<Table> = steps.iter().zip(places).filter_map(table).collect();
    let readers = |range: &Range<usize>| steps.iter().filter(|step| step.ranges.contains(range)).count();
    let by_rows = |range: &Range<usize>| all.iter().filter(|table| table.range == *range).count();
    all.iter().filter(|table| readers(&table.range) == by_rows(&table.range)).cloned().collect()
}

fn check_ending(graph: &Graph, ending: Ending) -> Result<(), Error> {
    for var in [Some(ending.prediction), ending.loss].into_iter().flatten() {
        if matches!(graph.nodes[var.0].source, Source::Input(_)) {
            return Err(Error::invalid("graph", format_args!("it ends in its input {}", graph.label(var))));
        }
    }
    match ending.loss {
        Some(loss) if graph.width(loss) != 1 => Err(Error::invalid(
            graph.label(loss),
            format_args!("a loss is one value a row, this is {:?}", graph.shape(loss)),
        )),
        _ => Ok(()),
    }
}

/// Builds activations into the operations before them, where those can and nobody else looks between.
fn fuse(graph: &Graph, ending: Ending) -> Vec<Option<Planned>> {
    let mut nodes: Vec<Option<Planned>> = graph
        .nodes
        .iter()
        .map(|node| match &node.source {
            Source::Input(_) => None,
            Source::Op { op, operands, params } => Some(Planned {
                op: Arc::clone(op),
                operands: operands.clone(),
                params: params.iter().map(|p| p.0).collect(),
            }),
        })
        .collect();
    let mut uses = vec![0; graph.nodes.len()];
    for node in nodes.iter().flatten() {
        node.operands.iter().for_each(|v| uses[v.0] += 1);
    }
    uses[ending.prediction.0] += 1;
    if let Some(loss) = ending.loss {
        uses[loss.0] += 1;
    }
    for index in 0..nodes.len() {
        let Some(node) = &nodes[index] else { continue };
        let Some(activation) = node.op.as_activation() else { continue };
        let before = node.operands[0].0;
        if uses[before] != 1 {
            continue;
        }
        let Some(fused) = nodes[before].as_ref().and_then(|b| b.op.with_activation(activation)) else { continue };
        let absorbed = nodes[before].take().expect("it was there a line ago");
        nodes[index] = Some(Planned { op: fused, ..absorbed });
    }
    nodes
}

fn ancestors(graph: &Graph, nodes: &[Option<Planned>], root: Var) -> Vec<bool> {
    let mut set = vec![false; graph.nodes.len()];
    set[root.0] = true;
    for index in (0..=root.0).rev() {
        if let (true, Some(node)) = (set[index], &nodes[index]) {
            node.operands.iter().for_each(|v| set[v.0] = true);
        }
    }
    set
}

fn wants_gradient(
    graph: &Graph,
    nodes: &[Option<Planned>],
    on_path: &[bool],
    differentiate: Differentiate,
) -> Vec<bool> {
    let mut wanted = vec![false; graph.nodes.len()];
    for index in 0..graph.nodes.len() {
        wanted[index] = on_path[index]
            && match &nodes[index] {
                None => differentiate == Differentiate::ParametersAndInputs && is_real_feature(graph, Var(index)),
                Some(node) => !node.params.is_empty() || node.operands.iter().any(|v| wanted[v.0]),
            };
    }
    wanted
}

/// Targets get no gradient: losses do not give one.
fn is_real_feature(graph: &Graph, var: Var) -> bool {
    match graph.nodes[var.0].source {
        Source::Input(input) => graph.domain(var) == Domain::Real && graph.inputs[input].role == Role::Feature,
        Source::Op { .. } => false,
    }
}

/// Decides who writes first. Backward goes through the steps from the last to the first, and through the operands and
/// parameters of a step from the first to the last.
fn plan_writes<T: Scalar>(
    graph: &Graph,
    nodes: &[Option<Planned>],
    places: &[usize],
    gradients: &[Option<Place>],
    program: &mut Program<T>,
) {
    let mut written = vec![false; graph.nodes.len()];
    let mut param_written = vec![false; graph.layout.parameters().len()];
    let first = |seen: &mut bool| if std::mem::replace(seen, true) { Write::Add } else { Write::Assign };
    for (step, &index) in program.steps.iter_mut().zip(places).rev() {
        let node = nodes[index].as_ref().expect("steps are operations");
        if step.gradient.is_none() {
            continue;
        }
        for var in &node.operands {
            let target = gradients[var.0].map(|place| Target { place, write: first(&mut written[var.0]) });
            step.targets.push(target);
        }
        for &param in &node.params {
            step.param_writes.push(first(&mut param_written[param]));
        }
    }
    let unwritten = graph.layout.parameters().iter().zip(&param_written).filter(|(_, written)| !**written);
    program.unwritten = unwritten.map(|(parameter, _)| parameter.range()).collect();
    // What a step adds to is not whole after any step that comes before it in backward.
    let mut end = 0;
    for step in &mut program.steps {
        step.whole_from = end;
        if step.gradient.is_some() {
            end = step.ranges.iter().map(|range| range.end).fold(end, usize::max);
        }
    }
}

fn allot(len: &mut usize, width: usize) -> Place {
    let place = Place { offset: *len, width };
    *len += width;
    place
}
