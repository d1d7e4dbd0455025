//! Parts of a model from a file of weights.

use std::path::Path;

use tidemill_autograd::Program;
use tidemill_layers::{BatchNorm, Dense, Layer, Sequential};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_optim::adam;
use tidemill_strategies::{Error, LoadReport, Model, State, Trainer, load_parameters};

/// A backbone of so many units with running statistics, and a head.
fn trainer(units: usize, head: &'static str) -> Trainer<f64> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[3])?;
        let body = Sequential::new().add(Dense::new(units)).add(BatchNorm::new()).name("backbone");
        let body = body.apply(graph, x)?;
        let y = Dense::new(1).name(head).apply(graph, body)?;
        MeanSquaredError.apply(graph, y)
    });
    Trainer::new(program.unwrap(), adam(0.1)).unwrap()
}

/// A model of other numbers than any that is started with another seed.
fn saved(trainer: &Trainer<f64>, path: &Path) -> State<f64> {
    let mut state = trainer.start(99);
    state.params.iter_mut().for_each(|value| *value += 1.0);
    Model::new(trainer.program().clone(), &state).save(path).unwrap();
    state
}

fn load(trainer: &Trainer<f64>, state: &mut State<f64>, path: &Path, patterns: &[&str]) -> Result<LoadReport, Error> {
    load_parameters(trainer.program(), &mut state.params, path, patterns)
}

const BACKBONE: [&str; 6] = [
    "backbone.dense1.weight",
    "backbone.dense1.bias",
    "backbone.batch_norm1.weight",
    "backbone.batch_norm1.bias",
    "backbone.batch_norm1.running_mean",
    "backbone.batch_norm1.running_var",
];

#[test]
fn what_matches_is_loaded_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    let (there, here) = (trainer(4, "old"), trainer(4, "new"));
    let wanted = saved(&there, &path);
    for (patterns, loaded, missing) in [
        (&["backbone.*"][..], &BACKBONE[..], &[][..]),
        (&["*"], &BACKBONE, &["new.weight", "new.bias"]),
        (&["*.running_*"], &BACKBONE[4..], &[]),
        (&["*.dense?.*", "new.bias"], &BACKBONE[..2], &["new.bias"]),
        (&["new.*"], &[], &["new.weight", "new.bias"]),
        (&[], &[], &[]),
    ] {
        let mut state = here.start(7);
        let (before, optimizer) = (state.params.clone(), state.optimizer.clone());
        let report = load(&here, &mut state, &path, patterns).unwrap();
        assert_eq!(report.loaded, loaded, "{patterns:?}");
        assert_eq!(report.missing, missing, "{patterns:?}");
        let mut skipped: Vec<_> = BACKBONE.iter().filter(|name| !loaded.contains(name)).copied().collect();
        skipped.extend(["old.weight", "old.bias"]);
        skipped.sort_unstable();
        assert_eq!(report.skipped, skipped);
        for parameter in here.program().layout().parameters() {
            let found = &state.params[parameter.range()];
            match loaded.contains(&parameter.name()) {
                true => {
                    let range = there.program().layout().find(parameter.name()).unwrap().range();
                    assert_eq!(found, &wanted.params[range], "{patterns:?} {}", parameter.name());
                }
                false => assert_eq!(found, &before[parameter.range()], "{patterns:?} {}", parameter.name()),
            }
        }
        assert_eq!(state.optimizer, optimizer);
    }
}

#[test]
fn a_report_reads_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    let there = trainer(4, "head");
    saved(&there, &path);
    let report = load(&there, &mut there.start(1), &path, &["head.*"]).unwrap();
    let mut skipped = BACKBONE;
    skipped.sort_unstable();
    let wanted = format!("loaded: head.weight, head.bias; skipped: {}; missing: none", skipped.join(", "));
    assert_eq!(report.to_string(), wanted);
}

#[test]
fn a_checkpoint_is_a_file_of_weights_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let there = trainer(4, "head");
    there.save(&there.start(3), &path).unwrap();
    let mut state = there.start(7);
    let report = load(&there, &mut state, &path, &["*"]).unwrap();
    assert_eq!(state.params, there.start(3).params);
    assert!(report.missing.is_empty() && report.skipped.iter().any(|name| name.starts_with("optimizer.")));
}

/// An error names what is wrong, and leaves everything as it was.
#[test]
fn what_does_not_fit_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    let (four, five) = (trainer(4, "head"), trainer(5, "head"));
    saved(&five, &path);
    let refused = |patterns: &[&str]| {
        let mut state = four.start(7);
        let error = load(&four, &mut state, &path, patterns).unwrap_err().to_string();
        assert_eq!(state.params, four.start(7).params, "{error}");
        error.strip_prefix(&format!("{}: ", path.display())).map(str::to_owned).unwrap_or(error)
    };
    let error = "parameter backbone.dense1.weight is [5, 3], the model's is [4, 3]";
    assert_eq!(refused(&["*"]), error);
    assert_eq!(refused(&["head.bias", "backbone.dense1.*"]), error);
    let error = refused(&["head.*", "backbones.*"]);
    assert!(
        error.starts_with("load parameters: no parameter of the model matches backbones.*; there are back"),
        "{error}"
    );

    let mut bytes = std::fs::read(&path).unwrap();
    // The numbers lie behind the header, in some order: all are made NaN.
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[header..].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(refused(&["head.bias"]), "parameter head.bias[0] is NaN, expected a finite number");
    std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
    assert!(refused(&["*"]).starts_with("not a safetensors file"));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(load(&four, &mut four.start(7), &path, &["*"]), Err(Error::File { .. })));

    let narrow = Program::<f32>::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = Dense::new(1).name("head").apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    let narrow = Trainer::new(narrow.unwrap(), adam(0.1)).unwrap();
    Model::new(narrow.program().clone(), &narrow.start(1)).save(&path).unwrap();
    assert_eq!(refused(&["head.bias"]), "parameter head.bias: it is F32, expected F64");
}
