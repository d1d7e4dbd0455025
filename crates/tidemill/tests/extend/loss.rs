//! Losses that are composed of graph operations.

use tidemill::autograd::{Error, ops};
use tidemill::prelude::*;

/// `loss = 1/W Σⱼ max(q (tⱼ - pⱼ), (q - 1) (tⱼ - pⱼ))`, also called pinball loss: the prediction that makes it smallest
/// is the target's quantile `q`.
///
/// # References
///
/// R. Koenker, G. Bassett, *Regression quantiles*, 1978.
#[derive(Clone, Copy, Debug)]
pub struct Pinball {
    /// Above 0 and below 1.
    pub quantile: f64,
}

impl Loss for Pinball {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        let q = self.quantile;
        if !(q > 0.0 && q < 1.0) {
            return Err(Error::invalid("pinball loss", format!("quantile is {q}, expected a number between 0 and 1")));
        }
        let shape = graph.shape(prediction).to_vec();
        let target = graph.target(target, &shape)?;
        let error = graph.sub(target, prediction)?;
        let (above, below) = (graph.scale(error, q)?, graph.scale(error, q - 1.0)?);
        let loss = graph.max(above, below)?;
        Ok(Head::with_loss(prediction, graph.mean(loss)?))
    }
}

/// `loss = -1/W Σⱼ aⱼ (1 - pⱼ)^γ ln pⱼ` of logits, where `pⱼ` is the probability of what the target is, and `aⱼ` is `α`
/// for a target of 1 and `1 - α` for 0: rows that are predicted well count less.
///
/// # References
///
/// T.-Y. Lin et al., *Focal loss for dense object detection*, 2017.
#[derive(Clone, Copy, Debug)]
pub struct Focal {
    /// How much rows count by their target; the same without it.
    pub alpha: Option<f64>,
    /// How much less well predicted rows count; 0 is the cross entropy.
    pub gamma: f64,
}

impl Loss for Focal {
    fn compare(&self, graph: &mut Graph, logits: Var, target: &str) -> Result<Head, Error> {
        let softplus = |graph: &mut Graph, x| graph.add(ops::Activate(Activation::Softplus { beta: 1.0 }), &[x], &[]);
        let shape = graph.shape(logits).to_vec();
        let target = graph.target(target, &shape)?;
        // With s = ±z for targets 0 and 1: -ln p = softplus(s), and (1 - p)^γ = exp(-γ softplus(-s)), for any logits.
        let sign = graph.scale(target, -2.0)?;
        let sign = graph.offset(sign, 1.0)?;
        let s = graph.mul(sign, logits)?;
        let loss = softplus(graph, s)?;
        let right = graph.scale(s, -1.0)?;
        let right = softplus(graph, right)?;
        let factor = graph.scale(right, -self.gamma)?;
        let factor = graph.exp(factor)?;
        let mut loss = graph.mul(factor, loss)?;
        if let Some(alpha) = self.alpha {
            let weight = graph.scale(target, 2.0 * alpha - 1.0)?;
            let weight = graph.offset(weight, 1.0 - alpha)?;
            loss = graph.mul(weight, loss)?;
        }
        let probability = graph.add(ops::Activate(Activation::Sigmoid), &[logits], &[])?;
        Ok(Head::with_loss(probability, graph.mean(loss)?))
    }
}

/// `loss = t d² + (1 - t) max(0, m - d)²` of the distance `d` between two embeddings, where the target `t` is 1 for
/// pairs that are alike, which are drawn together, and 0 for others, which are pushed `m` apart.
///
/// # References
///
/// R. Hadsell, S. Chopra, Y. LeCun, *Dimensionality reduction by learning an invariant mapping*, 2006.
#[derive(Clone, Copy, Debug)]
pub struct Contrastive {
    /// The distance `m` beyond which pairs are far enough apart.
    pub margin: f64,
}

impl Contrastive {
    /// The distance of two embeddings, `[]`.
    pub fn distance(graph: &mut Graph, a: Var, b: Var) -> Result<Var, Error> {
        let apart = graph.sub(a, b)?;
        let squares = graph.square(apart)?;
        let square = graph.sum(squares)?;
        // The root has no slope at zero.
        let square = graph.offset(square, 1e-12)?;
        graph.sqrt(square)
    }
}

impl Loss for Contrastive {
    fn compare(&self, graph: &mut Graph, distance: Var, target: &str) -> Result<Head, Error> {
        let shape = graph.shape(distance).to_vec();
        let alike = graph.target(target, &shape)?;
        let square = graph.square(distance)?;
        let together = graph.mul(alike, square)?;
        let short = graph.scale(distance, -1.0)?;
        let short = graph.offset(short, self.margin)?;
        let short = graph.add(ops::Activate(Activation::Relu), &[short], &[])?;
        let square = graph.square(short)?;
        let other = graph.scale(alike, -1.0)?;
        let other = graph.offset(other, 1.0)?;
        let apart = graph.mul(other, square)?;
        let loss = graph.plus(together, apart)?;
        Ok(Head::with_loss(distance, graph.sum(loss)?))
    }
}

mod tests {
    use tidemill::autograd::{GradientCheck, Initializer, Mode, Run, Slices, Workspace, Write, check_gradients};
    use tidemill::tensor::Scalar;
    use tidemill_golden::{Case, Group, Outcome};

    use super::*;
    use crate::data::random;

    /// Two embeddings by one weight.
    fn twins(graph: &mut Graph) -> Result<[Var; 2], Error> {
        let weight = graph.parameter("embedding.weight", &[2, 3], Initializer::GlorotUniform)?;
        let [a, b] = [graph.input("a", &[3])?, graph.input("b", &[3])?];
        Ok([graph.add(ops::Linear::new(), &[a], &[weight])?, graph.add(ops::Linear::new(), &[b], &[weight])?])
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        let dense: [&dyn Loss; 5] = [
            &Pinball { quantile: 0.5 },
            &Pinball { quantile: 0.9 },
            &Focal { alpha: None, gamma: 2.0 },
            &Focal { alpha: Some(0.25), gamma: 1.5 },
            &Focal { alpha: Some(0.4), gamma: 0.0 },
        ];
        for seed in 1..4 {
            let check = GradientCheck { seed, ..GradientCheck::default() };
            for (loss, outputs) in dense.iter().flat_map(|loss| [(loss, 1), (loss, 3)]) {
                check_gradients(check, |graph| {
                    let x = graph.input("x", &[4])?;
                    let y = Dense::new(outputs).apply(graph, x)?;
                    loss.apply(graph, y)
                })
                .unwrap_or_else(|error| panic!("{loss:?}: {error}"));
            }
            for margin in [0.5, 2.0] {
                check_gradients(check, |graph| {
                    let [a, b] = twins(graph)?;
                    let distance = Contrastive::distance(graph, a, b)?;
                    Contrastive { margin }.apply(graph, distance)
                })
                .unwrap();
            }
        }
    }

    #[test]
    fn golden_losses_of_ones_own() {
        const NOT_COVERED: &[&str] = &[
            "bce",
            "bce_with_logits",
            "cosine_embedding",
            "cross_entropy",
            "focal_multiclass",
            "hinge",
            "hinge_embedding",
            "huber",
            "kl_div",
            "l1",
            "mse",
            "nll",
            "poisson_nll",
            "smooth_l1",
        ];
        Group::load("losses").run(NOT_COVERED, |case| {
            let loss: &dyn Loss = match case.kind {
                "pinball" => &Pinball { quantile: case.number("quantile") },
                "focal_binary" => &Focal { alpha: case.params["alpha"].as_f64(), gamma: case.number("gamma") },
                _ => return Outcome::NotCovered("not composed here"),
            };
            golden::<f64>(case, loss, 1e-10, 1e-9);
            golden::<f32>(case, loss, 1e-5, 1e-5);
            Outcome::Checked
        });
    }

    /// Each element is a row.
    fn golden<T: Scalar>(case: &Case<'_>, loss: &dyn Loss, atol: f64, rtol: f64) {
        let mut graph = Graph::new();
        let x = graph.input("x", &[1]).unwrap();
        let head = loss.apply(&mut graph, x).unwrap();
        // What is predicted does not matter here, and an input is not a prediction.
        let prediction = graph.scale(x, 1.0).unwrap();
        let program: Program<T> = graph.compile_with_input_gradients(head.predicting(prediction)).unwrap();

        let narrowed = |name: &str| case.tensor(name).values.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
        let (pred, target) = (narrowed("pred"), narrowed("target"));
        let rows = pred.len();
        let reduction = case.params["reduction"].as_str().unwrap();
        let upstream = match reduction {
            "none" => narrowed("g_loss"),
            "sum" => vec![T::one(); rows],
            _ => vec![T::of(1.0 / rows as f64); rows],
        };
        let inputs = Slices::new().reals(&pred).reals(&target);
        let run = Run { params: &[], inputs: &inputs, rows, first_row: 0, weights: None, mode: Mode::Evaluate };
        let mut workspace = Workspace::new(&program, rows);
        program.forward(&run, &mut workspace);
        let losses: Vec<f64> = workspace.losses().iter().map(|loss| loss.widen()).collect();
        let reduced = match reduction {
            "none" => losses,
            "sum" => vec![losses.iter().sum()],
            _ => vec![losses.iter().sum::<f64>() / rows as f64],
        };
        case.close("loss", reduced, &case.tensor("loss").values, atol, rtol);
        workspace.upstream().copy_from_slice(&upstream);
        program.backward(&run, &mut workspace, &mut [], Write::Assign);
        let gradient = workspace.input_gradient(0).unwrap().iter().map(|g| g.widen());
        case.close("grad_pred", gradient, &case.tensor("grad_pred").values, atol, rtol);
    }

    #[test]
    fn large_logits_are_no_trouble() {
        let program = Program::<f32>::build(|graph| {
            let x = graph.input("x", &[1])?;
            let z = graph.scale(x, 1.0)?;
            Focal { alpha: None, gamma: 2.0 }.apply(graph, z)
        })
        .unwrap();
        let (x, target) = ([1e4, -1e4, 1e4], [1.0, 1.0, 0.0]);
        let inputs = Slices::new().reals(&x).reals(&target);
        let run = Run { params: &[], inputs: &inputs, rows: 3, first_row: 0, weights: None, mode: Mode::Evaluate };
        let mut workspace = Workspace::new(&program, 3);
        program.forward(&run, &mut workspace);
        assert_eq!(workspace.losses(), [0.0, 1e4, 1e4]);
    }

    #[test]
    fn pairs_come_together_or_apart() {
        let n = 400;
        // Embeddings of the first feature's sign: pairs of one sign are alike.
        let [a, b] = [1, 2].map(|stream| (0..3 * n).map(|i| 2.0 * random(stream, i) - 1.0).collect::<Vec<f64>>());
        let alike = a.chunks(3).zip(b.chunks(3)).map(|(a, b)| f64::from((a[0] > 0.0) == (b[0] > 0.0))).collect();
        let mut rows = MemorySource::builder().reals("a", 3, a).reals("b", 3, b).target(alike).build().unwrap();
        let program = Program::<f64>::build(|graph| {
            let [a, b] = twins(graph)?;
            let distance = Contrastive::distance(graph, a, b)?;
            Contrastive { margin: 1.0 }.apply(graph, distance)
        });
        let trainer = Trainer::new(program.unwrap(), adam(0.01)).unwrap();
        let mut state = trainer.start(1);
        let loss = |state: &State<f64>, rows: &mut MemorySource<f64>| {
            Model::new(trainer.program().clone(), state).evaluate(rows, &mut Metrics::new()).unwrap().loss()
        };
        let before = loss(&state, &mut rows);
        trainer.run(&Batch::new(20), &mut state, &mut rows.clone(), &mut ()).unwrap();
        let after = loss(&state, &mut rows);
        assert!(after < 0.8 * before, "{before} fell to {after} only");
    }

    #[test]
    fn a_quantile_that_is_none_is_refused() {
        for quantile in [0.0, 1.0, f64::NAN] {
            let mut graph = Graph::new();
            let x = graph.input("x", &[1]).unwrap();
            let error = Pinball { quantile }.apply(&mut graph, x).unwrap_err().to_string();
            let wanted = format!("pinball loss: quantile is {quantile}, expected a number between 0 and 1");
            assert_eq!(error, wanted);
        }
    }
}
