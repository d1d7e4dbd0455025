use tidemill_data::{
    Batch, Encoder, EncoderBuilder, Encoding, MemoryBuilder, MemorySource, Missing, Source, SourceExt,
};

use crate::check::rows;
use crate::encoder::{optional, reals, texts};
use crate::memory::mixed;

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
        "encoding of column name: a target is real, standardize, robust, above or class",
    );
    start(Encoder::builder().weight("row", Encoding::standardize()), "encoding of column row: a weight is real");
    start(
        Encoder::builder().target("row", Encoding::real()).target("maybe", Encoding::real()),
        "column maybe: there is a target already: row",
    );
    start(
        missing("name", Encoding::category(), Missing::MeanWithIndicator),
        "encoding of column name: the mean with an indicator is for features that are real, standardize or robust",
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
    start(feature("row", Encoding::quantile_bins(1)), "encoding of column row: fewer than two bins tell nothing");
    start(feature("pair", Encoding::quantile_bins(3)), "the source: column pair is real [2], expected real");
    start(
        feature("row", Encoding::above(1.0).clip(0.1, 0.9)),
        "encoding of column row: clip is for real, standardize and robust",
    );
    start(
        feature("row", Encoding::real().clip(0.9, 0.1)),
        "encoding of column row: quantiles to clip at rise, and lie between 0 and 1",
    );
    start(
        missing("row", Encoding::real(), Missing::Category),
        "encoding of column row: a category of their own is for missing values of category and one_hot",
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
        feature("row", Encoding::real()).target("maybe", Encoding::real()).block_name("target"),
        "column target: another output column has that name; block_name gives another",
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
