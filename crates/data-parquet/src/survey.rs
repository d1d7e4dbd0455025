//! Looking at every file once, to plan what is read.

use std::ops::Range;
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;
use tidemill_data::{Error, Predicate};
use tidemill_data_arrow::{Columns, Layout, Read};

use crate::damage::{DamageReport, OnDamage};
use crate::error::{FileError, Place};
use crate::fit::{Chunks, Cost, Fit, ROWS};
use crate::footer::{Footer, Statistics};
use crate::hive::Key;
use crate::input::Location;
use crate::lists::ListCost;
use crate::locate::Root;
use crate::outline::Outline;
use crate::pages::PageFile;
use crate::plan::{Group, KnownFile, Plan};
use crate::prune::{self, PassedOver};

/// Rows that are converted together where few are asked for, and bytes that they may take.
const STAGED: u64 = 256;
const STAGED_BYTES: u64 = 512 << 10;

/// A plan while it is made.
pub(crate) struct Survey<'a> {
    plan: Plan,
    /// Another plan of the same files: row groups that it has not are not read.
    among: Option<&'a Plan>,
    /// Bytes that rows converted together take.
    staged: u64,
    /// Rows of the files so far, whether or not they are read.
    rows: u64,
    /// The most that is needed beyond the budget.
    short: Option<Need>,
}

struct Need {
    bytes: u64,
    place: Place,
}

/// A file that is looked at.
struct Surveyed {
    footer: Footer,
    roots: Vec<Root>,
    columns: Vec<Cost>,
    pages: PageFile,
}

impl Plan {
    /// Opens every file once.
    pub(crate) fn new(
        files: Vec<Location>,
        columns: Columns,
        budget: u64,
        threads: usize,
        on_damage: OnDamage,
        condition: Option<&Predicate>,
        among: Option<&Self>,
    ) -> Result<Self, Error> {
        let layout = begin(&files, columns, budget, on_damage)?;
        Survey::of(files, layout, budget, threads, on_damage, condition, among)
    }
}

/// Finds the columns in the first file, or the first that is not broken where others are left out. Whether any are null
/// is for the row groups of all files to say.
fn begin(files: &[Location], columns: Columns, budget: u64, on_damage: OnDamage) -> Result<Layout, Error> {
    let mut files = files.iter();
    let footer = loop {
        let file = files.next().ok_or_else(|| Error::invalid("files", "none of them can be opened as Parquet"))?;
        match open(file, budget, on_damage) {
            Ok((footer, _)) => break footer,
            Err(error) if files.len() == 0 => return Err(error),
            Err(error) => on_damage.excuse(error, None)?,
        };
    };
    let mut layout = Layout::begin(columns, &footer.path().display().to_string(), &footer.table)?;
    for read in 0..layout.reads().len() {
        layout.set_nullable(read, false);
    }
    Ok(layout)
}

/// Opens a file. Where it may be left out as a whole, whatever could be a reason comes before its types count.
fn open(file: &Location, budget: u64, on_damage: OnDamage) -> Result<(Footer, Outline), Error> {
    let (footer, outline) = Footer::open(file, budget)?;
    if on_damage == OnDamage::Skip {
        let group = |(index, bytes)| footer.group(index, bytes, Statistics::Skip);
        let rows = |metadata: Arc<ParquetMetaData>| metadata.row_group(0).num_rows().unsigned_abs();
        let counted =
            outline.groups.iter().enumerate().map(group).try_fold(0u64, |sum, one| Ok(sum.saturating_add(rows(one?))));
        // What is not known of some row group is not held against the others.
        if let Ok::<_, FileError>(counted) = counted {
            footer.check_rows(counted)?;
        }
    }
    Ok((footer, outline))
}

impl<'a> Survey<'a> {
    /// The plan for files of which the columns are known.
    pub(crate) fn of(
        files: Vec<Location>,
        layout: Layout,
        budget: u64,
        threads: usize,
        on_damage: OnDamage,
        condition: Option<&Predicate>,
        among: Option<&'a Plan>,
    ) -> Result<Plan, Error> {
        let row = layout.row_bytes();
        let plan = Plan {
            files: Vec::new(),
            layout,
            groups: Vec::new(),
            rows: 0,
            cut: None,
            budget,
            condition: condition.cloned(),
            passed_over: PassedOver::default(),
            threads,
            staged: row.map_or(0, |row| (STAGED_BYTES / row.max(1)).min(STAGED) as usize),
            on_damage,
            damage: DamageReport::default(),
            #[cfg(test)]
            arrow_alone: false,
        };
        let staged = row.unwrap_or(0).saturating_mul(2 * plan.staged as u64);
        let mut survey = Self { plan, among, staged, rows: 0, short: None };
        for file in files {
            survey.add(&file)?;
        }
        survey.end()
    }

    fn end(self) -> Result<Plan, Error> {
        let Self { mut plan, short, .. } = self;
        plan.layout.end()?;
        if plan.layout.row_bytes().is_none() {
            plan.staged = 0;
        }
        match short {
            None => Ok(plan),
            Some(Need { bytes, place }) => Err(over_budget(&place, bytes, plan.budget)),
        }
    }

    /// Adds a file, or what was wrong with it where that is left out.
    fn add(&mut self, file: &Location) -> Result<(), Error> {
        match open(file, self.plan.budget, self.plan.on_damage) {
            Ok((footer, outline)) => self.add_file(footer, outline),
            Err(error) => {
                self.plan.damage.add(self.plan.on_damage.excuse(error, None)?);
                Ok(())
            }
        }
    }

    fn add_file(&mut self, footer: Footer, outline: Outline) -> Result<(), Error> {
        let plan = &mut self.plan;
        let places = plan.layout.join(&footer.path().display().to_string(), &footer.table)?;
        let roots: Vec<Root> = places.into_iter().map(|place| Root::new(place, &footer)).collect();
        let named = plan.layout.reads().iter().zip(&roots);
        let columns = named.flat_map(|(read, root)| Cost::of(read, root, &footer)).collect();
        let largest = plan.budget.max(ListCost::LARGEST_COUNTED);
        let pages = PageFile::new(footer.input.clone(), footer.length, largest);
        if outline.print.bytes > plan.budget {
            self.lacks(outline.print.bytes, Place::file(footer.path()));
        }
        let file = Surveyed { footer, roots, columns, pages };
        let (mut counted, mut known) = (0u64, true);
        for (index, bytes) in outline.groups.into_iter().enumerate() {
            let (result, rows) = match file.footer.group(index, &bytes, Statistics::Keep) {
                Ok(metadata) => {
                    let rows = metadata.row_group(0).num_rows().unsigned_abs();
                    let before = counted;
                    counted = counted.saturating_add(rows);
                    (self.add_group(&file, index, before, bytes, &metadata), Some(rows))
                }
                Err(error) => {
                    known = false;
                    (Err(error.into()), None)
                }
            };
            if let Err(error) = result {
                let damage = self.plan.on_damage.excuse(error, rows)?;
                // That of others was told by the plan that has not got them.
                if self.is_among(index) {
                    self.plan.damage.add(damage);
                }
            }
        }
        if known {
            file.footer.check_rows(counted)?;
        }
        let (location, before) = (file.footer.location, self.rows);
        self.plan.files.push(KnownFile { location, print: outline.print, list: outline.list, before });
        self.rows = before.saturating_add(counted);
        Ok(())
    }

    /// Adds a row group, unless it has no rows or none of them can meet the condition.
    fn add_group(
        &mut self,
        file: &Surveyed,
        index: usize,
        before: u64,
        bytes: Range<u64>,
        metadata: &ParquetMetaData,
    ) -> Result<(), Error> {
        let is_among = self.is_among(index);
        let plan = &mut self.plan;
        let group = metadata.row_group(0);
        let rows = group.num_rows().unsigned_abs();
        let nulls = |(read, root): (&Read, &Root)| {
            let nulls = root.check(group, file.footer.length);
            nulls.map_err(|problem| Place::column(file.footer.path(), index, &read.name).damaged(problem))
        };
        let nulls = plan.layout.reads().iter().zip(&file.roots).map(nulls).collect::<Result<Vec<_>, _>>()?;
        let nullable = nulls.into_iter().enumerate().filter(|(_, nullable)| *nullable);
        nullable.for_each(|(read, _)| plan.layout.set_nullable(read, true));
        if rows == 0 || !is_among {
            return Ok(());
        }
        if plan.condition.as_ref().is_some_and(|condition| !prune::may_match(condition, &file.footer, group)) {
            plan.passed_over.row_groups += 1;
            plan.passed_over.rows += rows;
            return Ok(());
        }
        // The schema is kept as it is in the file, and as it is decoded.
        let fixed = self.staged + 2 * (file.footer.head().memory_size() + metadata.memory_size()) as u64;
        let keys = file.roots.iter().filter(|root| root.key.is_some()).count() as u64;
        let fixed = fixed + file.footer.input.own_bytes() + keys * Key::ROW_BYTES * rows.min(ROWS);
        let (path, input) = (file.footer.path(), &file.footer.input);
        let chunks = Chunks { path, index, group, columns: &file.columns, input, budget: plan.budget };
        let Fit { batch, bytes: needed, ahead, read_ahead, in_turn } =
            chunks.fit(&file.pages, fixed, plan.threads as u64)?;
        let (place, batch, first, footer) = (plan.files.len(), batch as usize, plan.rows, bytes);
        plan.groups.push(Group {
            file: place,
            index,
            before,
            footer,
            first,
            rows,
            batch,
            bytes: needed,
            ahead,
            read_ahead,
            in_turn,
        });
        plan.rows = plan.rows.saturating_add(rows);
        if needed > plan.budget {
            self.lacks(needed, Place::group(file.footer.path(), index));
        }
        Ok(())
    }

    /// Whether a row group of the file that is looked at may be read.
    fn is_among(&self, index: usize) -> bool {
        self.among.is_none_or(|among| among.has(self.plan.files.len(), index))
    }

    fn lacks(&mut self, bytes: u64, place: Place) {
        if self.short.as_ref().is_none_or(|need| need.bytes < bytes) {
            self.short = Some(Need { bytes, place });
        }
    }
}

pub(crate) fn over_budget(place: &Place, needed: u64, budget: u64) -> Error {
    Error::Budget {
        what: format!("reading {place}"),
        needed,
        budget,
        advice: format!(
            "set a budget of {needed} bytes (`budget` of the builder), choose fewer columns, or write the file with smaller pages"
        ),
    }
}
