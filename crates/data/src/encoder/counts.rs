use std::cmp::Reverse;
use std::hash::Hash;

use super::categories::{Categories, Name, each_name};
use super::exact::Whole;
use super::hash::StableMap;
use super::screen::Rows;
use crate::{Column, Error, Kind};

/// Most different values of one column that are counted, where every one must be.
const EXACT_LIMIT: usize = 1 << 20;
/// Bytes of different texts that are held.
const TEXT_LIMIT: usize = 64 << 20;
/// Least of different values that are left when rare ones are dropped.
const CAPACITY: usize = 1 << 16;

/// How often each name was seen.
///
/// Where the most frequent are enough, memory is bounded as Misra and Gries do it: of too many names, the count of the
/// one after the last to be left is taken off all counts, and names without a count are dropped. Sums of such counts
/// are such counts again.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    texts: StableMap<Box<[u8]>, u64>,
    integers: StableMap<i128, u64>,
    /// Bytes of the texts.
    bytes: usize,
    /// Names that are left when rare ones are dropped; none are where every one is to be counted.
    capacity: Option<usize>,
    /// What was taken off each count at most.
    taken: u64,
    /// Most names that were there at once.
    most: usize,
}

impl Counts {
    /// For the most frequent `max` names, or for all.
    pub fn new(max: Option<u32>) -> Self {
        let capacity = max.map(|max| (max as usize).saturating_mul(16).clamp(CAPACITY, EXACT_LIMIT / 2));
        Self { texts: StableMap::default(), integers: StableMap::default(), bytes: 0, capacity, taken: 0, most: 0 }
    }

    pub fn observe(&mut self, column: &Column<f64>, rows: &Rows<'_>) -> Result<(), Error> {
        each_name(column, rows, |_, name| {
            match name {
                Some(Name::Text(text)) => match self.texts.get_mut(text) {
                    Some(count) => *count += 1,
                    None => {
                        self.bytes += text.len();
                        self.texts.insert(text.into(), 1);
                    }
                },
                Some(Name::Integer(integer)) => *self.integers.entry(integer).or_default() += 1,
                None => {}
            }
            Ok(())
        })?;
        self.drop_rare();
        Ok(())
    }

    pub fn merge(&mut self, other: Self) {
        for (text, count) in other.texts {
            self.bytes += text.len();
            match self.texts.entry(text) {
                std::collections::hash_map::Entry::Occupied(mut entry) => {
                    self.bytes -= entry.key().len();
                    *entry.get_mut() += count;
                }
                std::collections::hash_map::Entry::Vacant(entry) => drop(entry.insert(count)),
            }
        }
        other.integers.into_iter().for_each(|(integer, count)| *self.integers.entry(integer).or_default() += count);
        self.taken += other.taken;
        self.most = self.most.max(other.most);
        self.drop_rare();
    }

    /// Different names that were seen; at least that many where rare ones were dropped.
    pub fn distinct(&self) -> usize {
        self.most
    }

    /// How much too low a count may be.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// What is too much, where every name is to be counted.
    pub fn overflow(&self) -> Option<String> {
        if self.capacity.is_some() {
            return None;
        }
        let more = match () {
            () if self.most > EXACT_LIMIT => format!("{EXACT_LIMIT} categories"),
            () if self.bytes > TEXT_LIMIT => format!("{TEXT_LIMIT} bytes of different texts"),
            () => return None,
        };
        Some(format!("there are more than {more}; keep the most frequent by max_categories, or encode it by hash"))
    }

    /// The names of a raw column of that kind, sorted; the most frequent `max` of them.
    pub fn categories(&self, kind: &Kind, max: Option<u32>) -> Categories {
        let max = max.map_or(usize::MAX, |max| max as usize);
        if *kind == Kind::Text {
            let texts = most_frequent(&self.texts, max);
            Categories::Texts(texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
        } else {
            Categories::Integers(most_frequent(&self.integers, max).into_iter().map(Whole).collect())
        }
    }

    fn len(&self) -> usize {
        self.texts.len() + self.integers.len()
    }

    fn drop_rare(&mut self) {
        self.most = self.most.max(self.len());
        let Some(capacity) = self.capacity else { return };
        // Long texts are halved until they are not too long together.
        while self.len() > 2 * capacity || (self.bytes > TEXT_LIMIT && self.len() > 1) {
            let left = capacity.min(self.len() / 2);
            let mut counts: Vec<u64> = self.texts.values().chain(self.integers.values()).copied().collect();
            let (_, &mut next, _) = counts.select_nth_unstable_by_key(left, |&count| Reverse(count));
            let keep = |count: &mut u64| {
                *count = count.saturating_sub(next);
                *count > 0
            };
            self.integers.retain(|_, count| keep(count));
            self.texts.retain(|_, count| keep(count));
            self.bytes = self.texts.keys().map(|text| text.len()).sum();
            self.taken += next;
        }
    }
}

fn most_frequent<K: Ord + Hash + Clone>(counts: &StableMap<K, u64>, max: usize) -> Vec<K> {
    let mut entries: Vec<(&K, u64)> = counts.iter().map(|(name, &count)| (name, count)).collect();
    entries.sort_by_key(|&(name, count)| (Reverse(count), name));
    let mut names: Vec<K> = entries.into_iter().take(max).map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}
