use std::sync::Arc;

use tidemill_data::{
    Batch, Cursor, Encoder, Encoding, Error, MemoryPlan, MemorySource, Order, Schema, Source, SourceExt,
};

use crate::check::{check_source, epoch};
use crate::memory::mixed;

/// A source that takes what it is given, and no less than some bytes.
#[derive(Clone)]
struct Hungry {
    rows: MemorySource<f64>,
    least: u64,
    given: u64,
}

impl Hungry {
    fn new(rows: usize, least: u64) -> Self {
        let values = |width: usize| (0..rows * width).map(|i| i as f64).collect();
        let rows = MemorySource::builder().reals("row", 1, values(1)).reals("pair", 2, values(2)).build().unwrap();
        Self { rows, least, given: 1 << 40 }
    }
}

impl Source<f64> for Hungry {
    fn schema(&self) -> &Arc<Schema> {
        self.rows.schema()
    }

    fn fill(&mut self, batch: &mut Batch<f64>, rows: usize) -> Result<usize, Error> {
        self.rows.fill(batch, rows)
    }

    fn cursor(&self) -> Cursor {
        self.rows.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        self.rows.seek(cursor)
    }

    fn rows(&self) -> Option<u64> {
        self.rows.rows()
    }

    fn memory_plan(&self) -> MemoryPlan {
        MemoryPlan::default().with("hungry", "all it gets", self.given)
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        if bytes < self.least {
            let (what, advice) = ("hungry".into(), "give it more".into());
            return Err(Error::Budget { what, needed: self.least, budget: bytes, advice });
        }
        self.given = bytes;
        Ok(())
    }
}

const ORDERS: [Order; 3] = [Order::AsRead, Order::Windows(1), Order::Exact(1)];

fn needed<S>(made: Result<S, Error>) -> u64 {
    match made {
        Err(Error::Budget { needed, .. }) => needed,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("too little was enough"),
    }
}

#[test]
fn the_smallest_budget_works_and_one_byte_less_is_refused() {
    for order in ORDERS {
        for least in [0, 1, 10_000, 1 << 20] {
            for batch_size in [1, 32, 1000] {
                let build = |budget| {
                    let feed = Hungry::new(5000, least).feed().order(order).batch_size(batch_size);
                    feed.budget(budget).build()
                };
                let smallest = needed(build(10));
                assert_eq!(needed(build(smallest - 1)), smallest, "{order:?}, {least}, {batch_size}");
                for budget in [smallest, smallest + 1, smallest * 2, smallest * 9, 1 << 28] {
                    let mut feed = build(budget).unwrap();
                    let plan = feed.memory_plan();
                    assert!(plan.total() <= budget, "{order:?}, budget {budget}\n{plan}");
                    assert!(batch_size < 1000 || epoch(&mut feed, 1).len() == 5000);
                }
            }
        }
    }
}

#[test]
fn a_fed_source_is_the_pipeline_made_by_hand() {
    check_source(|| {
        Hungry::new(50, 1000).feed().batch_size(8).order(Order::Windows(3)).budget(20_000).build().unwrap()
    });
    let feed = |order, budget| Hungry::new(5000, 100).feed().batch_size(64).order(order).budget(budget);
    let by_hand = |window| epoch(&mut Hungry::new(5000, 0).shuffle(window, 3).unwrap(), 2);
    for budget in [60_000, 100_000, 1 << 20] {
        let mut fed = feed(Order::Windows(3), budget).build().unwrap();
        let window = (budget / 8 * 5 / 24) as usize;
        assert_eq!(epoch(&mut fed, 2), by_hand(window), "five eighths are for the window");
        let mut exact = feed(Order::Exact(3), 120_000).build().unwrap();
        assert_eq!(epoch(&mut exact, 2), epoch(&mut Hungry::new(5000, 0).rows.shuffled(3), 2));
    }
    let mut fixed = feed(Order::Windows(3), 1 << 20).window(700).build().unwrap();
    assert_eq!(epoch(&mut fixed, 2), by_hand(700));
    let mut as_read = feed(Order::AsRead, 60_000).build().unwrap();
    assert_eq!(epoch(&mut as_read, 2), epoch(&mut Hungry::new(5000, 0), 2));
}

#[test]
fn limits_are_passed_down_less_what_is_held() {
    let encoder = Encoder::builder().feature("row", Encoding::real()).fit(&mut Hungry::new(9, 0)).unwrap().0;
    let hungry = || Hungry::new(9000, 5000);
    let check = |mut source: Box<dyn Source<f64>>| {
        let smallest = needed(source.limit(0));
        assert_eq!(needed(source.limit(smallest - 1)), smallest);
        for bytes in [smallest, smallest + 77] {
            source.limit(bytes).unwrap();
            assert_eq!(source.memory_plan().total(), bytes, "{}", source.memory_plan());
        }
    };
    check(hungry().boxed());
    check(hungry().take(100).boxed());
    check(hungry().shard(1, 2).unwrap().boxed());
    check(hungry().shuffle(100, 1).unwrap().boxed());
    check(hungry().shuffle_exactly(1, 200_000).unwrap().boxed());
    check(hungry().encode::<f64>(&encoder).unwrap().boxed());
    check(hungry().encode::<f64>(&encoder).unwrap().shuffle(100, 1).unwrap().boxed());
    let mut rows = hungry().rows;
    let bytes = rows.memory_plan().total();
    assert_eq!(needed(rows.limit(bytes - 1)), bytes);
    let mut small = hungry();
    small.limit(5000).unwrap();
    let mut ahead = small.prefetch(2, 10).unwrap();
    assert_eq!(ahead.memory_plan().total(), 5000 + 4 * 240);
    assert_eq!(needed(ahead.limit(5959)), 5960);
    ahead.limit(5960).unwrap();
}

#[test]
fn what_has_no_size_is_refused() {
    let error = mixed(5).feed().build().err().unwrap().to_string();
    assert_eq!(error, "feed: column name holds texts, of any length; encode them before");
    let error = Hungry::new(5, 0).feed().batch_size(0).build().err().unwrap().to_string();
    assert_eq!(error, "feed: 4 batches of 0 rows hold nothing");
}

#[test]
fn a_plan_is_a_table() {
    let mut source = Hungry::new(9000, 5000);
    source.limit(5 << 20).unwrap();
    let table = source.shuffle(1000, 1).unwrap().prefetch(4, 64).unwrap().memory_plan().to_string();
    let expected = "\
hungry     all it gets                             5.0 MiB
shuffle    window of 1000 rows                    23.4 KiB
prefetch   4 batches of 64 rows ahead, 2 in use    9.0 KiB
in all                                             5.0 MiB
";
    assert_eq!(table, expected);
}
