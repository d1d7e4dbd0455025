use std::sync::Arc;

use tidemill_data::{Batch, Column, Cursor, Source};
use tidemill_tensor::Scalar;

/// A row, written so that equal texts are equal bits.
pub fn rows<T: Scalar>(batch: &Batch<T>) -> Vec<String> {
    (0..batch.rows()).map(|row| batch.columns().iter().map(|c| value(c, row)).collect::<Vec<_>>().join(" ")).collect()
}

fn value<T: Scalar>(column: &Column<T>, row: usize) -> String {
    match column {
        Column::Real { nulls, .. } if nulls.is_null(row) => "null".into(),
        Column::Real { width, values, .. } => format!("{:?}", &values[row * width..(row + 1) * width]),
        Column::Index { values } => format!("#{}", values[row]),
        Column::Text { .. } => format!("{:?}", column.text(row)),
    }
}

/// The rows up to the end of the epoch, asked for `size` at a time, and the cursor before each step and at the end.
pub fn read<T: Scalar>(source: &mut impl Source<T>, size: usize) -> (Vec<String>, Vec<(Cursor, usize)>) {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let (mut all, mut cursors) = (Vec::new(), vec![(source.cursor(), 0)]);
    loop {
        batch.clear();
        let n = source.fill(&mut batch, size).unwrap();
        assert_eq!(n, batch.rows());
        all.extend(rows(&batch));
        cursors.push((source.cursor(), all.len()));
        if n < size {
            batch.clear();
            assert_eq!(source.fill(&mut batch, size).unwrap(), 0, "rows after the end");
            return (all, cursors);
        }
    }
}

/// All rows of an epoch.
pub fn epoch<T: Scalar>(source: &mut impl Source<T>, epoch: u64) -> Vec<String> {
    source.seek(Cursor::start(epoch)).unwrap();
    read(source, 16).0
}

/// What every source promises: the size of the steps does not matter, a cursor leads to the rows that followed it, in a
/// new source and in one that was elsewhere, and back to itself.
pub fn check_source<T: Scalar, S: Source<T>>(make: impl Fn() -> S) {
    let mut traveller = make();
    for epoch in [0, 1, 5] {
        let mut source = make();
        source.seek(Cursor::start(epoch)).unwrap();
        assert_eq!(source.cursor(), Cursor::start(epoch), "the cursor at the start of an epoch");
        let (all, _) = read(&mut source, 1000);
        if let Some(expected) = source.rows() {
            assert_eq!(all.len() as u64, expected, "rows");
        }
        for size in [1, 3, 8, 20] {
            source.seek(Cursor::start(epoch)).unwrap();
            let (found, cursors) = read(&mut source, size);
            assert_eq!(found, all, "epoch {epoch} in steps of {size}");
            for (cursor, passed) in cursors {
                for source in [&mut make(), &mut traveller] {
                    source.seek(cursor).unwrap();
                    assert_eq!(source.cursor(), cursor);
                    assert_eq!(read(source, 7).0, all[passed..], "after {cursor}");
                }
                check_mixed(&mut traveller, cursor, &all[passed..]);
            }
        }
    }
    check_refusals(&mut traveller);
}

/// Skips and fills of changing size, appended to one batch.
fn check_mixed<T: Scalar>(source: &mut impl Source<T>, cursor: Cursor, expected: &[String]) {
    source.seek(cursor).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    assert_eq!(source.fill(&mut batch, 0).unwrap(), 0);
    let head = source.fill(&mut batch, 2).unwrap();
    let passed = source.skip(3).unwrap() as usize;
    assert_eq!(passed, expected.len().saturating_sub(2).min(3));
    while source.fill(&mut batch, 5).unwrap() > 0 {}
    assert_eq!(rows(&batch), [&expected[..head], &expected[head + passed..]].concat(), "after {cursor} and skips");
}

/// Cursors that are no position are refused, and the source is of use afterwards.
fn check_refusals<T: Scalar>(source: &mut impl Source<T>) {
    let deep = (0..8).fold(Cursor::start(0), |cursor, _| cursor.push(1));
    assert!(source.seek(deep).is_err(), "a cursor with too many integers");
    let rows = epoch(source, 2);
    assert_eq!(epoch(source, 2), rows);
}
