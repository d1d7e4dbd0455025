use tidemill_data::{
    Batch, Encode, Encoder, EncoderBuilder, Encoding, MemorySource, Missing, Source, SourceExt, Summary, describe,
};

use crate::check::check_source;
use crate::encoder::{encoded, fit, reals, texts};
use crate::memory::mixed;
use crate::unknown::Unknown;

/// Every kind of column at once, with rows dropped.
fn everything() -> EncoderBuilder {
    Encoder::builder()
        .feature("row", Encoding::standardize())
        .feature_from("bin", "row", Encoding::quantile_bins(4))
        .feature_from("robust", "row", Encoding::robust().clip(0.1, 0.8))
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
            "x Feature real [10]",
            "bin Feature index below 5",
            "name Feature index below 3",
            "kind Feature index below 5",
            "target Target real",
            "weight Weight real",
        ]
    );
    assert_eq!(
        encoder.number_names(),
        ["row", "robust", "pair[0]", "pair[1]", "one=", "one=AA", "one=B6", "one=zürich", "hour.sin", "hour.cos",]
    );
    assert_eq!(encoder.raw_columns(), ["row", "name", "pair", "class", "maybe", "weight"]);
    assert_eq!(encoder.features_only().schema().names(), "x, bin, name, kind");
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
            .feature_from("bin", "v", Encoding::quantile_bins(7))
            .feature_from("robust", "v", Encoding::robust().clip(0.01, 0.99))
            .feature("name", Encoding::category().missing(Missing::Category))
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
    assert_eq!(find("class").summary, Summary::Categories { distinct: 4, kept: 4, miscounted: 0 });
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
    assert_eq!(
        error.to_string(),
        "column id: there are more than 1048576 categories; keep the most frequent by max_categories, or encode it by hash"
    );
}
