//! What to make of each column of a file that nobody has described.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tidemill::data::{Batch, Column, EncoderBuilder};
use tidemill::parquet::{ColumnDescription, Description, Usable};
use tidemill::prelude::*;

use crate::results::TaskKind;
use crate::spec;

/// Categories of a text column; rarer ones are taken together.
const MAX_CATEGORIES: u32 = 1000;
/// Whole numbers with at most this many different values are classes, when they are the target.
const MAX_CLASSES: usize = 20;
/// Rows that are looked at to tell what the target is.
const LOOK_AT: usize = 50_000;

/// The columns that the model sees, and their encodings.
pub struct Chosen {
    pub builder: EncoderBuilder,
    pub raw: Vec<String>,
    pub left_out: Vec<String>,
}

/// Numbers standardised, texts as categories; nulls by the mean and an indicator, or as the unknown category. What
/// cannot be used is left out, by name.
pub fn choose(description: &Description, target: &str, order: Option<&str>) -> Chosen {
    let mut builder = Encoder::builder();
    let (mut raw, mut left_out) = (Vec::new(), Vec::new());
    for column in &description.columns {
        let name = column.name.as_str();
        if name == target {
            continue;
        }
        let encoding = match column.usable {
            _ if Some(name) == order => Err(format!("{name} (the order)")),
            Usable::Text => Ok(Encoding::category().max_categories(MAX_CATEGORIES)),
            Usable::Real { .. } if column.nulls == Some(0) => Ok(Encoding::standardize()),
            Usable::Real { .. } => Ok(Encoding::standardize().missing(Missing::MeanWithIndicator)),
            Usable::Choice | Usable::No => Err(format!("{name} ({})", column.data_type)),
        };
        match encoding {
            Ok(encoding) => {
                builder = builder.feature(name, encoding);
                raw.push(name.to_owned());
            }
            Err(why) => left_out.push(why),
        }
    }
    Chosen { builder, raw, left_out }
}

/// The target's encoding, for a task that was asked for or is told from the data.
pub fn target(
    path: &Path,
    description: &Description,
    name: &str,
    asked: Option<TaskKind>,
    filter: Option<&str>,
) -> Result<(TaskKind, Encoding)> {
    let column = description.columns.iter().find(|c| c.name == name).with_context(|| {
        let names: Vec<&str> = description.columns.iter().map(|c| c.name.as_str()).collect();
        format!("{}: there is no column {name}; it has {}", path.display(), names.join(", "))
    })?;
    let seen = look(path, column, filter)?;
    let kind = match asked {
        Some(kind) => kind,
        None => seen.kind(),
    };
    let encoding = match (kind, &seen) {
        (TaskKind::Regression, Seen::Texts) => {
            bail!("column {name} is text; regression expects numbers. Choose --task multiclass")
        }
        (TaskKind::Regression, _) => Encoding::standardize(),
        (TaskKind::Multiclass, _) => Encoding::class(),
        (TaskKind::Binary, Seen::Numbers { distinct, .. }) if distinct.len() == 2 => {
            let low = f64::from_bits(*distinct.first().expect("it has two"))
                .min(f64::from_bits(*distinct.last().expect("it has two")));
            Encoding::above(low)
        }
        (TaskKind::Binary, _) => bail!(
            "column {name} has not two different numbers; a binary target has. Choose --task multiclass or regression"
        ),
    };
    Ok((kind, encoding.missing(Missing::DropRow)))
}

enum Seen {
    Texts,
    Numbers { distinct: BTreeSet<u64>, whole: bool },
}

impl Seen {
    fn kind(&self) -> TaskKind {
        match self {
            Self::Texts => TaskKind::Multiclass,
            Self::Numbers { distinct, .. } if distinct.len() == 2 => TaskKind::Binary,
            Self::Numbers { distinct, whole: true } if distinct.len() <= MAX_CLASSES => TaskKind::Multiclass,
            Self::Numbers { .. } => TaskKind::Regression,
        }
    }
}

fn look(path: &Path, column: &ColumnDescription, filter: Option<&str>) -> Result<Seen> {
    if column.usable == Usable::Text {
        return Ok(Seen::Texts);
    }
    let mut source = spec::open(path, [column.name.clone()], filter)?;
    let mut batch: Batch<f64> = Batch::new(source.schema().clone());
    source.fill(&mut batch, LOOK_AT)?;
    let (mut distinct, mut whole) = (BTreeSet::new(), true);
    let Column::Real { width: 1, values, nulls, .. } = &batch.columns()[0] else {
        bail!("column {} is {}; a target is one number or one text a row", column.name, column.data_type)
    };
    for (row, value) in values.iter().enumerate() {
        if !nulls.is_null(row) {
            whole &= value.fract() == 0.0;
            if distinct.len() <= MAX_CLASSES {
                distinct.insert(value.to_bits());
            }
        }
    }
    Ok(Seen::Numbers { distinct, whole })
}
