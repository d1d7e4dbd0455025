use serde::{Deserialize, Serialize};

use super::link::Link;
use super::rank::Found;
use super::way::Way;
use crate::results::Machine;

/// All that was measured; kept as `results.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// When it began.
    pub started: String,
    /// What it ran on.
    pub machine: Machine,
    /// Whether it was a short trial.
    pub quick: bool,
    /// The ways, in order.
    pub ways: Vec<Way>,
    /// What was trained on.
    pub tasks: Vec<Task>,
    /// Links that could not be made, and why.
    pub left_out: Vec<(Link, String)>,
    /// Seeds of each run.
    pub seeds: Vec<u64>,
    /// A line each.
    pub runs: Vec<Run>,
    /// Seconds of everything.
    pub seconds: f64,
}

/// Data and model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Short, for file names.
    pub name: String,
    /// As readers see it.
    pub title: String,
    /// The layers, as `28-256-256-1`.
    pub model: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Rows of a step, of all ranks together.
    pub batch_size: usize,
    /// Rows trained on in an epoch.
    pub rows: u64,
    /// What is minimised, and to where.
    pub target_loss: f64,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Name of the task.
    pub task: String,
    /// Name of the way.
    pub way: String,
    /// What lay between ranks; none where there is one rank.
    pub link: Option<Link>,
    /// Of initial parameters and order.
    pub seed: u64,
    /// What came of it, or why nothing did.
    pub found: Result<Found, String>,
}

/// Bytes of a parameter.
const WIDTH: f64 = 4.0;

impl Results {
    /// The runs of a way over a link; those of one rank know no link.
    pub fn of<'a>(&'a self, task: &'a str, way: &'a Way, link: Link) -> impl Iterator<Item = &'a Found> {
        let link = (way.ranks > 1).then_some(link);
        self.runs
            .iter()
            .filter(move |run| run.task == task && run.way == way.name && run.link == link)
            .filter_map(|run| run.found.as_ref().ok())
    }

    /// Links over which there are runs, the fastest first.
    pub fn links(&self) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        for link in self.runs.iter().filter_map(|run| run.link) {
            if !links.contains(&link) {
                links.push(link);
            }
        }
        links
    }

    /// Rows a second that one process makes.
    pub fn serial_rate(&self, task: &str) -> Option<f64> {
        let serial = self.ways.iter().find(|way| way.ranks == 1 && way.threads == 1)?;
        crate::summary::Spread::of(self.of(task, serial, Link::Memory).map(Found::rate)).map(|rate| rate.median)
    }
}

impl Found {
    /// Rows a second.
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

/// What efficiency to expect of ranks that share each batch, before anything is run.
///
/// A step of one process takes `step` seconds. Of `n` ranks each computes its `n`th, and then sends `sent` bytes
/// ([`sent_bytes`]) and gets as many, both ways at once, over a link of `rate` bytes a second:
///
/// efficiency = step / (n (step / n + sent / rate))
pub fn expected_efficiency(step: f64, ranks: usize, sent: f64, rate: f64) -> f64 {
    let n = ranks as f64;
    step / (n * (step / n + sent / rate))
}

/// The bytes that a rank sends in a step of this way, for so many parameters; of averages, the share of a step.
///
/// A sum takes 2 (n - 1) / n of the gradient (P. Patarasuk, X. Yuan, *Bandwidth optimal all-reduce algorithms for clusters
/// of workstations*, 2009); what cannot be added up under way goes from every rank to every other.
pub fn sent_bytes(way: &Way, parameters: u64) -> f64 {
    use super::way::Exchange;
    let (all, n) = (parameters as f64 * WIDTH, way.ranks as f64);
    let (summed, to_each) = (2.0 * (n - 1.0) / n, n - 1.0);
    match way.exchange {
        Exchange::Exact | Exchange::Overlap(_) => summed * all,
        Exchange::Local(steps) => summed * all / steps as f64,
        Exchange::Adasum => to_each * all,
        Exchange::Half => to_each * all / 2.0,
        // A value and its place.
        Exchange::TopK(part) => to_each * all * part * 2.0,
        Exchange::OneBit(_) => to_each * all / 32.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_without_limit_costs_nothing_and_a_slow_one_everything() {
        assert!((expected_efficiency(0.01, 2, 4e6, f64::INFINITY) - 1.0).abs() < 1e-12);
        // Half of 10 ms is computed, 4 MB at 1 Gbit/s take 32 ms.
        let slow = expected_efficiency(0.01, 2, 4e6, 125e6);
        assert!((slow - 0.01 / (2.0 * (0.005 + 0.032))).abs() < 1e-12, "{slow}");
    }

    #[test]
    fn what_is_gathered_grows_with_the_ranks_and_sums_do_not() {
        let way = |ranks, name: &str| Way::all(ranks).into_iter().find(|way| way.name == name).unwrap();
        let sent = |ranks, name| sent_bytes(&way(ranks, name), 1_000_000);
        assert_eq!([2, 4].map(|ranks| sent(ranks, "ranks")), [4e6, 6e6]);
        assert_eq!([2, 4].map(|ranks| sent(ranks, "local")), [0.5e6, 0.75e6]);
        assert_eq!([2, 4].map(|ranks| sent(ranks, "half")), [2e6, 6e6]);
        assert_eq!([2, 4].map(|ranks| sent(ranks, "top")), [8e4, 24e4]);
        assert_eq!([2, 4].map(|ranks| sent(ranks, "signs")), [125e3, 375e3]);
        assert_eq!([2, 4].map(|ranks| sent(ranks, "adasum")), [4e6, 12e6]);
    }
}
