use super::Summary;
use super::builder::Declared;
use super::counts::Counts;
use super::encoding::Rule;
use super::moments::Moments;
use super::quantiles::Quantiles;
use super::screen::Rows;
use crate::{Column, Error, Kind};

/// What was observed of a column.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Numbers(Vec<Numbers>),
    Names(Counts),
    /// More names than are counted.
    Many,
    Nothing,
}

/// What was observed of one number a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub moments: Moments,
    /// Where an encoding asks for them.
    pub quantiles: Option<Quantiles>,
}

impl Seen {
    pub fn nothing_of(column: &Declared, kind: &Kind) -> Self {
        match (column.encoding.rule, kind) {
            (Rule::Category | Rule::OneHot | Rule::Class, _) => {
                Self::Names(Counts::new(column.encoding.max_categories))
            }
            (Rule::Hash { .. }, _) => Self::Nothing,
            (rule, kind) => {
                let width = if let &Kind::Real { width } = kind { width } else { 1 };
                let ranked = matches!(rule, Rule::Robust | Rule::QuantileBins { .. }) || column.encoding.clip.is_some();
                let quantiles = ranked.then(Quantiles::default);
                Self::Numbers(vec![Numbers { moments: Moments::default(), quantiles }; width])
            }
        }
    }

    pub fn observe(&mut self, column: &Column<f64>, rows: &Rows<'_>) -> Result<(), Error> {
        match (self, column) {
            (Self::Names(counts), _) => counts.observe(column, rows)?,
            (Self::Numbers(numbers), Column::Real { width, values, .. }) => {
                for (number, seen) in numbers.iter_mut().enumerate() {
                    let present = rows.kept.iter().filter(|&&row| !rows.is_absent(row));
                    seen.observe(present.map(|row| values[row * width + number]));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Numbers(ours), Self::Numbers(theirs)) => {
                ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.merge(&theirs));
            }
            (Self::Names(ours), Self::Names(theirs)) => ours.merge(theirs),
            (ours @ Self::Names(_), Self::Many) => *ours = Self::Many,
            _ => {}
        }
    }

    pub fn summary(&self, max: Option<u32>) -> Summary {
        match self {
            Self::Numbers(numbers) => {
                let mut all = Moments::default();
                numbers.iter().for_each(|number| all.merge(&number.moments));
                if all.count == 0 {
                    return Summary::NotCounted;
                }
                Summary::Numbers { mean: all.mean, std: all.std(), min: all.min, max: all.max }
            }
            Self::Names(counts) => {
                let distinct = counts.distinct() as u64;
                let kept = max.map_or(distinct, |max| distinct.min(u64::from(max)));
                Summary::Categories { distinct, kept, miscounted: counts.taken() }
            }
            Self::Many | Self::Nothing => Summary::NotCounted,
        }
    }
}

impl Numbers {
    pub fn observe(&mut self, values: impl Iterator<Item = f64> + Clone) {
        self.moments.observe(values.clone());
        if let Some(quantiles) = &mut self.quantiles {
            quantiles.observe(values);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        if let (Some(ours), Some(theirs)) = (&mut self.quantiles, &other.quantiles) {
            ours.merge(theirs);
        }
    }

    /// Quantiles, zero where nothing was seen.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        match &self.quantiles {
            Some(quantiles) if quantiles.count() > 0 => quantiles.quantiles(shares),
            _ => [0.0; N],
        }
    }
}
