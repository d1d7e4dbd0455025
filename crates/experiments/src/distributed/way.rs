use serde::{Deserialize, Serialize};
use tidemill::collective::Collective;
use tidemill::data::SourceExt;
use tidemill::prelude::*;
use tidemill::strategies::{Adasum, AllReduce, Average, Compress, Compression, GradientSync};

/// One way to spread training over processors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Short, for file names.
    pub name: String,
    /// As readers see it.
    pub label: String,
    /// What it does, as a sentence.
    pub description: String,
    /// Processes.
    pub ranks: usize,
    /// Threads of each.
    pub threads: usize,
    /// What the processes tell each other.
    pub exchange: Exchange,
}

/// What ranks tell each other about a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Sums of gradients, to the last bit; each rank updates its share.
    Exact,
    /// The same, in parts of so many bytes that are begun while the rest is computed.
    Overlap(usize),
    /// Gradients in half precision.
    Half,
    /// The largest part of the gradients.
    TopK(f64),
    /// Signs of the gradients, after so many steps.
    OneBit(u64),
    /// By how much gradients agree.
    Adasum,
    /// Averages of parameters, every so many steps.
    Local(u64),
}

impl Exchange {
    fn sync(self) -> Box<dyn GradientSync<f32>> {
        match self {
            Self::Exact => Box::new(AllReduce),
            Self::Overlap(bytes) => Box::new(AllReduce.overlap(bytes)),
            Self::Half => Box::new(Compress::new(Compression::Half)),
            Self::TopK(part) => Box::new(Compress::new(Compression::TopK(part))),
            Self::OneBit(after) => Box::new(Compress::new(Compression::OneBit).after(after)),
            Self::Adasum => Box::new(Adasum::new()),
            Self::Local(steps) => Box::new(Average::every(steps)),
        }
    }
}

impl Way {
    /// How many of [`all`](Self::all) are compared where none is asked for.
    pub const USUAL: usize = 6;

    /// All ways, of so many processes or threads each but the first. Those beyond [`USUAL`](Self::USUAL) are compared
    /// where they are asked for.
    pub fn all(workers: usize) -> Vec<Self> {
        let way = |name: &str, label: String, description: &str, ranks, threads, exchange| Self {
            name: name.into(),
            label,
            description: description.into(),
            ranks,
            threads,
            exchange,
        };
        let ranks = |name: &str, label: &str, description: &str, exchange| {
            way(name, format!("{workers} ranks{label}"), description, workers, 1, exchange)
        };
        vec![
            way(
                "serial",
                "Serial".into(),
                "One process, one thread: what all others are measured by.",
                1,
                1,
                Exchange::Exact,
            ),
            way(
                "threads",
                format!("{workers} threads"),
                "One process; each batch is cut into shards, one for each thread.",
                1,
                workers,
                Exchange::Exact,
            ),
            ranks(
                "ranks",
                "",
                "Each rank computes on its part of every batch; gradients are summed in rank order, each rank updates its \
                 share of the parameters. The steps are those of one process.",
                Exchange::Exact,
            ),
            ranks(
                "local",
                ", local SGD",
                "Each rank takes eight steps on rows of its own, then all take the average of their parameters.",
                Exchange::Local(8),
            ),
            ranks(
                "half",
                ", half precision",
                "Gradients travel as 16-bit numbers; what rounding loses is added to the next gradient.",
                Exchange::Half,
            ),
            ranks(
                "top",
                ", top 1 %",
                "The largest hundredth of each gradient travels; the rest is added to the next gradient.",
                Exchange::TopK(0.01),
            ),
            ranks(
                "overlap",
                ", begun early",
                "As ranks, but parts of 64 KiB of the gradient are begun to be summed while the rest is still computed.",
                Exchange::Overlap(64 << 10),
            ),
            ranks(
                "signs",
                ", signs",
                "The signs of the gradients travel, after 100 steps of whole gradients; what they lose is added to the next \
                 gradient.",
                Exchange::OneBit(100),
            ),
            ranks(
                "adasum",
                ", adasum",
                "Each rank computes on rows of its own; gradients that agree are averaged, others added.",
                Exchange::Adasum,
            ),
        ]
    }

    /// The trainer with the engine of this way; `agreed` must be the same on all ranks.
    pub fn engine(
        &self,
        trainer: Trainer<f32>,
        world: Box<dyn Collective>,
        agreed: &[(String, String)],
    ) -> Trainer<f32> {
        match (world.size(), self.threads) {
            (1, 1) => trainer,
            (1, threads) => trainer.engine(Auto::new(threads)),
            (_, 1) => trainer.engine(self.distributed(Distributed::new(world, Serial), agreed)),
            (_, threads) => trainer.engine(self.distributed(Distributed::new(world, Auto::new(threads)), agreed)),
        }
    }

    fn distributed<E>(
        &self,
        engine: Distributed<E>,
        agreed: &[(String, String)],
    ) -> Distributed<E, Box<dyn GradientSync<f32>>> {
        let engine = agreed.iter().fold(engine, |engine, (what, text)| engine.agree_on(what, text));
        let engine = if self.has_own_rows() { engine } else { engine.share_rows() };
        engine.sync(self.exchange.sync())
    }

    /// Whether it is of one process.
    pub fn is_alone(&self) -> bool {
        self.ranks == 1
    }

    /// Whether each rank has rows of its own, rather than a part of every batch.
    fn has_own_rows(&self) -> bool {
        matches!(self.exchange, Exchange::Adasum | Exchange::Local(_))
    }

    /// The rows that this rank reads, and how many of them a step takes so that all ranks together take `batch_size`.
    ///
    /// # Errors
    ///
    /// When the rows cannot be shared out.
    pub fn rows(
        &self,
        rows: impl Source<f32> + 'static,
        batch_size: usize,
        (rank, ranks): (usize, usize),
    ) -> Result<(Box<dyn Source<f32>>, usize), tidemill::data::Error> {
        if ranks == 1 || !self.has_own_rows() {
            return Ok((rows.boxed(), batch_size));
        }
        Ok((rows.shard(rank as u64, ranks as u64)?.boxed(), batch_size.div_ceil(ranks)))
    }
}
