use std::fmt;

use super::fit::Overflow;
use super::{Encoder, Encoding, Missing};
use crate::{Batch, Cursor, Error, Kind, Source};

/// What was seen while fitting an [`Encoder`]; its display is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FitReport {
    /// Rows that were read.
    pub rows: u64,
    /// Rows of them that were left out for a missing value.
    pub dropped: u64,
    /// The columns, in the order of their declaration.
    pub columns: Vec<ColumnReport>,
}

/// What was seen of one raw column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnReport {
    /// The raw column.
    pub name: String,
    /// Rows without a value.
    pub missing: u64,
    /// Rows that were left out on account of this column; where several columns would have dropped a row, the first.
    pub dropped: u64,
    /// What the kept rows hold.
    pub summary: Summary,
}

/// What the values of a column are like, over the rows that are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Summary {
    /// Numbers; of a wide column all numbers together.
    Numbers {
        /// The mean.
        mean: f64,
        /// The standard deviation of the population.
        std: f64,
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Texts or integers.
    Categories {
        /// How many different ones there are; at least so many where counts may be too low.
        distinct: u64,
        /// How many of them have an index of their own.
        kept: u64,
        /// By how many rows the count of one may be too low: zero while all of them were counted.
        miscounted: u64,
    },
    /// Nothing is known: no row has a value, the column is hashed, or it has more categories than are counted.
    NotCounted,
}

/// Reads epoch 0 of a source and says what each column holds; leaves the source at the start of that epoch.
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, describe};
///
/// let mut source = MemorySource::builder()
///     .reals("distance", 1, vec![100.0, 300.0])
///     .texts("carrier", [Some("AA"), None])
///     .build()?;
/// let report = describe(&mut source)?;
/// assert_eq!((report.rows, report.columns[1].missing), (2, 1));
/// println!("{report}");
/// # Ok::<(), tidemill_data::Error>(())
/// ```
///
/// # Errors
///
/// Those of the source, and when a value is infinite.
pub fn describe(source: &mut impl Source<f64>) -> Result<FitReport, Error> {
    let mut builder = Encoder::builder();
    for (place, field) in source.schema().fields.iter().enumerate() {
        let encoding = match field.kind {
            Kind::Real { .. } => Encoding::real().missing(Missing::MeanWithIndicator),
            Kind::Index { .. } | Kind::Text => Encoding::category(),
        };
        // The names of what would be made must differ from that of the block of numbers, whatever the columns are named.
        builder = builder.feature_from(&format!("{place} {}", field.name), &field.name, encoding);
    }
    let mut fitting = builder.start(source.schema())?.on_overflow(Overflow::StopCounting);
    source.seek(Cursor::start(0))?;
    let mut raw = Batch::new(source.schema().clone());
    while source.fill(&mut raw, 4096)? > 0 {
        fitting.observe(&raw)?;
        raw.clear();
    }
    source.seek(Cursor::start(0))?;
    Ok(fitting.report())
}

impl fmt::Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows, {} dropped", self.rows, self.dropped)?;
        let width = self.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
        for column in &self.columns {
            write!(f, "{:width$}  {} missing, {} dropped", column.name, column.missing, column.dropped)?;
            match column.summary {
                Summary::Numbers { mean, std, min, max } => {
                    writeln!(f, ", mean {mean:.6}, std {std:.6}, min {min}, max {max}")?;
                }
                Summary::Categories { distinct, kept, .. } if distinct == kept => {
                    writeln!(f, ", {distinct} categories")?;
                }
                Summary::Categories { distinct, kept, miscounted: 0 } => {
                    writeln!(f, ", {kept} of {distinct} categories kept")?;
                }
                Summary::Categories { distinct, kept, miscounted } => {
                    writeln!(f, ", {kept} of more than {distinct} categories kept, counted to {miscounted} rows")?;
                }
                Summary::NotCounted => writeln!(f, ", not counted")?,
            }
        }
        Ok(())
    }
}
