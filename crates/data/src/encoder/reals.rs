use std::f64::consts::TAU;

use tidemill_tensor::Scalar;

use super::categories::{Lookup, each_name};
use super::exact::Exact;
use super::fitted::{Absent, Fitted, FittedColumn};
use super::screen::Rows;
use crate::{Column, Error, Role};

/// Writes an encoded column that is real numbers.
#[derive(Clone, Debug)]
pub(super) enum RealWriter {
    Numbers { numbers: Vec<Number>, indicator: Indicator },
    Weight { fill: f64 },
    Above { threshold: f64, fill: f64 },
    Cyclic { period: f64, fill: f64 },
    OneHot { lookup: Lookup },
}

/// `(x - shift) / scale`; `fill` stands for a number that is missing, in the units of the raw column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
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
        let number = |mean: &Exact, shift, std| {
            // A column that was constant has no spread to divide by.
            Number { shift, scale: if std == 0.0 { 1.0 } else { std }, fill: constant.unwrap_or(mean.0) }
        };
        let indicator = if column.absent == Absent::MeanWithIndicator { Indicator::Written } else { Indicator::None };
        Some(match &column.fitted {
            Fitted::Real { .. } if role == Role::Weight => Self::Weight { fill },
            Fitted::Real { mean } => {
                let numbers = mean.iter().map(|mean| number(mean, 0.0, 1.0)).collect();
                Self::Numbers { numbers, indicator }
            }
            Fitted::Standardize { mean, std } => {
                let numbers = mean.iter().zip(std).map(|(mean, std)| number(mean, mean.0, std.0)).collect();
                Self::Numbers { numbers, indicator }
            }
            Fitted::Above { threshold } => Self::Above { threshold: threshold.0, fill },
            Fitted::Cyclic { period } => Self::Cyclic { period: period.0, fill },
            Fitted::OneHot(categories) => Self::OneHot { lookup: categories.lookup(0) },
            Fitted::Category(_) | Fitted::Hash { .. } | Fitted::Class(_) => return None,
            Fitted::DayOfWeek | Fitted::HourOfDay => return None,
        })
    }

    /// Writes the kept rows into `block`, which is zero.
    pub fn write<T: Scalar>(&self, raw: &Column<f64>, rows: &Rows<'_>, mut block: Block<'_, T>) -> Result<(), Error> {
        match self {
            Self::Numbers { numbers, indicator } => {
                for (k, &Number { shift, scale, fill }) in numbers.iter().enumerate() {
                    block.write_column(k, rows, raw, k, fill, |x| T::of((x - shift) / scale))?;
                }
                if *indicator == Indicator::Written && rows.any_absent() {
                    let flags = rows.kept.iter().map(|&row| if rows.is_absent(row) { 1.0 } else { 0.0 });
                    block.write(numbers.len(), rows, flags, T::of)?;
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
                let step = |x| if x > threshold { T::one() } else { T::zero() };
                block.write_column(0, rows, raw, 0, fill, step)
            }
            &Self::Cyclic { period, fill } => {
                let angle = |x: f64| TAU * (x / period);
                block.write_column(0, rows, raw, 0, fill, |x| T::of(angle(x).sin()))?;
                block.write_column(1, rows, raw, 0, fill, |x| T::of(angle(x).cos()))
            }
            Self::OneHot { lookup } => {
                let mut out = block.rows();
                each_name(raw, rows, |_, name| {
                    let index = name.and_then(|name| lookup.find(name));
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
const PIECE: usize = 64;

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
        match rows.whole(raw) {
            Some((numbers, 1)) => self.write(k, rows, numbers.iter().copied(), encode),
            Some((numbers, width)) => {
                self.write(k, rows, numbers.chunks_exact(width).map(|numbers| numbers[from]), encode)
            }
            None => self.write(k, rows, rows.numbers(raw, from, fill), encode),
        }
    }

    /// Sets number `k` of each row to what `encode` makes of it.
    fn write(
        &mut self,
        k: usize,
        rows: &Rows<'_>,
        numbers: impl Iterator<Item = f64>,
        encode: impl Fn(f64) -> T,
    ) -> Result<(), Error> {
        let (at, mut finite) = (self.at + k, true);
        let mut numbers = numbers.fuse();
        // A few rows at a time: the arithmetic is done on numbers behind each other.
        for rows in self.values.chunks_mut(self.width * PIECE) {
            let mut piece = [0.0; PIECE];
            let count = piece.iter_mut().zip(&mut numbers).map(|(to, x)| *to = x).count();
            let mut encoded = [T::zero(); PIECE];
            encoded.iter_mut().zip(&piece).for_each(|(to, &x)| *to = encode(x));
            for (row, &x) in rows.chunks_exact_mut(self.width).zip(&encoded[..count]) {
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
