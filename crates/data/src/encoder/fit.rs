use super::builder::{Declared, EncoderBuilder};
use super::counts::Counts;
use super::encoding::{Encoding, Missing, Rule};
use super::exact::{Exact, exact};
use super::fitted::{Absent, Clip, Counted, Fitted, FittedColumn};
use super::screen::{Screen, Screened};
use super::seen::{Numbers, Seen};
use super::{ColumnReport, Encoder, FitReport};
use crate::{Batch, Error, Kind, Role, Schema, Unit};

/// An encoder that is being fitted: it observes rows piece by piece, and adds up with others that observed other rows.
///
/// [`EncoderBuilder::fit`] is the short way for one source.
#[derive(Clone, Debug)]
pub struct Fitting {
    declared: EncoderBuilder,
    columns: Vec<(Kind, Unit)>,
    screen: Screen,
    seen: Vec<Seen>,
    overflow: Overflow,
}

/// What is done about a column of more names than are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Refuse,
    StopCounting,
}

impl Fitting {
    pub(super) fn new(declared: EncoderBuilder, raw: &Schema) -> Result<Self, Error> {
        let (mut kinds, mut seen, mut screened) = (Vec::new(), Vec::new(), Vec::new());
        for column in &declared.columns {
            column.check()?;
            let place = find(raw, &column.source)?;
            let kind = &raw.fields[place].kind;
            seen.push(Seen::nothing_of(column, kind));
            // Fitted to no rows it says already whether the declaration makes sense.
            let unit = raw.fields[place].unit;
            let fitted = fit(column, kind, unit, &seen[seen.len() - 1]);
            fitted.check_raw(&raw.fields[place])?;
            screened.push(Screened::new(&column.source, place, fitted.policy()));
            kinds.push((kind.clone(), unit));
        }
        let screen = Screen::new(screened);
        let fitting = Self { declared, columns: kinds, screen, seen, overflow: Overflow::Refuse };
        fitting.encoder()?;
        Ok(fitting)
    }

    pub(super) fn on_overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }

    /// Observes the next rows.
    ///
    /// # Errors
    ///
    /// When a value is missing, infinite or no integer where that is not allowed, or there are too many categories.
    pub fn observe(&mut self, raw: &Batch<f64>) -> Result<(), Error> {
        self.screen.read(raw)?;
        for (column, seen) in self.seen.iter_mut().enumerate() {
            let rows = self.screen.rows(column);
            let values = &raw.columns()[self.screen.columns()[column].place];
            seen.observe(values, &rows)?;
        }
        self.check_overflow()
    }

    /// Adds what another has observed of other rows.
    ///
    /// # Errors
    ///
    /// When the two were declared differently, or there are too many categories together.
    pub fn merge(&mut self, other: Self) -> Result<(), Error> {
        if self.declared != other.declared || self.columns != other.columns {
            return Err(Error::invalid("encoder", "what was observed for another declaration does not add up"));
        }
        self.screen.merge(&other.screen);
        self.seen.iter_mut().zip(other.seen).for_each(|(ours, theirs)| ours.merge(theirs));
        self.check_overflow()
    }

    /// The encoder, and what was seen on the way.
    ///
    /// # Errors
    ///
    /// When no row is left to fit to, or the numbers are too large.
    pub fn finish(self) -> Result<(Encoder, FitReport), Error> {
        let report = self.report();
        if report.rows == report.dropped {
            let problem = format!("there is no row to fit to; {} of {} were dropped", report.dropped, report.rows);
            return Err(Error::invalid("encoder", problem));
        }
        Ok((self.encoder()?, report))
    }

    pub(super) fn report(&self) -> FitReport {
        let columns = self.screen.columns().iter().zip(&self.seen).zip(&self.declared.columns);
        let columns = columns.map(|((screened, seen), declared)| ColumnReport {
            name: screened.name.clone(),
            missing: screened.missing,
            dropped: screened.dropped,
            summary: seen.summary(declared.encoding.max_categories),
        });
        let columns: Vec<ColumnReport> = columns.collect();
        let dropped = columns.iter().map(|column| column.dropped).sum();
        FitReport { rows: self.screen.passed(), dropped, columns }
    }

    fn encoder(&self) -> Result<Encoder, Error> {
        let block = self.declared.block.clone();
        let mut encoder = Encoder { block, features: Vec::new(), target: None, weight: None };
        for ((declared, (kind, unit)), seen) in self.declared.columns.iter().zip(&self.columns).zip(&self.seen) {
            let fitted = fit(declared, kind, *unit, seen);
            let previous = match declared.role {
                Role::Feature => {
                    encoder.features.push(fitted);
                    None
                }
                Role::Target => encoder.target.replace(fitted),
                Role::Weight => encoder.weight.replace(fitted),
            };
            if let Some(previous) = previous {
                let what = format!("column {}", declared.source);
                return Err(Error::invalid(what, format!("there is a {} already: {}", previous.name, previous.source)));
            }
        }
        encoder.check_features()?;
        encoder.name_categories();
        encoder.check()?;
        Ok(encoder)
    }

    fn check_overflow(&mut self) -> Result<(), Error> {
        for (seen, declared) in self.seen.iter_mut().zip(&self.declared.columns) {
            let Seen::Names(counts) = seen else { continue };
            let Some(problem) = counts.overflow() else { continue };
            if self.overflow == Overflow::Refuse {
                return Err(Error::invalid(format!("column {}", declared.source), problem));
            }
            *seen = Seen::Many;
        }
        Ok(())
    }
}

impl Declared {
    fn check(&self) -> Result<(), Error> {
        let Encoding { rule, max_categories, clip, .. } = &self.encoding;
        let problem = match (rule, max_categories, clip) {
            (_, Some(0), _) => "at least one category must be kept",
            (Rule::QuantileBins { bins: 0 | 1 }, ..) => "fewer than two bins tell nothing",
            (Rule::QuantileBins { bins: 1025.. }, ..) => "more than 1024 bins are finer than the quantiles are known",
            (rule, Some(_), _) if !matches!(rule, Rule::Category | Rule::OneHot) => {
                "max_categories is for category and one_hot"
            }
            (rule, _, Some(_)) if !matches!(rule, Rule::Real | Rule::Standardize | Rule::Robust) => {
                "clip is for real, standardize and robust"
            }
            (_, _, &Some((low, high))) if !(0.0 <= low && low < high && high <= 1.0) => {
                "quantiles to clip at rise, and lie between 0 and 1"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("encoding of column {}", self.source), problem))
    }
}

/// The column fitted to what was seen so far.
fn fit(declared: &Declared, kind: &Kind, unit: Unit, seen: &Seen) -> FittedColumn {
    let numbers: &[Numbers] = if let Seen::Numbers(numbers) = seen { numbers } else { &[] };
    let clip = declared.encoding.clip.map(|(low, high)| Clip::new(numbers.iter().map(|n| n.quantiles([low, high]))));
    let moments = |number: usize| {
        let all = (numbers[number].moments.mean, numbers[number].moments.std());
        let clipped = clip.as_ref().zip(numbers[number].quantiles.as_ref());
        clipped.map_or(all, |(clip, quantiles)| quantiles.clipped_moments(clip.low[number].0, clip.high[number].0))
    };
    let mean = || exact((0..numbers.len()).map(|number| moments(number).0));
    let quartiles = || numbers.iter().map(|n| n.quantiles([0.25, 0.5, 0.75]));
    let names = || {
        let none = Counts::new(None);
        let counts = if let Seen::Names(counts) = seen { counts } else { &none };
        counts.categories(kind, declared.encoding.max_categories)
    };
    let fitted = match declared.encoding.rule {
        Rule::Real => Fitted::Real { mean: mean() },
        Rule::Standardize => Fitted::Standardize { mean: mean(), std: exact((0..numbers.len()).map(|n| moments(n).1)) },
        Rule::Robust => Fitted::Robust {
            mean: mean(),
            median: exact(quartiles().map(|[_, median, _]| median)),
            range: exact(quartiles().map(|[low, _, high]| high - low)),
        },
        Rule::QuantileBins { bins } => {
            let quantiles = numbers.first().and_then(|number| number.quantiles.as_ref());
            Fitted::Bins { edges: exact(quantiles.map_or_else(Vec::new, |quantiles| quantiles.edges(bins))) }
        }
        Rule::Category => Fitted::Category(names()),
        Rule::OneHot => Fitted::OneHot(names()),
        Rule::Hash { buckets } => Fitted::Hash { buckets },
        Rule::Above { threshold } => Fitted::Above { threshold: Exact(threshold) },
        Rule::Class => Fitted::Class(names()),
        Rule::Cyclic { period } => Fitted::Cyclic { period: Exact(period) },
        Rule::DayOfWeek => Fitted::DayOfWeek,
        Rule::HourOfDay => Fitted::HourOfDay,
    };
    let absent = match declared.encoding.missing {
        None => fitted.default_absent(),
        Some(Missing::Error) => Absent::Error,
        Some(Missing::DropRow) => Absent::DropRow,
        Some(Missing::Constant(value)) => Absent::Constant(Exact(value)),
        Some(Missing::MeanWithIndicator) => Absent::MeanWithIndicator,
        Some(Missing::Unknown) => Absent::Unknown,
        Some(Missing::Category) => Absent::Category,
    };
    let counted = Counted::new(declared.encoding.unit, unit);
    FittedColumn { name: declared.name.clone(), source: declared.source.clone(), fitted, absent, clip, counted }
}

/// The place of a raw column.
pub(super) fn find(raw: &Schema, column: &str) -> Result<usize, Error> {
    raw.position(column).ok_or_else(|| Error::MissingColumn {
        source_name: "the source".into(),
        column: column.into(),
        available: raw.names(),
    })
}
