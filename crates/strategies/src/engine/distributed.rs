use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_collective::Collective;

use super::joined::{Joined, Link, Settings, describe, lock, park};
use super::{Engine, RankRows, Running, group, is_coupled};
use crate::Error;
use crate::sync::{AllReduce, GradientSync};

/// Another engine on each of several ranks, whose gradients are added up before the one update.
///
/// Gradients travel as sums over rows, with the number of rows, and are divided once by the weight of all: ranks with
/// fewer rows, or none, need nothing special and bias nothing. An epoch ends when no rank has a row left. The first
/// rank's state is everybody's when a run begins; layout, settings and columns are compared before. Then all ranks hold
/// the same parameters after every step, to the bit, which is looked at from time to time.
///
/// Each rank computes on the rows that its own source gives ([`shard`](tidemill_data::SourceExt::shard)), and a step is
/// on all of them together; or on its share of the same rows ([`share_rows`](Distributed::share_rows)).
///
/// How they agree is a [`GradientSync`]: unless another is given, they add in their order ([`AllReduce`]), so that their
/// number changes the rounding of a sum, and nothing else does.
///
/// # Example
///
/// ```
/// use tidemill_collective::Threads;
/// # use tidemill_autograd::Program;
/// # use tidemill_data::MemorySource;
/// # use tidemill_layers::{Dense, Layer};
/// # use tidemill_losses::{Loss, MeanSquaredError};
/// # use tidemill_optim::sgd;
/// use tidemill_strategies::{Batch, Distributed, Serial, Trainer};
///
/// let train = |rank: Threads| {
///     # let program = Program::<f64>::build(|graph| {
///     #     let x = graph.input("x", &[1])?;
///     #     let y = Dense::new(1).apply(graph, x)?;
///     #     MeanSquaredError.apply(graph, y)
///     # })?;
///     # let mut rows = MemorySource::builder().reals("x", 1, vec![1.0, 2.0, 3.0]).target(vec![2.0, 4.0, 6.0]).build()?;
///     let trainer = Trainer::new(program, sgd(0.1))?.engine(Distributed::new(rank, Serial).share_rows());
///     let mut state = trainer.start(7);
///     trainer.run(&Batch::new(50), &mut state, &mut rows, &mut ())?;
///     Ok::<_, tidemill_strategies::Error>(state.params)
/// };
/// let params = std::thread::scope(|scope| {
///     let ranks: Vec<_> = Threads::world(2).into_iter().map(|rank| scope.spawn(|| train(rank))).collect();
///     ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Result<Vec<_>, _>>()
/// })?;
/// assert_eq!(params[0], params[1]);
/// # Ok::<(), tidemill_strategies::Error>(())
/// ```
pub struct Distributed<E, S = AllReduce> {
    link: Link<S>,
    inner: E,
    settings: Settings,
}

impl<E> Distributed<E> {
    /// Each rank computes with `inner` on the rows of its own source.
    pub fn new(collective: impl Collective + 'static, inner: E) -> Self {
        let settings = Settings {
            rank: collective.rank(),
            size: collective.size(),
            rows: RankRows::Own,
            compare_every: 1000,
            agreed: Vec::new(),
        };
        Self { link: park(Box::new(collective), AllReduce), inner, settings }
    }

    /// Ranks agree on steps by this, rather than by whole sums in rank order.
    ///
    /// It is one value, given once: ways to agree that go together are composed, such as
    /// `Compress::new(kind).overlap(bytes).after(steps)`.
    ///
    /// ```compile_fail
    /// use tidemill_strategies::{Average, Distributed, FastAllReduce, Serial};
    ///
    /// let _ = Distributed::new(tidemill_collective::Solo, Serial).sync(FastAllReduce).sync(Average::every(8));
    /// ```
    ///
    /// # Panics
    ///
    /// While a run has the ranks.
    #[must_use]
    pub fn sync<S>(self, sync: S) -> Distributed<E, S> {
        let held = lock(&self.link).held.take();
        let (collective, _) = held.expect("a setting is made before a run begins");
        Distributed { link: park(collective, sync), inner: self.inner, settings: self.settings }
    }
}

impl<E, S> Distributed<E, S> {
    /// The sources of all ranks give the same rows; of each step's, every rank computes on its share. Then the result
    /// is that of one process with the same batch size, up to rounding, on any number of ranks; but each reads all rows.
    #[must_use]
    pub fn share_rows(mut self) -> Self {
        self.settings.rows = RankRows::Shared;
        self
    }

    /// Compares the parameters of all ranks every so many steps (zero: never) rather than every 1000.
    #[must_use]
    pub fn compare_every(mut self, steps: u64) -> Self {
        self.settings.compare_every = steps;
        self
    }

    /// Something that must be the same on all ranks, such as a configuration or the fingerprint of data: it is compared
    /// before each run.
    #[must_use]
    pub fn agree_on(mut self, what: impl Into<String>, text: impl Into<String>) -> Self {
        self.settings.agreed.push((what.into(), text.into()));
        self
    }
}

impl<T: Scalar, E: Engine<T>, S: GradientSync<T> + 'static> Engine<T> for Distributed<E, S> {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        let settings = &self.settings;
        let rows = match settings.rows {
            RankRows::Own => rows,
            RankRows::Shared => match group(program) {
                None if settings.size > 1 => return Err(Error::setting("distributed", is_coupled(program))),
                None => rows,
                Some(group) => rows.div_ceil(group).div_ceil(settings.size) * group,
            },
        };
        let mut inner = self.inner.start(program, rows)?;
        if inner.ranks().is_some() {
            return Err(Error::setting("distributed", "the engine inside is distributed itself"));
        }
        if inner.takes_steps() {
            let problem = "the engine inside takes steps of its own, and has no gradient to add up";
            return Err(Error::setting("distributed", problem));
        }
        let mut parked = lock(&self.link);
        let Some((collective, sync)) = parked.held.take() else {
            return Err(Error::setting("distributed", "another run has these workers; they do one at a time"));
        };
        parked.sync = sync.describe();
        drop(parked);
        Ok(Box::new(Joined::new(&self.link, (collective, sync), inner, settings.clone(), program)))
    }

    fn describe(&self) -> String {
        let parked = lock(&self.link);
        let sync = parked.held.as_ref().map_or_else(|| parked.sync.clone(), |(_, sync)| sync.describe());
        describe(&self.settings, &sync, &self.inner.describe())
    }

    fn updates_rows(&self) -> bool {
        self.inner.updates_rows()
    }

    fn ranks(&self) -> usize {
        self.settings.size
    }

    fn rank(&self) -> usize {
        self.settings.rank
    }

    fn abandon(&self, why: &str) {
        if let Some((collective, _)) = &mut lock(&self.link).held {
            collective.abandon(why);
        }
    }
}
