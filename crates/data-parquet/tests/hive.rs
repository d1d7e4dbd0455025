//! Directories, patterns and keys in paths; names that need care.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
use common::{array, read_all, table, write, write_groups};
use tidemill_data::{Batch, Column, Encoder, Encoding, Error, Kind, Source, SourceExt};
use tidemill_data_parquet::{OnDamage, ParquetSource, ParquetSourceBuilder, Paths, Usable, describe};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

fn values(numbers: &[f64]) -> RecordBatch {
    table([("v", array(Float64Array::from(numbers.to_vec())))])
}

/// Writes files of one column `v`, as many rows as there are numbers.
fn files(files: &[(&str, &[f64])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, numbers) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, &values(numbers));
    }
    folder
}

fn batch(builder: ParquetSourceBuilder) -> Result<Batch<f64>, Error> {
    read_all(&mut builder.build()?)
}

fn v(paths: impl Into<Paths>) -> Vec<f64> {
    batch(ParquetSource::open(paths).feature("v")).unwrap().reals(0).to_vec()
}

fn refused(builder: ParquetSourceBuilder) -> String {
    builder.build::<f64>().map(|_| ()).unwrap_err().to_string()
}

fn texts(column: &Column<f64>) -> Vec<Option<String>> {
    let Column::Text { ends, .. } = column else { panic!("texts") };
    (0..ends.len()).map(|row| column.text(row).map(str::to_owned)).collect()
}

#[test]
fn folders_of_keys_cases() {
    let hive = case("hive");
    let description = describe(&hive).unwrap();
    assert_eq!((description.rows, description.columns.len()), (40, 3));
    let year = description.column("year").unwrap();
    assert_eq!((year.data_type.as_str(), year.usable, year.nulls), ("int64", Usable::Real { width: 1 }, Some(0)));
    let years = [[2023.0; 20], [2024.0; 20]].concat();
    let all = batch(ParquetSource::open(&hive).all_columns()).unwrap();
    assert_eq!(all.schema().names(), "x, y, year");
    assert_eq!((all.reals(0)[21], all.reals(2)), (0.05, &years[..]));
    let target = batch(ParquetSource::open(&hive).feature("x").target_index("year", 3000)).unwrap();
    assert_eq!(target.indices(1)[19..21], [2023, 2024]);
    let filtered = ParquetSource::open(&hive).columns(["x"]).filter("year = 2024".parse().unwrap());
    let mut filtered = filtered.build::<f64>().unwrap();
    assert_eq!((filtered.passed_over().row_groups, filtered.passed_over().rows), (1, 20));
    let mut rows = Batch::new(filtered.schema().clone());
    assert_eq!(filtered.fill(&mut rows, 100).unwrap(), 20);
    let pattern = hive.join("year=*").join("*.parquet");
    let few = ParquetSource::open(pattern).columns(["year"]).all_columns().except(["x"]);
    assert_eq!(batch(few).unwrap().reals(0), years);
}

#[test]
fn keys_as_other_programs_write_them() {
    let rows = |folder: &str, columns: [&str; 3]| {
        let all = batch(ParquetSource::open(case("writers").join(folder)).columns(columns)).unwrap();
        let Column::Real { nulls, .. } = &all.columns()[0] else { panic!("numbers") };
        let year = |row: usize| (!nulls.is_null(row)).then_some(all.reals(0)[row]);
        let mut rows: Vec<_> =
            (0..all.rows()).map(|row| (all.reals(2)[row], year(row), texts(&all.columns()[1])[row].clone())).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows
    };
    let row = |v: f64, year: Option<f64>, place: &str| (v, year, Some(place.to_owned()));
    let expected = [
        row(1.0, Some(2023.0), "a b"),
        row(2.0, Some(2024.0), "x/y"),
        row(3.0, Some(2024.0), "ü=1"),
        row(4.0, None, "a b"),
    ];
    for folder in ["pyarrow_hive", "duckdb_hive"] {
        assert_eq!(rows(folder, ["year", "place", "v"]), expected, "{folder}");
    }
    // This one leaves the columns in the files too.
    assert_eq!(
        rows("polars_hive", ["year", "place", "v"]),
        [expected[0].clone(), expected[2].clone(), expected[3].clone()]
    );
    let expected = [row(2.0, Some(2024.0), "x"), row(3.0, Some(2024.0), "u")];
    assert_eq!(rows("fastparquet_hive", ["year", "place", "v"]), expected);
}

#[test]
fn keys_are_read_with_any_columns_at_any_position() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for (file, rows) in [("k=b/a.parquet", 30), ("k=a long value, not inline/a.parquet", 9), ("k=b/b.parquet", 20)] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let numbers: Vec<f64> = (0..rows).map(f64::from).collect();
        write_groups(&path, &values(&numbers), &[4, rows as usize - 4]);
    }
    for (key, rows) in [("a long value, not inline", 9), ("b", 30), ("b", 20)] {
        expected.extend((0..rows).map(|v| (Some(key.to_owned()), f64::from(v))));
    }
    for threads in [1, 3] {
        let open = || ParquetSource::open(folder.path()).columns(["k", "v"]).threads(threads);
        let mut source = open().build::<f64>().unwrap();
        for start in 0..expected.len() {
            common::seek(&mut source, tidemill_data::Cursor::start(0).push(start as u64)).unwrap();
            let mut rows = Batch::new(source.schema().clone());
            let n = source.fill(&mut rows, 7).unwrap();
            let found: Vec<_> = texts(&rows.columns()[0]).into_iter().zip(rows.reals(1).iter().copied()).collect();
            assert_eq!(found, expected[start..start + n], "from {start} with {threads} threads");
        }
        let mut shuffled = open().shuffle_blocks(3).block_rows(5).on_damage(OnDamage::Skip).build::<f64>().unwrap();
        let rows = read_all(&mut shuffled).unwrap();
        let pairs = |pairs: Vec<(Option<String>, f64)>| {
            let mut pairs: Vec<_> = pairs.into_iter().map(|(key, v)| (key, v as u64)).collect();
            pairs.sort();
            pairs
        };
        let found = texts(&rows.columns()[0]).into_iter().zip(rows.reals(1).iter().copied()).collect();
        assert_eq!(pairs(found), pairs(expected.clone()));
    }
    let keys = batch(ParquetSource::open(folder.path()).feature("k")).unwrap();
    assert_eq!(texts(&keys.columns()[0]), expected.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
}

#[test]
fn conditions_on_keys_leave_out_files() {
    let folder = files(&[
        ("y=1/m=1/a.parquet", &[1.0, 2.0]),
        ("y=1/m=2/a.parquet", &[3.0]),
        ("y=2/m=1/a.parquet", &[4.0]),
        ("y=2/m=__HIVE_DEFAULT_PARTITION__/a.parquet", &[5.0, 6.0]),
    ]);
    for (condition, expected, groups) in [
        ("y = 1", &[1.0, 2.0, 3.0][..], 2),
        ("m = 1 and y > 1", &[4.0], 3),
        ("m is null", &[5.0, 6.0], 3),
        ("m is not null and v > 1", &[2.0, 3.0, 4.0], 1),
        ("m != 1", &[3.0], 3),
        ("y in (7, 8)", &[], 4),
    ] {
        let source = ParquetSource::open(folder.path()).columns(["v"]).filter(condition.parse().unwrap());
        let mut source = source.build::<f64>().unwrap();
        assert_eq!(source.passed_over().row_groups, groups, "{condition}");
        let mut rows = Batch::new(source.schema().clone());
        source.fill(&mut rows, 100).unwrap();
        assert_eq!(rows.reals(0), expected, "{condition}");
    }
    let text = refused(ParquetSource::open(folder.path()).feature("z"));
    assert!(text.contains("there is no column z; it has v, y, m"), "{text}");
}

#[test]
fn a_file_without_the_key_and_a_column_that_is_a_key_too() {
    let folder = files(&[("k=1/a.parquet", &[1.0]), ("b.parquet", &[2.0])]);
    assert_eq!(v(folder.path()), [2.0, 1.0]);
    let text = refused(ParquetSource::open(folder.path()).feature("k"));
    assert!(text.contains("b.parquet: there is no column k; it has v"), "{text}");
    let text = refused(ParquetSource::open(folder.path()).all_columns());
    assert!(text.contains("a.parquet") && text.contains("column k"), "{text}");
    // What is in the file counts.
    let folder = files(&[("v=7/a.parquet", &[1.0, 2.0])]);
    assert_eq!(v(folder.path()), [1.0, 2.0]);
    assert_eq!(describe(folder.path()).unwrap().columns.len(), 1);
    let few = ParquetSource::open(folder.path()).columns(["v"]).filter("v = 7".parse().unwrap());
    assert_eq!(few.build::<f64>().unwrap().passed_over().row_groups, 1);
}

#[test]
fn directories_are_read_with_all_below_them_but_for_hidden_ones() {
    let folder = files(&[
        ("b.parquet", &[2.0]),
        ("a/deep/er/x.parquet", &[1.0]),
        ("c/Y.PARQUET", &[3.0]),
        ("_temporary/x.parquet", &[9.0]),
        (".hidden/x.parquet", &[9.0]),
        ("_x.parquet", &[9.0]),
        (".x.parquet", &[9.0]),
        ("_k=1/x.parquet", &[0.0]),
    ]);
    for name in ["_SUCCESS", "_metadata", ".b.parquet.crc", "a/notes.txt", "c/_common_metadata"] {
        fs::write(folder.path().join(name), "no rows").unwrap();
    }
    assert_eq!(v(folder.path()), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(v(folder.path().join("_x.parquet")), [9.0]);
    fs::create_dir(folder.path().join("none")).unwrap();
    let text = refused(ParquetSource::open(folder.path().join("none")).feature("v"));
    assert!(text.contains("there is no *.parquet file"), "{text}");
}

#[test]
fn patterns() {
    let folder = files(&[
        ("a1.parquet", &[1.0]),
        ("a2.parquet", &[2.0]),
        ("b[1].parquet", &[3.0]),
        ("d/a3.parquet", &[4.0]),
        ("d/e/a4.parquet", &[5.0]),
        ("d/_hidden/a5.parquet", &[9.0]),
        ("_a6.parquet", &[6.0]),
    ]);
    for (pattern, expected) in [
        ("*.parquet", &[1.0, 2.0, 3.0][..]),
        ("a?.parquet", &[1.0, 2.0]),
        ("a[2-9].parquet", &[2.0]),
        ("a[!2].parquet", &[1.0]),
        ("b[1].parquet", &[3.0]),
        ("b[[]1].parquet", &[3.0]),
        ("**/a*.parquet", &[1.0, 2.0, 4.0, 5.0]),
        ("d/**", &[4.0, 5.0]),
        ("**/e", &[5.0]),
        ("d/**/*.parquet", &[4.0, 5.0]),
        ("?/*/a4.parquet", &[5.0]),
        ("_*.parquet", &[6.0]),
    ] {
        let path = folder.path().join(pattern);
        assert_eq!(v(&path), expected, "{pattern}");
        assert_eq!(v(path.to_str().unwrap()), expected, "{pattern}");
    }
    assert_eq!(v([folder.path().join("d/*.parquet"), folder.path().join("a1.parquet")]), [4.0, 1.0]);
    for pattern in ["x*.parquet", "nowhere/*.parquet", "a1.parquet/*", "**/x", "b[2].parquet"] {
        let text = refused(ParquetSource::open(folder.path().join(pattern)).feature("v"));
        assert!(text.contains(pattern) && text.contains("no file matches"), "{text}");
    }
    assert!(refused(ParquetSource::open("absent.parquet").feature("v")).contains("No such file"));
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_utf8_and_links() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(directory.join(OsStr::from_bytes(b"k=\xff"))).unwrap();
    let (a, b) =
        (directory.join(OsStr::from_bytes(b"\xfe.parquet")), directory.join(OsStr::from_bytes(b"k=\xff/b.parquet")));
    write(&a, &values(&[1.0]));
    write(&b, &values(&[2.0]));
    assert_eq!((v(&a), v(&b), v(&directory)), (vec![1.0], vec![2.0], vec![2.0, 1.0]));
    assert_eq!(v(directory.join("?.parquet")), [1.0]);
    assert_eq!(v(folder.path().join("c*")), [2.0, 1.0]);
    assert_eq!(v(a.as_os_str()), [1.0]);
    let source = ParquetSource::open(&directory).feature("v").build::<f64>().unwrap();
    assert_eq!(source.files().collect::<BTreeSet<_>>(), BTreeSet::from([a.as_path(), b.as_path()]));
    let mut url = b"file://".to_vec();
    url.extend_from_slice(folder.path().as_os_str().as_bytes());
    url.extend_from_slice(b"/caf%E9/%fe.parquet");
    assert_eq!(v(OsStr::from_bytes(&url)), [1.0]);
    // A link that leads back ends, one that leads nowhere is told.
    symlink(folder.path(), directory.join("back")).unwrap();
    assert_eq!(v(&directory), [2.0, 1.0]);
    symlink("nowhere", directory.join("lost.parquet")).unwrap();
    assert!(refused(ParquetSource::open(&directory).feature("v")).contains("lost.parquet"));
}

#[test]
fn columns_of_one_name_are_refused_by_name_and_the_others_read() {
    let path = case("writers/duplicates.parquet");
    let description = describe(&path).unwrap();
    let usable: Vec<_> = description.columns.iter().map(|c| (c.name.as_str(), c.usable, c.nulls)).collect();
    let (no, real) = (Usable::No, Usable::Real { width: 1 });
    assert_eq!(usable, [("a", no, Some(0)), ("b", real, Some(0)), ("a", no, Some(1))]);
    assert!(description.columns.iter().all(|column| column.bytes > 0));
    assert!(description.to_string().contains("not usable because another column has that name"), "{description}");
    assert_eq!(batch(ParquetSource::open(&path).feature("b")).unwrap().reals(0), [0.5, 1.5]);
    assert_eq!(batch(ParquetSource::open(&path).all_columns().except(["a"])).unwrap().reals(0), [0.5, 1.5]);
    for builder in [ParquetSource::open(&path).feature("a"), ParquetSource::open(&path).all_columns()] {
        let text = refused(builder);
        assert!(text.contains("column a") && text.contains("have this name"), "{text}");
    }
    let filtered = ParquetSource::open(&path).columns(["b"]).filter("a = 1".parse().unwrap()).build::<f64>();
    assert!(filtered.map(|_| ()).unwrap_err().to_string().contains("have this name"));
}

#[test]
fn fields_of_structs_and_names_with_dots() {
    let path = case("writers/dots.parquet");
    let description = describe(&path).unwrap();
    for (name, data_type, nulls) in [
        ("s.a", "double", None),
        ("s.b.c", "float64", Some(1)),
        ("s.d.e", "string", Some(1)),
        ("p.q", "int64", Some(0)),
    ] {
        let column = description.column(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(column.name, name);
        if let Some(nulls) = nulls {
            assert_eq!((column.data_type.as_str(), column.nulls), (data_type, Some(nulls)), "{name}");
        }
    }
    let rows = batch(ParquetSource::open(&path).columns(["s.a", "s.b.c", "s.d.e", "p.q"])).unwrap();
    assert_eq!((rows.reals(0), rows.reals(1)[0], rows.reals(3)), (&[7.0, 8.0][..], 2.0, &[1.0, 2.0][..]));
    assert_eq!(texts(&rows.columns()[2]), [Some("u".to_owned()), None]);
    let few = ParquetSource::open(&path).columns(["p.q"]).filter("s.d.e = 'u' and s.b.c > 1".parse().unwrap());
    let mut few = few.build::<f64>().unwrap();
    let mut rows = Batch::new(few.schema().clone());
    assert_eq!((few.fill(&mut rows, 9).unwrap(), rows.reals(0)), (1, &[1.0][..]));
}

#[test]
fn files_of_a_directory_go_by_names() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    let (x, y) = (array(Int64Array::from(vec![1])), array(StringArray::from(vec!["u"])));
    write(&a, &table([("x", x.clone()), ("y", y.clone())]));
    write(&b, &table([("y", y), ("x", x.clone())]));
    let rows = batch(ParquetSource::open(folder.path()).columns(["x", "y"])).unwrap();
    assert_eq!((rows.reals(0), rows.schema().fields[1].kind.clone()), (&[1.0, 1.0][..], Kind::Text));
    write(&b, &table([("x", x)]));
    for builder in
        [ParquetSource::open(folder.path()).columns(["x", "y"]), ParquetSource::open(folder.path()).all_columns()]
    {
        let text = refused(builder);
        assert!(text.contains("b.parquet: there is no column y"), "{text}");
    }
    assert!(describe(folder.path()).unwrap_err().to_string().contains("b.parquet: there is no column y"));
}

#[test]
fn keys_and_columns_that_the_first_file_lacks_are_named() {
    let folder = files(&[("a.parquet", &[1.0]), ("k=1/a.parquet", &[2.0]), ("k=2/b.parquet", &[3.0])]);
    let more = table([("v", array(Float64Array::from(vec![1.0]))), ("w", array(Float64Array::from(vec![4.0])))]);
    write(&folder.path().join("k=2/c.parquet"), &more);
    let description = describe(folder.path()).unwrap();
    let names: Vec<&str> = description.columns.iter().map(|column| column.name.as_str()).collect();
    let others: Vec<(&str, PathBuf)> =
        description.undescribed.iter().map(|other| (other.name.as_str(), other.file.clone())).collect();
    let at = |file: &str| folder.path().join(file);
    assert_eq!((names, others), (vec!["v"], vec![("k", at("k=1/a.parquet")), ("w", at("k=2/c.parquet"))]));
    let text = description.undescribed[0].to_string();
    assert!(text.contains("column k of") && text.contains("a.parquet, has no such column"), "{text}");
    assert!(describe(at("k=2/b.parquet")).unwrap().undescribed.is_empty());
}

#[test]
fn keys_beyond_53_bits_are_compared_exactly() {
    let keys = [1_u64 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX];
    let named: Vec<String> = keys.iter().map(|key| format!("k={key}/a.parquet")).collect();
    let rows: Vec<(&str, &[f64])> = named.iter().map(|name| (name.as_str(), &[1.0][..])).collect();
    let folder = files(&rows);
    for (condition, expected) in [
        ("k = 9007199254740993", &keys[1..2]),
        ("k <= 9007199254740992", &keys[..1]),
        ("k > 9007199254740992 and k < 18446744073709551615", &keys[1..3]),
        ("k = 18446744073709551615", &keys[3..]),
        ("k != 18446744073709551614", &[keys[0], keys[1], keys[3]]),
    ] {
        let source = ParquetSource::open(folder.path()).columns(["k"]).filter(condition.parse().unwrap());
        let mut source = source.build::<f64>().unwrap();
        assert_eq!(source.passed_over().row_groups, keys.len() - expected.len(), "{condition}");
        let mut rows = Batch::new(source.schema().clone());
        while source.fill(&mut rows, 100).unwrap() > 0 {}
        let mut found: Vec<i128> = (0..rows.rows())
            .map(|row| rows.columns()[0].number(row).and_then(|number| number.whole()).unwrap())
            .collect();
        // Files are in the order of their names.
        found.sort_unstable();
        assert_eq!(found, expected.iter().map(|&key| i128::from(key)).collect::<Vec<_>>(), "{condition}");
    }
}

#[test]
fn a_text_column_named_x_is_encoded_cases() {
    let mut raw = ParquetSource::open(case("text-column-named-x.parquet")).columns(["x", "num", "y"]).build().unwrap();
    let declared = Encoder::builder().feature("x", Encoding::category()).feature("num", Encoding::real());
    let (encoder, report) = declared.target("y", Encoding::real()).fit(&mut raw).unwrap();
    assert_eq!(encoder.schema().names(), "x, x.category, target");
    let names = encoder.categories("x").unwrap();
    let [a, b] = ["a", "b"].map(|name| 1 + names.iter().position(|other| other == name).unwrap() as u32);
    let mut rows = Batch::new(encoder.schema());
    let mut encoded = raw.encode::<f32>(&encoder).unwrap();
    while encoded.fill(&mut rows, 100).unwrap() > 0 {}
    assert_eq!(
        (rows.rows() as u64, &rows.reals(0)[..3], &rows.indices(1)[..3]),
        (report.rows, &[0.0, 0.0, 4.0][..], &[a, a, b][..])
    );
}
