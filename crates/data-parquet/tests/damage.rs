//! Broken files and row groups are left out where that was asked for, and told of; what is left is read as if they had
//! never been there.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::{Array, Int8Array, Int32Array, StringArray, UInt32Array};
use common::{array, read, read_all, seek, table, write_groups};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use tidemill_data::{Cursor, Error, Source};
use tidemill_data_parquet::{FileError, OnDamage, ParquetSource, ParquetSourceBuilder, Usable, describe};

/// A hundred rows in row groups of forty, forty and twenty: consecutive numbers.
fn numbers(path: &Path, first: i32) {
    let rows = Int32Array::from_iter((first..first + 100).map(Some));
    write_groups(path, &table([("x", array(rows))]), &[40, 40, 20]);
}

/// Makes the bytes of a row group's only column chunk unreadable, from some page in it on.
fn break_group(path: &Path, group: usize) {
    let file = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let (start, length) = file.metadata().row_group(group).column(0).byte_range();
    let mut bytes = fs::read(path).unwrap();
    let end = (start + length) as usize;
    bytes[end - length as usize / 2..end].fill(0xff);
    fs::write(path, bytes).unwrap();
}

/// A folder of whole files and broken ones, and the numbers that can be read.
fn folder() -> (tempfile::TempDir, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.parquet"), "x\n1\n2\n3\n4\n5\n6\n").unwrap();
    numbers(&at("b.parquet"), 0);
    numbers(&at("c.parquet"), 100);
    break_group(&at("c.parquet"), 1);
    numbers(&at("d.parquet"), 200);
    let whole = fs::read(at("d.parquet")).unwrap();
    fs::write(at("d.parquet"), &whole[..whole.len() / 2]).unwrap();
    numbers(&at("e.parquet"), 300);
    break_group(&at("e.parquet"), 2);
    let left = (0..140).chain(180..200).chain(300..380).map(|n| n as f32).collect();
    (folder, left)
}

fn open(folder: &Path) -> ParquetSourceBuilder {
    ParquetSource::open(folder).feature("x").on_damage(OnDamage::Skip)
}

fn values(source: &mut ParquetSource, size: usize) -> Vec<f32> {
    read(source, size).unwrap().iter().flat_map(|batch| batch.reals(0).to_vec()).collect()
}

#[test]
fn what_is_left_is_read_and_what_is_not_is_told() {
    let (folder, left) = folder();
    for (size, threads) in [(1, 1), (7, 1), (64, 3), (1000, 1), (1000, 3)] {
        let mut source = open(folder.path()).threads(threads).build().unwrap();
        assert_eq!(Source::<f32>::rows(&source), Some(left.len() as u64));
        assert_eq!(values(&mut source, size), left, "{size} rows at a time, {threads} threads");
    }
    let source = open(folder.path()).build::<f32>().unwrap();
    let report = source.damage();
    assert_eq!((report.files, report.row_groups, report.rows, report.of_unknown_rows), (2, 2, 60, 2));
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let listed: Vec<_> = report.listed.iter().map(|d| (name(&d.place.path), d.place.row_group, d.rows)).collect();
    let expected = [("a", None, None), ("d", None, None), ("c", Some(1), Some(40)), ("e", Some(2), Some(20))];
    assert_eq!(listed, expected.map(|(name, group, rows)| (format!("{name}.parquet"), group, rows)));
    assert_eq!(report.listed[2].place.column.as_deref(), Some("x"));
    let text = report.to_string();
    assert!(text.starts_with("left out: 2 files, 2 row groups of others, 60 rows and those of 2 that"), "{text}");
    assert!(text.contains("c.parquet, row group 1, column x: 40 rows left out: "), "{text}");
    assert!(text.contains("a.parquet: left out: it does not end in PAR1"), "{text}");
}

#[test]
fn resuming_at_every_step_gives_the_same_rows() {
    let (folder, left) = folder();
    for shuffled in [false, true] {
        let build = || {
            let builder =
                if shuffled { open(folder.path()).shuffle_blocks(3).block_rows(15) } else { open(folder.path()) };
            builder.build::<f32>().unwrap()
        };
        let all = values(&mut build(), 9);
        let mut sorted = all.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!(sorted, left);
        for step in (0..all.len()).step_by(9) {
            let mut source = build();
            seek(&mut source, Cursor::start(0).push(step as u64)).unwrap();
            assert_eq!(values(&mut source, 9), all[step..], "from row {step}");
        }
        let mut small = build();
        Source::<f32>::limit(&mut small, 1 << 20).unwrap();
        assert_eq!(values(&mut small, 9), all);
        assert_eq!(small.damage(), build().damage());
    }
}

/// Has the footer say that a file of a hundred rows has one more.
fn miscount(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len() - 8;
    let footer = end - u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    // The field of the rows comes in front of the row groups with theirs.
    let rows = bytes[footer..end].windows(3).position(|three| three == [0x16, 0xc8, 0x01]).unwrap();
    bytes[footer + rows + 1] = 0xca;
    fs::write(path, bytes).unwrap();
}

/// The types of a file that is left out are of no account; those of the others become one that holds them all.
#[test]
fn types_are_joined_behind_a_broken_first_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let texts = || array(StringArray::from_iter_values((0..100).map(|i| format!("text {i}"))));
    let broken: [&dyn Fn(&Path); 3] = [
        &|path| fs::write(path, "no Parquet file").unwrap(),
        &|path| {
            write_groups(path, &table([("x", texts())]), &[100]);
            miscount(path);
        },
        &|path| {
            write_groups(path, &table([("x", texts()), ("y", texts())]), &[100]);
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..whole.len() - 20]).unwrap();
        },
    ];
    numbers(&at("b.parquet"), 0);
    let wide = UInt32Array::from_iter_values((0..20).map(|i| 4_000_000_000 + i));
    write_groups(&at("c.parquet"), &table([("y", texts().slice(0, 20)), ("x", array(wide))]), &[20]);
    let small = Int8Array::from_iter((0..20).map(|i| (i != 3).then_some(-i)));
    write_groups(&at("e.parquet"), &table([("x", array(small))]), &[20]);
    let others = (0..20).map(|i| 4e9 + f64::from(i)).chain((0..20).map(|i| if i == 3 { 0.0 } else { f64::from(-i) }));
    let left: Vec<f64> = (0..100).map(f64::from).chain(others).collect();
    for (place, breaks) in ["a.parquet", "d.parquet"].iter().flat_map(|place| broken.iter().map(move |b| (place, b))) {
        breaks(&at(place));
        for threads in [1, 3] {
            let mut source = open(folder.path()).threads(threads).build::<f64>().unwrap();
            assert_eq!((source.damage().files, source.damage().row_groups), (1, 0), "{}", source.damage());
            let batch = read_all(&mut source).unwrap();
            assert_eq!(batch.reals(0), left, "{place}, {threads} threads");
            seek(&mut source, Cursor::start(0).push(117)).unwrap();
            assert_eq!(read_all(&mut source).unwrap().reals(0), &left[117..]);
        }
        let strict = ParquetSource::open(folder.path()).feature("x").build::<f64>();
        assert!(strict.is_err(), "{place}");
        fs::remove_file(at(place)).unwrap();
    }
}

/// What a reader was told wrongly, or may not do, is no damage.
#[test]
fn other_errors_stay_errors() {
    let (folder, _) = folder();
    let told = |builder: ParquetSourceBuilder, part: &str| {
        let error = builder.build::<f32>().map(|_| "no error").unwrap_err().to_string();
        assert!(error.contains(part), "no {part:?} in: {error}");
    };
    let missing = [folder.path().join("b.parquet"), folder.path().join("z.parquet")];
    told(ParquetSource::open(&missing[..]).feature("x").on_damage(OnDamage::Skip), "z.parquet: No such file");
    told(open(folder.path()).feature("y"), "there is no column y");
    told(open(folder.path()).budget(1000), "the budget is 1000 bytes");
    told(ParquetSource::open(folder.path()).feature("x"), "a.parquet: not a Parquet file");
    told(
        ParquetSource::open(folder.path().join("a.parquet")).feature("x").on_damage(OnDamage::Skip),
        "not a Parquet file",
    );
    let index = ParquetSource::open(folder.path()).feature_index("x", 50).on_damage(OnDamage::Skip);
    let error = read_all(&mut index.build::<f32>().unwrap()).map(|_| "no error").unwrap_err().to_string();
    assert!(error.contains("row 50 of the file is 50, expected 0 to 49"), "{error}");
}

/// Whatever is wrong with a file: what is left of it can be read.
#[test]
fn corpus_broken_files_are_left_out() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let folder = std::env::var_os("TIDEMILL_PARQUET_CORPUS").map_or_else(|| own.into(), PathBuf::from);
    let index: Value = serde_json::from_str(&fs::read_to_string(folder.join("broken.json")).unwrap()).unwrap();
    let (mut emptied, mut whole) = (0, 0);
    for file in index["files"].as_array().unwrap() {
        let path = folder.join(file["file"].as_str().unwrap());
        let Ok(description) = describe(&path) else { continue };
        let usable = description
            .columns
            .iter()
            .filter(|c| matches!(c.usable, Usable::Real { .. } | Usable::Text))
            .map(|c| &c.name);
        match ParquetSource::open(&path).columns(usable).on_damage(OnDamage::Skip).build::<f64>() {
            Ok(mut source) => {
                let rows = read_all(&mut source).unwrap().rows() as u64;
                assert_eq!(rows + source.damage().rows, description.rows, "{}: {}", path.display(), source.damage());
                *if source.damage().is_empty() { &mut whole } else { &mut emptied } += 1;
            }
            // A page of two gigabytes may be meant so.
            Err(Error::Budget { .. }) => {}
            Err(Error::Other(error)) if error.downcast_ref::<FileError>().is_some() => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    assert!(emptied >= 5 && whole >= 1, "{emptied} were emptied, {whole} were whole");
}

/// Rows are numbered as the file has them, and the files one after the other: whatever is skipped in front.
#[test]
fn errors_number_rows_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.parquet");
    let write = |path: &Path, null: bool| {
        let rows = Int32Array::from_iter((0..100).map(|i| (!null || i != 75).then_some(if i == 85 { 7 } else { 1 })));
        let texts = StringArray::from_iter_values((0..100).map(|i| format!("{i}")));
        write_groups(path, &table([("x", array(rows)), ("t", array(texts))]), &[40, 20, 40]);
        break_group(path, 1);
    };
    let index = |path: &Path| ParquetSource::open(path).feature_index("x", 5).on_damage(OnDamage::Skip);
    write(&path, false);
    let told = |mut source: ParquetSource| read_all(&mut source).map(|_| ()).unwrap_err();
    let error = told(index(&path).build().unwrap()).to_string();
    assert!(error.contains("row group 2, column x: row 85 of the file is 7"), "{error}");
    let filtered = index(&path).filter("t = '85'".parse().unwrap());
    let mut filtered = filtered.build::<f32>().unwrap();
    let mut batch = tidemill_data::Batch::new(filtered.schema().clone());
    let error = filtered.fill(&mut batch, 10).unwrap_err().to_string();
    assert!(error.contains("row group 2, column x: row 85 of the file is 7"), "{error}");
    write(&path, true);
    write(&folder.path().join("a.parquet"), false);
    let both = [folder.path().join("b.parquet"), folder.path().join("a.parquet")];
    let index = ParquetSource::open(&both[..]).feature_index("x", 50).on_damage(OnDamage::Skip);
    assert!(matches!(told(index.build().unwrap()), Error::Null { row: 75, .. }));
    let index = ParquetSource::open([&both[1], &both[0]]).feature_index("x", 50).on_damage(OnDamage::Skip);
    assert!(matches!(told(index.build().unwrap()), Error::Null { row: 175, .. }));
}
