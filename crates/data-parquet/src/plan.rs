//! What is to be read: files, row groups, and how many rows of each are decoded at a time.

use std::ops::Range;

use tidemill_data::{Error, Predicate};
use tidemill_data_arrow::Layout;

use crate::blocks::Cut;
use crate::damage::{Damage, DamageReport, OnDamage};
use crate::error::FileError;
use crate::input::Location;
use crate::outline::Fingerprint;
use crate::prune::PassedOver;
use crate::survey::Survey;

/// A row group that has rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Among the files.
    pub(crate) file: usize,
    /// Among the file's row groups.
    pub(crate) index: usize,
    /// Rows in front of it in its file, whether or not they are read.
    pub(crate) before: u64,
    /// Where the file's footer has it.
    pub(crate) footer: Range<u64>,
    /// Rows in front of it, in all files.
    pub(crate) first: u64,
    pub(crate) rows: u64,
    /// Rows that arrow decodes at a time.
    pub(crate) batch: usize,
    /// Bytes that reading it takes, and what comes to that while the first page of each column, or the one behind that
    /// in use, is decoded ahead.
    pub(crate) bytes: u64,
    pub(crate) ahead: u64,
    /// How far ahead each column is read where its bytes come from afar.
    pub(crate) read_ahead: u64,
    /// Whether columns of numbers are decoded one after the other: their pages are not in memory together.
    pub(crate) in_turn: bool,
}

impl Group {
    /// What it is known by: the file and its place in that.
    pub(crate) fn name(&self) -> (usize, usize) {
        (self.file, self.index)
    }
}

/// A file, and how it is known again.
#[derive(Debug)]
pub(crate) struct KnownFile {
    pub(crate) location: Location,
    pub(crate) print: Fingerprint,
    /// Where the footer has its row groups.
    pub(crate) list: Range<u64>,
    /// Rows of the files in front of it, whether or not they are read.
    pub(crate) before: u64,
}

/// All that is to be read, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) files: Vec<KnownFile>,
    pub(crate) layout: Layout,
    pub(crate) groups: Vec<Group>,
    pub(crate) rows: u64,
    /// How row groups are cut, where they are shuffled.
    pub(crate) cut: Option<Cut>,
    pub(crate) budget: u64,
    /// Row groups of which no row can meet it are not in the plan.
    pub(crate) condition: Option<Predicate>,
    pub(crate) passed_over: PassedOver,
    /// Threads that decode, with the one that asks for rows.
    pub(crate) threads: usize,
    /// Rows that are converted together where few are asked for; none where that could take any amount of memory.
    pub(crate) staged: usize,
    pub(crate) on_damage: OnDamage,
    /// What was left out.
    pub(crate) damage: DamageReport,
    /// Whether plain numbers are left to arrow too, for comparison.
    #[cfg(test)]
    pub(crate) arrow_alone: bool,
}

impl Plan {
    /// The place of the row group that a row is in, which must exist.
    pub(crate) fn group_of(&self, row: u64) -> usize {
        self.groups.partition_point(|group| group.first <= row) - 1
    }

    /// Whether plain numbers are read without arrow.
    pub(crate) fn reads_plain(&self) -> bool {
        #[cfg(test)]
        return !self.arrow_alone;
        #[cfg(not(test))]
        true
    }

    /// Whether pages of a row group may be decoded ahead while another, or the same, is read.
    pub(crate) fn reads_ahead(&self, read: usize, ahead: usize) -> bool {
        self.threads > 1 && self.groups[read].bytes.saturating_add(self.groups[ahead].ahead) <= self.budget
    }

    /// Bytes that reading takes at most, of the budget.
    pub(crate) fn reading_bytes(&self) -> u64 {
        let most = |of: fn(&Group) -> u64| self.groups.iter().map(of).max().unwrap_or(0);
        let (here, ahead) = (most(|group| group.bytes), most(|group| group.ahead));
        let ahead = if self.threads > 1 { ahead } else { 0 };
        let footers = self.files.iter().map(|file| file.print.bytes).max().unwrap_or(0);
        // Where there is no room for both, nothing is decoded ahead.
        here.saturating_add(ahead).min(self.budget).max(here).max(footers)
    }

    /// Bytes that are remembered of files, row groups and blocks, beside the budget.
    pub(crate) fn known_bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.location.memory_size()).sum::<usize>();
        let files = files + self.files.capacity() * size_of::<KnownFile>();
        let groups = self.groups.capacity() * size_of::<Group>();
        (files + groups + self.cut.as_ref().map_or(0, Cut::memory_size)) as u64
    }

    /// The same within another budget.
    pub(crate) fn within(&self, budget: u64) -> Result<Self, Error> {
        let files = self.files.iter().map(|file| file.location.clone()).collect();
        let condition = self.condition.as_ref();
        let layout = self.layout.clone();
        let mut plan = Survey::of(files, layout, budget, self.threads, self.on_damage, condition, Some(self))?;
        for (old, new) in self.files.iter().zip(&plan.files) {
            if old.print != new.print {
                let (path, problem) = (old.location.path.clone(), "its footer is another".into());
                return Err(FileError::Changed { path, problem }.into());
            }
        }
        if !plan.groups.iter().map(Group::name).eq(self.groups.iter().map(Group::name)) {
            let path = self.files.first().map(|file| file.location.path.clone()).unwrap_or_default();
            return Err(FileError::Changed { path, problem: "other row groups can be read than before".into() }.into());
        }
        plan.damage = self.damage.clone();
        plan.passed_over = self.passed_over;
        plan.cut = self.cut.clone();
        Ok(plan)
    }

    /// Whether a row group of a file is read.
    pub(crate) fn has(&self, file: usize, index: usize) -> bool {
        self.groups.binary_search_by_key(&(file, index), Group::name).is_ok()
    }

    /// Leaves two plans of the same files the row groups that both read, and one report. The other one was made among
    /// the row groups of this.
    pub(crate) fn join(&mut self, other: &mut Self) {
        self.retain(|group| other.has(group.file, group.index));
        self.damage.add_row_groups(&other.damage);
        other.damage = self.damage.clone();
        other.passed_over = self.passed_over;
    }

    /// Leaves out row groups, by their places.
    pub(crate) fn leave_out(&mut self, damaged: Vec<(usize, Damage)>) {
        let (mut place, mut next) = (0, damaged.iter().map(|(place, _)| *place).peekable());
        self.retain(|_| {
            place += 1;
            next.next_if_eq(&(place - 1)).is_none()
        });
        damaged.into_iter().for_each(|(_, damage)| self.damage.add(damage));
    }

    fn retain(&mut self, keep: impl FnMut(&Group) -> bool) {
        self.groups.retain(keep);
        self.rows = 0;
        for group in &mut self.groups {
            group.first = self.rows;
            self.rows += group.rows;
        }
    }
}
