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
    let counts = |name: &str| {
        let counts: Vec<u64> = case.params[name].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        counts
    };
    let numbers = |name: &str| case.params[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
    Some(match case.kind {
        "constant" => x("base_lr").into(),
        "step" => Schedule::step(x("base_lr"), n("step_size"), x("gamma")),
        "multistep" => {
            let gamma = x("gamma");
            Schedule::piecewise_constant(x("base_lr"), counts("milestones").into_iter().map(|at| (at, gamma)))
        }
        "piecewise_constant" => {
            Schedule::piecewise_constant(x("base_lr"), counts("boundaries").into_iter().zip(numbers("scales")))
        }
        "exponential" => Schedule::exponential(x("base_lr"), x("gamma"), 1),
        "exponential_decay" => {
            let decay = Schedule::exponential_decay(x("init_value"), x("decay_rate"), n("transition_steps"));
            let decay = if case.flag("staircase") { decay.staircase() } else { decay };
            let decay = case.params["end_value"].as_f64().map_or(decay.clone(), |end| decay.end(end));
            Schedule::from(decay).delayed(n("transition_begin"))
        }
        "linear" => Schedule::linear(x("init"), x("end"), n("steps")),
        "polynomial" => Schedule::polynomial(x("init"), x("end"), x("power"), n("steps")).delayed(n("begin")),
        "warmup_linear" => Schedule::linear(x("base_lr") * x("start_factor"), x("base_lr"), n("steps")),
        "cosine" => Schedule::cosine(x("init"), x("init") * x("alpha"), n("steps")),
        "cosine_annealing" => Schedule::cosine(x("base_lr"), x("eta_min"), n("t_max")),
        "warmup_cosine" => Schedule::warmup_cosine(x("init"), x("peak"), n("warmup_steps"), n("decay_steps"), x("end")),
        "one_cycle" => {
            let cycle = Schedule::one_cycle(x("max_lr"), n("total_steps"))
                .pct_start(x("pct_start"))
                .anneal(match case.params["anneal_strategy"].as_str() {
                    Some("cos") => Anneal::Cosine,
                    Some("linear") => Anneal::Linear,
                    other => panic!("{}: anneal_strategy {other:?}", case.name),
                })
                .div_factor(x("div_factor"))
                .final_div_factor(x("final_div_factor"));
            if case.flag("three_phase") { cycle.three_phase().into() } else { cycle.into() }
        }
        "warm_restarts" => Schedule::warm_restarts(x("base_lr"), n("t_0"), n("t_mult"), x("eta_min")),
        "inverse_sqrt" => Schedule::inverse_sqrt(x("base_lr"), n("warmup")),
        _ => return None,
    })
}
