use tidemill_data::{
    Batch, Cursor, Encoder, EncoderBuilder, Encoding, Error, FitReport, MemoryBuilder, MemorySource, Missing, Source,
    SourceExt, Summary, Unit,
};

use crate::check::epoch;

pub fn reals(name: &str, values: &[f64]) -> MemoryBuilder<f64> {
    MemorySource::builder().reals(name, 1, values.to_vec())
}

pub fn optional(values: &[Option<f64>]) -> MemoryBuilder<f64> {
    MemorySource::builder().optional_reals("v", values.iter().copied())
}

pub fn texts(values: &[Option<&str>]) -> MemoryBuilder<f64> {
    MemorySource::builder().texts("v", values.iter().copied())
}

pub fn fit(raw: MemoryBuilder<f64>, declared: EncoderBuilder) -> (Encoder, FitReport) {
    declared.fit(&mut raw.build().unwrap()).unwrap()
}

pub fn encoded(raw: MemoryBuilder<f64>, encoder: &Encoder) -> Vec<String> {
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

/// The numbers are those of scikit-learn 1.9.1: `RobustScaler`, `KBinsDiscretizer(strategy="quantile",
/// quantile_method="linear")`, and `numpy.clip` at `numpy.quantile` before `StandardScaler` and `RobustScaler`.
#[test]
fn quantiles_scale_clip_and_part() {
    let raw = || reals("v", &[1.0, 2.0, 4.0, 8.0, 100.0]);
    let clipped = |encoding: Encoding| encoding.clip(0.1, 0.9);
    check(
        raw(),
        Encoding::robust(),
        &["v"],
        &["[-0.5]", "[-0.3333333333333333]", "[0.0]", "[0.6666666666666666]", "[16.0]"],
    );
    check(
        reals("v", &[3.0, 3.0, 3.0, 3.0, 9.0]),
        Encoding::robust(),
        &["v"],
        &["[0.0]", "[0.0]", "[0.0]", "[0.0]", "[6.0]"],
    );
    check(raw(), clipped(Encoding::real()), &["v"], &["[1.4]", "[2.0]", "[4.0]", "[8.0]", "[63.20000000000001]"]);
    check(
        raw(),
        clipped(Encoding::robust()),
        &["v"],
        &["[-0.43333333333333335]", "[-0.3333333333333333]", "[0.0]", "[0.6666666666666666]", "[9.866666666666669]"],
    );
    let expected =
        [-0.6003669916557967, -0.5752119501059728, -0.4913618116065599, -0.323661534607734, 1.9906022879760632];
    let (encoder, _) = fit(raw(), Encoder::builder().feature("v", clipped(Encoding::standardize())));
    let mut batch = Batch::new(encoder.schema());
    raw().build().unwrap().encode::<f64>(&encoder).unwrap().fill(&mut batch, 9).unwrap();
    assert!(batch.reals(0).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{:?}", batch.reals(0));

    check(raw(), Encoding::quantile_bins(2), &[], &["#1", "#1", "#2", "#2", "#2"]);
    check(raw(), Encoding::quantile_bins(3), &[], &["#1", "#1", "#2", "#3", "#3"]);
    check(raw(), Encoding::quantile_bins(4), &[], &["#1", "#2", "#3", "#4", "#4"]);
    check(
        reals("v", &[1.0, 1.0, 1.0, 1.0, 2.0, 3.0]),
        Encoding::quantile_bins(4),
        &[],
        &["#1", "#1", "#1", "#1", "#2", "#2"],
    );
    check(optional(&[Some(5.0), None, Some(7.0)]), Encoding::quantile_bins(2), &[], &["#1", "#0", "#2"]);
    let (encoder, _) = fit(raw(), Encoder::builder().feature("v", Encoding::quantile_bins(4)));
    assert_eq!(encoded(reals("v", &[-1e9, 1e9, 3.9]), &encoder), ["#1", "#4", "#2"]);
}

#[test]
fn missing_categories_can_have_one_of_their_own() {
    let names = [Some("b"), None, Some("a"), Some("b"), Some("c")];
    let own = |encoding: Encoding| encoding.max_categories(2).missing(Missing::Category);
    check(texts(&names), own(Encoding::category()), &[], &["#2", "#3", "#1", "#2", "#0"]);
    check(
        texts(&names),
        own(Encoding::one_hot()),
        &["v=a", "v=b", "v.missing"],
        &["[0.0, 1.0, 0.0]", "[0.0, 0.0, 1.0]", "[1.0, 0.0, 0.0]", "[0.0, 1.0, 0.0]", "[0.0, 0.0, 0.0]"],
    );
}

/// One in ten rows is one of ten names that come often; the others are names that come once.
#[test]
fn frequent_categories_are_found_among_any_number() {
    let name = |i: u64| if i.is_multiple_of(10) { i / 10 % 10 } else { 1000 + i };
    let text = |i: u64| Some(format!("customer {}", name(i)));
    let raw = |rows: std::ops::Range<u64>| {
        let numbers = rows.clone().map(|i| name(i) as f64).collect();
        let texts: Vec<_> = rows.map(text).collect();
        MemorySource::builder()
            .reals("id", 1, numbers)
            .texts("text", texts.iter().map(Option::as_deref))
            .build()
            .unwrap()
    };
    let kept = Encoding::category().max_categories(10);
    let declared = || Encoder::builder().feature("id", kept.clone()).feature("text", kept.clone());
    let fitted = |rows: std::ops::Range<u64>| {
        let mut source = raw(rows);
        let mut fitting = declared().start(source.schema()).unwrap();
        let mut batch = Batch::new(source.schema().clone());
        while source.fill(&mut batch, 4096).unwrap() > 0 {
            fitting.observe(&batch).unwrap();
            batch.clear();
        }
        fitting
    };
    let mut parts = fitted(0..130_000);
    parts.merge(fitted(130_000..400_000)).unwrap();
    for fitting in [fitted(0..400_000), parts] {
        let (encoder, report) = fitting.finish().unwrap();
        let expected: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        assert_eq!(encoder.categories("id").unwrap(), expected);
        assert_eq!(
            encoder.categories("text").unwrap(),
            expected.iter().map(|i| format!("customer {i}")).collect::<Vec<_>>()
        );
        let Summary::Categories { distinct, kept: 10, miscounted } = report.columns[0].summary else {
            panic!("{report}")
        };
        assert!((131_072..360_010).contains(&distinct), "{distinct}");
        assert!((1..=400_000 / 65_536).contains(&miscounted), "{miscounted}");
    }
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
    assert_eq!(report.columns[0].summary, Summary::Categories { distinct: 3, kept: 2, miscounted: 0 });
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
    check(optional(&times), Encoding::day_of_week().unit(Unit::Timestamp), &[], &["#4", "#4", "#3", "#0"]);
    check(optional(&times), Encoding::hour_of_day().unit(Unit::Timestamp), &[], &["#1", "#14", "#24", "#0"]);
    check(
        optional(&times),
        Encoding::hour_of_day().unit(Unit::Timestamp).missing(Missing::Constant(3600.0)),
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

#[test]
fn columns_named_like_outputs_work_cases() {
    let names = ["x", "target", "weight", "x.category", "v", "w"];
    let raw = || {
        let texts = |builder: MemoryBuilder<f64>, name: &&str| builder.texts(name, [Some("a"), Some("b")]);
        let raw = names[..4].iter().fold(MemorySource::builder(), texts);
        raw.reals("v", 1, vec![1.0, 2.0]).reals("w", 1, vec![3.0, 4.0])
    };
    let categories = |builder: EncoderBuilder, names: &[&str]| {
        names.iter().fold(builder, |builder, name| builder.feature(name, Encoding::category()))
    };
    let declared = categories(Encoder::builder().feature("v", Encoding::real()), &names[..4]);
    let declared = declared.target("target", Encoding::class()).weight("w", Encoding::real());
    let (encoder, _) = fit(raw(), declared);
    let features = "x, x.category.category, target.category, weight.category, x.category";
    assert_eq!(encoder.schema().names(), format!("{features}, target, weight"));
    // For prediction the inputs are called the same.
    assert_eq!(encoder.features_only().schema().names(), features);
    assert_eq!(encoder.raw_columns(), ["v", "x", "target", "weight", "x.category", "w"]);
    for name in ["x", "x.category.category", "target", "target.category", "weight"] {
        assert_eq!(encoder.categories(name), Some(vec!["a".to_owned(), "b".to_owned()]), "{name}");
    }
    assert_eq!(encoded(raw(), &encoder).len(), 2);
    let saved: Encoder = serde_json::from_str(&serde_json::to_string(&encoder).unwrap()).unwrap();
    assert_eq!(saved, encoder);

    // A number of that name is in the block; a category alone keeps its name, as does a block that is called otherwise.
    let (encoder, _) = fit(reals("x", &[1.0, 2.0]), Encoder::builder().feature("x", Encoding::real()));
    assert_eq!(encoder.schema().names(), "x");
    let (encoder, _) = fit(raw(), categories(Encoder::builder(), &["x", "target"]));
    assert_eq!(encoder.schema().names(), "x, target");
    let declared = categories(Encoder::builder().feature("v", Encoding::real()).block_name("numbers"), &["x"]);
    assert_eq!(fit(raw(), declared).0.schema().names(), "numbers, x");
    let declared = categories(Encoder::builder().feature("v", Encoding::real()).block_name("target"), &["target"]);
    assert_eq!(fit(raw(), declared).0.schema().names(), "target, target.category");
}
