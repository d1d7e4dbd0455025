//! A backbone that was trained before: its weights are loaded, and stay as they are.

use std::path::Path;

use tidemill::autograd::Error as GraphError;
use tidemill::prelude::*;
use tidemill::strategies::Error;

/// What both models begin with: parameters and running statistics are called `backbone.*`.
fn backbone(graph: &mut Graph) -> Result<Var, GraphError> {
    let x = graph.input("x", &[3])?;
    let layers = Sequential::new().add(Dense::new(16)).add(BatchNorm::new()).add(Dense::new(8).tanh());
    layers.name("backbone").apply(graph, x)
}

/// A new head on a backbone of which nothing is trained.
fn fine_tuned(graph: &mut Graph) -> Result<Head, GraphError> {
    let features = backbone(graph)?;
    graph.freeze("backbone.*")?;
    let y = Dense::new(1).name("head").apply(graph, features)?;
    MeanSquaredError.apply(graph, y)
}

/// The trainer of the new head, and its first state, with the backbone of a file.
pub fn start(weights: &Path) -> Result<(Trainer<f64>, State<f64>), Error> {
    let trainer = Trainer::new(Program::build(fine_tuned)?, adam(0.02))?;
    let mut state = trainer.start(7);
    let report = load_parameters(trainer.program(), &mut state.params, weights, &["backbone.*"])?;
    assert!(report.missing.is_empty(), "{report}");
    Ok((trainer, state))
}

mod tests {
    use tidemill::tensor::ParameterKind;

    use super::*;
    use crate::data::{linear, rows};

    /// Another model, trained on something like it.
    fn pretrained(path: &Path) -> Trainer<f64> {
        let program = Program::build(|graph| {
            let features = backbone(graph)?;
            let y = Dense::new(1).name("old").apply(graph, features)?;
            MeanSquaredError.apply(graph, y)
        });
        let trainer = Trainer::new(program.unwrap(), adam(0.01)).unwrap();
        let mut state = trainer.start(1);
        trainer.run(&Batch::new(20), &mut state, &mut rows(400, linear), &mut ()).unwrap();
        Model::new(trainer.program().clone(), &state).save(path).unwrap();
        trainer
    }

    #[test]
    fn a_head_is_trained_on_a_loaded_backbone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pretrained");
        let old = pretrained(&path);
        let loaded = Model::load(old.program().clone(), &path).unwrap();
        let (trainer, mut state) = start(&path).unwrap();
        let program = trainer.program();
        let first = state.params.clone();
        // A head of eight weights and a bias, and two moments of each.
        assert_eq!((program.layout().trainable_len(), state.optimizer.len()), (9, 18));

        let mut changed = rows(60, |row, x| 1.0 - linear(row, x));
        let loss = |state: &State<f64>| {
            let model = Model::new(program.clone(), state);
            model.evaluate(&mut rows(60, |row, x| 1.0 - linear(row, x)), &mut Metrics::new()).unwrap().loss()
        };
        let before = loss(&state);
        trainer.run(&Batch::new(60), &mut state, &mut changed, &mut ()).unwrap();
        let after = loss(&state);
        assert!(after < 0.1 * before, "{before} fell to {after}");
        for parameter in program.layout().parameters() {
            let now = &state.params[parameter.range()];
            if parameter.kind() == ParameterKind::Frozen {
                let there = old.program().layout().find(parameter.name()).unwrap().range();
                assert_eq!(now, &loaded.params()[there], "{}", parameter.name());
            } else {
                assert_ne!(now, &first[parameter.range()], "{}", parameter.name());
            }
        }
    }

    #[test]
    fn what_is_skipped_and_missing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pretrained");
        pretrained(&path);
        let (trainer, mut state) = start(&path).unwrap();
        let before = state.params.clone();
        let report = load_parameters(trainer.program(), &mut state.params, &path, &["*.bias"]).unwrap();
        assert_eq!(report.loaded, ["backbone.dense1.bias", "backbone.batch_norm1.bias", "backbone.dense2.bias"]);
        assert_eq!((report.missing, report.skipped.len()), (vec!["head.bias".to_owned()], 7));
        assert_eq!(state.params, before, "the same numbers again");
        let error = load_parameters(trainer.program(), &mut state.params, &path, &["body.*"]).unwrap_err();
        assert!(error.to_string().starts_with("load parameters: no parameter of the model matches body.*"), "{error}");
    }
}
