use std::collections::BTreeMap;

use crate::Error;

/// What callbacks remember, by name: a part of the state that is saved and restored with it.
#[derive(Clone, Debug, Default)]
pub struct CallbackMemory {
    named: BTreeMap<String, Remembered>,
    /// How often callbacks have been asked.
    round: u64,
    /// A name that two of them have given.
    clash: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Remembered {
    numbers: Vec<f64>,
    round: u64,
}

impl CallbackMemory {
    /// Remembers these numbers, in place of those of this name before.
    pub fn put(&mut self, name: &str, numbers: impl IntoIterator<Item = f64>) {
        if !self.named.contains_key(name) {
            self.named.insert(name.to_owned(), Remembered::default());
        }
        let Some(remembered) = self.named.get_mut(name) else { return };
        if self.round > 0 && remembered.round == self.round {
            self.clash = Some(name.to_owned());
        }
        remembered.round = self.round;
        remembered.numbers.clear();
        remembered.numbers.extend(numbers);
    }

    /// What is remembered by this name; `None` where nothing is, as in a training that begins.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.named.get(name).map(|remembered| &remembered.numbers[..])
    }

    /// All that is remembered, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.named.iter().map(|(name, remembered)| (name.as_str(), &remembered.numbers[..]))
    }

    pub(crate) fn clear(&mut self) {
        self.named.clear();
    }

    /// Asks callbacks anew.
    pub(crate) fn ask(&mut self, give: impl FnOnce(&mut Self)) -> Result<(), Error> {
        self.round += 1;
        give(self);
        match self.clash.take() {
            None => Ok(()),
            Some(name) => {
                Err(Error::setting("callbacks", format!("two of them remember {name}; give one another name")))
            }
        }
    }
}
