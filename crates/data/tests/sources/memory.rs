use tidemill_data::{Column, Cursor, Digits, Error, Field, Kind, MemoryBuilder, MemorySource, Nulls, Role, Source};
use tidemill_tensor::ndarray::{Array2, s};

use crate::check::{check_source, epoch, read};
use crate::unknown::Unknown;

/// Rows of every kind of column; the first number is the row's own.
pub fn mixed(n: usize) -> MemorySource<f64> {
    let real = |row: usize| (row % 3 != 1).then_some(row as f64 / 7.0);
    let text = ["AA", "", "zürich", "B6"];
    MemorySource::builder()
        .reals("row", 1, (0..n).map(|row| row as f64).collect())
        .reals("pair", 2, (0..2 * n).map(|i| -(i as f64)).collect())
        .optional_reals("maybe", (0..n).map(real))
        .texts("name", (0..n).map(|row| (row % 5 != 4).then_some(text[row % 4])))
        .indices("class", 4, (0..n as u32).map(|row| row % 4).collect())
        .target((0..n).map(|row| (row % 2) as f64).collect())
        .weights(vec![1.0; n])
        .build()
        .unwrap()
}

#[test]
fn any_cursor_is_exact() {
    for n in [0, 1, 2, 7, 24, 50] {
        check_source(|| mixed(n));
        check_source(|| mixed(n).shuffled(3));
    }
}

#[test]
fn rows_come_in_order_or_each_once() {
    let ordered = epoch(&mut mixed(100), 0);
    assert_eq!(ordered[3], "[3.0] [-6.0, -7.0] [0.42857142857142855] Some(\"B6\") #3 [1.0] [1.0]");
    assert_eq!(ordered[4], "[4.0] [-8.0, -9.0] null None #0 [0.0] [1.0]");
    assert_eq!(epoch(&mut mixed(100), 9), ordered);
    let mut shuffled = mixed(100).shuffled(1);
    let (first, second) = (epoch(&mut shuffled, 0), epoch(&mut shuffled, 1));
    assert_ne!(first, second);
    assert_ne!(first, epoch(&mut mixed(100).shuffled(2), 0));
    for mut rows in [first, second] {
        assert_ne!(rows, ordered);
        let number = |row: &String| row[1..].split('.').next().unwrap().parse::<u32>().unwrap();
        rows.sort_by_key(number);
        assert_eq!(rows, ordered);
    }
}

#[test]
fn arrays_of_any_layout_are_rows() {
    let array = Array2::from_shape_fn((5, 3), |(row, column)| (10 * row + column) as f32);
    let views = [
        array.clone(),
        array.clone().reversed_axes().as_standard_layout().into_owned().reversed_axes(),
        Array2::from_shape_fn((7, 3), |(row, column)| 10.0 * row as f32 + column as f32 - 10.0)
            .slice_move(s![1..6, ..]),
    ];
    for view in views {
        let source = MemorySource::builder().array("x", view).target_array(array.clone()).build().unwrap();
        assert_eq!(source.data().reals(0), array.as_slice().unwrap());
        assert_eq!(source.data().reals(1), array.as_slice().unwrap());
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let check = |builder: MemoryBuilder<f32>, expected: &str| {
        assert_eq!(builder.build().unwrap_err().to_string(), expected);
    };
    let x = || MemorySource::builder().reals("x", 1, vec![1.0, f32::NAN]);
    let classes = Field::new("c", Kind::Index { cardinality: 2 }, Role::Feature);
    let real = |v| Column::Real { width: 1, values: v, nulls: Nulls::default(), digits: Digits::default() };
    assert!(x().build().is_ok(), "inputs may be NaN");
    check(MemorySource::builder(), "memory: there is no column");
    check(x().reals("y", 1, vec![0.0; 3]), "column y: has 3 rows, column x has 2");
    check(x().reals("y", 2, vec![0.0; 3]), "column y: 3 values are no whole rows of 2");
    check(x().reals("y", 0, vec![]), "column y: has no numbers a row");
    check(x().reals("x", 1, vec![0.0; 2]), "column x: the name comes twice");
    check(x().indices("c", 2, vec![0, 2]), "column c: 2 in row 1 is not below the cardinality 2");
    check(x().target_classes(2, vec![7, 0]), "column target: 7 in row 0 is not below the cardinality 2");
    check(x().target(vec![0.0, f32::NAN]), "column target: target NaN in row 1 is not finite");
    check(
        x().target_array(Array2::from_elem((2, 2), f32::NEG_INFINITY)),
        "column target: target -inf in row 0 is not finite",
    );
    check(x().weights(vec![0.0, -1.0]), "column weight: weight -1 in row 1 is not a finite number from zero");
    check(x().weights(vec![0.0, f32::INFINITY]), "column weight: weight inf in row 1 is not a finite number from zero");
    check(x().column(classes, real(vec![0.0; 2])), "column c: its values are not index below 2");
    check(
        x().column(Field::new("w", Kind::Index { cardinality: 1 }, Role::Weight), Column::Index { values: vec![0; 2] }),
        "column w: weights are one real number a row, not index below 1",
    );
}

#[test]
fn a_cursor_of_elsewhere_is_refused() {
    let mut source = mixed(3);
    assert!(source.seek(Cursor::start(0).push(3)).is_ok());
    let error = source.seek(Cursor::start(2).push(4)).unwrap_err();
    assert_eq!(error.to_string(), "cannot go to epoch 2, position [4]: there are 3 rows");
    assert!(matches!(source.seek(Cursor::start(0).push(1).push(1)), Err(Error::Seek { .. })));
}

#[test]
fn another_source_is_read_into_memory() {
    let mut source = mixed(5000);
    let rows = epoch(&mut source, 0);
    let mut loaded = MemorySource::load(source.clone(), 1 << 20).unwrap();
    assert_eq!(read(&mut loaded, 999).0, rows);
    for budget in [450_000, 600_000, 1 << 20] {
        let mut loaded = MemorySource::load(Unknown(mixed(5000)), budget).unwrap();
        assert!(loaded.data().bytes() as u64 <= budget);
        assert_eq!(read(&mut loaded, 999).0, rows);
    }
}

#[test]
fn what_does_not_fit_in_memory_is_not_read() {
    let tight = |n: usize| {
        let columns = MemorySource::builder().reals("x", 3, vec![0.5; 3 * n]).indices("c", 1, vec![0; n]);
        columns.build().unwrap()
    };
    assert_eq!(MemorySource::load(tight(3000), 28 * 3000).unwrap().data().bytes(), 28 * 3000);
    let error = MemorySource::load(tight(3000), 28 * 3000 - 1).unwrap_err();
    assert!(matches!(error, Error::Budget { needed: 84_000, budget: 83_999, .. }), "{error}");
    let error = MemorySource::load(Unknown(tight(3000)), 28 * 3000 - 1).unwrap_err();
    assert!(matches!(error, Error::Budget { budget: 83_999, .. }), "{error}");
    assert!(MemorySource::load(Unknown(mixed(0)), 0).is_ok());
}
