use std::f64::consts::TAU;

use tidemill_tensor::Scalar;

use super::categories::{Lookup, each_name};
use super::exact::Exact;
use super::fitted::{Absent, Fitted, FittedColumn};
use super::screen::Rows;
use crate::predicate::floor_of;
use crate::{Column, Error, Role};

/// Writes an encoded column that is real numbers.
#[derive(Clone, Debug)]
pub(super) enum RealWriter {
    Numbers {
        numbers: Vec<Number>,
        indicator: Indicator,
    },
    Weight {
        fill: f64,
    },
    Above {
        threshold: f64,
        fill: f64,
    },
    Cyclic {
        period: f64,
        fill: f64,
    },
    /// What is missing has a number of its own, or none.
    OneHot {
        lookup: Lookup,
        missing: Option<u32>,
    },
}

/// `(min(max(x, low), high) - shift) / scale`; `fill` stands for a number that is missing, in the units of the raw
/// column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    low: f64,
    high: f64,
    shift: f64,
    scale: f64,
    fill: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indicator {
    Written,
    None,
}

impl RealWriter {
    /// The writer of a column; `None` when what it makes is an index.
    pub fn new(role: Role, column: &FittedColumn) -> Option<Self> {
        let constant = if let Absent::Constant(Exact(value)) = column.absent { Some(value) } else { None };
        // Where no number is missing among the kept rows, the fill is not used.
        let fill = constant.unwrap_or(0.0);
        let numbers = |mean: &[Exact], shift: &dyn Fn(usize) -> f64, scale: &dyn Fn(usize) -> f64| {
            let clip = |k: usize| match &column.clip {
                Some(clip) => (clip.low[k].0, clip.high[k].0),
                None => (f64::NEG_INFINITY, f64::INFINITY),
            };
            let number = |(k, mean): (usize, &Exact)| {
                let (low, high) = clip(k);
                // A column that was constant has no spread to divide by.
                let scale = if scale(k) == 0.0 { 1.0 } else { scale(k) };
                Number { low, high, shift: shift(k), scale, fill: constant.unwrap_or(mean.0) }
            };
            mean.iter().enumerate().map(number).collect()
        };
        let indicator = if column.absent == Absent::MeanWithIndicator { Indicator::Written } else { Indicator::None };
        Some(match &column.fitted {
            Fitted::Real { .. } if role == Role::Weight => Self::Weight { fill },
            Fitted::Real { mean } => Self::Numbers { numbers: numbers(mean, &|_| 0.0, &|_| 1.0), indicator },
            Fitted::Standardize { mean, std } => {
                Self::Numbers { numbers: numbers(mean, &|k| mean[k].0, &|k| std[k].0), indicator }
            }
            Fitted::Robust { mean, median, range } => {
                Self::Numbers { numbers: numbers(mean, &|k| median[k].0, &|k| range[k].0), indicator }
            }
            Fitted::Above { threshold } => Self::Above { threshold: threshold.0, fill },
            Fitted::Cyclic { period } => Self::Cyclic { period: period.0, fill },
            Fitted::OneHot(categories) => {
                let missing = (column.absent == Absent::Category).then_some(categories.len() as u32);
                Self::OneHot { lookup: categories.lookup(0), missing }
            }
            Fitted::Bins { .. } | Fitted::Category(_) | Fitted::Hash { .. } | Fitted::Class(_) => return None,
            Fitted::DayOfWeek | Fitted::HourOfDay => return None,
        })
    }

    /// Writes the kept rows into `block`, which is zero.
    pub fn write<T: Scalar>(&self, raw: &Column<f64>, rows: &Rows<'_>, mut block: Block<'_, T>) -> Result<(), Error> {
        match self {
            Self::Numbers { numbers, indicator } => {
                for (k, &Number { low, high, shift, scale, fill }) in numbers.iter().enumerate() {
                    block.write_column(k, rows, raw, k, fill, |x| T::of((x.max(low).min(high) - shift) / scale))?;
                }
                if *indicator == Indicator::Written && rows.any_absent() {
                    let flags = rows.kept.iter().map(|&row| T::of(f64::from(u8::from(rows.is_absent(row)))));
                    block.rows().zip(flags).for_each(|(row, flag)| row[numbers.len()] = flag);
                }
                Ok(())
            }
            &Self::Weight { fill } => {
                block.write_column(0, rows, raw, 0, fill, T::of)?;
                match block.rows().zip(rows.kept).find(|(weight, _)| weight[0] < T::zero()) {
                    Some((weight, &row)) => Err(rows.invalid(row, format!("the weight {} is below zero", weight[0]))),
                    None => Ok(()),
                }
            }
            &Self::Above { threshold, fill } => {
                if let Column::Real { digits, .. } = raw
                    && let (Some(scale), Some(kept)) = (digits.numbers().scale(), digits.kept())
                {
                    let (floor, _) = floor_of(threshold, scale);
                    for (out, &row) in block.rows().zip(rows.kept) {
                        let above = if rows.is_absent(row) { fill > threshold } else { kept[row] > floor };
                        out[0] = if above { T::one() } else { T::zero() };
                    }
                    return Ok(());
                }
                let step = |x| if x > threshold { T::one() } else { T::zero() };
                block.write_column(0, rows, raw, 0, fill, step)
            }
            &Self::Cyclic { period, fill } => {
                let angle = |x: f64| TAU * (x / period);
                block.write_column(0, rows, raw, 0, fill, |x| T::of(angle(x).sin()))?;
                block.write_column(1, rows, raw, 0, fill, |x| T::of(angle(x).cos()))
            }
            Self::OneHot { lookup, missing } => {
                let mut out = block.rows();
                each_name(raw, rows, |_, name| {
                    let index = name.map_or(*missing, |name| lookup.find(name));
                    if let (Some(numbers), Some(index)) = (out.next(), index) {
                        numbers[index as usize] = T::one();
                    }
                    Ok(())
                })
            }
        }
    }
}

/// Rows that are encoded together.
pub(super) const PIECE: usize = 64;

/// Part of some rows of real numbers, from number `at` of each row on.
#[derive(Debug)]
pub(super) struct Block<'a, T> {
    pub values: &'a mut [T],
    pub width: usize,
    pub at: usize,
}

impl<T: Scalar> Block<'_, T> {
    fn rows(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.values.chunks_exact_mut(self.width).map(|row| &mut row[self.at..])
    }

    /// Sets number `k` of each row to what `encode` makes of number `from` of the raw column, or of `fill` where that is
    /// missing.
    fn write_column(
        &mut self,
        k: usize,
        rows: &Rows<'_>,
        raw: &Column<f64>,
        from: usize,
        fill: f64,
        encode: impl Fn(f64) -> T,
    ) -> Result<(), Error> {
        let (at, mut finite) = (self.at + k, true);
        // A few rows at a time: the arithmetic is done on numbers behind each other.
        for (piece, out) in self.values.chunks_mut(self.width * PIECE).enumerate() {
            let (mut numbers, mut encoded) = ([0.0; PIECE], [T::zero(); PIECE]);
            rows.read(raw, from, fill, piece * PIECE, &mut numbers);
            encoded.iter_mut().zip(&numbers).for_each(|(to, &x)| *to = encode(x));
            for (row, &x) in out.chunks_exact_mut(self.width).zip(&encoded) {
                row[at] = x;
                finite &= x.is_finite();
            }
        }
        if finite {
            return Ok(());
        }
        match self.rows().zip(rows.kept).find(|(numbers, _)| !numbers[k].is_finite()) {
            Some((_, &row)) => {
                Err(rows.invalid(row, format!("the value is too large for {} bits", 8 * size_of::<T>())))
            }
            None => Ok(()),
        }
    }
}
