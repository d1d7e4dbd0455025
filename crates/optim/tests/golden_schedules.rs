//! Schedules against PyTorch and optax.

use tidemill_golden::{Case, Group, Outcome};
use tidemill_optim::{Anneal, Compose, Schedule, sgd};
use tidemill_tensor::{Initializer, Layout};

#[test]
fn golden_schedules() {
    Group::load("schedules").run(&[], |case| {
        let Some(schedule) = declared(case) else {
            return Outcome::NotCovered("no such schedule here");
        };
        schedule.check().unwrap();
        let want = case.tensor("value").values;
        let rates = (0..want.len() as u64).map(|t| schedule.at(t));
        case.close("value", rates, &want, 1e-12, 1e-10);
        let moved = (0..want.len() as u64).map(|t| moved_f32(&schedule, t));
        case.close("value in f32", moved, &want, 0.0, 1e-6);
        Outcome::Checked
    });
}

/// By how much a parameter moves at one step of gradient -1.
fn moved_f32(schedule: &Schedule, step: u64) -> f64 {
    let mut layout = Layout::new();
    layout.push("p", &[1], Initializer::Constant(0.0)).unwrap();
    let optimizer = sgd(schedule.clone()).build::<f32>(&layout).unwrap();
    let mut parameters = [0.0_f32];
    optimizer.update(step, 1.0, &mut parameters, &mut [-1.0], &mut []);
    f64::from(parameters[0])
}

fn declared(case: &Case<'_>) -> Option<Schedule> {
    let x = |name: &str| case.number(name);
    let n = |name: &str| case.count(name) as u64;
    let counts = |name: &str| case.params[name].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    let numbers = |name: &str| case.params[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    Some(match case.kind {
        "constant" => x("base_lr").into(),
        "step" => Schedule::Step { lr: x("base_lr"), step_size: n("step_size"), gamma: x("gamma") },
        "multistep" => Schedule::MultiStep { lr: x("base_lr"), milestones: counts("milestones"), gamma: x("gamma") },
        "piecewise_constant" => Schedule::PiecewiseConstant {
            lr: x("base_lr"),
            boundaries: counts("boundaries"),
            scales: numbers("scales"),
        },
        "exponential" => Schedule::Exponential { lr: x("base_lr"), gamma: x("gamma") },
        "exponential_decay" => Schedule::ExponentialDecay {
            init: x("init_value"),
            transition_steps: n("transition_steps"),
            decay_rate: x("decay_rate"),
            begin: n("transition_begin"),
            staircase: case.flag("staircase"),
            end: case.params["end_value"].as_f64(),
        },
        "linear" => Schedule::Linear { init: x("init"), end: x("end"), steps: n("steps") },
        "polynomial" => Schedule::Polynomial {
            init: x("init"),
            end: x("end"),
            power: x("power"),
            steps: n("steps"),
            begin: n("begin"),
        },
        "warmup_linear" => {
            Schedule::WarmupLinear { lr: x("base_lr"), start_factor: x("start_factor"), steps: n("steps") }
        }
        "cosine" => Schedule::Cosine { init: x("init"), steps: n("steps"), alpha: x("alpha") },
        "cosine_annealing" => Schedule::CosineAnnealing { lr: x("base_lr"), t_max: n("t_max"), eta_min: x("eta_min") },
        "warmup_cosine" => Schedule::WarmupCosine {
            init: x("init"),
            peak: x("peak"),
            warmup_steps: n("warmup_steps"),
            decay_steps: n("decay_steps"),
            end: x("end"),
        },
        "one_cycle" => Schedule::OneCycle {
            max_lr: x("max_lr"),
            total_steps: n("total_steps"),
            pct_start: x("pct_start"),
            anneal: match case.params["anneal_strategy"].as_str() {
                Some("cos") => Anneal::Cosine,
                Some("linear") => Anneal::Linear,
                other => panic!("{}: anneal_strategy {other:?}", case.name),
            },
            div_factor: x("div_factor"),
            final_div_factor: x("final_div_factor"),
            three_phase: case.flag("three_phase"),
        },
        "warm_restarts" => {
            Schedule::WarmRestarts { lr: x("base_lr"), t_0: n("t_0"), t_mult: n("t_mult"), eta_min: x("eta_min") }
        }
        "inverse_sqrt" => Schedule::InverseSqrt { lr: x("base_lr"), warmup: n("warmup") },
        _ => return None,
    })
}
