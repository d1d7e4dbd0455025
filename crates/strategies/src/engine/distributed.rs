use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Program, Write};
use tidemill_collective::{Collective, Error as Lost, Values, share};
use tidemill_optim::Optimizer;

use super::adasum::Adasum;
use super::compress::{Compression, Compressor};
use super::{
    AgreeStep, Arenas, Engine, InParts, Memory, Outputs, RankRows, Ranks, Running, Task, Updated, group, is_coupled,
};
use crate::timeline::{Activity, timed};
use crate::{Error, Sums, Timeline};

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
/// Ranks add in their order, so their number changes the rounding of a sum, and nothing else does.
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
///
/// # References
///
/// A. Sergeev, M. Del Balso, *Horovod: fast and easy distributed deep learning in TensorFlow*, 2018. S. Rajbhandari et
/// al., *ZeRO: memory optimizations toward training trillion parameter models*, 2020 (each rank updates its share).
/// S. Li et al., *PyTorch distributed: experiences on accelerating data parallel training*, 2020 (buckets).
#[derive(Clone, Debug)]
pub struct Distributed<E> {
    link: Link,
    inner: E,
    settings: Settings,
}

/// Where the way to the other ranks is while no run has it.
type Link = Arc<Mutex<Option<Box<dyn Collective>>>>;

#[derive(Clone, Debug)]
struct Settings {
    rank: usize,
    size: usize,
    rows: RankRows,
    exchange: Exchange,
    compare_every: u64,
    agreed: Vec<(String, String)>,
    /// The methods that have chosen how ranks agree: one at most.
    chosen: Vec<&'static str>,
}

impl Settings {
    fn choose(&mut self, method: &'static str, exchange: Exchange) {
        self.chosen.push(method);
        self.exchange = exchange;
    }
}

/// How gradients are added up across ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Exchange {
    /// Each rank adds up and updates its share, and all get the parameters.
    Shares,
    /// In the order that is fastest; each rank updates everything.
    Fast,
    /// InParts of so many bytes, each from when it is whole.
    Overlapping(usize),
    /// Messages smaller than gradients, from this step on.
    Compressed(Compression, u64),
    /// By how much they agree.
    Adasum,
    /// Not at all: every so many steps from this one on, parameters are averaged.
    Local(LocalSteps),
}

/// When ranks train apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalSteps {
    /// Steps between averages.
    pub(crate) every: u64,
    /// The step from which on they do.
    pub(crate) after: u64,
}

impl<E> Distributed<E> {
    /// Each rank computes with `inner` on the rows of its own source.
    pub fn new(collective: impl Collective + 'static, inner: E) -> Self {
        let settings = Settings {
            rank: collective.rank(),
            size: collective.size(),
            rows: RankRows::Own,
            exchange: Exchange::Shares,
            compare_every: 1000,
            agreed: Vec::new(),
            chosen: Vec::new(),
        };
        Self { link: Arc::new(Mutex::new(Some(Box::new(collective)))), inner, settings }
    }

    /// The sources of all ranks give the same rows; of each step's, every rank computes on its share. Then the result
    /// is that of one process with the same batch size, up to rounding, on any number of ranks; but each reads all rows.
    #[must_use]
    pub fn share_rows(mut self) -> Self {
        self.settings.rows = RankRows::Shared;
        self
    }

    /// Adds gradients up in whatever order is fastest: possibly to other bits in another world, though the same on all
    /// ranks. Each rank then updates all parameters.
    #[must_use]
    pub fn fast_sums(mut self) -> Self {
        self.settings.choose("fast_sums", Exchange::Fast);
        self
    }

    /// Begins to add up parts of the gradient, of at least so many bytes, as soon as they are whole, from the end of the
    /// arena, while the rest is still computed. The result is the same to the bit. Each rank then updates all parameters.
    ///
    /// It pays where messages take long and processors are not all busy: over a network.
    #[must_use]
    pub fn overlap(mut self, bytes: usize) -> Self {
        self.settings.choose("overlap", Exchange::Overlapping(bytes));
        self
    }

    /// Sends less than whole gradients, see [`Compression`].
    #[must_use]
    pub fn compress(self, compression: Compression) -> Self {
        self.compress_after(0, compression)
    }

    /// Sends whole gradients in the first steps, and then less, see [`Compression`].
    #[must_use]
    pub fn compress_after(mut self, steps: u64, compression: Compression) -> Self {
        self.settings.choose("compress", Exchange::Compressed(compression, steps));
        self
    }

    /// Combines mean gradients by how much they agree, parameter by parameter: those that point the same way are
    /// averaged, those at right angles added. Two ranks so go further in a step than one, where that is safe, and not the
    /// way that one process would go. Every rank gets every other's whole gradient.
    ///
    /// S. Maleki et al., *Scaling distributed training with adaptive summation*, 2020.
    #[must_use]
    pub fn adasum(mut self) -> Self {
        self.settings.choose("adasum", Exchange::Adasum);
        self
    }

    /// Local SGD: each rank takes `steps` steps on its own, then all take the average of their parameters, weighted by
    /// the rows that each has trained on since; so a message in `steps` steps. The optimizer's memory stays each rank's
    /// own. It is not what one process would come to; how far from that grows with `steps` and the learning rate.
    ///
    /// Each rank must have rows of its own. Scores, checkpoints and stops are at averages alone.
    ///
    /// S. U. Stich, *Local SGD converges fast and communicates little*, 2019.
    #[must_use]
    pub fn average_every(self, steps: u64) -> Self {
        self.average_every_after(0, steps)
    }

    /// Post-local SGD: whole gradients in the first `first` steps, then [`average_every`](Distributed::average_every).
    ///
    /// T. Lin et al., *Don't use large mini-batches, use local SGD*, 2020.
    #[must_use]
    pub fn average_every_after(mut self, first: u64, steps: u64) -> Self {
        self.settings.choose("average_every", Exchange::Local(LocalSteps { every: steps, after: first }));
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

impl<T: Scalar, E: Engine<T>> Engine<T> for Distributed<E> {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        let settings = &self.settings;
        if let [first, second, ..] = settings.chosen[..] {
            let problem = format!("{first} and {second} are two ways for ranks to agree; choose one");
            return Err(Error::setting("distributed", problem));
        }
        let rows = match settings.rows {
            RankRows::Own => rows,
            RankRows::Shared => match group(program) {
                None if settings.size > 1 => return Err(Error::setting("distributed", is_coupled(program))),
                None => rows,
                Some(group) => rows.div_ceil(group).div_ceil(settings.size) * group,
            },
        };
        match settings.exchange {
            Exchange::Local(_) if settings.rows == RankRows::Shared => {
                return Err(Error::setting("distributed", "ranks that train apart need rows of their own"));
            }
            Exchange::Local(LocalSteps { every: 0, .. }) => {
                return Err(Error::setting("distributed", "averages every 0 steps; expected 1 or more"));
            }
            Exchange::Compressed(Compression::TopK(fraction), _) if !(fraction > 0.0 && fraction <= 1.0) => {
                let problem = format!("the largest {fraction} of a gradient; expected a fraction above 0, up to 1");
                return Err(Error::setting("distributed", problem));
            }
            _ => {}
        }
        let mut inner = self.inner.start(program, rows)?;
        if inner.ranks().is_some() {
            return Err(Error::setting("distributed", "the engine inside is distributed itself"));
        }
        if inner.takes_steps() {
            let problem = "the engine inside takes steps of its own, and has no gradient to add up";
            return Err(Error::setting("distributed", problem));
        }
        let collective = self.link.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(collective) = collective else {
            return Err(Error::setting("distributed", "another run has these workers; they do one at a time"));
        };
        let compressor = match settings.exchange {
            Exchange::Compressed(kind, _) => Some(Compressor::new(kind, &program.layout().trainable())),
            _ => None,
        };
        let adasum =
            (settings.exchange == Exchange::Adasum).then(|| Adasum::new(&program.layout().trainable(), settings.size));
        Ok(Box::new(Joined {
            compressor,
            adasum,
            own_weight: 0.0,
            measures: false,
            is_mean: false,
            is_share: false,
            collective: Some(collective),
            link: Arc::clone(&self.link),
            inner,
            settings: settings.clone(),
            begun: Vec::new(),
            failed: None,
            trained: program.layout().trainable_len(),
        }))
    }

    fn describe(&self) -> String {
        describe(&self.settings, &self.inner.describe())
    }

    fn ranks(&self) -> usize {
        self.settings.size
    }

    fn rank(&self) -> usize {
        self.settings.rank
    }

    fn abandon(&self, why: &str) {
        if let Some(collective) = &mut *self.link.lock().unwrap_or_else(PoisonError::into_inner) {
            collective.abandon(why);
        }
    }
}

fn describe(settings: &Settings, inner: &str) -> String {
    let from = |step: u64| if step == 0 { String::new() } else { format!(" from step {step} on") };
    let rows = match settings.rows {
        RankRows::Own => "",
        RankRows::Shared => " that share rows",
    };
    let how = match settings.exchange {
        Exchange::Shares => String::new(),
        Exchange::Fast => ", sums in any order".into(),
        Exchange::Overlapping(bytes) => format!(", sums of {bytes} bytes begun early"),
        Exchange::Compressed(compression, after) => {
            let what = match compression {
                Compression::Half => "half precision".into(),
                Compression::TopK(fraction) => format!("the largest {fraction} of gradients"),
                Compression::OneBit => "signs".into(),
            };
            format!(", sending {what}{}", from(after))
        }
        Exchange::Adasum => ", adasum".into(),
        Exchange::Local(LocalSteps { every, after }) => format!(", averaged every {every} steps{}", from(after)),
    };
    format!("{} ranks{rows}{how}, each {inner}", settings.size)
}

/// Fewer parameters than this each rank updates itself: one message less.
const WORTH_SHARING: usize = 4096;

struct Joined<T> {
    /// Where gradients end in their arena, and what buffers get begins.
    trained: usize,
    /// Until this is dropped.
    collective: Option<Box<dyn Collective>>,
    link: Link,
    inner: Box<dyn Running<T>>,
    settings: Settings,
    /// InParts of the gradient whose sums have begun, in that order.
    begun: Vec<Range<usize>>,
    /// Why a sum could not begin.
    failed: Option<Lost>,
    compressor: Option<Compressor>,
    adasum: Option<Adasum<T>>,
    /// Weight of the rows of the last gradient.
    own_weight: f64,
    /// Whether the optimizer looks at the whole gradient first.
    measures: bool,
    /// Whether the gradient that ranks have agreed on is a mean already.
    is_mean: bool,
    /// Whether it is whole in this rank's share only.
    is_share: bool,
}

impl<T: Scalar> Joined<T> {
    /// How gradients are added up in a step.
    fn exchange(&self, step: u64) -> Exchange {
        match self.settings.exchange {
            Exchange::Compressed(_, after) if step < after => Exchange::Shares,
            Exchange::Local(LocalSteps { after, .. }) if step < after => Exchange::Shares,
            exchange => exchange,
        }
    }

    /// Whether each rank updates its share of so many parameters.
    fn shares(&self, params: usize) -> bool {
        let is_shared = matches!(self.settings.exchange, Exchange::Shares);
        is_shared && !self.measures && params >= WORTH_SHARING && self.settings.size > 1
    }

    /// Ends the sums that have begun.
    fn end(&mut self, gradients: &mut [T]) -> Result<(), Lost> {
        let collective = self.collective.as_mut().expect("the run is on");
        for range in self.begun.drain(..) {
            collective.end_sum(Values::of(&mut gradients[range]))?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl<T: Scalar> Running<T> for Joined<T> {
    fn describe(&self) -> String {
        describe(&self.settings, &self.inner.describe())
    }

    fn prepare(&mut self, optimizer: &Arc<Optimizer<T>>) -> Result<(), Error> {
        self.measures = optimizer.phases().iter().any(|phase| phase.blocks() > 0);
        self.inner.prepare(optimizer)
    }

    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        let Exchange::Overlapping(bytes) = self.settings.exchange else {
            let sums = self.inner.gradient(task, gradients, write, outputs);
            self.own_weight = sums.weight;
            return sums;
        };
        // Of a step that was not taken after all.
        self.failed = self.end(gradients).err();
        let Self { collective, begun, failed, .. } = self;
        let collective = collective.as_mut().expect("the run is on");
        let mut whole = |range: Range<usize>, part: &mut [T]| {
            if failed.is_none() && !range.is_empty() {
                match collective.begin_sum(Values::of(part)) {
                    Ok(()) => begun.push(range),
                    Err(lost) => *failed = Some(lost),
                }
            }
        };
        let mut parts = InParts { end: self.trained, least: bytes.div_ceil(size_of::<T>()), whole: &mut whole };
        self.inner.gradient_in_parts(task, gradients, write, outputs, &mut parts)
    }

    fn reduce(&mut self, gradients: &mut [T]) {
        self.inner.reduce(gradients);
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        self.inner.evaluate(task, outputs)
    }

    fn agree(&mut self, gradients: &mut [T], step: &mut AgreeStep<'_, T>) -> Result<(), Lost> {
        let exchange = self.exchange(step.number);
        if !matches!(exchange, Exchange::Overlapping(_) | Exchange::Local(_)) {
            self.inner.reduce(gradients);
        }
        self.is_mean = exchange == Exchange::Adasum;
        self.is_share = exchange == Exchange::Shares && self.shares(gradients.len());
        let AgreeStep { feedback, timeline, .. } = step;
        let timed = |work: &mut dyn FnMut() -> Result<(), Lost>| timed(*timeline, Activity::Sum, work);
        let collective = self.collective.as_mut().expect("the run is on");
        match exchange {
            Exchange::Local(_) => Ok(()),
            Exchange::Overlapping(_) => timed(&mut || self.end(gradients)),
            Exchange::Fast => timed(&mut || collective.fast_sum(Values::of(gradients))),
            Exchange::Compressed(..) => {
                let compressor = self.compressor.as_mut().expect("made when the run began");
                timed(&mut || compressor.exchange(collective, gradients, feedback))
            }
            Exchange::Adasum => {
                let adasum = self.adasum.as_mut().expect("made when the run began");
                timed(&mut || adasum.exchange(collective, gradients, self.own_weight))
            }
            Exchange::Shares if self.is_share => timed(&mut || collective.sum_shares(Values::of(gradients))),
            Exchange::Shares => timed(&mut || collective.sum(Values::of(gradients))),
        }
    }

    fn update(&mut self, optimizer: &Optimizer<T>, step: u64, scale: T, arenas: Arenas<'_, T>) -> Updated {
        let scale = if self.is_mean { T::one() } else { scale };
        if !self.is_share {
            return self.inner.update(optimizer, step, scale, arenas);
        }
        let Arenas { params, gradients, optimizer: memory, .. } = arenas;
        let own = share(params.len(), self.settings.rank, self.settings.size);
        let (part, factors) = optimizer.split(params, gradients, memory);
        let mut part = part.split_at(own.end).0.split_at(own.start).1;
        optimizer.phases().iter().for_each(|phase| phase.update(step, scale, &mut part, factors));
        Updated { memory: Memory::OwnShare, ..Updated::default() }
    }

    fn share(&mut self, params: &mut [T], timeline: Option<&Timeline>) -> Result<(), Lost> {
        if !self.is_share {
            return Ok(());
        }
        let collective = self.collective.as_mut().expect("the run is on");
        timed(timeline, Activity::Sum, || collective.gather_shares(Values::of(params)))
    }

    fn ranks(&mut self) -> Option<Ranks<'_>> {
        let Settings { rows, compare_every, agreed, .. } = &self.settings;
        let collective = &mut **self.collective.as_mut().expect("the run is on");
        let local = match self.settings.exchange {
            Exchange::Local(steps) => Some(steps),
            _ => None,
        };
        Some(Ranks { collective, rows: *rows, compare_every: *compare_every, agreed, local })
    }
}

impl<T> Drop for Joined<T> {
    /// Gives the way to the others back, unless this rank is in a panic: then they are told as it ends.
    fn drop(&mut self) {
        let collective = self.collective.take();
        if !std::thread::panicking() {
            *self.link.lock().unwrap_or_else(PoisonError::into_inner) = collective;
        }
    }
}
