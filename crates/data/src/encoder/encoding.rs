use crate::Unit;

/// How one raw column becomes numbers or categories.
///
/// What has no value, a null or a NaN, is treated as [`missing`](Encoding::missing) says; where nothing is said, it is
/// the unknown category of an encoding that has one, and an error elsewhere. An infinite value is always an error.
///
/// In every category index 0 stands for the unknown, so the cardinality is one more than there are categories; classes
/// of a target have no unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    pub(super) rule: Rule,
    pub(super) missing: Option<Missing>,
    pub(super) max_categories: Option<u32>,
    pub(super) clip: Option<(f64, f64)>,
    pub(super) unit: Option<Unit>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rule {
    Real,
    Standardize,
    Robust,
    QuantileBins { bins: u32 },
    Category,
    OneHot,
    Hash { buckets: u32 },
    Above { threshold: f64 },
    Class,
    Cyclic { period: f64 },
    DayOfWeek,
    HourOfDay,
}

/// What to do with a row that has no value in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    /// Stop, and say which row.
    Error,
    /// Leave the row out, and count it.
    DropRow,
    /// Take this value, in the units of the raw column.
    Constant(f64),
    /// Take the mean of the rows that the encoder was fitted on, and add a number that is 1 where the value was missing
    /// and 0 elsewhere.
    MeanWithIndicator,
    /// Take the unknown category.
    Unknown,
    /// Take a category of its own, the last one; for [`category`](Encoding::category) and
    /// [`one_hot`](Encoding::one_hot).
    Category,
}

impl Encoding {
    /// The numbers as they are.
    pub fn real() -> Self {
        Self::new(Rule::Real)
    }

    /// The numbers with mean zero and standard deviation one: `(x - mean) / std`, each number of a wide column for
    /// itself.
    ///
    /// The standard deviation is that of a population, as in scikit-learn; a column that was constant is only shifted,
    /// so it gives zeros.
    pub fn standardize() -> Self {
        Self::new(Rule::Standardize)
    }

    /// The numbers with median zero and interquartile range one: `(x - median) / (q75 - q25)`, each number of a wide
    /// column for itself.
    ///
    /// As scikit-learn's `RobustScaler`; a column whose quartiles are equal is only shifted. Quartiles are exact up to
    /// 2048 rows, beyond as near as [`Quantiles`](crate::Quantiles) are.
    pub fn robust() -> Self {
        Self::new(Rule::Robust)
    }

    /// The bin of a number among `bins` bins of equally many rows, from 1 on; 0 is kept for the missing.
    ///
    /// As scikit-learn's `KBinsDiscretizer` with quantiles: a number on an edge belongs to the bin above, numbers
    /// beyond those seen to the first and the last, and where many rows have one value there are fewer bins. Edges are
    /// exact up to 2048 rows, beyond as near as [`Quantiles`](crate::Quantiles) are.
    pub fn quantile_bins(bins: u32) -> Self {
        Self::new(Rule::QuantileBins { bins })
    }

    /// The index of a text or an integer among those seen, sorted: their order in the data does not matter.
    ///
    /// For features. Up to 1,048,576 different values are counted; [`max_categories`](Encoding::max_categories) and
    /// [`hash`](Encoding::hash) take any number.
    pub fn category() -> Self {
        Self::new(Rule::Category)
    }

    /// One number a category, 1 for the row's own and 0 for the others; all zeros for the unknown.
    ///
    /// For features of up to 4096 categories.
    pub fn one_hot() -> Self {
        Self::new(Rule::OneHot)
    }

    /// A category below `buckets` by a hash of the text or integer, the same in every process; 0 is kept for the
    /// missing.
    ///
    /// # References
    ///
    /// K. Weinberger et al., *Feature hashing for large scale multitask learning*, 2009.
    pub fn hash(buckets: u32) -> Self {
        Self::new(Rule::Hash { buckets })
    }

    /// 1 where the value is greater than `threshold`, 0 elsewhere.
    pub fn above(threshold: f64) -> Self {
        Self::new(Rule::Above { threshold })
    }

    /// The index of a text or an integer among those seen, sorted; one not seen is an error. For targets.
    pub fn class() -> Self {
        Self::new(Rule::Class)
    }

    /// Two numbers, `sin(2π x / period)` and `cos(2π x / period)`: values a period apart are the same.
    pub fn cyclic(period: f64) -> Self {
        Self::new(Rule::Cyclic { period })
    }

    /// The category of the day of the week of a date or a timestamp, UTC: 1 is Monday, 7 is Sunday, as in ISO 8601.
    ///
    /// What a column holds is told by the [unit](crate::Field::unit) that its source gives it, or by
    /// [`unit`](Encoding::unit) where it is of plain numbers. Times of day and durations are refused.
    pub fn day_of_week() -> Self {
        Self::new(Rule::DayOfWeek)
    }

    /// The category of the hour of a timestamp, UTC, or of a time of day: 1 is the hour from midnight, 24 the last.
    ///
    /// What a column holds is told as for [`day_of_week`](Encoding::day_of_week). Dates and durations are refused.
    pub fn hour_of_day() -> Self {
        Self::new(Rule::HourOfDay)
    }

    /// Says what the numbers of a column count whose source does not, as in memory or in a channel.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data::{Encoder, Encoding, MemorySource, SourceExt, Unit};
    ///
    /// let raw = MemorySource::builder().reals("seconds", 1, vec![0.0, 86_400.0]).build()?;
    /// let declared = |encoding| Encoder::builder().feature("seconds", encoding);
    /// let error = declared(Encoding::day_of_week()).fit(&mut raw.clone()).unwrap_err();
    /// assert!(error.to_string().contains("have no unit"));
    ///
    /// let (encoder, _) = declared(Encoding::day_of_week().unit(Unit::Timestamp)).fit(&mut raw.clone())?;
    /// let rows = MemorySource::load(raw.encode::<f32>(&encoder)?, 1 << 20)?;
    /// assert_eq!(rows.data().indices(0), [4, 5]); // a Thursday, and a Friday
    /// # Ok::<(), tidemill_data::Error>(())
    /// ```
    #[must_use]
    pub fn unit(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// What to do with missing values.
    #[must_use]
    pub fn missing(self, missing: Missing) -> Self {
        Self { missing: Some(missing), ..self }
    }

    /// Keeps the `n` most frequent categories, of equally frequent ones the first by name. The rest share index 0 with
    /// the unknown: the other categories.
    ///
    /// For [`category`](Encoding::category) and [`one_hot`](Encoding::one_hot). Any number of different values is
    /// counted in bounded memory. Up to 131,072 of them and 64 MiB of text, counts are exact. Beyond, counts may be too
    /// low, by how much at most is [reported](crate::Summary::Categories), and less than 1/65,536 of the rows where the
    /// texts are short; so a category is missed only if it is hardly more frequent than the last one kept.
    ///
    /// # References
    ///
    /// J. Misra, D. Gries, *Finding repeated elements*, 1982; P. Agarwal et al., *Mergeable summaries*, 2012.
    #[must_use]
    pub fn max_categories(self, n: u32) -> Self {
        Self { max_categories: Some(n), ..self }
    }

    /// Takes numbers below the quantile `low` to be there, and those above the quantile `high`: 0.01 and 0.99 leave out
    /// what is farthest, on both sides.
    ///
    /// For [`real`](Encoding::real), [`standardize`](Encoding::standardize) and [`robust`](Encoding::robust), whose mean
    /// and deviation are then those of the clipped numbers. What stands for a missing value is clipped as well.
    /// Quantiles are exact up to 2048 rows, beyond as near as [`Quantiles`](crate::Quantiles) are.
    #[must_use]
    pub fn clip(self, low: f64, high: f64) -> Self {
        Self { clip: Some((low, high)), ..self }
    }

    fn new(rule: Rule) -> Self {
        Self { rule, missing: None, max_categories: None, clip: None, unit: None }
    }
}
