//! A layer around an operation of one's own.

use tidemill::autograd::{Error, Initializer};
use tidemill::prelude::*;

use crate::op::Center;

/// `y = x - μ`, see [`Center`]: the running mean begins as zero and moves by a tenth.
///
/// # Shapes
///
/// `x` and `y [..]`; buffer `running_mean [..]`.
#[derive(Clone, Copy, Debug)]
pub struct Centering {
    /// Rows that are centered together.
    pub group: usize,
}

impl Layer for Centering {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("centering");
        let shape = graph.shape(input).to_vec();
        let mean = graph.buffer(&format!("{name}.running_mean"), &shape, Initializer::Constant(0.0))?;
        let op = Center { group: self.group, momentum: 0.1 };
        let outputs = graph.add_with_buffers(op, &[input], &[], &[mean])?;
        graph.set_label(outputs[0], name);
        Ok(outputs[0])
    }
}

mod tests {
    use std::sync::Arc;

    use tidemill::autograd::Coupling;
    use tidemill::strategies::{Engine, Predictions};

    use super::*;
    use crate::data::{bits, close, linear, program};

    fn centered() -> Arc<Program<f64>> {
        in_groups(4)
    }

    fn in_groups(group: usize) -> Arc<Program<f64>> {
        program(|graph, x| {
            let layers = Sequential::new().add(Centering { group }).add(Dense::new(4).tanh()).name("body");
            let h = layers.add(Centering { group }).apply(graph, x)?;
            let y = Dense::new(1).apply(graph, h)?;
            MeanSquaredError.apply(graph, y)
        })
    }

    /// Rows whose features are far from zero.
    fn shifted() -> MemorySource<f64> {
        let x: Vec<f64> = crate::data::features(100).into_iter().map(|x| x + 5.0).collect();
        let target = x.chunks(3).enumerate().map(|(row, x)| linear(row, x)).collect();
        let weights = (0..100).map(|row| 0.5 + (row % 3) as f64).collect();
        MemorySource::builder().reals("x", 3, x).target(target).weights(weights).build().unwrap()
    }

    fn train(engine: impl Engine<f64> + 'static) -> State<f64> {
        let trainer = Trainer::new(centered(), adam(0.01)).unwrap().engine(engine);
        let mut state = trainer.start(7);
        trainer.run(&Batch::new(3).batch_size(22).in_order(), &mut state, &mut shifted(), &mut ()).unwrap();
        state
    }

    #[test]
    fn it_has_a_name_and_a_buffer() {
        let program = centered();
        let names: Vec<_> = program.layout().parameters().iter().map(|parameter| parameter.name()).collect();
        assert_eq!(names[0], "body.centering1.running_mean");
        assert_eq!(names[3], "body.centering2.running_mean");
        assert_eq!((program.layout().buffer_len(), program.coupling(true)), (7, Coupling::Group(4)));
        assert_eq!((program.coupled_by(true), program.coupling(false)), ("center", Coupling::None));
    }

    #[test]
    fn groups_stay_whole_in_every_engine() {
        let serial = train(Serial);
        let mean = serial.params[centered().layout().find("body.centering1.running_mean").unwrap().range()].to_vec();
        // 15 batches: what is left of the first zero is 0.9^15.
        let wanted = 5.0 * (1.0 - 0.9_f64.powi(15));
        assert!(mean.iter().all(|mean| (mean - wanted).abs() < 0.3), "{mean:?} is not near {wanted}");
        close("two shards", &train(DataParallel::new(2)), &serial);
        assert_eq!(bits(&train(DataParallel::new(2).shards(3))), bits(&train(DataParallel::new(1).shards(3))));
        let error = Engine::<f64>::start(&Hogwild::new(2).rows(8), &centered(), 22).err().unwrap().to_string();
        assert!(error.starts_with("hogwild: the model has buffers"), "{error}");
    }

    #[test]
    fn a_row_that_weighs_three_is_three_rows() {
        let x = crate::data::features(5);
        let train = |times: &[usize], weights: &[f64]| {
            let repeated = || x.chunks(3).zip(times).flat_map(|(x, &times)| std::iter::repeat_n(x, times));
            let builder = MemorySource::builder().reals("x", 3, repeated().flatten().copied().collect());
            let target = repeated().map(|x| linear(0, x)).collect();
            let mut rows = builder.target(target).weights(weights.to_vec()).build().unwrap();
            let trainer = Trainer::new(in_groups(16), sgd(0.1)).unwrap();
            let mut state = trainer.start(7);
            trainer.run(&Batch::new(4).full_batch().in_order(), &mut state, &mut rows, &mut ()).unwrap();
            state
        };
        let weighted = train(&[1; 5], &[1.0, 3.0, 2.0, 1.0, 4.0]);
        close("weights", &weighted, &train(&[1, 3, 2, 1, 4], &[1.0; 11]));
    }

    #[test]
    fn a_saved_model_predicts_rows_one_by_one() {
        let state = train(Serial);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        Model::new(centered(), &state).save(&path).unwrap();
        let model = Model::load(centered(), &path).unwrap();
        assert_eq!(model.params(), state.params);
        let predict = |model: &Model<f64>| {
            let mut found = Vec::new();
            let each = |rows: Predictions<'_, f64>| {
                found.extend_from_slice(rows.values);
                Ok(())
            };
            model.predict(&mut shifted(), each).unwrap();
            found
        };
        let all = predict(&model);
        assert_eq!(predict(&model.batch_size(1)), all);
    }
}
