use std::collections::HashMap;

use serde::Serialize;
use tidemill::data::EncoderBuilder;
use tidemill::parquet::Usable;

use super::encode::{Fill, Rule, Way};
use super::scan::{Numbers, Seen};
use super::{Clock, Facts};
use crate::format;

/// Categories of a text column; rarer ones are taken together.
const CATEGORIES: u32 = 1000;
/// Texts of fewer different values are given a number each.
const ONE_HOT: u64 = 8;
/// Buckets where there are more different texts than were counted.
const BUCKETS: u32 = 4096;

/// Below this, floating-point numbers tell whole ones apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Columns to learn from, and columns to do without.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Encodings, in the files' order; several of one column where it tells several things.
    pub used: Vec<Used>,
    /// The other columns, except the target.
    pub left_out: Vec<LeftOut>,
}

/// A column to learn from.
#[derive(Clone, Debug, Serialize)]
pub struct Used {
    /// The column.
    pub column: String,
    /// What the feature is called.
    pub feature: String,
    /// Its encoding, as a program says it.
    pub encoding: String,
    /// Why that; empty where nothing speaks for another.
    pub why: String,
    /// The encoding.
    #[serde(skip)]
    pub rule: Rule,
    /// Values that are infinite, which count as missing.
    pub infinite: u64,
}

/// A column to do without.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The column.
    pub column: String,
    /// Why.
    pub why: String,
}

/// Which columns to learn from, and how.
pub fn choose(columns: &[Facts<'_>], target: Option<&str>, order: Option<&str>, except: &[String]) -> Choice {
    let mut choice = Choice::default();
    let mut named: HashMap<&str, usize> = HashMap::new();
    columns.iter().for_each(|column| *named.entry(column.name).or_default() += 1);
    for column in columns.iter().filter(|column| target != Some(column.name)) {
        let rules = if except.iter().any(|name| name == column.name) {
            Err("asked for by --except".into())
        } else if named[column.name] > 1 {
            Err(format!("{} columns have this name; rename them to use them", named[column.name]))
        } else if order == Some(column.name) && Clock::of(column.data_type).is_none() {
            Err("the order of the rows, which goes on beyond all that was trained on".into())
        } else {
            rules(column)
        };
        match rules {
            Ok(rules) => choice.used.extend(rules.into_iter().map(|(rule, why)| Used {
                column: column.name.into(),
                feature: rule.suffix().map_or_else(|| column.name.into(), |suffix| format!("{}.{suffix}", column.name)),
                encoding: rule.to_string(),
                why,
                rule,
                infinite: column.seen.map_or(0, |seen| seen.infinite),
            })),
            Err(why) => choice.left_out.push(LeftOut { column: column.name.into(), why }),
        }
    }
    choice.name_apart();
    choice
}

/// The column that says in which order the rows came: the only one of dates or timestamps.
pub fn order<'a>(columns: &[Facts<'a>], target: Option<&str>) -> Option<&'a str> {
    let is_time = |column: &&Facts<'_>| {
        matches!(Clock::of(column.data_type), Some(Clock::Date | Clock::Timestamp))
            && target != Some(column.name)
            && column.seen.is_none_or(|seen| seen.present() > 0)
    };
    let mut times = columns.iter().filter(is_time);
    times.next().filter(|_| times.next().is_none()).map(|column| column.name)
}

impl Choice {
    /// The name of the block of numbers, which no feature has.
    pub fn block(&self) -> String {
        apart("x", |name| self.used.iter().any(|used| used.feature == name))
    }

    /// The features of an encoder, numbers in a block of a name of its own.
    pub fn builder(&self) -> EncoderBuilder {
        let builder = tidemill::prelude::Encoder::builder().block_name(&self.block());
        self.used
            .iter()
            .fold(builder, |builder, used| builder.feature_from(&used.feature, &used.column, used.rule.encoding()))
    }

    /// The columns that are read, each once.
    pub fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.used.iter().map(|used| used.column.clone()).collect();
        columns.dedup();
        columns
    }

    /// Gives each feature a name that neither another nor an output of encoders has.
    fn name_apart(&mut self) {
        for place in 0..self.used.len() {
            let (before, rest) = self.used.split_at_mut(place);
            let taken =
                |name: &str| ["target", "weight"].contains(&name) || before.iter().any(|used| used.feature == name);
            rest[0].feature = apart(&rest[0].feature, taken);
        }
    }
}

/// A name with as many lines behind it as make it a new one.
fn apart(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = name.to_owned();
    while taken(&name) {
        name.push('_');
    }
    name
}

/// How a column is encoded and why, more than once where it tells several things; or why it is left out.
fn rules(column: &Facts<'_>) -> Result<Vec<(Rule, String)>, String> {
    match column.usable {
        Usable::No => return Err(format!("{} cannot become numbers or categories", column.data_type)),
        Usable::Choice => return Err(format!("{}: choose {}", column.data_type, column.choices.join("; or "))),
        Usable::Real { .. } | Usable::Text => {}
    }
    let Some(seen) = column.seen.filter(|seen| seen.rows > 0) else { return Ok(by_type(column)) };
    let present = seen.present();
    if present == 0 {
        return Err(if seen.infinite > 0 {
            "no row to train on has a finite value"
        } else {
            "no row to train on has a value"
        }
        .into());
    }
    let nearly_all = seen.distinct * 10 > present * 9 && present >= 100;
    if seen.distinct == 1 && present == seen.rows && seen.distinct_is_exact {
        return Err("every row to train on has the same value".into());
    }
    match (&seen.numbers, column.usable) {
        (_, Usable::Text) if nearly_all => Err("nearly every row has a text of its own".into()),
        (_, Usable::Text) => Ok(vec![category(seen)]),
        (Some(_), _) if Clock::of(column.data_type).is_some() => times(column, seen),
        (Some(numbers), _) if largest(numbers) > f64::from(f32::MAX) => {
            Err(format!("numbers up to {:e} are beyond the range of 32 bits", largest(numbers)))
        }
        (Some(numbers), Usable::Real { width: 1 }) if numbers.counts_rows => Err("it numbers the rows".into()),
        (Some(numbers), Usable::Real { width: 1 }) if is_integer(column) && largest(numbers) >= EXACT => {
            if nearly_all {
                return Err("nearly every row has a number of its own, too long for anything but a key".into());
            }
            let (rule, why) = category(seen);
            let long = "numbers too long to be anything but names".to_owned();
            Ok(vec![(rule, if why.is_empty() { long } else { format!("{long}; {why}") })])
        }
        (Some(numbers), _) => Ok(vec![reals(column, seen, numbers)]),
        (None, _) => Ok(by_type(column)),
    }
}

fn is_integer(column: &Facts<'_>) -> bool {
    column.data_type.starts_with("int") || column.data_type.starts_with("uint")
}

fn largest(numbers: &Numbers) -> f64 {
    numbers.max.max(-numbers.min)
}

fn by_type(column: &Facts<'_>) -> Vec<(Rule, String)> {
    let plain = |rule| vec![(rule, String::new())];
    match (column.usable, Clock::of(column.data_type)) {
        (Usable::Text, _) => plain(Rule::category(Way::Category { most: Some(CATEGORIES) })),
        (_, Some(Clock::Date)) => plain(Rule::category(Way::DayOfWeek)),
        (_, Some(Clock::TimeOfDay)) => plain(Rule::category(Way::HourOfDay)),
        (_, Some(Clock::Timestamp)) => {
            [Way::HourOfDay, Way::DayOfWeek].map(|way| (Rule::category(way), String::new())).into()
        }
        _ => plain(Rule { way: Way::Standardize, fill: Fill::MeanWithIndicator }),
    }
}

/// Times go on beyond all that was trained on; their hours and weekdays come again, where there are several.
fn times(column: &Facts<'_>, seen: &Seen) -> Result<Vec<(Rule, String)>, String> {
    let mut rules = Vec::new();
    if seen.hours > 1 {
        rules.push((Rule::category(Way::HourOfDay), String::new()));
    }
    if seen.weekdays > 1 {
        rules.push((Rule::category(Way::DayOfWeek), String::new()));
    }
    match (rules.first_mut(), Clock::of(column.data_type)) {
        (Some((_, why)), Some(Clock::Date | Clock::Timestamp)) => {
            *why = "later times are beyond all that was trained on".into();
        }
        (Some(_), _) => {}
        (None, _) => return Err("all times are of the same hour and day of the week".into()),
    }
    Ok(rules)
}

fn category(seen: &Seen) -> (Rule, String) {
    let (way, why) = match seen.distinct {
        0..=ONE_HOT => (Way::OneHot, String::new()),
        distinct if distinct <= u64::from(CATEGORIES) => (Way::Category { most: None }, String::new()),
        _ if !seen.distinct_is_exact => {
            (Way::Hash { buckets: BUCKETS }, "more different texts than were counted".to_owned())
        }
        distinct => (
            Way::Category { most: Some(CATEGORIES) },
            format!("{} different texts; the rare ones together", format::exact(distinct)),
        ),
    };
    (Rule::category(way), why)
}

fn reals(column: &Facts<'_>, seen: &Seen, numbers: &Numbers) -> (Rule, String) {
    // What the footers say of other rows counts as well: a column that can be null is made ready for it.
    let missing = seen.present() < seen.rows || column.nulls.is_some_and(|nulls| nulls > 0);
    let fill = if missing { Fill::MeanWithIndicator } else { Fill::NoneSeen(numbers.mean) };
    let Numbers { min, q25, median, q75, max, .. } = *numbers;
    if column.data_type == "bool" || (min == 0.0 && max == 1.0 && numbers.whole) {
        return (Rule { way: Way::Real, fill }, "0 and 1".into());
    }
    let range = q75 - q25;
    let (way, mut why) = if range > 0.0 && (max - median).max(median - min) > 20.0 * range {
        let why = format!("from {} to {}, half of them within {}", short(min), short(max), short(range));
        (Way::RobustClipped, why)
    } else {
        (Way::Standardize, String::new())
    };
    if seen.infinite > 0 {
        let more = format!("{} infinite values count as missing", format::exact(seen.infinite));
        why = if why.is_empty() { more } else { format!("{why}; {more}") };
    }
    (Rule { way, fill }, why)
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 { format!("{value}") } else { format::decimal(value) }
}
