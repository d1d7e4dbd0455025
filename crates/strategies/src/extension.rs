//! What a state holds beside the model, its optimizer and its scores: by name, some of it of each rank.

use std::collections::BTreeMap;

use tidemill_data::Cursor;

use crate::CallbackMemory;

#[derive(Clone, Debug)]
pub(crate) struct Extensions<T> {
    /// What callbacks remember; the same on all ranks.
    pub(crate) callbacks: CallbackMemory,
    /// Numbers that each rank keeps for itself, as they are saved and as they are found again: as many on each.
    pub(crate) ranks: BTreeMap<String, Vec<Vec<T>>>,
    /// Whole numbers of each rank, likewise.
    pub(crate) counts: BTreeMap<String, Vec<Vec<u64>>>,
    /// Why the state is not whole here, and cannot be saved or trained.
    pub(crate) incomplete: Option<&'static str>,
}

/// Other ranks hold what has not been gathered.
pub(crate) const ELSEWHERE: &str = "parts of it are with other ranks";
/// A rank was lost while parameters were exchanged.
pub(crate) const LOST: &str = "its parameters were being exchanged when a rank was lost";

/// Where each rank's source stands.
const CURSOR: &str = "cursor";

impl<T> Default for Extensions<T> {
    fn default() -> Self {
        let callbacks = CallbackMemory::default();
        Self { callbacks, ranks: BTreeMap::new(), counts: BTreeMap::new(), incomplete: None }
    }
}

impl<T> Extensions<T> {
    /// Forgets what ranks keep for themselves.
    pub(crate) fn forget_ranks(&mut self) {
        self.ranks.clear();
        self.counts.clear();
    }

    pub(crate) fn set_cursors(&mut self, cursors: Vec<Vec<u64>>) {
        self.counts.insert(CURSOR.into(), cursors);
    }

    /// Where the source of each rank with rows of its own stands; none where it is the state of one.
    pub(crate) fn cursors(&self) -> Result<Vec<Cursor>, String> {
        self.counts.get(CURSOR).into_iter().flatten().map(|words| cursor_of(words)).collect()
    }
}

/// A cursor as whole numbers.
pub(crate) fn words_of(cursor: Cursor) -> Vec<u64> {
    let value = serde_json::to_value(cursor).expect("whole numbers can be written");
    let (epoch, depth) = (value["epoch"].as_u64(), value["depth"].as_u64());
    let words = value["words"].as_array().expect("a cursor's integers").iter().map(serde_json::Value::as_u64);
    [epoch, depth].into_iter().chain(words).map(|word| word.expect("a whole number")).collect()
}

fn cursor_of(words: &[u64]) -> Result<Cursor, String> {
    let [epoch, depth, words @ ..] = words else { return Err(format!("a cursor of {words:?}")) };
    let value = serde_json::json!({ "epoch": epoch, "depth": depth, "words": words });
    serde_json::from_value(value).map_err(|error| format!("a cursor of its ranks: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_were() {
        for cursor in [Cursor::start(0), Cursor::start(7).push(3), Cursor::start(1).push(1 << 60).push(2)] {
            assert_eq!(cursor_of(&words_of(cursor)).unwrap(), cursor);
        }
        assert!(cursor_of(&[1]).is_err() && cursor_of(&[0, 9, 1]).is_err());
    }
}
