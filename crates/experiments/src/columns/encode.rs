use std::fmt;

use tidemill::prelude::*;

/// How a column is encoded, as a value that can be built and be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What becomes of values.
    pub way: Way,
    /// What becomes of rows without one.
    pub fill: Fill,
}

/// What becomes of a column's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// The numbers as they are.
    Real,
    /// With mean zero and standard deviation one.
    Standardize,
    /// By quartiles, clipped at the outermost thousandths.
    RobustClipped,
    /// A category each, or the most frequent ones.
    Category {
        /// Most of them; all when absent.
        most: Option<u32>,
    },
    /// A number a category.
    OneHot,
    /// A category by a hash.
    Hash {
        /// How many there are.
        buckets: u32,
    },
    /// The category of the hour.
    HourOfDay,
    /// The category of the day of the week.
    DayOfWeek,
    /// The class of a target.
    Class,
    /// Whether a target is greater.
    Above(f64),
}

/// What becomes of rows without a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// No such row was seen. Those that come later take this number, the mean of those seen.
    NoneSeen(f64),
    /// The encoding has a category for them.
    Category,
    /// The mean, and a number that says so.
    MeanWithIndicator,
    /// They are left out.
    DropRow,
}

impl Rule {
    /// A rule whose encoding has a category for what is missing.
    pub fn category(way: Way) -> Self {
        Self { way, fill: Fill::Category }
    }

    /// The encoding.
    pub fn encoding(self) -> Encoding {
        let encoding = match self.way {
            Way::Real => Encoding::real(),
            Way::Standardize => Encoding::standardize(),
            Way::RobustClipped => Encoding::robust().clip(CLIP.0, CLIP.1),
            Way::Category { most: None } => Encoding::category(),
            Way::Category { most: Some(most) } => Encoding::category().max_categories(most),
            Way::OneHot => Encoding::one_hot(),
            Way::Hash { buckets } => Encoding::hash(buckets),
            Way::HourOfDay => Encoding::hour_of_day(),
            Way::DayOfWeek => Encoding::day_of_week(),
            Way::Class => Encoding::class(),
            Way::Above(threshold) => Encoding::above(threshold),
        };
        match self.fill {
            Fill::NoneSeen(mean) => encoding.missing(Missing::Constant(mean)),
            Fill::Category => encoding,
            Fill::MeanWithIndicator => encoding.missing(Missing::MeanWithIndicator),
            Fill::DropRow => encoding.missing(Missing::DropRow),
        }
    }

    /// What a feature is called where its column feeds several.
    pub fn suffix(self) -> Option<&'static str> {
        match self.way {
            Way::HourOfDay => Some("hour_of_day"),
            Way::DayOfWeek => Some("day_of_week"),
            _ => None,
        }
    }
}

/// Quantiles beyond which a robust encoding clips.
const CLIP: (f64, f64) = (0.001, 0.999);

/// As a program says it, without `Encoding::`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Real => write!(f, "real()"),
            Way::Standardize => write!(f, "standardize()"),
            Way::RobustClipped => write!(f, "robust().clip({}, {})", CLIP.0, CLIP.1),
            Way::Category { most: None } => write!(f, "category()"),
            Way::Category { most: Some(most) } => write!(f, "category().max_categories({most})"),
            Way::OneHot => write!(f, "one_hot()"),
            Way::Hash { buckets } => write!(f, "hash({buckets})"),
            Way::HourOfDay => write!(f, "hour_of_day()"),
            Way::DayOfWeek => write!(f, "day_of_week()"),
            Way::Class => write!(f, "class()"),
            Way::Above(threshold) => write!(f, "above({threshold:?})"),
        }?;
        match self.fill {
            Fill::NoneSeen(_) | Fill::Category => Ok(()),
            Fill::MeanWithIndicator => write!(f, ".missing(Missing::MeanWithIndicator)"),
            Fill::DropRow => write!(f, ".missing(Missing::DropRow)"),
        }
    }
}
