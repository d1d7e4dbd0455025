use anyhow::Result;
use serde_json::{Value, json};

/// One side's runs of a comparison, in turn with the other's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Rows a second of each run.
    pub rates: Vec<f64>,
    /// The line of each run.
    pub lines: Vec<Value>,
}

impl Side {
    /// The median rate; none without a run.
    pub fn median(&self) -> Option<f64> {
        median(&self.rates)
    }

    /// The most memory of any run, where runs tell it.
    pub fn peak(&self) -> Option<u64> {
        self.lines.iter().filter_map(|line| line["peak_rss_mb"].as_u64()).max()
    }

    fn push(&mut self, (line, rate): (Value, f64)) {
        self.rates.push(rate);
        self.lines.push(line);
    }
}

/// A peer in a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// The peer's name.
    pub name: &'static str,
    /// Its runs.
    pub runs: Side,
    /// Our run right before each of them.
    pub ours: Vec<f64>,
    /// Why it has no runs, or no more of them.
    pub trouble: Option<String>,
}

impl Rival {
    /// How many times as fast as the peer we are: the median over pairs of runs that followed each other.
    pub fn ratio(&self) -> Option<f64> {
        median(&self.ours.iter().zip(&self.runs.rates).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }
}

/// What one workload on some threads came to, here and with each peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// All our runs.
    pub ours: Side,
    /// The peers, in the order in which they were run.
    pub rivals: Vec<Rival>,
}

/// A run that came to nothing, and why.
pub type Trouble = String;

impl Comparison {
    /// Runs the two sides in turn: us, the first peer, us, the second, .., and that so many rounds. A peer that says why
    /// it cannot run is not asked again. Without peers, we alone.
    ///
    /// # Errors
    ///
    /// Those of our own runs.
    pub fn alternate(
        peers: &[(&'static str, Option<Trouble>)],
        rounds: usize,
        mut ours: impl FnMut() -> Result<(Value, f64)>,
        mut theirs: impl FnMut(&'static str) -> std::result::Result<(Value, f64), Trouble>,
    ) -> Result<Self> {
        let rival = |&(name, ref trouble): &(&'static str, Option<Trouble>)| Rival {
            name,
            runs: Side::default(),
            ours: Vec::new(),
            trouble: trouble.clone(),
        };
        let mut found = Self { ours: Side::default(), rivals: peers.iter().map(rival).collect() };
        for _ in 0..rounds {
            let mut alone = true;
            for rival in found.rivals.iter_mut().filter(|rival| rival.trouble.is_none()) {
                alone = false;
                let run = ours()?;
                match theirs(rival.name) {
                    Ok(theirs) => {
                        rival.ours.push(run.1);
                        rival.runs.push(theirs);
                    }
                    Err(trouble) => rival.trouble = Some(trouble),
                }
                found.ours.push(run);
            }
            if alone {
                found.ours.push(ours()?);
            }
        }
        Ok(found)
    }

    /// The peer of the greatest median rate.
    pub fn fastest(&self) -> Option<&Rival> {
        let rate = |rival: &Rival| rival.runs.median().unwrap_or(0.0);
        let ran = self.rivals.iter().filter(|rival| rival.runs.median().is_some());
        ran.max_by(|a, b| rate(a).total_cmp(&rate(b)))
    }

    /// As a line of JSON, under the workload's name, mode and threads.
    pub fn line(&self, workload: &str, mode: Option<&str>, threads: usize) -> Value {
        let side = |side: &Side| json!({"median": side.median().map(f64::round), "runs": side.rates});
        let with_peak = |mut value: Value, side: &Side| {
            if let Some(peak) = side.peak() {
                value["peak_rss_mb"] = peak.into();
            }
            value
        };
        let rivals = self.rivals.iter().map(|rival| {
            let mut value = with_peak(side(&rival.runs), &rival.runs);
            value["engine"] = rival.name.into();
            value["ratio"] = rival.ratio().map(hundredths).into();
            if let Some(trouble) = &rival.trouble {
                value["skipped"] = trouble.as_str().into();
            }
            value
        });
        let mut line = json!({
            "workload": workload,
            "threads": threads,
            "ours": with_peak(side(&self.ours), &self.ours),
            "peers": rivals.collect::<Vec<_>>(),
            "fastest": self.fastest().map(|rival| rival.name),
            "ratio": self.fastest().and_then(Rival::ratio).map(hundredths),
        });
        if let Some(mode) = mode {
            line["mode"] = mode.into();
        }
        line
    }
}

fn hundredths(value: f64) -> f64 {
    (100.0 * value).round() / 100.0
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted[low] + sorted[high]) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Plays given rates, and notes who was run.
    fn play(
        peers: &[(&'static str, Option<Trouble>)],
        rounds: usize,
        ours: &[f64],
        theirs: impl Fn(&str, usize) -> std::result::Result<f64, Trouble>,
    ) -> (Comparison, Vec<String>) {
        let order = RefCell::new(Vec::new());
        let run = |name: &str| {
            order.borrow_mut().push(name.to_owned());
            order.borrow().iter().filter(|ran| *ran == name).count() - 1
        };
        let found = Comparison::alternate(
            peers,
            rounds,
            || Ok((json!({}), ours[run("ours")])),
            |name| theirs(name, run(name)).map(|rate| (json!({"peak_rss_mb": rate as u64}), rate)),
        );
        (found.unwrap(), order.into_inner())
    }

    #[test]
    fn sides_are_run_in_turn_and_compared_pair_by_pair() {
        let rates =
            |name: &str, run: usize| Ok(if name == "a" { [10.0, 20.0, 40.0][run] } else { [50.0, 10.0, 20.0][run] });
        let ours = [20.0, 100.0, 60.0, 30.0, 40.0, 80.0];
        let (found, order) = play(&[("a", None), ("b", None)], 3, &ours, rates);
        assert_eq!(order.join(" "), "ours a ours b ours a ours b ours a ours b");
        assert_eq!(found.ours.rates, ours);
        let [a, b] = &found.rivals[..] else { panic!("two rivals") };
        assert_eq!((a.runs.median(), a.ratio()), (Some(20.0), Some(2.0)), "of 20/10, 60/20, 40/40");
        assert_eq!((b.runs.median(), b.ratio()), (Some(20.0), Some(3.0)), "of 100/50, 30/10, 80/20");
        assert_eq!((found.ours.median(), a.runs.peak()), (Some(50.0), Some(40)));
    }

    /// The ratio of the medians would be 5.
    #[test]
    fn a_machine_that_slows_down_does_not_change_the_ratio() {
        let (found, _) = play(&[("a", None)], 3, &[100.0, 50.0, 20.0], |_, run| Ok([50.0, 10.0, 10.0][run]));
        assert_eq!(found.rivals[0].ratio(), Some(2.0));
    }

    #[test]
    fn the_fastest_peer_is_that_of_the_greatest_median() {
        let rates =
            |name: &str, run: usize| Ok(if name == "slow" { [99.0, 1.0, 1.0][run] } else { [5.0, 6.0, 7.0][run] });
        let (found, _) = play(&[("slow", None), ("steady", None)], 3, &[12.0; 6], rates);
        assert_eq!(found.fastest().unwrap().name, "steady");
        let line = found.line("wide", None, 2);
        assert_eq!((&line["fastest"], &line["ratio"]), (&"steady".into(), &2.0.into()));
        assert_eq!((&line["workload"], &line["threads"]), (&"wide".into(), &2.into()));
        assert_eq!((&line["ours"]["median"], &line["peers"][1]["median"]), (&12.0.into(), &6.0.into()));
    }

    #[test]
    fn peers_that_cannot_run_are_named_and_not_asked_again() {
        let rates = |name: &str, run: usize| match (name, run) {
            ("breaks", 1) => Err("out of memory".to_owned()),
            _ => Ok(10.0),
        };
        let peers = [("missing", Some("package missing".to_owned())), ("breaks", None), ("works", None)];
        let (found, order) = play(&peers, 3, &[20.0; 6], rates);
        assert_eq!(order.join(" "), "ours breaks ours works ours breaks ours works ours works");
        let troubles: Vec<_> = found.rivals.iter().map(|rival| rival.trouble.as_deref()).collect();
        assert_eq!(troubles, [Some("package missing"), Some("out of memory"), None]);
        assert_eq!(found.rivals[1].ratio(), Some(2.0), "of the one pair that there was");
        let line = found.line("stream", Some("memory"), 1);
        assert_eq!((&line["peers"][0]["skipped"], &line["mode"]), (&"package missing".into(), &"memory".into()));
        assert!(line["peers"][0]["ratio"].is_null());
    }

    #[test]
    fn without_peers_we_run_alone() {
        let (found, order) = play(&[("missing", Some("no".into()))], 2, &[3.0, 5.0], |_, _| unreachable!("nobody"));
        assert_eq!(order, ["ours", "ours"]);
        assert_eq!((found.ours.median(), found.fastest()), (Some(4.0), None));
        assert!(found.line("seed", None, 1)["ratio"].is_null());
    }
}
