//! A metric that is the mean of one number a row.

use tidemill::metrics::{Error, Measure, Quantity, RowMean, Rows, Target};
use tidemill::tensor::Scalar;

/// The share of targets that are not above their prediction: of a model of a quantile, near that quantile.
pub type Coverage = RowMean<Covered>;

/// Whether the target is not above the prediction, 1 or 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Covered;

impl Quantity for Covered {
    fn name(&self) -> &str {
        "coverage"
    }
}

impl<T: Scalar> Measure<T> for Covered {
    fn measure(&self, rows: &Rows<'_, T>, mut each: impl FnMut(f64, f64)) -> Result<(), Error> {
        let predictions = rows.predictions();
        let target = match rows.target() {
            Target::Real(target) if rows.width() == 1 && target.len() == predictions.len() => target,
            _ => {
                let (metric, expected) =
                    (self.name().to_owned(), "one prediction and one real target a row".to_owned());
                let found = format!("{} predictions a row, or another target", rows.width());
                return Err(Error::Unsuitable { metric, expected, found });
            }
        };
        rows.for_each(|row, weight| each(f64::from(target[row] <= predictions[row]), weight));
        Ok(())
    }
}

mod tests {
    use tidemill::prelude::*;

    use super::*;
    use crate::data::{linear, program, random, rows};
    use crate::loss::Pinball;

    #[test]
    fn it_counts_by_weight_merges_and_is_saved() {
        let rows = |p: &'static [f64], y: &'static [f64]| Rows::new(p, 1, Target::Real(y)).unwrap();
        let (mut all, mut part, mut other) = (Coverage::default(), Coverage::default(), Coverage::default());
        let (first, second) = (rows(&[1.0, 2.0, 3.0], &[1.0, 3.0, f64::NAN]), rows(&[0.0], &[-1.0]));
        let first = first.with_weights(&[2.0, 1.0, 0.0]).unwrap();
        all.update(&first).unwrap();
        assert_eq!(all.value(), 2.0 / 3.0);
        all.update(&second).unwrap();
        assert_eq!(all.value(), 3.0 / 4.0);
        part.update(&second).unwrap();
        other.update(&first).unwrap();
        part.merge(&other.state()).unwrap();
        assert_eq!(part.value(), all.value());
        let error = all.update(&Rows::new(&[1.0], 1, Target::Index(&[0])).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("metric coverage expects one prediction and one real target a row"), "{error}");
    }

    #[test]
    fn a_model_of_a_quantile_covers_it() {
        let mut rows = rows(2000, |row, x| linear(row, x) + random(9, row));
        for quantile in [0.2, 0.9] {
            let program = program(|graph, x| {
                let y = Dense::new(1).apply(graph, x)?;
                Pinball { quantile }.apply(graph, y)
            });
            let trainer = Trainer::new(program, adam(0.01)).unwrap();
            let mut state = trainer.start(3);
            trainer.run(&Batch::new(20), &mut state, &mut rows.clone(), &mut ()).unwrap();
            let mut metrics = Metrics::new().with(Coverage::default());
            Model::new(trainer.program().clone(), &state).evaluate(&mut rows, &mut metrics).unwrap();
            let covered = metrics[0].value();
            assert!((covered - quantile).abs() < 0.05, "{covered} of the rows, not {quantile}");
        }
    }
}
