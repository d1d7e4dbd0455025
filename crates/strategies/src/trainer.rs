use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Encoder, Source};
use tidemill_optim::{Chain, Optimizer, Table};

use crate::engine::{Engine, Serial};
use crate::extension::Extensions;
use crate::{Callback, Error, Metrics, Model, State, Strategy, Summary, Timeline, checkpoint};

/// A model, an optimizer and an engine: all that training needs and that training does not change. What changes is the
/// [`State`].
pub struct Trainer<T> {
    program: Arc<Program<T>>,
    chain: Chain,
    optimizer: Arc<Optimizer<T>>,
    /// Whether it was asked to update tables whole, and why it does, where it does.
    wants_whole: bool,
    why_whole: Option<String>,
    engine: Arc<dyn Engine<T>>,
    encoder: Option<Encoder>,
    timeline: Option<Timeline>,
}

impl<T: Scalar> Trainer<T> {
    /// Trains `program` with `optimizer`, on one thread until [`engine`](Trainer::engine) says otherwise.
    ///
    /// # Errors
    ///
    /// When the program ends in no loss, or the optimizer's settings do not fit.
    pub fn new(program: impl Into<Arc<Program<T>>>, optimizer: impl Into<Chain>) -> Result<Self, Error> {
        let program = program.into();
        if !program.has_loss() {
            return Err(Error::setting(
                "trainer",
                "the model ends in no loss; only a model with a loss can be trained",
            ));
        }
        let chain = optimizer.into();
        let (optimizer, why_whole) = bind(&program, &chain, None)?;
        Ok(Self {
            program,
            chain,
            optimizer: Arc::new(optimizer),
            wants_whole: false,
            why_whole,
            engine: Arc::new(Serial),
            encoder: None,
            timeline: None,
        })
    }

    /// Obtains gradients by this engine.
    #[must_use]
    pub fn engine(mut self, engine: impl Engine<T> + 'static) -> Self {
        self.engine = Arc::new(engine);
        self.bind_again()
    }

    /// Updates all rows of tables, such as embeddings, in every step, as PyTorch's dense optimizers do; a step then costs by
    /// the size of the tables.
    ///
    /// Without it, a step updates the rows that its batch reads and leaves the others alone, where the optimizer can: to the
    /// same result, but for Adam, which is then PyTorch's `SparseAdam`
    /// ([`Optimizer::update_rows`](tidemill_optim::Optimizer::update_rows) has the whole list). Where it cannot for one of
    /// the tables, all are updated whole, and [`why_whole_tables`](Trainer::why_whole_tables) says why.
    #[must_use]
    pub fn whole_tables(mut self) -> Self {
        self.wants_whole = true;
        self.bind_again()
    }

    /// Has the optimizer update tables as the engine and the settings want it.
    fn bind_again(mut self) -> Self {
        let why = match (self.wants_whole, self.engine.updates_rows()) {
            (true, _) => Some("it was asked for".to_owned()),
            (false, false) => Some(format!("the engine ({}) does not update rows alone", self.engine.describe())),
            (false, true) => None,
        };
        let (optimizer, why_whole) = bind(&self.program, &self.chain, why).expect("the same chain was built before");
        (self.optimizer, self.why_whole) = (Arc::new(optimizer), why_whole);
        self
    }

    /// Why every step updates all rows of the model's tables; `None` where it does not, and where there are none.
    pub fn why_whole_tables(&self) -> Option<&str> {
        self.why_whole.as_deref()
    }

    /// The parameters of a state as its next step sees them.
    ///
    /// They are the state's own, but within an epoch of a model with tables whose rows decay without a gradient, such as by
    /// [`weight_decay`](tidemill_optim::weight_decay): rows catch up when a step reads them, and all of them when the epoch
    /// ends.
    ///
    /// # Panics
    ///
    /// When the state is of another trainer.
    pub fn parameters<'s>(&self, state: &'s State<T>) -> Cow<'s, [T]> {
        if !self.optimizer.catches_up() {
            return Cow::Borrowed(&state.params);
        }
        let mut params = state.params.clone();
        let trained = self.program.layout().trainable_len();
        self.optimizer.catch_up(&mut params[..trained], &mut state.optimizer.clone());
        Cow::Owned(params)
    }

    /// Saves the encoder that rows go through with every checkpoint, so that a run can go on without fitting another:
    /// [`saved_encoder`](crate::saved_encoder) reads it.
    #[must_use]
    pub fn with_encoder(mut self, encoder: Encoder) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Measures what runs spend their time on.
    #[must_use]
    pub fn timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = Some(timeline);
        self
    }

    /// The model that a state's [parameters](Trainer::parameters) make, with the trainer's encoder where it has one.
    ///
    /// # Panics
    ///
    /// When the state is of another trainer.
    pub fn model(&self, state: &State<T>) -> Model<T> {
        let model = Model::of(Arc::clone(&self.program), self.parameters(state).into_owned());
        match &self.encoder {
            Some(encoder) => model.with_encoder(encoder.clone()),
            None => model,
        }
    }

    pub(crate) fn declared_timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref()
    }

    /// The encoder that is saved with every checkpoint, where there is one.
    pub fn encoder(&self) -> Option<&Encoder> {
        self.encoder.as_ref()
    }

    /// The model.
    pub fn program(&self) -> &Arc<Program<T>> {
        &self.program
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Arc<Optimizer<T>> {
        &self.optimizer
    }

    /// How many of the trainable parameters, from the first on, are updated in every step: all but rows of tables.
    pub(crate) fn agreed_len(&self) -> usize {
        let layout = self.program.layout();
        if self.optimizer.tables().is_empty() { layout.trainable_len() } else { layout.dense_len() }
    }

    pub(crate) fn declared_engine(&self) -> &dyn Engine<T> {
        &*self.engine
    }

    /// How many ranks take part in a run.
    pub fn ranks(&self) -> usize {
        self.engine.ranks()
    }

    /// The engine as it was asked for, such as `2 shards on 2 threads`; what runs is told by
    /// [`Event::Started`](crate::Event::Started).
    pub fn describe_engine(&self) -> String {
        self.engine.describe()
    }

    /// The state before the first step: everything random is a function of `seed`.
    pub fn start(&self, seed: u64) -> State<T> {
        self.start_with(seed, Metrics::new())
    }

    /// As [`start`](Trainer::start), with metrics for test-then-train.
    pub fn start_with(&self, seed: u64, metrics: impl Into<Metrics<T>>) -> State<T> {
        State {
            params: self.program.layout().initialize(State::<T>::parameter_key(seed)),
            optimizer: self.optimizer.initial_state(),
            step: 0,
            rows_trained: 0,
            seed,
            cursor: Cursor::start(0),
            epoch: crate::Sums::default(),
            learning_rate_factor: 1.0,
            metrics: metrics.into(),
            extensions: Extensions::default(),
            is_resumed: false,
        }
    }

    /// The state that a checkpoint holds. `metrics` are those that the run had, in any state; theirs is restored.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not a checkpoint, is one of another model, optimizer, encoder or other metrics, or
    /// holds numbers that no run leaves, such as parameters that are not finite.
    pub fn resume(&self, path: impl AsRef<Path>, metrics: impl Into<Metrics<T>>) -> Result<State<T>, Error> {
        checkpoint::load(self, path.as_ref(), metrics.into())
    }

    /// Saves the state, whole or not at all: to a temporary file beside `path`, synced, then renamed.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or a parameter or the optimizer's memory is not finite; an older file of that name
    /// is then as it was.
    pub fn save(&self, state: &State<T>, path: impl AsRef<Path>) -> Result<(), Error> {
        checkpoint::save(self, state, path.as_ref())
    }

    /// Trains from where the state stands until the strategy's end, or until the callback stops it.
    ///
    /// Epochs are counted from the state's first, so that a run which was stopped goes on to the same end. A state that
    /// [`resume`](Trainer::resume) gives may be at that end already: then nothing is done, and
    /// [`Summary::was_over`] says so. Rows of weight zero are passed over, whatever is in them.
    ///
    /// # Errors
    ///
    /// When data, settings or the loss are not as they should be, and when there is nothing to train on: no rows, none
    /// that weighs anything, or no epoch left for a state that has been trained before. The state is then that of the
    /// last completed step. After [`Error::Diverged`], that is of no use.
    pub fn run(
        &self,
        strategy: &impl Strategy<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        strategy.run(self, state, source, callback).inspect_err(|error| self.engine.abandon(&error.to_string()))
    }
}

/// The optimizer of a model's trainable parameters: by rows of its tables, unless there is a reason not to or it cannot do
/// that for all of them; and why not.
fn bind<T: Scalar>(
    program: &Program<T>,
    chain: &Chain,
    why_whole: Option<String>,
) -> Result<(Optimizer<T>, Option<String>), Error> {
    let layout = program.layout();
    let table = |table: &tidemill_autograd::Table| Table { range: table.range.clone(), width: table.width };
    let tables: Vec<Table> = program.tables().iter().map(table).collect();
    let optimizer = chain.build_with_tables(layout, &tables)?;
    let cannot = || tables.iter().find_map(|table| optimizer.why_not_rows(table.range.clone())).map(str::to_owned);
    match why_whole.filter(|_| !tables.is_empty()).or_else(cannot) {
        None => Ok((optimizer, None)),
        why => Ok((chain.build(layout)?, why)),
    }
}
