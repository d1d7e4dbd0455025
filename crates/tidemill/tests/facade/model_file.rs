//! Models that are saved and loaded, and predictions that are written.

use std::path::Path;

use tidemill::data::Batch as Rows;
use tidemill::prelude::*;
use tidemill::strategies::Error;

use crate::table::{Table, open};
use crate::training::{encoder, metrics, program, train, trainer};

const HIDDEN: usize = 8;

/// A trained model with its encoder.
fn model(table: &Table) -> Model<f32> {
    let encoder = encoder(&mut table.memory());
    let trainer = trainer::<f32>(&encoder);
    let mut source = table.memory().encode::<f32>(&encoder).unwrap();
    let state = train(&trainer, &Batch::new(2), &mut source);
    Model::new(trainer.program().clone(), &state).with_encoder(encoder)
}

/// The encoded rows of files, without target: none is dropped.
fn features(model: &Model<f32>, path: &Path) -> impl Source<f32> + use<> {
    open(path).encode::<f32>(&model.encoder().unwrap().features_only()).unwrap()
}

fn predictions(model: &Model<f32>, path: &Path) -> Vec<f32> {
    let mut all = Vec::new();
    let rows = model.predict(&mut features(model, path), |chunk| {
        all.extend_from_slice(chunk.values);
        Ok(())
    });
    assert_eq!(rows.unwrap() as usize, all.len());
    all
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_loaded_model_predicts_the_same_bits() {
    let (table, folder) = (Table::new(3_000), tempfile::tempdir().unwrap());
    let path = table.folder(folder.path(), "rows", &[1_100, 70]);
    let (model, file) = (model(&table), folder.path().join("model.safetensors"));
    model.save(&file).unwrap();

    let saved = encoder(&mut open(&path));
    let loaded = Model::load(program::<f32>(&saved, HIDDEN), &file).unwrap();
    assert_eq!(loaded.encoder(), model.encoder());
    assert_eq!(bits(loaded.params()), bits(model.params()));
    let want = predictions(&model, &path);
    assert_eq!(want.len(), table.rows());
    assert!(want.iter().any(|p| *p > 0.6) && want.iter().any(|p| *p < 0.4), "predictions worth comparing");
    assert_eq!(bits(&predictions(&loaded, &path)), bits(&want));

    let score = |model: &Model<f32>| {
        let mut metrics = metrics();
        let mut source = open(&path).encode(model.encoder().unwrap()).unwrap();
        let loss = model.evaluate(&mut source, &mut metrics).unwrap().loss();
        (loss.to_bits(), metrics.iter().flat_map(|m| m.state()).map(f64::to_bits).collect::<Vec<_>>())
    };
    assert_eq!(score(&loaded), score(&model));
}

#[test]
fn predictions_are_written_and_read_again() {
    let (table, folder) = (Table::new(2_500), tempfile::tempdir().unwrap());
    let path = table.folder(folder.path(), "rows", &[1_100, 70]);
    let (model, written) = (model(&table), folder.path().join("predictions.parquet"));

    let columns = [("row", ValueType::I64), ("probability", ValueType::F32), ("late", ValueType::Bool)];
    let mut writer = ParquetWriter::create(&written, columns).unwrap();
    let mut row = 0;
    let each_chunk = |chunk: tidemill::strategies::Predictions<'_, f32>| -> Result<(), Error> {
        let rows: Vec<i64> = (row..).take(chunk.values.len()).collect();
        let late: Vec<bool> = chunk.values.iter().map(|&p| p > 0.5).collect();
        row += rows.len() as i64;
        Ok(writer.write(&[Values::I64(&rows), Values::F32(chunk.values), Values::Bool(&late)])?)
    };
    model.predict(&mut features(&model, &path), each_chunk).unwrap();
    assert!(!written.exists(), "no half-written file has the name");
    writer.finish().unwrap();

    let mut source = ParquetSource::open(&written).columns(["row", "probability", "late"]).build().unwrap();
    let mut batch = Rows::<f32>::new(source.schema().clone());
    source.fill(&mut batch, usize::MAX).unwrap();
    let want = predictions(&model, &path);
    assert_eq!(bits(batch.reals(1)), bits(&want));
    assert!(batch.reals(0).iter().enumerate().all(|(row, &number)| number == row as f32));
    assert!(batch.reals(2).iter().zip(&want).all(|(&late, &p)| late == f32::from(u8::from(p > 0.5))));
}

#[test]
fn another_models_file_is_refused_by_name() {
    let (table, folder) = (Table::new(200), tempfile::tempdir().unwrap());
    let (model, file) = (model(&table), folder.path().join("model.safetensors"));
    model.save(&file).unwrap();
    let encoder = model.encoder().unwrap();
    let refused = |text: &str, problem: &str| assert_eq!(text, format!("{}: {problem}", file.display()));

    let error = Model::load(program::<f32>(encoder, 2 * HIDDEN), &file).err().unwrap().to_string();
    let inputs = model.program().layout().find("dense1.weight").unwrap().shape()[1];
    refused(&error, &format!("parameter dense1.weight is [8, {inputs}], the model's is [16, {inputs}]"));

    let error = Model::load(program::<f64>(encoder, HIDDEN), &file).err().unwrap().to_string();
    assert!(error.ends_with(": it is F32, expected F64") && error.contains("parameter "), "{error}");

    let deeper = Program::<f32>::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = Dense::new(1).name("late").apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    let error = Model::load(deeper.unwrap(), &file).err().unwrap().to_string();
    refused(&error, "it has no parameter late.weight");
}

#[test]
fn a_broken_file_is_refused_by_name() {
    let (table, folder) = (Table::new(200), tempfile::tempdir().unwrap());
    let (model, file) = (model(&table), folder.path().join("model.safetensors"));
    let load = || Model::load(model.program().clone(), &file).map(|_| ()).map_err(|error| error.to_string());
    assert!(load().unwrap_err().contains("model.safetensors"), "a file that is not there is named");

    model.save(&file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    for length in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
        std::fs::write(&file, &whole[..length]).unwrap();
        let error = load().unwrap_err();
        assert!(error.starts_with(&format!("{}: it is no safetensors file: ", file.display())), "{length}: {error}");
    }

    let at = whole.windows(11).position(|w| w == b"Standardize").unwrap();
    let mut misspelt = whole.clone();
    misspelt[at..at + 11].copy_from_slice(b"Standardise");
    std::fs::write(&file, misspelt).unwrap();
    let error = load().unwrap_err();
    assert!(error.contains("its encoder is broken") && error.contains("Standardise"), "{error}");

    std::fs::write(&file, whole).unwrap();
    load().unwrap();
}

/// Checkpoints and models are both parameters by name; what a checkpoint has besides, a model has not.
#[test]
fn a_checkpoint_is_a_model_but_a_model_is_no_checkpoint() {
    let (table, folder) = (Table::new(200), tempfile::tempdir().unwrap());
    let (checkpoint, file) = (folder.path().join("state.safetensors"), folder.path().join("model.safetensors"));
    let encoder = encoder(&mut table.memory());
    let trainer = trainer::<f32>(&encoder);
    let state = train(&trainer, &Online::new(), &mut table.memory().encode::<f32>(&encoder).unwrap());
    trainer.save(&state, &checkpoint).unwrap();
    let model = Model::load(trainer.program().clone(), &checkpoint).unwrap();
    assert_eq!(bits(model.params()), bits(&state.params));
    assert!(model.encoder().is_none());

    model.save(&file).unwrap();
    let error = trainer.resume(&file, metrics()).err().unwrap().to_string();
    assert_eq!(error, format!("{}: it is not a checkpoint: it has no metadata tidemill.state", file.display()));
}
