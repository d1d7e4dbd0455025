use tidemill_tensor::Key;
use tidemill_tensor::ndarray_rand::rand_distr::{Distribution, StandardNormal};

use crate::{Domain, Error, Graph, Inputs, Mode, ModelOutput, Program, Run, Workspace, Write};

/// How a model's gradients are checked, by [`check_gradients`].
#[derive(Clone, Copy, Debug)]
pub struct GradientCheck {
    /// Rows of the batch.
    pub rows: usize,
    /// Of parameters, inputs, dropout and the upstream gradient.
    pub seed: u64,
    /// How far each value is moved, to both sides.
    pub step: f64,
    /// How far the two gradients may lie apart: `tolerance (1 + |gradient|)`.
    pub tolerance: f64,
    /// Whether random operations draw, as in training.
    pub training: bool,
}

impl Default for GradientCheck {
    fn default() -> Self {
        Self { rows: 5, seed: 1, step: 1e-5, tolerance: 1e-6, training: true }
    }
}

/// Compares the gradients of a model, with respect to every parameter and every real feature, with central finite
/// differences in `f64`, and names the first that is off.
///
/// Features and parameters are drawn from the normal distribution, categories uniformly, real targets from `{0, 1}`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::{GradientCheck, Head, check_gradients, ops};
/// use tidemill_tensor::kernels::Activation;
///
/// check_gradients(GradientCheck::default(), |graph| {
///     let x = graph.input("x", &[3])?;
///     let y = graph.add(ops::Activate(Activation::Tanh), &[x], &[])?;
///     Ok(Head::new(y))
/// })?;
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # Errors
///
/// When a gradient is off: which, by how much; and those of the recording.
pub fn check_gradients<O: Into<ModelOutput>>(
    check: GradientCheck,
    record: impl FnOnce(&mut Graph) -> Result<O, Error>,
) -> Result<(), Error> {
    let mut graph = Graph::new();
    let output = record(&mut graph)?;
    let program = graph.compile_with_input_gradients::<f64>(output)?;
    let mut drawn = Drawn::new(&program, check);
    let mut workspace = Workspace::new(&program, check.rows);
    let mut gradients = vec![f64::NAN; program.gradient_len()];

    drawn.objective(&program, check, &mut workspace);
    workspace.upstream().copy_from_slice(&drawn.upstream);
    let Drawn { params, .. } = &drawn;
    program.backward(&drawn.run(params, check), &mut workspace, &mut gradients, Write::Assign);
    let input_gradients: Vec<Option<Vec<f64>>> =
        (0..program.inputs().len()).map(|i| workspace.input_gradient(i).map(<[f64]>::to_vec)).collect();

    for parameter in program.layout().trainable().parameters() {
        for (i, index) in parameter.range().enumerate() {
            let numeric = drawn.difference(&program, check, &mut workspace, |d| &mut d.params[index]);
            compare(check, format_args!("{}[{i}]", parameter.name()), gradients[index], numeric)?;
        }
    }
    for (input, gradient) in input_gradients.iter().enumerate() {
        for (i, &analytic) in gradient.iter().flatten().enumerate() {
            let numeric = drawn.difference(&program, check, &mut workspace, |d| &mut d.reals[input][i]);
            compare(check, format_args!("{}[{i}]", program.inputs()[input].name), analytic, numeric)?;
        }
    }
    Ok(())
}

fn compare(check: GradientCheck, what: std::fmt::Arguments<'_>, analytic: f64, numeric: f64) -> Result<(), Error> {
    let apart = (analytic - numeric).abs();
    if apart <= check.tolerance * (1.0 + numeric.abs()) {
        return Ok(());
    }
    let problem = format!("backward gives {analytic}, finite differences {numeric}: {apart:e} apart");
    Err(Error::invalid(format_args!("gradient of {what}"), problem))
}

/// The point at which gradients are compared.
struct Drawn {
    params: Vec<f64>,
    reals: Vec<Vec<f64>>,
    indices: Vec<Vec<u32>>,
    upstream: Vec<f64>,
}

impl Drawn {
    fn new(program: &Program<f64>, check: GradientCheck) -> Self {
        let key = Key::new(check.seed);
        let normal = |key: Key, n: usize| StandardNormal.sample_iter(key.rng()).take(n).collect::<Vec<f64>>();
        let mut reals = Vec::new();
        let mut indices = Vec::new();
        for (i, input) in program.inputs().iter().enumerate() {
            let (key, n) = (key.fold(2).fold(i as u64), check.rows * input.width());
            let bits = (0..n as u64).map(|j| key.block(j)[0]);
            let (mut numbers, mut categories) = (Vec::new(), Vec::new());
            match (input.domain, input.role) {
                (Domain::Index { cardinality }, _) => categories = bits.map(|b| b % cardinality).collect(),
                (Domain::Real, crate::Role::Feature) => numbers = normal(key, n),
                (Domain::Real, crate::Role::Target) => numbers = bits.map(|b| f64::from(b & 1)).collect(),
            }
            reals.push(numbers);
            indices.push(categories);
        }
        let mut params = normal(key.fold(0), program.layout().len());
        // Buffers may be no such numbers: a variance is not below zero.
        let first_buffer = params.len() - program.layout().buffer_len();
        params[first_buffer..].copy_from_slice(&program.layout().initialize::<f64>(key)[first_buffer..]);
        Self { params, reals, indices, upstream: normal(key.fold(1), check.rows * program.upstream.width) }
    }

    fn run<'a>(&'a self, params: &'a [f64], check: GradientCheck) -> Run<'a, f64> {
        let mode = if check.training { Mode::Train(Key::new(check.seed)) } else { Mode::Evaluate };
        Run { params, inputs: self, rows: check.rows, first_row: 0, weights: None, mode }
    }

    /// The sum of the root's values, each times its upstream gradient.
    fn objective(&self, program: &Program<f64>, check: GradientCheck, workspace: &mut Workspace<f64>) -> f64 {
        program.forward(&self.run(&self.params, check), workspace);
        let root = if program.has_loss() { workspace.losses() } else { workspace.prediction() };
        root.iter().zip(&self.upstream).map(|(y, g)| y * g).sum()
    }

    fn difference(
        &mut self,
        program: &Program<f64>,
        check: GradientCheck,
        workspace: &mut Workspace<f64>,
        value: impl Fn(&mut Self) -> &mut f64,
    ) -> f64 {
        let at = *value(self);
        let mut moved = |to: f64| {
            *value(self) = to;
            self.objective(program, check, workspace)
        };
        let (above, below) = (moved(at + check.step), moved(at - check.step));
        *value(self) = at;
        (above - below) / (2.0 * check.step)
    }
}

impl Inputs<f64> for Drawn {
    fn reals(&self, input: usize) -> &[f64] {
        &self.reals[input]
    }

    fn indices(&self, input: usize) -> &[u32] {
        &self.indices[input]
    }
}
