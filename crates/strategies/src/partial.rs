//! Part of a model from a file of weights.

use std::fmt;
use std::path::Path;

use safetensors::SafeTensors;
use tidemill_autograd::Program;
use tidemill_autograd::tensor::{Parameter, Scalar};

use crate::{Error, file, parameters};

/// What [`load_parameters`] did: names of parameters and buffers, of the model in the order of their declaration, of
/// the file in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Loaded.
    pub loaded: Vec<String>,
    /// In the file, and not loaded: not asked for, or not in the model.
    pub skipped: Vec<String>,
    /// Asked for and in the model, but not in the file: they are as they were.
    pub missing: Vec<String>,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (what, names)) in
            [("loaded", &self.loaded), ("skipped", &self.skipped), ("missing", &self.missing)].into_iter().enumerate()
        {
            let (separator, names) = (if i > 0 { "; " } else { "" }, names.join(", "));
            write!(f, "{separator}{what}: {}", if names.is_empty() { "none" } else { &names })?;
        }
        Ok(())
    }
}

/// Loads the parameters and buffers whose names match one of `patterns` from a safetensors file, such as a saved
/// [`Model`](crate::Model), a checkpoint, or weights of another framework that has given them these names. The others
/// stay as they are.
///
/// In a pattern, `*` stands for any characters, dots included, and `?` for one. `params` is an arena of the program's
/// layout, such as [`State::params`](crate::State::params); the optimizer's memory is not touched, so load before the
/// first step. In a checkpoint that was saved within an epoch, rows of tables that decay may be behind: save a
/// [`Trainer::model`](crate::Trainer::model) of it instead.
///
/// # Example
///
/// ```
/// # use tidemill_autograd::{Graph, Program};
/// # use tidemill_layers::{Dense, Layer, Sequential};
/// # use tidemill_losses::{Loss, MeanSquaredError};
/// # use tidemill_optim::sgd;
/// use tidemill_strategies::{Model, Trainer, load_parameters};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("pretrained.safetensors");
/// let program = |outputs: usize, frozen: bool| {
///     Program::<f32>::build(|graph| {
///         let x = graph.input("x", &[8])?;
///         let h = Sequential::new().add(Dense::new(4).relu()).name("backbone").apply(graph, x)?;
///         if frozen {
///             graph.freeze("backbone.*")?;
///         }
///         let y = Dense::new(outputs).name("head").apply(graph, h)?;
///         MeanSquaredError.apply(graph, y)
///     })
/// };
/// let pretrained = Trainer::new(program(3, false)?, sgd(0.1))?;
/// Model::new(pretrained.program().clone(), &pretrained.start(1)).save(&path)?;
///
/// let trainer = Trainer::new(program(1, true)?, sgd(0.1))?;
/// let mut state = trainer.start(7);
/// let report = load_parameters(trainer.program(), &mut state.params, &path, &["backbone.*"])?;
/// assert_eq!(report.loaded, ["backbone.dense1.weight", "backbone.dense1.bias"]);
/// assert_eq!(report.skipped, ["head.bias", "head.weight"]);
/// # Ok::<(), tidemill_strategies::Error>(())
/// ```
///
/// # Errors
///
/// When the file cannot be read or is not safetensors, a pattern matches nothing in the model, or what matches has
/// another shape or type in the file, or is not finite there. `params` is then as it was.
///
/// # Panics
///
/// When `params` is not an arena of the program's layout.
pub fn load_parameters<T: Scalar>(
    program: &Program<T>,
    params: &mut [T],
    path: impl AsRef<Path>,
    patterns: &[&str],
) -> Result<LoadReport, Error> {
    let (layout, path) = (program.layout(), path.as_ref());
    assert_eq!(layout.len(), params.len(), "parameters of the program");
    let all = layout.parameters();
    if let Some(pattern) = patterns.iter().find(|pattern| !all.iter().any(|parameter| parameter.matches(pattern))) {
        let names: Vec<&str> = all.iter().map(Parameter::name).collect();
        let problem = format!("no parameter of the model matches {pattern}; there are {}", names.join(", "));
        return Err(Error::setting("load parameters", problem));
    }
    let broken = |problem: String| Error::Checkpoint { path: path.to_owned(), problem };
    let bytes = file::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes);
    let tensors = tensors.map_err(|error| broken(format!("not a safetensors file: {error}")))?;

    let mut report = LoadReport::default();
    let mut found = Vec::new();
    for parameter in all.iter().filter(|parameter| patterns.iter().any(|pattern| parameter.matches(pattern))) {
        match tensors.tensor(parameter.name()) {
            Ok(view) => found.push((parameter, parameters::values::<T>(parameter, &view).map_err(broken)?)),
            Err(_) => report.missing.push(parameter.name().to_owned()),
        }
    }
    for (parameter, values) in found {
        params[parameter.range()].copy_from_slice(&values);
        report.loaded.push(parameter.name().to_owned());
    }
    let skipped = tensors.names().into_iter().filter(|name| !report.loaded.iter().any(|loaded| loaded == name));
    report.skipped = skipped.map(str::to_owned).collect();
    report.skipped.sort_unstable();
    Ok(report)
}
