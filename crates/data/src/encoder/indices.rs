use super::categories::{Categories, Lookup, each_name};
use super::exact::Exact;
use super::fitted::{Absent, Fitted, FittedColumn};
use super::reals::PIECE;
use super::screen::Rows;
use crate::{Column, Error, Unit};

/// Writes an encoded column that is an index.
#[derive(Clone, Debug)]
pub(super) enum IndexWriter {
    Category {
        lookup: Lookup,
        missing: u32,
    },
    /// The fill stands for a missing number; it is NaN where the category is then unknown.
    Bins {
        edges: Vec<f64>,
        fill: f64,
    },
    Class {
        lookup: Lookup,
        known: String,
    },
    Hash {
        buckets: u32,
    },
    /// The fill stands for a missing time; it is NaN where the category is then unknown. The part is that of a whole
    /// number of days or seconds.
    Calendar {
        part: fn(i128) -> u32,
        fill: f64,
    },
}

impl IndexWriter {
    /// The writer of a column; `None` when what it makes is real.
    pub fn new(column: &FittedColumn) -> Option<Self> {
        let fill = if let Absent::Constant(Exact(value)) = column.absent { value } else { f64::NAN };
        Some(match &column.fitted {
            Fitted::Category(categories) => {
                let missing = if column.absent == Absent::Category { categories.len() as u32 + 1 } else { 0 };
                Self::Category { lookup: categories.lookup(1), missing }
            }
            Fitted::Bins { edges } => Self::Bins { edges: edges.iter().map(|edge| edge.0).collect(), fill },
            Fitted::Class(classes) => Self::Class { lookup: classes.lookup(0), known: list(classes) },
            Fitted::Hash { buckets } => Self::Hash { buckets: *buckets },
            Fitted::DayOfWeek if column.counted.unit() == Unit::Days => Self::Calendar { part: weekday, fill },
            Fitted::DayOfWeek => Self::Calendar { part: day_of_week, fill },
            Fitted::HourOfDay => Self::Calendar { part: hour_of_day, fill },
            Fitted::Real { .. } | Fitted::Standardize { .. } | Fitted::Above { .. } => return None,
            Fitted::Robust { .. } | Fitted::OneHot(_) | Fitted::Cyclic { .. } => return None,
        })
    }

    /// Appends the kept rows to `out`.
    pub fn write(&self, raw: &Column<f64>, rows: &Rows<'_>, out: &mut Vec<u32>) -> Result<(), Error> {
        match self {
            Self::Category { lookup, missing } => each_name(raw, rows, |_, name| {
                out.push(name.map_or(*missing, |name| lookup.find(name).unwrap_or(0)));
                Ok(())
            }),
            Self::Bins { edges, fill } => {
                let bin = |x: f64| if x.is_nan() { 0 } else { 1 + edges.partition_point(|&edge| edge <= x) as u32 };
                append(raw, rows, *fill, out, bin);
                Ok(())
            }
            Self::Class { lookup, known } => each_name(raw, rows, |row, name| {
                let Some(name) = name else { return Err(rows.invalid(row, "there is no class".into())) };
                let Some(index) = lookup.find(name) else {
                    let problem = format!("class {name} is unknown; the encoder was fitted to {known}");
                    return Err(rows.invalid(row, problem));
                };
                out.push(index);
                Ok(())
            }),
            Self::Hash { buckets } => each_name(raw, rows, |_, name| {
                out.push(name.map_or(0, |name| 1 + (name.hash() % u64::from(buckets - 1)) as u32));
                Ok(())
            }),
            Self::Calendar { part, fill } => {
                let category = |time: f64| if time.is_nan() { 0 } else { part(time.floor() as i128) };
                if let Column::Real { digits, .. } = raw
                    && let (Some(scale), Some(kept)) = (digits.numbers().scale(), digits.kept())
                {
                    // Rounded to f64, the last of a second may be the next second.
                    let step = 10_i128.checked_pow(u32::from(scale.unsigned_abs())).unwrap_or(i128::MAX);
                    let whole = |digits: i128| {
                        if scale < 0 { digits.saturating_mul(step) } else { digits.div_euclid(step) }
                    };
                    let row = |&row: &usize| if rows.is_absent(row) { category(*fill) } else { part(whole(kept[row])) };
                    out.extend(rows.kept.iter().map(row));
                    return Ok(());
                }
                append(raw, rows, *fill, out, category);
                Ok(())
            }
        }
    }
}

/// Appends what is made of the number of each kept row.
fn append(raw: &Column<f64>, rows: &Rows<'_>, fill: f64, out: &mut Vec<u32>, category: impl Fn(f64) -> u32) {
    let mut numbers = [0.0; PIECE];
    for start in (0..rows.kept.len()).step_by(PIECE) {
        let numbers = &mut numbers[..PIECE.min(rows.kept.len() - start)];
        rows.read(raw, 0, fill, start, numbers);
        out.extend(numbers.iter().map(|&number| category(number)));
    }
}

const DAY: i128 = 86_400;

/// Monday is 1; the first day of 1970 was a Thursday.
fn weekday(days: i128) -> u32 {
    (days + 3).rem_euclid(7) as u32 + 1
}

fn day_of_week(seconds: i128) -> u32 {
    weekday(seconds.div_euclid(DAY))
}

fn hour_of_day(seconds: i128) -> u32 {
    (seconds.rem_euclid(DAY) / 3600) as u32 + 1
}

/// Some names, for an error.
fn list(classes: &Categories) -> String {
    let names = classes.names();
    let more = if names.len() > 20 { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(20)].join(", "))
}
