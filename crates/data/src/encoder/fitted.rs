use serde::{Deserialize, Serialize};

use super::categories::Categories;
use super::exact::Exact;
use super::screen::Policy;
use crate::{Error, Field, Kind, Numbers, Role, Unit};

/// One raw column with all that encoding it needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedColumn {
    /// The name that it gives to what it makes.
    pub name: String,
    /// The raw column.
    pub source: String,
    pub fitted: Fitted,
    pub absent: Absent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// What the raw column's numbers count.
    #[serde(default, skip_serializing_if = "Counted::is_default")]
    pub counted: Counted,
}

/// What a raw column's numbers count, and who says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Counted {
    /// Nobody: an encoder that was saved before units were known takes parts of timestamps from plain numbers.
    #[default]
    Unsaid,
    /// The column that it was fitted to.
    ByColumn(Unit),
    /// The encoding, of a column of plain numbers.
    BySetting(Unit),
}

impl Counted {
    pub fn new(said: Option<Unit>, column: Unit) -> Self {
        said.map_or(Self::ByColumn(column), Self::BySetting)
    }

    fn is_default(&self) -> bool {
        *self == Self::Unsaid
    }

    /// What parts of a date or time are taken from.
    pub fn unit(self) -> Unit {
        match self {
            Self::Unsaid => Unit::Timestamp,
            Self::ByColumn(unit) | Self::BySetting(unit) => unit,
        }
    }
}

/// The least and the greatest that a number is taken to be, for each number of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Clip {
    pub low: Vec<Exact>,
    pub high: Vec<Exact>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Fitted {
    /// The mean is what a missing value is given.
    Real {
        mean: Vec<Exact>,
    },
    Standardize {
        mean: Vec<Exact>,
        std: Vec<Exact>,
    },
    Robust {
        mean: Vec<Exact>,
        median: Vec<Exact>,
        range: Vec<Exact>,
    },
    /// The edges between bins, rising.
    Bins {
        edges: Vec<Exact>,
    },
    Category(Categories),
    OneHot(Categories),
    Hash {
        buckets: u32,
    },
    Above {
        threshold: Exact,
    },
    Class(Categories),
    Cyclic {
        period: Exact,
    },
    DayOfWeek,
    HourOfDay,
}

/// What a missing value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Absent {
    Error,
    DropRow,
    Constant(Exact),
    MeanWithIndicator,
    Unknown,
    Category,
}

/// Most categories of which each has a number of its own.
const ONE_HOT_LIMIT: usize = 4096;

impl FittedColumn {
    /// What it makes: as many real numbers a row, or one index.
    pub fn output(&self) -> Kind {
        let indicator = usize::from(self.absent == Absent::MeanWithIndicator);
        let own = usize::from(self.absent == Absent::Category);
        match &self.fitted {
            Fitted::Real { mean } | Fitted::Standardize { mean, .. } | Fitted::Robust { mean, .. } => {
                Kind::Real { width: mean.len() + indicator }
            }
            Fitted::Bins { edges } => Kind::Index { cardinality: edges.len() as u32 + 2 },
            Fitted::OneHot(categories) => Kind::Real { width: categories.len() + own },
            Fitted::Above { .. } => Kind::Real { width: 1 },
            Fitted::Cyclic { .. } => Kind::Real { width: 2 },
            Fitted::Category(categories) => Kind::Index { cardinality: (categories.len() + 1 + own) as u32 },
            Fitted::Hash { buckets } => Kind::Index { cardinality: *buckets },
            Fitted::Class(categories) => Kind::Index { cardinality: categories.len() as u32 },
            Fitted::DayOfWeek => Kind::Index { cardinality: 8 },
            Fitted::HourOfDay => Kind::Index { cardinality: 25 },
        }
    }

    /// The names of its real numbers.
    pub fn number_names(&self) -> Vec<String> {
        let name = &self.name;
        let mut names: Vec<String> = match &self.fitted {
            Fitted::Real { mean } | Fitted::Standardize { mean, .. } | Fitted::Robust { mean, .. }
                if mean.len() > 1 =>
            {
                (0..mean.len()).map(|number| format!("{name}[{number}]")).collect()
            }
            Fitted::OneHot(categories) => categories.names().iter().map(|value| format!("{name}={value}")).collect(),
            Fitted::Cyclic { .. } => vec![format!("{name}.sin"), format!("{name}.cos")],
            _ => vec![name.clone()],
        };
        if matches!(self.absent, Absent::MeanWithIndicator | Absent::Category) {
            names.push(format!("{name}.missing"));
        }
        names
    }

    pub fn policy(&self) -> Policy {
        match self.absent {
            Absent::Error => Policy::Error,
            Absent::DropRow => Policy::Drop,
            Absent::Constant(_) | Absent::MeanWithIndicator | Absent::Unknown | Absent::Category => Policy::Keep,
        }
    }

    /// Whether this encoding makes sense for that role, with these settings.
    pub fn check(&self, role: Role) -> Result<(), Error> {
        let refuse = |problem: &str| Err(Error::invalid(format!("encoding of column {}", self.source), problem));
        let numeric = matches!(self.fitted, Fitted::Real { .. } | Fitted::Standardize { .. } | Fitted::Robust { .. });
        match (role, &self.fitted) {
            (Role::Feature, Fitted::Class(_)) => return refuse("class is for targets; category is for features"),
            (Role::Target, Fitted::Above { .. } | Fitted::Class(_)) => {}
            (Role::Target, _) if !numeric => return refuse("a target is real, standardize, robust, above or class"),
            (Role::Weight, fitted) if !matches!(fitted, Fitted::Real { .. }) => return refuse("a weight is real"),
            (Role::Weight, _) if self.clip.is_some() => return refuse("weights are not clipped"),
            _ => {}
        }
        match self.absent {
            Absent::MeanWithIndicator if role != Role::Feature || !numeric => {
                return refuse("the mean with an indicator is for features that are real, standardize or robust");
            }
            Absent::Unknown if role != Role::Feature || !self.has_unknown() => {
                return refuse("there is no unknown category for missing values");
            }
            Absent::Category if !matches!(self.fitted, Fitted::Category(_) | Fitted::OneHot(_)) => {
                return refuse("a category of their own is for missing values of category and one_hot");
            }
            Absent::Constant(_) if self.names_values() => {
                return refuse("a constant is for numbers; missing categories are unknown, dropped or an error");
            }
            Absent::Constant(Exact(value)) if !value.is_finite() => return refuse("the constant is not finite"),
            _ => {}
        }
        match &self.fitted {
            Fitted::Real { mean } if !finite(mean) => refuse("the mean is not finite"),
            Fitted::Standardize { mean, std } if mean.len() != std.len() => {
                refuse("means and deviations differ in number")
            }
            Fitted::Standardize { mean, std } if !finite(mean) || !finite(std) || std.iter().any(|std| std.0 < 0.0) => {
                refuse("the mean or the standard deviation is not finite; the numbers are too large")
            }
            Fitted::Robust { mean, median, range } if mean.len() != median.len() || mean.len() != range.len() => {
                refuse("means, medians and ranges differ in number")
            }
            Fitted::Robust { mean, median, range }
                if ![mean, median, range].into_iter().all(|v| finite(v)) || range.iter().any(|range| range.0 < 0.0) =>
            {
                refuse("the median or the interquartile range is not finite; the numbers are too large")
            }
            Fitted::Bins { edges } if !finite(edges) || edges.windows(2).any(|pair| pair[0].0 >= pair[1].0) => {
                refuse("the edges of the bins do not rise")
            }
            fitted if !self.clip.as_ref().is_none_or(|clip| clip.is_of(fitted)) => {
                refuse("the quantiles to clip at are not those of the numbers")
            }
            Fitted::OneHot(categories) if categories.len() > ONE_HOT_LIMIT => {
                refuse("there are more than 4096 categories; use category, or keep fewer with max_categories")
            }
            Fitted::Hash { buckets: 0 | 1 } => refuse("a hash needs two buckets or more, the first is for the missing"),
            Fitted::Above { threshold } if threshold.0.is_nan() => refuse("the threshold is not a number"),
            Fitted::Cyclic { period: Exact(period) } if !(period.is_finite() && *period > 0.0) => {
                refuse("the period is not a finite number above zero")
            }
            Fitted::DayOfWeek | Fitted::HourOfDay => self.check_calendar().map_or(Ok(()), refuse),
            _ => Ok(()),
        }
    }

    /// What is wrong with the unit of what a part is taken of.
    fn check_calendar(&self) -> Option<&'static str> {
        match (&self.fitted, self.counted.unit()) {
            (Fitted::DayOfWeek, Unit::TimeOfDay) => Some("a time of day has no day of the week"),
            (Fitted::DayOfWeek, Unit::Duration) => Some("a duration has no day of the week"),
            (Fitted::HourOfDay, Unit::Duration) => Some("a duration has no hour of the day"),
            (Fitted::HourOfDay, Unit::Days) => Some("a date has no hours; day_of_week is what it has"),
            (Fitted::DayOfWeek, Unit::None) => Some(
                "its numbers have no unit, so they have no day of the week; say what they count by Encoding::unit, as in \
                 day_of_week().unit(Unit::Timestamp) or .unit(Unit::Days)",
            ),
            (_, Unit::None) => Some(
                "its numbers have no unit, so they have no hour of the day; say what they count by Encoding::unit, as in \
                 hour_of_day().unit(Unit::Timestamp) or .unit(Unit::TimeOfDay)",
            ),
            _ => None,
        }
    }

    /// Whether the unit of a raw column is the one that it was fitted to.
    fn check_unit(&self, field: &Field) -> Result<(), Error> {
        let is_part = matches!(self.fitted, Fitted::DayOfWeek | Fitted::HourOfDay);
        let (expected, fits) = match self.counted {
            Counted::Unsaid if is_part => (Unit::Timestamp, matches!(field.unit, Unit::None | Unit::Timestamp)),
            Counted::Unsaid => return Ok(()),
            Counted::BySetting(unit) => (unit, field.unit == Unit::None || field.unit == unit),
            // Numbers that a program gives have no unit; what matters to a part of a time must be said.
            Counted::ByColumn(unit) => (unit, field.unit == unit || (field.unit == Unit::None && !is_part)),
        };
        if fits || (expected == Unit::None && !is_part) {
            return Ok(());
        }
        Err(Error::WrongType {
            source_name: "the source".into(),
            column: self.source.clone(),
            expected: expected.to_string(),
            found: field.unit.to_string(),
        })
    }

    /// Whether it can read a raw column.
    pub fn check_raw(&self, field: &Field) -> Result<(), Error> {
        self.check_unit(field)?;
        if self.names_values() && field.numbers == Numbers::Rounded {
            return Err(Error::WrongType {
                source_name: "the source".into(),
                column: self.source.clone(),
                expected: "text or integers".into(),
                found: field.numbers.to_string(),
            });
        }
        let (fits, expected) = match &self.fitted {
            Fitted::Real { mean } | Fitted::Standardize { mean, .. } | Fitted::Robust { mean, .. } => {
                let expected = Kind::Real { width: mean.len() };
                (field.kind == expected, expected.to_string())
            }
            Fitted::Category(categories) | Fitted::OneHot(categories) | Fitted::Class(categories) => {
                let fits = !is_wide(&field.kind) && categories.are_of(&field.kind);
                (fits, if categories.are_of(&Kind::Text) { "text" } else { "integers" }.into())
            }
            Fitted::Hash { .. } => (!is_wide(&field.kind), "text or integers".into()),
            Fitted::Above { .. }
            | Fitted::Cyclic { .. }
            | Fitted::Bins { .. }
            | Fitted::DayOfWeek
            | Fitted::HourOfDay => (field.kind == Kind::Real { width: 1 }, "real".into()),
        };
        if fits {
            return Ok(());
        }
        Err(Error::WrongType {
            source_name: "the source".into(),
            column: self.source.clone(),
            expected,
            found: field.kind.to_string(),
        })
    }

    /// Whether it reads names of categories, not numbers.
    fn names_values(&self) -> bool {
        matches!(self.fitted, Fitted::Category(_) | Fitted::OneHot(_) | Fitted::Hash { .. } | Fitted::Class(_))
    }

    fn has_unknown(&self) -> bool {
        let numbered = matches!(self.fitted, Fitted::Bins { .. } | Fitted::DayOfWeek | Fitted::HourOfDay);
        numbered || (self.names_values() && !matches!(self.fitted, Fitted::Class(_)))
    }
}

impl Fitted {
    /// What is done where nothing is said of missing values.
    pub fn default_absent(&self) -> Absent {
        match self {
            Self::Category(_) | Self::OneHot(_) | Self::Hash { .. } => Absent::Unknown,
            Self::Bins { .. } | Self::DayOfWeek | Self::HourOfDay => Absent::Unknown,
            _ => Absent::Error,
        }
    }
}

impl Clip {
    pub fn new(ranges: impl Iterator<Item = [f64; 2]>) -> Self {
        let (low, high) = ranges.map(|[low, high]| (Exact(low), Exact(high))).unzip();
        Self { low, high }
    }

    fn is_of(&self, fitted: &Fitted) -> bool {
        let numbers = match fitted {
            Fitted::Real { mean } | Fitted::Standardize { mean, .. } | Fitted::Robust { mean, .. } => mean.len(),
            _ => return false,
        };
        let Self { low, high } = self;
        let rise = low.iter().zip(high).all(|(low, high)| low.0 <= high.0);
        rise && finite(low) && finite(high) && low.len() == numbers && high.len() == numbers
    }
}

fn finite(values: &[Exact]) -> bool {
    values.iter().all(|value| value.0.is_finite())
}

fn is_wide(kind: &Kind) -> bool {
    matches!(kind, Kind::Real { width } if *width != 1)
}
