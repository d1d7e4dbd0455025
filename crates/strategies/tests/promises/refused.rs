//! Checkpoints and model files that no run has written are refused, field by field.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tidemill_autograd::Program;
use tidemill_data::MemorySource;
use tidemill_layers::{Dense, Layer};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_metrics::MeanLoss;
use tidemill_optim::{adam, sgd};
use tidemill_strategies::{Model, Online, Trainer};

fn program() -> Program<f32> {
    Program::build(|graph| {
        let x = graph.input("x", &[2])?;
        let y = Dense::new(1).apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    })
    .unwrap()
}

/// It was accepted, and the run panicked.
#[test]
fn cases_cursor_depth_9() {
    let trainer = Trainer::new(program(), sgd(0.1)).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cursor-depth-9.ckpt");
    let error = trainer.resume(&path, tidemill_strategies::Metrics::new()).err().unwrap().to_string();
    assert!(error.contains("cursor-depth-9.ckpt: ") && error.contains("a cursor of 9 integers"), "{error}");
}

type Tensors = Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)>;

/// The file, with its header and tensors changed.
fn changed(bytes: &[u8], header: impl Fn(String) -> String, change: impl Fn(&mut Tensors)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let mut tensors: Tensors = file.iter().map(tensor).collect();
    change(&mut tensors);
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let metadata = metadata.metadata().clone().unwrap();
    let metadata = metadata.into_iter().map(|(key, value)| (key, header(value))).collect();
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn named<'a>(tensors: &'a mut Tensors, name: &str) -> &'a mut (String, safetensors::Dtype, Vec<usize>, Vec<u8>) {
    tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap()
}

#[test]
fn every_field_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let trainer = Trainer::new(program(), adam(0.1)).unwrap();
    let metrics = || -> Vec<Box<dyn tidemill_metrics::Metric<f32>>> { vec![Box::new(MeanLoss::default())] };
    let mut rows = MemorySource::builder().reals("x", 2, vec![1.0; 12]).target(vec![2.0; 6]).build().unwrap();
    let mut state = trainer.start_with(1, metrics());
    trainer.run(&Online::new().batch_size(2), &mut state, &mut rows, &mut ()).unwrap();
    trainer.save(&state, &path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: Vec<u8>, why: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = trainer.resume(&path, metrics()).err().expect(why).to_string();
        assert!(error.contains(why), "{error}, not {why}");
    };
    let same = |header: String| header;
    std::fs::write(&path, changed(&good, same, |_| ())).unwrap();
    trainer.resume(&path, metrics()).unwrap();

    let headers = [
        ("\"format\":2", "\"format\":1", "it is of format 1, this version reads 2"),
        ("\"step\":3", "\"step\":18446744073709551615", "counts 18446744073709551615 steps"),
        ("\"rows_trained\":6", "\"rows_trained\":9007199254740993", "counts 9007199254740993 rows"),
        ("\"epoch_rows\":0", "\"epoch_rows\":18446744073709551615", "rows of the epoch"),
        ("\"epoch\":1,", "\"epoch\":18446744073709551615,", "a cursor of epoch 18446744073709551615"),
        ("\"depth\":0", "\"depth\":255", "a cursor of 255 integers"),
        ("\"words\":[0,", "\"words\":[5,", "a cursor of 0 integers with others behind them"),
        ("\"epoch_rows\":0", "\"epoch_rows\":0,\"rank_numbers\":{\"x\":0}", "the x of 0 ranks"),
        ("\"epoch_rows\":0", "\"epoch_rows\":0,\"rank_numbers\":{\"x\":1048577}", "the x of 1048577 ranks"),
        ("\"epoch_rows\":0", "\"epoch_rows\":0,\"rank_numbers\":{\"x\":3}", "it has no rank.0.x"),
        ("\"epoch_rows\":0", "\"epoch_rows\":0,\"rank_counts\":{\"cursor\":[]}", "the cursor of 0 ranks"),
        ("\"epoch_rows\":0", "\"epoch_rows\":0,\"rank_counts\":{\"cursor\":[[1]]}", "a cursor of [1]"),
        (
            "\"epoch_rows\":0",
            "\"epoch_rows\":0,\"rank_counts\":{\"cursor\":[[0,9,0,0,0,0,0,0,0,0]]}",
            "a cursor of 9 integers",
        ),
        ("\"epoch_rows\":0", "\"epoch_rows\":0,\"callbacks\":[\"x\"]", "it has no callback.x"),
    ];
    for (from, to, why) in headers {
        let header = |header: String| {
            assert!(header.contains(from), "{header}");
            header.replacen(from, to, 1)
        };
        refused(changed(&good, header, |_| ()), why);
    }
    let nan = f32::NAN.to_le_bytes();
    let infinite = f64::INFINITY.to_le_bytes();
    for (name, why) in [
        ("dense1.weight", "parameter dense1.weight[0] is NaN"),
        ("dense1.bias", "parameter dense1.bias[0] is NaN"),
        ("optimizer.adam.first_moment", "adam.first_moment[0] of the optimizer's memory is NaN"),
    ] {
        refused(changed(&good, same, |tensors| named(tensors, name).3[..4].copy_from_slice(&nan)), why);
    }
    refused(
        changed(&good, same, |tensors| named(tensors, "training.epoch").3[8..].copy_from_slice(&infinite)),
        "training.epoch is [0, inf]",
    );
    let unequal =
        |header: String| header.replacen("\"epoch_rows\":0", "\"epoch_rows\":0,\"rank_numbers\":{\"x\":2}", 1);
    let kept = |numbers: [&[f32]; 2]| {
        changed(&good, unequal, |tensors| {
            for (rank, numbers) in numbers.iter().enumerate() {
                let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                tensors.push((format!("rank.{rank}.x"), safetensors::Dtype::F32, vec![numbers.len()], bytes));
            }
        })
    };
    refused(kept([&[1.0, 2.0], &[1.0]]), "rank.1.x has 1 numbers, that of rank 0 has 2");
    refused(kept([&[1.0], &[f32::NAN]]), "rank.1.x[0] is NaN, expected a finite number");
    std::fs::write(&path, kept([&[1.0], &[2.0]])).unwrap();
    let mut strange = trainer.resume(&path, metrics()).unwrap();
    assert_eq!(strange.rank_memory("x").unwrap(), [[1.0], [2.0]]);
    let error = trainer.run(&Online::new().passes(2), &mut strange, &mut rows, &mut ()).unwrap_err().to_string();
    assert!(error.contains("its ranks remember x, which this run's GradientSync does not know"), "{error}");
    refused(
        changed(&good, same, |tensors| tensors.push(("infinite".into(), safetensors::Dtype::F32, vec![0], vec![]))),
        "it has infinite",
    );
    refused(
        changed(&good, same, |tensors| {
            named(tensors, "training.learning_rate_factor").3.copy_from_slice(&infinite);
        }),
        "training.learning_rate_factor: learning-rate factor: inf",
    );
    refused(
        changed(&good, same, |tensors| tensors.push(("other".into(), safetensors::Dtype::F32, vec![0], vec![]))),
        "it has other, which this model and optimizer do not have",
    );

    // The file of a model may hold other things beside, but no parameter that is NaN.
    Model::new(trainer.program().clone(), &state).save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, changed(&good, same, |tensors| named(tensors, "dense1.bias").3[..4].copy_from_slice(&nan)))
        .unwrap();
    let error = Model::load(program(), &path).err().unwrap().to_string();
    assert!(error.contains("parameter dense1.bias[0] is NaN, expected a finite number"), "{error}");
}
