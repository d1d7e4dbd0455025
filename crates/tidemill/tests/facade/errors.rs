//! Promise 7, from the file up: what is wrong is told by name and place, and nothing is left half done.

use std::path::{Path, PathBuf};

use tidemill::data::Error as DataError;
use tidemill::parquet::ParquetSourceBuilder;
use tidemill::prelude::*;

use crate::table::{Table, open};
use crate::training::{bits, encoder, metrics, train, trainer};

/// Flights with nulls, as they were.
const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../experiments/data/flights.parquet");

fn refusal(builder: ParquetSourceBuilder) -> String {
    builder.build::<f32>().err().expect("what cannot be read is refused").to_string()
}

fn fit_error(encoder: Encoder, source: impl Source<f64>) -> String {
    source.encode::<f32>(&encoder).err().expect("an encoder of other columns is refused").to_string()
}

/// A file of one column of integers.
fn integers(path: &Path, name: &str, values: &[i64]) {
    let mut writer = ParquetWriter::create(path, [(name, ValueType::I64)]).unwrap();
    writer.write(&[Values::I64(values)]).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_column_that_is_missing() {
    let (table, folder) = (Table::new(20), tempfile::tempdir().unwrap());
    let path = table.folder(folder.path(), "rows", &[10]);
    let first = path.join("part-00.parquet");
    let all = "distance, speed, hour, carrier, weekend, delay, weight";
    let want = format!("{}: there is no column dalay; it has {all}", first.display());
    assert_eq!(refusal(ParquetSource::open(&path).columns(["distance", "dalay"])), want);
    assert_eq!(refusal(ParquetSource::open(&path).real_block("x", ["distance", "dalay"])), want);
    assert_eq!(refusal(ParquetSource::open(&path).target("dalay")), want);

    let other = path.join("part-09.parquet");
    integers(&other, "hour", &[1]);
    let want = format!("{}: there is no column distance; it has hour", other.display());
    assert_eq!(refusal(ParquetSource::open(&path).columns(["hour", "distance"])), want, "a later file is named");

    let encoder = encoder(&mut table.memory());
    let narrow = ParquetSource::open(&first).columns(["distance", "speed"]).build().unwrap();
    assert_eq!(fit_error(encoder, narrow), "the source: there is no column hour; it has distance, speed");
}

#[test]
fn a_column_of_a_wrong_type() {
    let (table, folder) = (Table::new(20), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.parquet");
    table.write(&path, 0..20);
    let named = |column: &str, found: &str, expected: &str| {
        format!("{}: column {column} is {found}, expected {expected}", path.display())
    };
    let open_path = || ParquetSource::open(&path);
    assert_eq!(refusal(open_path().real_block("x", ["carrier"])), named("carrier", "string", "one number"));
    assert_eq!(refusal(open_path().weight("carrier")), named("carrier", "string", "one number"));
    assert_eq!(refusal(open_path().target_index("speed", 3)), named("speed", "float32", "an integer"));

    let other = folder.path().join("b.parquet");
    integers(&other, "distance", &[1]);
    let (first, other_name) = (path.display(), other.display());
    let want = format!(
        "{other_name}: column distance is int64, expected float64 as in {first}; no type holds both without loss"
    );
    assert_eq!(refusal(ParquetSource::open([&path, &other]).feature("distance")), want);

    let fit = |column: &str, encoding: Encoding| {
        Encoder::builder().feature(column, encoding).fit(&mut open(&path)).unwrap_err().to_string()
    };
    assert_eq!(fit("carrier", Encoding::standardize()), "the source: column carrier is text, expected real");
    assert_eq!(fit("carrier", Encoding::cyclic(7.0)), "the source: column carrier is text, expected real");
    let error = fit("distance", Encoding::category());
    assert!(error.starts_with("column distance, row 0: ") && error.contains("is no integer"), "{error}");
}

#[test]
fn an_index_that_is_out_of_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    integers(&path, "class", &[0, 2, 3, 1]);
    let mut source = ParquetSource::open(&path).target_index("class", 3).build().unwrap();
    let error = MemorySource::<f32>::load(&mut source, 1 << 20).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}, row group 0, column class: row 2 of the file is 3, expected 0 to 2", path.display())
    );
}

fn flights() -> impl Source<f64> {
    ParquetSource::open(FLIGHTS).columns(["dep_delay", "distance"]).build().unwrap()
}

#[test]
fn a_null_without_a_policy() {
    let builder = |missing: Option<Missing>| {
        let delay = Encoding::standardize();
        let delay = missing.map_or(delay.clone(), |missing| delay.missing(missing));
        Encoder::builder().feature("dep_delay", delay).target("distance", Encoding::standardize())
    };
    let want = "column dep_delay is null in row 838; choose a policy for missing values: drop, a constant, or the mean";
    assert_eq!(builder(None).fit(&mut flights().take(2_000)).unwrap_err().to_string(), want);
    let (_, report) = builder(Some(Missing::DropRow)).fit(&mut flights().take(2_000)).unwrap();
    assert!(report.dropped > 0 && report.dropped < 100, "{report}");

    // Fitted where there is none, and trained on: the error comes at the row, and the steps before it count.
    let (encoder, _) = builder(None).fit(&mut flights().take(800)).unwrap();
    let program = Program::<f32>::build(|graph| {
        let x = graph.input("x", &[1])?;
        let y = Dense::new(1).apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    let trainer = Trainer::new(program.unwrap(), sgd(0.01)).unwrap();
    let mut state = trainer.start(1);
    let mut source = flights().encode::<f32>(&encoder).unwrap();
    let error = trainer.run(&Online::new().batch_size(100), &mut state, &mut source, &mut ()).unwrap_err();
    assert_eq!((error.to_string().as_str(), state.step, state.rows_trained), (want, 8, 800));
    let error = trainer.run(&Batch::new(1), &mut trainer.start(1), &mut source, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), want);

    // Not encoded at all.
    let mut raw = ParquetSource::open(FLIGHTS).real_block("x", ["dep_delay"]).target("distance").build().unwrap();
    let error = trainer.run(&Online::new(), &mut trainer.start(1), &mut raw, &mut ()).unwrap_err().to_string();
    assert_eq!(error, "source: column x may hold nulls; encode it with a policy for missing values");
}

#[test]
fn a_file_that_is_cut_off() {
    let (table, folder) = (Table::new(200), tempfile::tempdir().unwrap());
    let path = table.folder(folder.path(), "rows", &[100]);
    let cut = path.join("part-01.parquet");
    let whole = std::fs::read(&cut).unwrap();
    for length in (0..whole.len()).step_by(101).chain([whole.len() - 1]) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let error = refusal(ParquetSource::open(&path).columns(["distance"]));
        let want = format!("{}: not a Parquet file, or not all of it: ", cut.display());
        assert!(error.starts_with(&want), "{length} bytes: {error}");
    }
    std::fs::remove_file(&cut).unwrap();
    let error = refusal(ParquetSource::open([path.join("part-00.parquet"), cut.clone()]).columns(["distance"]));
    assert!(error.starts_with(&format!("{}: ", cut.display())), "{error}");
}

/// Pages that are overwritten in the last of three files; the footer says nothing of it.
fn damaged(table: &Table, parent: &Path) -> PathBuf {
    let folder = table.folder(parent, "damaged", &[70, 60]);
    let path = folder.join("part-02.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[60..length / 3].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    folder
}

#[test]
fn a_file_that_is_damaged_is_found_on_the_way_and_costs_nothing_before_it() {
    let (table, folder) = (Table::new(300), tempfile::tempdir().unwrap());
    let path = damaged(&table, folder.path());
    let encoder = encoder(&mut table.memory());
    let trainer = trainer::<f32>(&encoder);
    let place = format!("{}, row group 0, column ", path.join("part-02.parquet").display());
    let saved = folder.path().join("saved");
    std::fs::create_dir(&saved).unwrap();
    let checkpoint = saved.join("state.safetensors");

    let sources: [Box<dyn Source<f32>>; 2] = [
        open(&path).encode(&encoder).unwrap().boxed(),
        open(&path).encode(&encoder).unwrap().prefetch(2, 10).unwrap().boxed(),
    ];
    for mut source in sources {
        let mut state = trainer.start_with(7, metrics());
        let mut checkpoints = Checkpoints::new(&checkpoint, 1);
        let online = Online::new().batch_size(10);
        let error = trainer.run(&online, &mut state, &mut *source, &mut checkpoints).unwrap_err().to_string();
        assert!(error.starts_with(&place), "{error}");

        // The steps before are those of the rows before.
        let sound = table.memory().take(130).encode::<f32>(&encoder).unwrap();
        let mut sound = sound.take(10 * state.step);
        let want = train(&trainer, &online, &mut sound);
        assert!(state.step > 10, "{} steps", state.step);
        assert_eq!((state.params.clone(), state.optimizer.clone()), (want.params, want.optimizer));
        let resumed = trainer.resume(&checkpoint, metrics()).unwrap();
        assert_eq!(bits(&resumed), bits(&state), "the last checkpoint is of the last whole step");
        assert_eq!(std::fs::read_dir(&saved).unwrap().count(), 1, "no temporary file stays");
    }

    let error = trainer.run(&Batch::new(1), &mut trainer.start(7), &mut open(&path).encode(&encoder).unwrap(), &mut ());
    assert!(error.unwrap_err().to_string().starts_with(&place));
    let error = Encoder::builder().feature("distance", Encoding::real()).fit(&mut open(&path)).unwrap_err().to_string();
    assert!(error.starts_with(&place), "{error}");
}

#[test]
fn predictions_of_a_damaged_file_leave_no_file() {
    let (table, folder) = (Table::new(300), tempfile::tempdir().unwrap());
    let path = damaged(&table, folder.path());
    let encoder = encoder(&mut table.memory());
    let trainer = trainer::<f32>(&encoder);
    let model = Model::new(trainer.program().clone(), &trainer.start(1));
    let output = tempfile::tempdir().unwrap();
    let mut writer = ParquetWriter::create(output.path().join("predictions.parquet"), [("p", ValueType::F32)]).unwrap();
    let mut source = open(&path).encode(&encoder.features_only()).unwrap();
    let result = model.predict(&mut source, |chunk| Ok(writer.write(&[Values::F32(chunk.values)])?));
    assert!(result.is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(output.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_changes_under_the_reader() {
    let (table, folder) = (Table::new(60), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.parquet");
    table.write(&path, 0..60);
    let mut source = open(&path);
    table.write(&path, 0..50);
    let error = MemorySource::<f64>::load(&mut source, 1 << 20).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: changed since it was opened: ", path.display())), "{error}");
}

#[test]
fn a_class_that_the_encoder_does_not_know() {
    let (mut table, folder) = (Table::new(90), tempfile::tempdir().unwrap());
    table.carrier.iter_mut().enumerate().for_each(|(row, carrier)| *carrier = ["late", "early", "on time"][row % 3]);
    let builder = Encoder::builder().feature("distance", Encoding::standardize()).target("carrier", Encoding::class());
    let (encoder, _) = builder.fit(&mut table.memory()).unwrap();
    table.carrier[77] = "cancelled";
    let path = table.folder(folder.path(), "rows", &[50]);
    let error = MemorySource::load(open(&path).encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap_err();
    assert!(matches!(error, DataError::Invalid { .. }));
    let want = "column carrier, row 77: class cancelled is unknown; the encoder was fitted to early, late, on time";
    assert_eq!(error.to_string(), want);

    // Of features, an unknown category is one of the categories.
    let (encoder, _) = Encoder::builder().feature("carrier", Encoding::category()).fit(&mut table.memory()).unwrap();
    table.carrier[77] = "diverted";
    let loaded = MemorySource::load(table.memory().encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap();
    assert_eq!(loaded.data().indices(0)[76..79], [2, 0, 3]);
}
