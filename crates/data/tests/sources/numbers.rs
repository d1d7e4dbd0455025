//! Integers of 64 bits and decimals keep every digit, whatever the scalar of the batches is.

use std::collections::HashSet;
use std::sync::Arc;

use tidemill_data::{
    Batch, Bounds, Column, Cursor, Encoder, Encoding, Field, Kind, Limits, MemorySource, Number, Numbers, Predicate,
    Role, Schema, Source, SourceExt, Split, Unit, Value, channel,
};
use tidemill_tensor::Scalar;

const P53: i128 = 1 << 53;

/// Neighbours that `f64`, `f32` or neither tell apart, at the ends of both ranges, and ordinary ones.
fn integers() -> Vec<i128> {
    let near = |middle: i128| [middle - 1, middle, middle + 1];
    let mut all: Vec<i128> =
        [0, 1 << 24, P53, 1 << 62, -(1 << 24), -P53, 1_500_000_000_000_000_000].into_iter().flat_map(near).collect();
    all.extend([i64::MAX.into(), i128::from(i64::MIN), i128::from(i64::MIN) + 1, i128::from(i64::MAX) - 1]);
    all
}

fn unsigned() -> Vec<i128> {
    let most = i128::from(u64::MAX);
    vec![0, 7, (1 << 24) + 1, P53, P53 + 1, 1 << 63, (1 << 63) + 1, most - 1, most]
}

fn source<T: Scalar>(values: &[i128]) -> MemorySource<T> {
    MemorySource::builder().integers("n", values.iter().map(|&value| Some(value))).build().unwrap()
}

/// The numbers that are left of a column `n`, each once a row.
fn left<T: Scalar>(mut source: impl Source<T>, rows: usize) -> Vec<i128> {
    source.seek(Cursor::start(0)).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut all = Vec::new();
    loop {
        batch.clear();
        if source.fill(&mut batch, rows).unwrap() == 0 {
            return all;
        }
        let column = &batch.columns()[0];
        all.extend((0..batch.rows()).map(|row| column.number(row).unwrap().whole().unwrap()));
    }
}

fn predicate(text: &str) -> Predicate {
    text.parse().unwrap()
}

/// Conditions give what comparing the integers themselves gives, in rows and by the bounds of rows.
fn check_conditions<T: Scalar>(values: &[i128]) {
    let check = |condition: String, holds: &dyn Fn(i128) -> bool| {
        let condition = predicate(&condition);
        let expected: Vec<i128> = values.iter().copied().filter(|&value| holds(value)).collect();
        assert_eq!(left(source::<T>(values).filter(&condition).unwrap(), 5), expected, "{condition}");
        for &value in values {
            let limits = Some(Limits::Digits { low: value, high: value, scale: 0, unit: Unit::None });
            let bounds = Bounds { limits, nulls: false, values: true };
            assert_eq!(condition.may_match(|_| bounds.clone()), holds(value), "{condition} of {value} alone");
        }
    };
    for &bound in values {
        check(format!("n = {bound}"), &|n| n == bound);
        check(format!("n != {bound}"), &|n| n != bound);
        check(format!("n < {bound}"), &|n| n < bound);
        check(format!("n <= {bound}"), &|n| n <= bound);
        check(format!("n > {bound}.0"), &|n| n > bound);
        check(format!("{bound} >= n"), &|n| n <= bound);
        check(format!("n between {bound} and {}", bound + 1), &|n| n == bound || n == bound + 1);
        check(format!("not n in ({bound}, 3, {})", bound + 2), &|n| n != bound && n != 3 && n != bound + 2);
        // No integer is between.
        let half = format!("{}{}.5", if bound < 0 { "-" } else { "" }, bound.unsigned_abs());
        let above = |n: i128| if bound < 0 { n >= bound } else { n > bound };
        check(format!("n = {half}"), &|_| false);
        check(format!("n != {half}"), &|_| true);
        check(format!("n in ({half}, {half})"), &|_| false);
        check(format!("n > {half}"), &above);
        check(format!("n >= {half}"), &above);
        check(format!("n < {half}"), &|n| !above(n));
        check(format!("n <= {half}"), &|n| !above(n));
    }
    check("n >= 1e18".into(), &|n| n >= 1_000_000_000_000_000_000);
    check("n = -0.0".into(), &|n| n == 0);
    check("n < 1e300 and n > -1e300".into(), &|_| true);
    check("n > 1e-300".into(), &|n| n > 0);
    check("n < -1e-300".into(), &|n| n < 0);
    check("n = 9007199254740993.0000".into(), &|n| n == P53 + 1);
    check("n is null".into(), &|_| false);
}

#[test]
fn cases_conditions_on_integers_are_exact() {
    check_conditions::<f64>(&integers());
    check_conditions::<f32>(&integers());
    check_conditions::<f64>(&unsigned());
    check_conditions::<f32>(&unsigned());
}

/// What no digits need be kept of is compared as exactly.
#[test]
fn conditions_on_small_integers_are_exact() {
    let small = [-3, -1, 0, 2, 3, 4, (1 << 24) - 1];
    check_conditions::<f32>(&small);
    check_conditions::<f64>(&small);
}

fn check_adaptors<T: Scalar>(values: &[i128]) {
    assert_eq!(left(source::<T>(values), 3), values);
    assert_eq!(left(source::<T>(values).prefetch(2, 3).unwrap(), 4), values);
    assert_eq!(left(source::<T>(values).skip_rows(4), 3), &values[4..]);
    let sorted = |mut values: Vec<i128>| {
        values.sort_unstable();
        values
    };
    let all = || sorted(values.to_vec());
    assert_eq!(sorted(left(source::<T>(values).shuffled(3), 4)), all());
    assert_eq!(sorted(left(source::<T>(values).shuffle(5, 1).unwrap(), 2)), all());
    assert_eq!(sorted(left(source::<T>(values).shuffle_exactly(5, 1 << 20).unwrap(), 2)), all());
    let loaded = MemorySource::load(source::<T>(values).take(values.len() as u64 - 1), 1 << 20).unwrap();
    assert_eq!(left(loaded, 100), &values[..values.len() - 1]);
}

#[test]
fn every_adaptor_keeps_every_digit() {
    check_adaptors::<f64>(&integers());
    check_adaptors::<f32>(&unsigned());
}

#[test]
fn digits_come_and_go_with_their_rows() {
    let many: Vec<i128> = (0..5_000).map(|row| if row < 3_000 { row } else { P53 + row }).collect();
    assert_eq!(left(source::<f64>(&many), 700), many);
    assert_eq!(left(MemorySource::load(source::<f64>(&many).skip_rows(10), 1 << 20).unwrap(), 999), &many[10..]);
    let budget = |rows: &[i128]| MemorySource::load(source::<f64>(rows).filter(&predicate("n >= 0")).unwrap(), 60_000);
    assert!(budget(&many[..3_000]).is_ok(), "8 bytes a row");
    assert!(budget(&many[2_000..]).unwrap_err().to_string().contains("budget is 60000 bytes"), "24 bytes a row");
}

/// Every number for itself, whatever holds it, and equal ones together.
#[test]
fn cases_splits_by_key_are_of_every_digit() {
    fn parts<T: Scalar>(values: &[i128]) -> Vec<i128> {
        let split = Split::by_key("n", 1, [("train", 0.5), ("test", 0.5)]).unwrap();
        let [train, test] = ["train", "test"].map(|part| left(source::<T>(values).part(&split, part).unwrap(), 64));
        let (train_values, test_values): (HashSet<_>, HashSet<_>) = (train.iter().collect(), test.iter().collect());
        assert!(train_values.is_disjoint(&test_values));
        assert_eq!(train.len() + test.len(), values.len());
        train
    }
    let ids: Vec<i128> = (0..4_000).map(|row| 1_500_000_000_000_000_000 + row % 1_000).collect();
    let train = parts::<f64>(&ids);
    assert!((1_700..2_300).contains(&train.len()), "{} of 4000 rows", train.len());
    assert_eq!(parts::<f32>(&ids), train, "the scalar does not matter");
    let small: Vec<i128> = (0..500).collect();
    let reals = MemorySource::<f64>::builder().reals("n", 1, (0..500).map(f64::from).collect()).build().unwrap();
    let split = Split::by_key("n", 1, [("train", 0.5), ("test", 0.5)]).unwrap();
    assert_eq!(left(reals.part(&split, "train").unwrap(), 64), parts::<f32>(&small), "nor the type");
}

#[test]
fn splits_by_value_are_of_every_digit() {
    let values = [P53 - 1, P53, P53 + 1, P53 + 2];
    let split = Split::by_value("n", [("low", P53 as f64), ("high", f64::INFINITY)]).unwrap();
    assert_eq!(left(source::<f64>(&values).part(&split, "low").unwrap(), 8), [P53 - 1]);
    assert_eq!(left(source::<f32>(&values).part(&split, "high").unwrap(), 8), &values[1..]);
    let split = Split::by_value("n", [("below", 0.5), ("above", f64::INFINITY)]).unwrap();
    assert_eq!(left(source::<f64>(&[-P53 - 1, 0, 1, P53 + 1]).part(&split, "above").unwrap(), 8), [1, P53 + 1]);
}

fn encoded(values: &[i128], encoding: Encoding) -> (Encoder, MemorySource<f32>) {
    let (encoder, _) = Encoder::builder().feature("n", encoding).fit(&mut source::<f64>(values)).unwrap();
    let saved = serde_json::to_string(&encoder).unwrap();
    assert_eq!(serde_json::from_str::<Encoder>(&saved).unwrap(), encoder, "{saved}");
    let rows = MemorySource::load(source::<f64>(values).encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap();
    (encoder, rows)
}

#[test]
fn cases_categories_classes_and_hashes_are_of_every_digit() {
    for values in [integers(), unsigned()] {
        let mut sorted = values.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let names: Vec<String> = sorted.iter().map(i128::to_string).collect();
        let place = |value: &i128| sorted.binary_search(value).unwrap() as u32;

        let (encoder, rows) = encoded(&values, Encoding::category());
        assert_eq!(encoder.categories("n").unwrap(), names);
        let indices: Vec<u32> = values.iter().map(|value| 1 + place(value)).collect();
        assert_eq!(rows.data().indices(0), indices);

        let (_, rows) = encoded(&values, Encoding::one_hot());
        for (row, value) in values.iter().enumerate() {
            let numbers = &rows.data().reals(0)[row * sorted.len()..][..sorted.len()];
            assert_eq!(numbers.iter().position(|&number| number == 1.0), Some(place(value) as usize));
        }

        let (_, rows) = encoded(&values, Encoding::hash(1 << 30));
        let buckets: HashSet<u32> = rows.data().indices(0).iter().copied().collect();
        assert_eq!(buckets.len(), sorted.len(), "no two in one bucket of so many");

        let target = |encoding| Encoder::builder().target("n", encoding).fit(&mut source::<f64>(&values)).unwrap().0;
        assert_eq!(target(Encoding::class()).classes().unwrap(), names);
        for threshold in [0.0, P53 as f64, 2_f64.powi(63)] {
            let encoder = target(Encoding::above(threshold));
            let rows = MemorySource::load(source::<f64>(&values).encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap();
            let above: Vec<f32> = values.iter().map(|&n| f32::from(u8::from(n > threshold as i128))).collect();
            assert_eq!(rows.data().reals(0), above, "above {threshold}");
        }
    }
}

#[test]
fn cases_zeros_are_one_whatever_their_sign() {
    let zeros = [-0.0, 0.0, 1.0, -0.0];
    let source = || MemorySource::<f64>::builder().reals("n", 1, zeros.to_vec()).build().unwrap();
    let (encoder, _) = Encoder::builder()
        .feature_from("category", "n", Encoding::category())
        .feature_from("hash", "n", Encoding::hash(1 << 20))
        .target("n", Encoding::class())
        .fit(&mut source())
        .unwrap();
    assert_eq!(encoder.categories("category").unwrap(), ["0", "1"]);
    assert_eq!(encoder.classes().unwrap(), ["0", "1"]);
    let rows = MemorySource::load(source().encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap();
    let [categories, hashes, classes] = [0, 1, 2].map(|column| rows.data().indices(column));
    assert_eq!((categories, classes), (&[1, 1, 2, 1][..], &[0, 0, 1, 0][..]));
    assert!(hashes[0] == hashes[1] && hashes[1] == hashes[3] && hashes[0] != hashes[2]);
    let (encoder, _) = Encoder::builder().target("n", Encoding::above(-0.0)).fit(&mut source()).unwrap();
    let rows = MemorySource::load(source().encode::<f32>(&encoder).unwrap(), 1 << 20).unwrap();
    assert_eq!(rows.data().reals(0), [0.0, 0.0, 1.0, 0.0]);
    let split = Split::by_key("n", 4, [("a", 0.5), ("b", 0.5)]).unwrap();
    let sizes = ["a", "b"].map(|part| MemorySource::load(source().part(&split, part).unwrap(), 1 << 20).unwrap().len());
    assert!(sizes.contains(&3) || sizes.contains(&4), "{sizes:?}");
    assert_eq!(left(source().filter(&predicate("n = 0")).unwrap(), 9), [0, 0, 0]);
}

/// 12.30, 12.3 and such, and decimals that no `f64` holds.
#[test]
fn decimals_keep_every_digit() {
    let numbers = Numbers::Decimal { digits: 38, scale: 2 };
    let digits = [1_230, 90_071_992_547_409_930, 90_071_992_547_409_931, 90_071_992_547_409_900, -5];
    let field = Field { numbers, ..Field::new("n", Kind::Real { width: 1 }, Role::Feature) };
    let source = || {
        let column: Column<f64> = Column::of_digits(numbers, digits.map(Some));
        MemorySource::builder().column(field.clone(), column).build().unwrap()
    };
    let chosen = |condition: &str| {
        let rows = MemorySource::load(source().filter(&predicate(condition)).unwrap(), 1 << 20).unwrap();
        let column = &rows.data().columns()[0];
        (0..rows.len()).map(|row| column.number(row).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(chosen("n = 900719925474099.31"), ["900719925474099.31"]);
    assert_eq!(chosen("n > 900719925474099.30"), ["900719925474099.31"]);
    assert_eq!(chosen("n in (12.3, 900719925474099.3)"), ["12.3", "900719925474099.3"]);
    assert_eq!(chosen("n < -0.0499"), ["-0.05"]);
    assert_eq!(chosen("n = 12.301"), Vec::<String>::new());
    let hashes: HashSet<Number> = (0..5).filter_map(|row| source().data().columns()[0].number(row)).collect();
    assert_eq!(hashes.len(), 5);
    let error = Encoder::builder().feature("n", Encoding::category()).fit(&mut source()).unwrap_err().to_string();
    assert_eq!(error, "column n, row 0: 12.3 is no integer, and categories are texts or integers");

    let rounded = Field { numbers: Numbers::Rounded, ..field.clone() };
    let schema = Schema::new(vec![rounded.clone()]);
    let error = predicate("n = 3").bind(&schema).unwrap_err().to_string();
    assert_eq!(error, "condition: column n is decimal of more than 38 digits, expected numbers of up to 38 digits");
    assert!(predicate("n is null").bind(&schema).is_ok());
    assert!(Encoder::builder().feature("n", Encoding::category()).start(&schema).is_err());
    assert!(Encoder::builder().feature("n", Encoding::standardize()).start(&schema).is_ok());
}

#[test]
fn floating_point_numbers_beyond_integers_are_no_categories() {
    let mut source = MemorySource::<f64>::builder().reals("n", 1, vec![2e18]).build().unwrap();
    let error = Encoder::builder().feature("n", Encoding::category()).fit(&mut source).unwrap_err().to_string();
    let problem = "is beyond 2^53, where floating-point numbers do not tell integers apart";
    assert_eq!(error, format!("column n, row 0: 2000000000000000000 {problem}"));
}

#[test]
fn rows_of_a_channel_keep_every_digit() {
    let numbers = Numbers::Unsigned { bits: 64 };
    let field = Field { numbers, nullable: true, ..Field::new("n", Kind::Real { width: 1 }, Role::Feature) };
    let (sender, source) = channel::<f32>(Schema::new(vec![field]), 16).unwrap();
    for value in unsigned() {
        sender.send([Value::Integer(value)]).unwrap();
    }
    sender.send([Value::Real(3.0)]).unwrap();
    for (value, problem) in
        [(Value::Integer(-1), "-1"), (Value::Integer(1 << 64), "18446744073709551616"), (Value::Real(0.5), "0.5")]
    {
        let error = sender.send([value]).unwrap_err().to_string();
        assert_eq!(error, format!("column n: it is unsigned integer of 64 bits, and the row has {problem} in it"));
    }
    drop(sender);
    let mut source = source;
    let mut batch = Batch::new(Arc::clone(Source::<f32>::schema(&source)));
    source.fill(&mut batch, 100).unwrap();
    let found: Vec<i128> = (0..batch.rows()).map(|row| batch.columns()[0].digits(row).unwrap()).collect();
    assert_eq!(found, [unsigned(), vec![3]].concat());
}
