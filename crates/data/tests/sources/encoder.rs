use tidemill_data::{
    Batch, Cursor, Encode, Encoder, EncoderBuilder, Encoding, Error, FitReport, MemoryBuilder, MemorySource, Missing,
    Source, SourceExt, Summary, describe,
};

use crate::check::{check_source, epoch, rows};
use crate::memory::mixed;
use crate::unknown::Unknown;

fn reals(name: &str, values: &[f64]) -> MemoryBuilder<f64> {
    MemorySource::builder().reals(name, 1, values.to_vec())
}

fn optional(values: &[Option<f64>]) -> MemoryBuilder<f64> {
    MemorySource::builder().optional_reals("v", values.iter().copied())
}

fn texts(values: &[Option<&str>]) -> MemoryBuilder<f64> {
    MemorySource::builder().texts("v", values.iter().copied())
}

fn fit(raw: MemoryBuilder<f64>, declared: EncoderBuilder) -> (Encoder, FitReport) {
    declared.fit(&mut raw.build().unwrap()).unwrap()
}

fn encoded(raw: MemoryBuilder<f64>, encoder: &Encoder) -> Vec<String> {
    epoch(&mut raw.build().unwrap().encode::<f64>(encoder).unwrap(), 0)
}

/// Fits an encoding of a feature `v` to the rows, and encodes them.
fn check(raw: MemoryBuilder<f64>, encoding: Encoding, names: &[&str], expected: &[&str]) {
    let (encoder, _) = fit(raw.clone(), Encoder::builder().feature("v", encoding));
    assert_eq!(encoder.number_names(), names);
    assert_eq!(encoded(raw, &encoder), expected);
}

fn check_target(raw: MemoryBuilder<f64>, encoding: Encoding, expected: &[&str]) {
    let (encoder, _) = fit(raw.clone(), Encoder::builder().target("v", encoding));
    assert_eq!(encoder.schema().names(), "target");
    assert_eq!(encoded(raw, &encoder), expected);
}

#[test]
fn numbers_are_scaled() {
    let wide = || MemorySource::builder().reals("v", 2, vec![1.0, 5.0, 3.0, 5.0]);
    check(reals("v", &[1.5, -0.0]), Encoding::real(), &["v"], &["[1.5]", "[-0.0]"]);
    check(
        reals("v", &[1.0, 3.0, 5.0, 3.0]),
        Encoding::standardize(),
        &["v"],
        &["[-1.414213562373095]", "[0.0]", "[1.414213562373095]", "[0.0]"],
    );
    check(reals("v", &[0.1; 3]), Encoding::standardize(), &["v"], &["[0.0]"; 3]);
    check(wide(), Encoding::standardize(), &["v[0]", "v[1]"], &["[-1.0, 0.0]", "[1.0, 0.0]"]);
    check(wide(), Encoding::real(), &["v[0]", "v[1]"], &["[1.0, 5.0]", "[3.0, 5.0]"]);
    check(reals("v", &[14.0, 15.0, 15.1]), Encoding::above(15.0), &["v"], &["[0.0]", "[0.0]", "[1.0]"]);
    check(
        reals("v", &[0.0, 6.0]),
        Encoding::cyclic(24.0),
        &["v.sin", "v.cos"],
        &["[0.0, 1.0]", "[1.0, 6.123233995736766e-17]"],
    );
}

#[test]
fn categories_are_sorted_and_zero_is_unknown() {
    let names = [Some("b"), Some("a"), None, Some("b"), Some("c")];
    check(texts(&names), Encoding::category(), &[], &["#2", "#1", "#0", "#2", "#3"]);
    check(texts(&names), Encoding::category().max_categories(2), &[], &["#2", "#1", "#0", "#2", "#0"]);
    check(texts(&names), Encoding::category().max_categories(9), &[], &["#2", "#1", "#0", "#2", "#3"]);
    check(
        texts(&names),
        Encoding::one_hot().max_categories(2),
        &["v=a", "v=b"],
        &["[0.0, 1.0]", "[1.0, 0.0]", "[0.0, 0.0]", "[0.0, 1.0]", "[0.0, 0.0]"],
    );
    let numbers = [Some(10.0), Some(9.0), None, Some(-3.0)];
    check(optional(&numbers), Encoding::category(), &[], &["#3", "#2", "#0", "#1"]);
    check(reals("v", &[2.0, f64::NAN]), Encoding::category(), &[], &["#1", "#0"]);
    check(MemorySource::builder().indices("v", 9, vec![7, 2]), Encoding::category(), &[], &["#2", "#1"]);

    let (encoder, report) = fit(texts(&names), Encoder::builder().feature("v", Encoding::category().max_categories(2)));
    assert_eq!(encoder.categories("v").unwrap(), ["a", "b"]);
    assert_eq!(report.columns[0].summary, Summary::Categories { distinct: 3, kept: 2 });
    assert_eq!(encoded(texts(&[Some("z"), Some("b"), Some("")]), &encoder), ["#0", "#2", "#0"]);
}

#[test]
fn hashes_need_no_fit_and_never_change() {
    let names = [Some("AA"), None, Some("UA"), Some("AA")];
    check(texts(&names), Encoding::hash(1000), &[], &["#542", "#0", "#48", "#542"]);
    check(reals("v", &[1.0, 2.0]), Encoding::hash(1000), &[], &["#605", "#423"]);
    check(texts(&names), Encoding::hash(2), &[], &["#1", "#0", "#1", "#1"]);
}

#[test]
fn times_become_categories() {
    // 1970-01-01 was a Thursday, 2024-02-29 another; the last second of 1969 was a Wednesday's.
    let times = [Some(0.0), Some(1_709_164_800.0 + 13.5 * 3600.0), Some(-1.0), None];
    check(optional(&times), Encoding::day_of_week(), &[], &["#4", "#4", "#3", "#0"]);
    check(optional(&times), Encoding::hour_of_day(), &[], &["#1", "#14", "#24", "#0"]);
    check(
        optional(&times),
        Encoding::hour_of_day().missing(Missing::Constant(3600.0)),
        &[],
        &["#1", "#14", "#24", "#2"],
    );
}

#[test]
fn targets_are_real_or_classes() {
    check_target(texts(&[Some("no"), Some("yes"), Some("no")]), Encoding::class(), &["#0", "#1", "#0"]);
    check_target(reals("v", &[7.0, -1.0]), Encoding::class(), &["#1", "#0"]);
    check_target(reals("v", &[7.0, 16.0]), Encoding::above(15.0), &["[0.0]", "[1.0]"]);
    check_target(reals("v", &[1.0, 3.0]), Encoding::standardize(), &["[-1.0]", "[1.0]"]);
    check_target(optional(&[None, Some(3.0)]), Encoding::real().missing(Missing::DropRow), &["[3.0]"]);
    let (encoder, _) = fit(texts(&[Some("no"), Some("yes")]), Encoder::builder().target("v", Encoding::class()));
    assert_eq!(encoder.classes().unwrap(), ["no", "yes"]);
    let error = texts(&[Some("no"), Some("maybe")]).build().unwrap().encode::<f64>(&encoder).unwrap();
    let error = { error }.fill(&mut Batch::new(encoder.schema()), 9).unwrap_err();
    assert_eq!(error.to_string(), "column v, row 1: class maybe is unknown; the encoder was fitted to no, yes");
}

#[test]
fn missing_values_follow_the_policy() {
    let values = [Some(1.0), None, Some(3.0), Some(f64::NAN)];
    let raw = || optional(&values);
    let standard = |missing| Encoding::standardize().missing(missing);
    check(raw(), standard(Missing::DropRow), &["v"], &["[-1.0]", "[1.0]"]);
    check(raw(), standard(Missing::Constant(5.0)), &["v"], &["[-1.0]", "[3.0]", "[1.0]", "[3.0]"]);
    check(
        raw(),
        standard(Missing::MeanWithIndicator),
        &["v", "v.missing"],
        &["[-1.0, 0.0]", "[0.0, 1.0]", "[1.0, 0.0]", "[0.0, 1.0]"],
    );
    check(
        raw(),
        Encoding::real().missing(Missing::MeanWithIndicator),
        &["v", "v.missing"],
        &["[1.0, 0.0]", "[2.0, 1.0]", "[3.0, 0.0]", "[2.0, 1.0]"],
    );
    check(raw(), Encoding::above(2.0).missing(Missing::Constant(9.0)), &["v"], &["[0.0]", "[1.0]", "[1.0]", "[1.0]"]);
    check(raw(), Encoding::category().missing(Missing::DropRow), &[], &["#1", "#2"]);
    let declared = || Encoder::builder().feature("v", Encoding::real());
    let error = declared().fit(&mut raw().build().unwrap()).unwrap_err();
    assert!(matches!(&error, Error::Null { column, row: 1 } if column == "v"), "{error}");
    let (encoder, _) = fit(reals("v", &[1.0]), declared());
    let mut source = raw().build().unwrap().encode::<f64>(&encoder).unwrap();
    let mut batch = Batch::new(source.schema().clone());
    source.seek(Cursor::start(0).push(2).push(2)).unwrap();
    assert_eq!(source.fill(&mut batch, 1).unwrap(), 1);
    let error = source.fill(&mut batch, 1).unwrap_err();
    assert!(matches!(error, Error::Null { row: 3, .. }), "rows are counted from the start of the epoch: {error}");
    assert_eq!(batch.rows(), 0);
}

/// Statistics are those of the rows that are kept, and drops are counted once a row.
#[test]
fn dropped_rows_are_counted_and_not_fitted_to() {
    let raw = || {
        MemorySource::builder()
            .optional_reals("a", [Some(1.0), None, Some(100.0), Some(3.0), None])
            .optional_reals("b", [Some(0.0), Some(0.0), None, Some(0.0), None])
    };
    let drop = Encoding::standardize().missing(Missing::DropRow);
    let (encoder, report) = fit(raw(), Encoder::builder().feature("a", drop.clone()).feature("b", drop));
    assert_eq!((report.rows, report.dropped), (5, 3));
    assert_eq!((report.columns[0].missing, report.columns[0].dropped), (2, 2));
    assert_eq!((report.columns[1].missing, report.columns[1].dropped), (2, 1));
    assert_eq!(report.columns[0].summary, Summary::Numbers { mean: 2.0, std: 1.0, min: 1.0, max: 3.0 });
    assert_eq!(
        report.to_string(),
        "5 rows, 3 dropped\n\
         a  2 missing, 2 dropped, mean 2.000000, std 1.000000, min 1, max 3\n\
         b  2 missing, 1 dropped, mean 0.000000, std 0.000000, min 0, max 0\n"
    );
    let mut source = raw().build().unwrap().encode::<f64>(&encoder).unwrap();
    assert_eq!(source.rows(), None);
    assert_eq!(epoch(&mut source, 0), ["[-1.0, 0.0]", "[1.0, 0.0]"]);
    assert_eq!(source.dropped(), 3);
    assert_eq!(source.dropped_by_column().collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
}

/// Every kind of column at once, with rows dropped.
fn everything() -> EncoderBuilder {
    Encoder::builder()
        .feature("row", Encoding::standardize())
        .feature("name", Encoding::category().max_categories(2))
        .feature("pair", Encoding::real())
        .feature_from("kind", "class", Encoding::hash(5))
        .feature_from("one", "name", Encoding::one_hot())
        .feature_from("hour", "row", Encoding::cyclic(24.0))
        .target("maybe", Encoding::above(1.0).missing(Missing::DropRow))
        .weight("weight", Encoding::real())
}

fn encode_everything(n: usize) -> Encode<MemorySource<f64>, f32> {
    let (encoder, _) = everything().fit(&mut mixed(50)).unwrap();
    mixed(n).shuffled(2).encode(&encoder).unwrap()
}

#[test]
fn any_cursor_is_exact() {
    for n in [0, 1, 2, 7, 24, 37] {
        check_source(|| encode_everything(n));
        check_source(|| encode_everything(n).prefetch(2, 5).unwrap());
        check_source(|| encode_everything(n).shuffle(4, 1).unwrap().take(9));
        let (encoder, _) = Encoder::builder().feature("row", Encoding::real()).fit(&mut mixed(50)).unwrap();
        check_source(|| mixed(n).encode::<f32>(&encoder).unwrap());
    }
}

#[test]
fn the_output_is_one_block_then_categories_target_and_weight() {
    let (encoder, _) = everything().fit(&mut mixed(50)).unwrap();
    let fields: Vec<String> =
        encoder.schema().fields.iter().map(|f| format!("{} {:?} {}", f.name, f.role, f.kind)).collect();
    assert_eq!(
        fields,
        [
            "x Feature real [9]",
            "name Feature index below 3",
            "kind Feature index below 5",
            "target Target real",
            "weight Weight real",
        ]
    );
    assert_eq!(
        encoder.number_names(),
        ["row", "pair[0]", "pair[1]", "one=", "one=AA", "one=B6", "one=zürich", "hour.sin", "hour.cos",]
    );
    assert_eq!(encoder.raw_columns(), ["row", "name", "pair", "class", "maybe", "weight"]);
    assert_eq!(encoder.features_only().schema().names(), "x, name, kind");
    let renamed = everything().block_name("numbers").fit(&mut mixed(50)).unwrap().0;
    assert_eq!(renamed.schema().fields[0].name, "numbers");
}

#[test]
fn batches_stay_full_although_rows_are_dropped() {
    let mut source = encode_everything(50);
    let mut batch = Batch::new(source.schema().clone());
    assert_eq!(source.fill(&mut batch, 30).unwrap(), 30);
    assert_eq!(source.fill(&mut batch, 30).unwrap(), 3);
    assert_eq!((batch.rows(), source.dropped()), (33, 17));
}

#[test]
fn prediction_needs_no_target() {
    let raw = || reals("a", &[1.0, 3.0]);
    let declared = Encoder::builder().feature("a", Encoding::standardize()).target("y", Encoding::real());
    let (encoder, _) = fit(raw().reals("y", 1, vec![0.0, 1.0]), declared);
    let error = raw().build().unwrap().encode::<f64>(&encoder).unwrap_err();
    assert_eq!(error.to_string(), "the source: there is no column y; it has a");
    assert_eq!(encoded(raw(), &encoder.features_only()), ["[-1.0]", "[1.0]"]);
}

#[test]
fn a_saved_encoder_is_the_same_to_the_bit() {
    let values: Vec<f64> = (1..2000).map(|i| (f64::from(i) * 0.1).sin() * 1e-3 / f64::from(i)).collect();
    let raw = || reals("v", &values).texts("name", (1..2000).map(|i| (i % 3 > 0).then_some("ö\"\n")));
    let declared = || {
        Encoder::builder()
            .feature("v", Encoding::standardize().missing(Missing::MeanWithIndicator))
            .feature_from("above", "v", Encoding::above(1e-7 / 3.0))
            .feature_from("phase", "v", Encoding::cyclic(std::f64::consts::PI / 1e5))
            .feature_from("filled", "v", Encoding::real().missing(Missing::Constant(0.1 + 0.2)))
            .feature("name", Encoding::category())
    };
    let (encoder, _) = fit(raw(), declared());
    let saved = serde_json::to_string(&encoder).unwrap();
    let read: Encoder = serde_json::from_str(&saved).unwrap();
    assert_eq!(read, encoder);
    assert_eq!(encoded(raw(), &read), encoded(raw(), &encoder));
}

#[test]
fn what_was_saved_is_checked_when_it_is_read() {
    let (encoder, _) = fit(reals("v", &[1.0, 2.0]), Encoder::builder().feature("v", Encoding::hash(10)));
    let saved = serde_json::to_string(&encoder).unwrap();
    let read: Result<Encoder, _> = serde_json::from_str(&saved.replace("10", "1"));
    assert!(read.unwrap_err().to_string().contains("a hash needs two buckets or more"));
}

#[test]
fn pieces_add_up() {
    let all = everything().fit(&mut mixed(50)).unwrap().0;
    let part = |first: usize, rows: usize| {
        let mut source = mixed(50).skip_rows(first as u64);
        let mut batch = Batch::new(source.schema().clone());
        source.fill(&mut batch, rows).unwrap();
        let mut fitting = everything().start(source.schema()).unwrap();
        fitting.observe(&batch).unwrap();
        fitting
    };
    let mut sum = part(0, 21);
    sum.merge(part(21, 0)).unwrap();
    sum.merge(part(21, 29)).unwrap();
    let (encoder, report) = sum.finish().unwrap();
    assert_eq!((report.rows, report.dropped), (50, 17));
    assert_eq!(encoder.schema(), all.schema());
    let close = |a: &Encoder, b: &Encoder| {
        let x = |encoder| {
            let mut source = mixed(50).encode::<f64>(encoder).unwrap();
            let mut batch = Batch::new(source.schema().clone());
            source.fill(&mut batch, 50).unwrap();
            batch.reals(0).to_vec()
        };
        x(a).iter().zip(x(b)).all(|(a, b)| (a - b).abs() < 1e-12)
    };
    assert!(close(&encoder, &all));
    let other = Encoder::builder().feature("row", Encoding::real()).start(mixed(1).schema()).unwrap();
    assert!(part(0, 3).merge(other).is_err());
}

#[test]
fn of_equally_frequent_categories_the_first_by_name_are_kept() {
    let letters: Vec<String> = ('a'..='z').rev().chain('b'..='e').map(String::from).collect();
    let names: Vec<Option<&str>> = letters.iter().map(|letter| Some(letter.as_str())).collect();
    let (encoder, _) = fit(texts(&names), Encoder::builder().feature("v", Encoding::category().max_categories(7)));
    assert_eq!(encoder.categories("v").unwrap(), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn the_order_of_rows_does_not_change_categories() {
    let declared = || Encoder::builder().feature("name", Encoding::category().max_categories(3));
    let expected = declared().fit(&mut mixed(50)).unwrap().0;
    for seed in 0..5 {
        assert_eq!(declared().fit(&mut mixed(50).shuffled(seed)).unwrap().0, expected);
        assert_eq!(declared().fit(&mut Unknown(mixed(50))).unwrap().0, expected);
    }
}

#[test]
fn any_source_is_described() {
    let report = describe(&mut mixed(50)).unwrap();
    assert_eq!((report.rows, report.dropped, report.columns.len()), (50, 0, 7));
    let find = |name| report.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!((find("maybe").missing, find("name").missing, find("row").missing), (17, 10, 0));
    assert_eq!(find("class").summary, Summary::Categories { distinct: 4, kept: 4 });
    assert!(matches!(find("pair").summary, Summary::Numbers { min: -99.0, max: 0.0, mean: -49.5, .. }));
    assert_eq!(describe(&mut mixed(0)).unwrap().columns[0].summary, Summary::NotCounted);
    let many = MemorySource::builder().reals("row", 1, (0..1_100_000).map(f64::from).collect()).indices(
        "id",
        u32::MAX,
        (0..1_100_000).collect(),
    );
    let mut many = many.build().unwrap();
    assert_eq!(describe(&mut many).unwrap().columns[1].summary, Summary::NotCounted);
    let error = Encoder::builder().feature("id", Encoding::category()).fit(&mut many).unwrap_err();
    assert_eq!(error.to_string(), "column id: there are more than 1048576 categories; encode it by hash");
}

#[test]
fn what_makes_no_sense_is_refused_before_reading() {
    let start = |declared: EncoderBuilder, expected: &str| {
        let raw = mixed(0);
        assert_eq!(declared.start(raw.schema()).err().unwrap().to_string(), expected);
    };
    let feature = |column: &str, encoding| Encoder::builder().feature(column, encoding);
    let missing = |column, encoding: Encoding, missing| feature(column, encoding.missing(missing));
    start(
        feature("nmae", Encoding::category()),
        "the source: there is no column nmae; it has row, pair, maybe, name, class, target, weight",
    );
    start(feature("name", Encoding::real()), "the source: column name is text, expected real");
    start(feature("pair", Encoding::above(1.0)), "the source: column pair is real [2], expected real");
    start(feature("pair", Encoding::category()), "the source: column pair is real [2], expected integers");
    start(feature("pair", Encoding::hash(9)), "the source: column pair is real [2], expected text or integers");
    start(
        feature("name", Encoding::class()),
        "encoding of column name: class is for targets; category is for features",
    );
    start(
        Encoder::builder().target("name", Encoding::category()),
        "encoding of column name: a target is real, standardize, above or class",
    );
    start(Encoder::builder().weight("row", Encoding::standardize()), "encoding of column row: a weight is real");
    start(
        Encoder::builder().target("row", Encoding::real()).target("maybe", Encoding::real()),
        "column maybe: there is a target already: row",
    );
    start(
        missing("name", Encoding::category(), Missing::MeanWithIndicator),
        "encoding of column name: the mean with an indicator is for features that are real or standardize",
    );
    start(
        missing("name", Encoding::category(), Missing::Constant(0.0)),
        "encoding of column name: a constant is for numbers; missing categories are unknown, dropped or an error",
    );
    start(
        missing("row", Encoding::real(), Missing::Unknown),
        "encoding of column row: there is no unknown category for missing values",
    );
    start(
        missing("row", Encoding::real(), Missing::Constant(f64::NAN)),
        "encoding of column row: the constant is not finite",
    );
    start(
        feature("row", Encoding::hash(1)),
        "encoding of column row: a hash needs two buckets or more, the first is for the missing",
    );
    start(
        feature("row", Encoding::cyclic(0.0)),
        "encoding of column row: the period is not a finite number above zero",
    );
    start(feature("row", Encoding::above(f64::NAN)), "encoding of column row: the threshold is not a number");
    start(
        feature("row", Encoding::real().max_categories(3)),
        "encoding of column row: max_categories is for category and one_hot",
    );
    start(
        feature("name", Encoding::category().max_categories(0)),
        "encoding of column name: at least one category must be kept",
    );
    start(
        feature("row", Encoding::real()).feature("row", Encoding::real()),
        "feature row: the name comes twice; feature_from gives a column another one",
    );
    start(
        feature("row", Encoding::real()).feature_from("x", "name", Encoding::category()),
        "column x: another output column has that name; feature_from and block_name give others",
    );
}

#[test]
fn bad_values_are_errors_that_say_where() {
    let fit = |raw: MemoryBuilder<f64>, declared: EncoderBuilder, expected: &str| {
        assert_eq!(declared.fit(&mut raw.build().unwrap()).unwrap_err().to_string(), expected);
    };
    let feature = |encoding| Encoder::builder().feature("v", encoding);
    fit(reals("v", &[1.0, f64::INFINITY]), feature(Encoding::standardize()), "column v, row 1: the value is infinite");
    fit(
        reals("v", &[1.0, 2.5]),
        feature(Encoding::category()),
        "column v, row 1: 2.5 is no integer, and categories are texts or integers",
    );
    fit(
        reals("v", &[1e300, -1e300]),
        feature(Encoding::standardize()),
        "encoding of column v: the mean or the standard deviation is not finite; the numbers are too large",
    );
    fit(
        optional(&[None]),
        feature(Encoding::real().missing(Missing::DropRow)),
        "encoder: there is no row to fit to; 1 of 1 were dropped",
    );
    fit(reals("v", &[]), feature(Encoding::real()), "encoder: there is no row to fit to; 0 of 0 were dropped");

    let apply = |raw: MemoryBuilder<f64>, encoder: &Encoder, expected: &str| {
        let mut source = raw.build().unwrap().encode::<f32>(encoder).unwrap();
        let mut batch = Batch::new(source.schema().clone());
        assert_eq!(source.fill(&mut batch, 9).unwrap_err().to_string(), expected);
        assert_eq!(rows(&batch).len(), 0);
    };
    let one = || reals("v", &[1.0]).build().unwrap();
    let encoder = feature(Encoding::real()).fit(&mut one()).unwrap().0;
    apply(reals("v", &[0.0, 0.0, -f64::INFINITY]), &encoder, "column v, row 2: the value is infinite");
    apply(reals("v", &[0.0, 1e39]), &encoder, "column v, row 1: the value is too large for 32 bits");
    let weight = Encoder::builder().weight("v", Encoding::real()).fit(&mut one()).unwrap().0;
    apply(reals("v", &[0.0, -0.5]), &weight, "column v, row 1: the weight -0.5 is below zero");
    let category = feature(Encoding::category()).fit(&mut one()).unwrap().0;
    let error = texts(&[Some("1")]).build().unwrap().encode::<f32>(&category).unwrap_err();
    assert_eq!(error.to_string(), "the source: column v is text, expected integers");
    let error = MemorySource::builder().reals("v", 2, vec![]).build().unwrap().encode::<f32>(&encoder).unwrap_err();
    assert_eq!(error.to_string(), "the source: column v is real [2], expected real");
}
