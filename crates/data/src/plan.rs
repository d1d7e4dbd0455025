use std::fmt;

/// What reading holds in memory at most, stage by stage; from [`Source::memory_plan`](crate::Source::memory_plan).
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, Source, SourceExt};
///
/// let rows = MemorySource::builder().reals("x", 1, vec![0.0_f32; 1000]).build()?;
/// let plan = rows.shuffle(500, 7)?.memory_plan();
/// assert_eq!(plan.total(), 6000);
/// assert_eq!(plan.to_string(), "\
/// memory    1000 rows            3.9 KiB
/// shuffle   window of 500 rows   2.0 KiB
/// in all                         5.9 KiB
/// ");
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPlan {
    stages: Vec<Stage>,
}

/// One stage of a [`MemoryPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is, such as `prefetch`.
    pub name: String,
    /// How it was planned, such as `4 batches of 1024 rows`.
    pub detail: String,
    /// Bytes that it holds at most.
    pub bytes: u64,
}

impl MemoryPlan {
    /// This plan with one more stage behind the others.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, detail: impl Into<String>, bytes: u64) -> Self {
        self.stages.push(Stage { name: name.into(), detail: detail.into(), bytes });
        self
    }

    /// The stages, from where rows come from to where they are used.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Bytes of all stages.
    pub fn total(&self) -> u64 {
        self.stages.iter().map(|stage| stage.bytes).fold(0, u64::saturating_add)
    }
}

/// A table of a line a stage.
impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Stage { name: "in all".into(), detail: String::new(), bytes: self.total() };
        let lines = || self.stages.iter().chain([&all]);
        let width = |of: fn(&Stage) -> String| lines().map(|stage| of(stage).chars().count()).max().unwrap_or(0);
        let name = width(|stage| stage.name.clone());
        let detail = width(|stage| stage.detail.clone());
        let bytes = width(|stage| size(stage.bytes));
        for stage in lines() {
            writeln!(f, "{:name$}   {:detail$}   {:>bytes$}", stage.name, stage.detail, size(stage.bytes))?;
        }
        Ok(())
    }
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    match unit {
        0 => format!("{bytes} bytes"),
        _ => {
            let unit = unit.min(units.len());
            format!("{:.1} {}", bytes as f64 / 1024_f64.powi(unit as i32), units[unit - 1])
        }
    }
}
