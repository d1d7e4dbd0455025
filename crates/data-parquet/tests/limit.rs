//! A source that is asked to keep within fewer bytes plans anew, and gives the same rows.

mod common;

use std::sync::Arc;

use arrow_array::{Float64Array, StringArray};
use common::{array, table, write_groups};
use tidemill_data::{Batch, Cursor, Error, Order, Source, SourceExt};
use tidemill_data_parquet::{ParquetSource, ParquetSourceBuilder};

fn read(source: &mut impl Source<f64>, epoch: u64) -> Batch<f64> {
    source.seek(Cursor::start(epoch)).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    while source.fill(&mut batch, 333).unwrap() > 0 {}
    batch
}

#[test]
fn a_limit_changes_what_is_held_and_no_row() {
    let folder = tempfile::tempdir().unwrap();
    for (file, rows) in [(0, 4000), (1, 900)] {
        let numbers = |scale: f64| array(Float64Array::from_iter_values((0..rows).map(|row| row as f64 * scale)));
        let texts = array(StringArray::from_iter_values((0..rows).map(|row| format!("row {row} of {file}"))));
        let rows = table([("x", numbers(1.0)), ("y", numbers(0.5)), ("name", texts)]);
        let groups: &[usize] = if file == 0 { &[1, 2999, 1000] } else { &[7, 893] };
        write_groups(&folder.path().join(format!("{file}.parquet")), &rows, groups);
    }
    let open = |columns: &[&str]| ParquetSource::open(folder.path()).columns(columns.iter().copied());
    let orders: [fn(ParquetSourceBuilder) -> ParquetSourceBuilder; 2] =
        [|builder| builder.threads(2), |builder| builder.shuffle_blocks(3).block_rows(100)];
    for columns in [&["x", "y"][..], &["x", "name"]] {
        for order in orders {
            let build = || order(open(columns)).build::<f64>().unwrap();
            let expected = read(&mut build(), 1);
            let mut source = build();
            let Err(Error::Budget { needed, budget: 0, .. }) = source.limit(0) else { panic!("nothing is too little") };
            assert_eq!(read(&mut source, 1), expected, "a limit that is refused changes nothing");
            let refused = source.limit(needed - 1);
            assert!(matches!(refused, Err(Error::Budget { needed: n, .. }) if n == needed));
            source.seek(Cursor::start(1).push(1234)).unwrap();
            source.limit(needed).unwrap();
            assert!(source.memory_plan().total() <= needed, "{}", source.memory_plan());
            assert_eq!(source.cursor(), Cursor::start(1).push(1234), "it stays where it was");
            assert_eq!(read(&mut source, 1), expected);
        }
    }
    // The order of a feed does not depend on the number of threads.
    let feed = |threads| {
        let blocks = open(&["x", "y"]).shuffle_blocks(1).block_rows(50).threads(threads).build::<f64>().unwrap();
        blocks.feed().batch_size(16).order(Order::Windows(5)).budget(1 << 20).build().unwrap()
    };
    println!("{}", feed(2).memory_plan());
    assert_eq!(read(&mut feed(1), 2), read(&mut feed(3), 2));
}
