//! The record of a comparison: what was asked, on what machine, and what every run gave.
//!
//! Numbers that are not finite (a diverged loss, the AUC of one class) are `null` in JSON and NaN here.

mod number;
mod run;
mod setup;

use serde::{Deserialize, Serialize};

use crate::Error;
pub use run::{ModelState, Planned, Point, Run, Scores, Segment, ToTarget};
pub use setup::{Baseline, Data, Direction, Machine, Metric, Metrics, Setting, Settings, Strategy, Task, TaskKind};

/// The version of the format of `results.json`.
pub const VERSION: u32 = 1;

/// One comparison: several strategies over several seeds, on the same rows.
///
/// Runs may be added one by one: results with runs missing are valid and are reported as incomplete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the format, [`VERSION`].
    pub version: u32,
    /// Heading of the report.
    pub title: String,
    /// A warning that readers must see first, such as that the numbers are made up.
    #[serde(default)]
    pub notice: Option<String>,
    /// What is learnt.
    pub task: Task,
    /// From which rows.
    pub data: Data,
    /// Where it ran.
    pub machine: Machine,
    /// With which model and hyper-parameters.
    pub settings: Settings,
    /// What is measured.
    pub metrics: Metrics,
    /// What a prediction that learns nothing from the features scores.
    #[serde(default)]
    pub baseline: Option<Baseline>,
    /// The strategies compared, in the order of the tables; each is to run with every seed of the settings.
    pub strategies: Vec<Strategy>,
    /// The runs that finished, in any order.
    pub runs: Vec<Run>,
    /// Runs that gave nothing, and why.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// More on how it was measured, a sentence or two each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// When it started, in RFC 3339.
    pub started: String,
    /// How long the comparison has taken in all.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Whether nothing is left to run.
    pub complete: bool,
}

/// A run that gave no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Name of the strategy.
    pub strategy: String,
    /// Seed of the run.
    pub seed: u64,
    /// What went wrong, such as that the data does not fit the memory budget.
    pub reason: String,
}

impl Results {
    /// The text of `results.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] when serialization fails.
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads the text of `results.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Version`] when another version wrote it, [`Error::Json`] when the text is something else.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let Header { version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(Error::Version { found: version });
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The finished runs of a strategy, by name.
    pub fn runs_of<'a>(&'a self, strategy: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.strategy == strategy)
    }

    /// How many runs were asked for.
    pub fn planned(&self) -> usize {
        self.strategies.len() * self.settings.seeds.len()
    }

    /// The runs asked for that have no result, with the reason where it is known.
    pub fn missing(&self) -> Vec<Failure> {
        let pairs = self.strategies.iter().flat_map(|s| self.settings.seeds.iter().map(move |&seed| (&s.name, seed)));
        pairs
            .filter(|&(name, seed)| !self.runs_of(name).any(|run| run.seed == seed))
            .map(|(name, seed)| {
                let failure = self.failures.iter().find(|f| f.strategy == *name && f.seed == seed);
                failure.cloned().unwrap_or(Failure { strategy: name.clone(), seed, reason: "not run yet".into() })
            })
            .collect()
    }

    /// What a strategy is called in tables; its name when it is not listed.
    pub fn label<'a>(&'a self, strategy: &'a str) -> &'a str {
        self.strategies.iter().find(|s| s.name == strategy).map_or(strategy, |s| &s.label)
    }
}
