use anyhow::{Result, bail, ensure};
use clap::Parser;

use crate::{Goal, Setup, Workload};

/// Measures training throughput: rows a second over whole epochs, after one to warm up.
///
/// Workloads: seed (10-10-1), mlp (784-512-512-10), wide (28-256-256-1); or any model with --dims.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub struct Options {
    /// seed, mlp or wide
    pub workload: Option<String>,
    /// A model of one's own instead: inputs, then the outputs of each layer
    #[arg(long, value_delimiter = ',', value_name = "I,H,..,O")]
    pub dims: Option<Vec<usize>>,
    /// With --dims: rows a step
    #[arg(long, value_name = "ROWS")]
    pub batch: Option<usize>,
    /// With --dims: what the outputs are compared with
    #[arg(long)]
    pub loss: Option<Goal>,
    /// With --dims: rows of an epoch; 100 batches unless given
    #[arg(long)]
    pub rows: Option<usize>,
    /// Threads to train on
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Shards to cut each batch into; as many as threads unless given
    #[arg(long)]
    pub shards: Option<usize>,
    /// How often to take the time; the median counts
    #[arg(long, default_value_t = 5)]
    pub repeats: usize,
    /// Epochs each time
    #[arg(long, default_value_t = 1)]
    pub epochs: usize,
    /// Print one line of JSON and nothing else
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// What to train, and how.
    ///
    /// # Errors
    ///
    /// When the options do not say that, or what they say is impossible.
    pub fn resolve(&self) -> Result<(Workload, Setup)> {
        let workload = self.workload()?;
        let setup = Setup { threads: self.threads, shards: self.shards, repeats: self.repeats, epochs: self.epochs };
        setup.check(&workload)?;
        Ok((workload, setup))
    }

    fn workload(&self) -> Result<Workload> {
        match (&self.workload, &self.dims) {
            (Some(name), Some(_)) => {
                bail!("--dims describes a workload of one's own, {name} has a model; give one of them")
            }
            (Some(name), None) => {
                let own = self.batch.is_some() || self.loss.is_some() || self.rows.is_some();
                ensure!(!own, "--batch, --loss and --rows go with --dims; {name} has its own");
                name.parse()
            }
            (None, Some(dims)) => self.own(dims),
            (None, None) => bail!("which workload? One of {}, or --dims for one's own", Workload::names()),
        }
    }

    fn own(&self, dims: &[usize]) -> Result<Workload> {
        let (Some(batch), Some(loss)) = (self.batch, self.loss) else {
            bail!("--dims needs --batch and --loss, such as --dims 50,300,200,5 --batch 200 --loss ce");
        };
        let name: Vec<String> = dims.iter().map(usize::to_string).collect();
        let rows = self.rows.unwrap_or(batch.saturating_mul(100));
        Workload::new(name.join("-"), dims.to_vec(), loss, batch, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(Workload, Setup)> {
        Options::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))?.resolve()
    }

    fn check_error(line: &str, expected: &str) {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }

    #[test]
    fn names_and_options_are_understood() {
        let (workload, setup) = parse("mlp --threads 2 --json").unwrap();
        assert_eq!(workload, "mlp".parse().unwrap());
        assert_eq!(setup, Setup { threads: 2, ..Setup::default() });
        let (_, setup) = parse("seed --shards 4 --repeats 3 --epochs 2").unwrap();
        assert_eq!(setup, Setup { threads: 1, shards: Some(4), repeats: 3, epochs: 2 });
        assert_eq!(parse("wide").unwrap().1, Setup::default());
    }

    #[test]
    fn a_model_of_ones_own_is_understood() {
        let (workload, _) = parse("--dims 50,300,200,5 --batch 200 --loss ce").unwrap();
        let dims = vec![50, 300, 200, 5];
        let expected = Workload { name: "50-300-200-5".into(), dims, goal: Goal::Ce, batch_size: 200, rows: 20_000 };
        assert_eq!(workload, expected);
        assert_eq!(parse("--dims 5,1 --batch 20 --loss mse --rows 70").unwrap().0.rows, 60);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        check_error("", "which workload? One of seed, mlp, wide");
        check_error("cnn", "there is no workload \"cnn\", only seed, mlp, wide");
        check_error("mlp --dims 3,1", "give one of them");
        check_error("mlp --batch 64", "mlp has its own");
        check_error("--dims 3,1 --batch 4", "--dims needs --batch and --loss");
        check_error("--dims 3,x --batch 4 --loss bce", "'x'");
        check_error("--dims 3,1 --batch 4 --loss hinge", "possible values: ce, bce, mse");
        check_error("--dims 3,1 --batch 4 --loss ce", "2 outputs or more");
        check_error("seed --threads 0", "threads: 0");
        check_error("seed --threads two", "'two'");
        check_error("seed --threads 33", "cannot be cut into 33 shards");
        check_error("seed --fast", "--fast");
    }
}
