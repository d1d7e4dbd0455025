use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Program, Write};
use tidemill_collective::{Collective, Error as Lost, Values, share};
use tidemill_optim::{Alone, Optimizer, TableRows, Touched, UpdateStep};

use super::{AgreeStep, Arenas, InParts, OptimizerMemory, Outputs, RankRows, Ranks, Running, Task, Updated};
use crate::sync::{GradientSync, Sharing, SyncRun, SyncStep, Synced};
use crate::timeline::{Activity, timed};
use crate::{Error, Sums, Timeline, touched};

/// What reaches the other ranks, and how they agree, parked between runs.
pub(super) type Link<S> = Arc<Mutex<Parked<S>>>;

pub(super) struct Parked<S> {
    /// Nothing, while a run has them.
    pub(super) held: Option<(Box<dyn Collective>, S)>,
    /// How they agree, as the run that has them says.
    pub(super) sync: String,
}

pub(super) fn lock<S>(link: &Link<S>) -> MutexGuard<'_, Parked<S>> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn park<S>(collective: Box<dyn Collective>, sync: S) -> Link<S> {
    Arc::new(Mutex::new(Parked { held: Some((collective, sync)), sync: String::new() }))
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) rank: usize,
    pub(super) size: usize,
    pub(super) rows: RankRows,
    pub(super) compare_every: u64,
    pub(super) agreed: Vec<(String, String)>,
}

pub(super) fn describe(settings: &Settings, sync: &str, inner: &str) -> String {
    let rows = match settings.rows {
        RankRows::Own => "",
        RankRows::Shared => " that share rows",
    };
    format!("{} ranks{rows}, {sync}, each {inner}", settings.size)
}

/// A started [`Distributed`](super::Distributed): the ranks, how they agree, and the engine of this one.
pub(super) struct Joined<T, S> {
    link: Link<S>,
    /// Until this is dropped.
    parked: Option<(Box<dyn Collective>, S)>,
    inner: Box<dyn Running<T>>,
    settings: Settings,
    program: Arc<Program<T>>,
    /// How much of the gradient ranks agree on by the sync: all but rows of tables.
    agreed: usize,
    /// Weight of the rows of the last gradient.
    own_weight: f64,
    sharing: Sharing,
    /// What ranks have agreed on of it.
    synced: Synced,
    /// Whether parts of it have been given to the sync.
    has_begun: bool,
    /// Why a part could not be.
    failed: Option<Lost>,
}

impl<T: Scalar, S> Joined<T, S> {
    pub(super) fn new(
        link: &Link<S>,
        held: (Box<dyn Collective>, S),
        inner: Box<dyn Running<T>>,
        settings: Settings,
        program: &Arc<Program<T>>,
    ) -> Self {
        Self {
            link: Arc::clone(link),
            parked: Some(held),
            inner,
            settings,
            program: Arc::clone(program),
            agreed: program.layout().trainable_len(),
            own_weight: 0.0,
            sharing: Sharing::Impossible,
            synced: Synced::Sum,
            has_begun: false,
            failed: None,
        }
    }

    pub(super) fn with(&mut self) -> (&mut dyn Collective, &mut S) {
        let (collective, sync) = self.parked.as_mut().expect("the run is on");
        (&mut **collective, sync)
    }

    fn sync(&self) -> &S {
        &self.parked.as_ref().expect("the run is on").1
    }
}

impl<T: Scalar, S: GradientSync<T>> Running<T> for Joined<T, S> {
    fn describe(&self) -> String {
        describe(&self.settings, &self.sync().describe(), &self.inner.describe())
    }

    fn prepare(&mut self, optimizer: &Arc<Optimizer<T>>) -> Result<(), Error> {
        let measures = !optimizer.is_elementwise();
        self.sharing = if measures { Sharing::Impossible } else { Sharing::Possible };
        let program = Arc::clone(&self.program);
        let by_rows = !optimizer.tables().is_empty();
        let layout = if by_rows { program.layout().dense() } else { program.layout().trainable() };
        self.agreed = layout.len();
        let Settings { rank, size, rows, .. } = self.settings;
        self.with().1.start(&SyncRun { layout: &layout, rank, ranks: size, rows })?;
        self.inner.prepare(optimizer)
    }

    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        let Self { parked, inner, has_begun, failed, agreed, .. } = self;
        let (collective, sync) = parked.as_mut().expect("the run is on");
        *failed = None;
        let sums = match sync.part_bytes(task.step) {
            None => inner.gradient(task, gradients, write, outputs),
            Some(bytes) => {
                *has_begun = true;
                let mut whole = |range: Range<usize>, part: &mut [T]| {
                    if failed.is_none() && !range.is_empty() {
                        *failed = sync.begin(&mut **collective, range, part).err();
                    }
                };
                let mut parts = InParts { end: *agreed, least: bytes.div_ceil(size_of::<T>()), whole: &mut whole };
                inner.gradient_in_parts(task, gradients, write, outputs, &mut parts)
            }
        };
        self.own_weight = sums.weight;
        sums
    }

    fn reduce(&mut self, gradients: &mut [T], touched: &[TableRows]) {
        self.inner.reduce(gradients, touched);
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        self.inner.evaluate(task, outputs)
    }

    fn agree(&mut self, gradients: &mut [T], step: &AgreeStep<'_>) -> Result<(), Lost> {
        self.synced = Synced::Sum;
        if self.sync().local_steps(step.number).is_some() {
            return Ok(());
        }
        if let Some(lost) = self.failed.take() {
            return Err(lost);
        }
        if !std::mem::take(&mut self.has_begun) {
            self.inner.reduce(gradients, &[]);
        }
        let about = SyncStep { number: step.number, own_weight: self.own_weight, sharing: self.sharing };
        let (collective, sync) = self.with();
        self.synced = timed(step.timeline, Activity::Sum, || sync.sync(collective, gradients, &about))?;
        Ok(())
    }

    fn cancel(&mut self, gradients: &mut [T]) -> Result<(), Lost> {
        if !std::mem::take(&mut self.has_begun) {
            return Ok(());
        }
        let (collective, sync) = self.with();
        sync.cancel(collective, gradients)
    }

    fn update(&mut self, optimizer: &Optimizer<T>, step: UpdateStep, scale: T, arenas: Arenas<'_, T>) -> Updated {
        match self.synced {
            Synced::Sum => return self.inner.update(optimizer, step, scale, arenas),
            Synced::Mean => {
                touched::scale(arenas.touched, arenas.gradients, scale);
                return self.inner.update(optimizer, step, T::one(), arenas);
            }
            Synced::Share => {}
        }
        let Arenas { params, gradients, optimizer: memory, touched, .. } = arenas;
        let own = share(self.agreed, self.settings.rank, self.settings.size);
        match touched {
            [] => optimizer.update_range(step, scale, own, params, gradients, memory),
            tables => {
                let touched = Touched { tables, others: own };
                optimizer.update_rows(step, scale, [params, gradients, memory], touched, &mut Alone, &|_, _| ());
            }
        }
        Updated { memory: OptimizerMemory::OwnShare, ..Updated::default() }
    }

    fn share(&mut self, params: &mut [T], timeline: Option<&Timeline>) -> Result<(), Lost> {
        if self.synced != Synced::Share {
            return Ok(());
        }
        let (collective, _) = self.with();
        timed(timeline, Activity::Sum, || collective.gather_shares(Values::of(params)))
    }

    fn ranks(&mut self) -> Option<Ranks<'_, T>> {
        let Self { parked, settings, .. } = self;
        let (collective, sync) = parked.as_mut().expect("the run is on");
        let Settings { rows, compare_every, agreed, .. } = settings;
        Some(Ranks { collective: &mut **collective, sync, rows: *rows, compare_every: *compare_every, agreed })
    }
}

impl<T, S> Drop for Joined<T, S> {
    /// Gives back what reaches the others, unless this rank is in a panic: then they are told as it ends.
    fn drop(&mut self) {
        let parked = self.parked.take();
        if !std::thread::panicking() {
            lock(&self.link).held = parked;
        }
    }
}
