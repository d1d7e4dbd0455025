//! A model of two heads: a price, and whether it is sold.

use tidemill::autograd::{Error, ModelOutput};
use tidemill::prelude::*;

/// Two heads on one body. Each is trained on the column of its name; the second counts half as much.
pub fn two_heads(graph: &mut Graph) -> Result<ModelOutput, Error> {
    let x = graph.input("x", &[3])?;
    let body = Sequential::new().add(Dense::new(16).tanh()).name("body").apply(graph, x)?;
    let price = Dense::new(1).name("price").apply(graph, body)?;
    let sold = Dense::new(1).name("sold").apply(graph, body)?;
    Ok([
        MeanSquaredError.head(graph, price, "price")?,
        BinaryCrossEntropyWithLogits::new().head(graph, sold, "sold")?.weight(0.5),
    ]
    .into())
}

/// What each head is scored by.
pub fn scores() -> Result<Metrics<f64>, tidemill::metrics::Error> {
    Ok(Metrics::new().of("price", Rmse::default()).of("sold", Accuracy::binary(0.5)?))
}

mod tests {
    use tidemill::data::Column;
    use tidemill::strategies::Predictions;

    use super::*;
    use crate::data::{close, features, linear};

    /// Rows with both targets, or with none.
    fn rows(n: usize, targets: bool) -> MemorySource<f64> {
        let x = features(n);
        let price: Vec<f64> = x.chunks(3).map(|x| linear(0, x)).collect();
        let sold = price.iter().map(|&price| f64::from(price > 0.2)).collect();
        let builder = MemorySource::builder().reals("x", 3, x);
        match targets {
            true => builder.reals("price", 1, price).reals("sold", 1, sold).build().unwrap(),
            false => builder.build().unwrap(),
        }
    }

    fn trainer() -> Trainer<f64> {
        Trainer::new(Program::build(two_heads).unwrap(), adam(0.01)).unwrap()
    }

    #[test]
    fn both_are_trained_evaluated_and_predicted_by_name() {
        let trainer = trainer();
        let mut state = trainer.start(7);
        trainer.run(&Batch::new(60), &mut state, &mut rows(500, true), &mut ()).unwrap();

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        Model::new(trainer.program().clone(), &state).save(&path).unwrap();
        let model = Model::load(trainer.program().clone(), &path).unwrap();
        let mut metrics = scores().unwrap();
        let evaluation = model.evaluate(&mut rows(500, true), &mut metrics).unwrap();
        let (rmse, accuracy) = (metrics[0].value(), metrics[1].value());
        assert_eq!([metrics[0].name(), metrics[1].name()], ["price.rmse", "sold.accuracy"]);
        assert!(rmse < 0.1 && accuracy > 0.95, "rmse {rmse}, accuracy {accuracy}");
        assert!(evaluation.loss() > rmse * rmse, "the loss is the sum of both");

        let (mut price, mut sold) = (Vec::new(), Vec::new());
        let each = |rows: Predictions<'_, f64>| {
            price.extend_from_slice(rows.head("price").expect("a head"));
            sold.extend_from_slice(rows.head("sold").expect("a head"));
            assert!(rows.head("rented").is_none());
            Ok(())
        };
        assert_eq!(model.predict(&mut rows(500, false), each).unwrap(), 500);
        let data = rows(500, true);
        let column = |name: &str| match &data.data().columns()[data.schema().position(name).unwrap()] {
            Column::Real { values, .. } => values.clone(),
            other => panic!("{other:?}"),
        };
        let mean = |f: &dyn Fn(usize) -> f64| (0..500).map(f).sum::<f64>() / 500.0;
        let (prices, are_sold) = (column("price"), column("sold"));
        let found = mean(&|row| (price[row] - prices[row]).powi(2)).sqrt();
        assert!((found - rmse).abs() < 1e-12, "what is predicted is what was scored: {found}, {rmse}");
        let found = mean(&|row| f64::from((sold[row] >= 0.5) == (are_sold[row] == 1.0)));
        assert!((found - accuracy).abs() < 1e-12, "predictions are probabilities: {found}, {accuracy}");
    }

    #[test]
    fn both_are_scored_online_and_on_two_threads() {
        let online = |trainer: Trainer<f64>| {
            let mut state = trainer.start_with(7, scores().unwrap());
            trainer.run(&Online::new().batch_size(20), &mut state, &mut rows(500, true), &mut ()).unwrap();
            state
        };
        let (serial, parallel) = (online(trainer()), online(trainer().engine(DataParallel::new(2))));
        close("two shards", &parallel, &serial);
        assert!(serial.metric("sold.accuracy").unwrap() > 0.7);
        assert!((serial.metric("price.rmse").unwrap() - parallel.metric("price.rmse").unwrap()).abs() < 1e-9);
    }
}
