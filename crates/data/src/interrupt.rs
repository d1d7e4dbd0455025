use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::Error;

/// How long who waits may take to notice that it was interrupted.
const SLICE: Duration = Duration::from_millis(50);

/// Asks whoever waits for rows to stop waiting: a signal handler, another thread, the end of a program.
///
/// Clones share the flag. A source that [watches](crate::Source::watch) it gives [`Error::Interrupted`] instead of
/// waiting on; training with it as a callback ends after the last whole step, also while a stream is idle.
///
/// # Example
///
/// ```
/// use tidemill_data::{Batch, Error, Field, Interrupt, Kind, Role, Schema, Source, channel};
///
/// let schema = Schema::new(vec![Field::new("x", Kind::Real { width: 1 }, Role::Feature)]);
/// let (sender, mut source) = channel::<f32>(schema, 64)?;
/// let interrupt = Interrupt::new();
/// source.watch(&interrupt);
/// interrupt.set();
/// let mut batch = Batch::new(source.schema().clone());
/// assert!(matches!(source.fill(&mut batch, 8), Err(Error::Interrupted)));
/// # drop(sender);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    set: AtomicBool,
    others: Vec<Interrupt>,
}

impl Interrupt {
    /// Not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that also counts as set while any of these is.
    pub fn any(others: impl IntoIterator<Item = Self>) -> Self {
        Self(Arc::new(Flag { set: AtomicBool::new(false), others: others.into_iter().collect() }))
    }

    /// Asks to stop.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::SeqCst);
    }

    /// Takes the request back.
    pub fn clear(&self) {
        self.0.set.store(false, Ordering::SeqCst);
    }

    /// Whether somebody asked to stop.
    pub fn is_set(&self) -> bool {
        self.0.is_set()
    }
}

impl Flag {
    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst) || self.others.iter().any(Interrupt::is_set)
    }
}

/// The interrupts that a source looks at while it waits: for those who write sources that can wait.
///
/// An interrupt of which no handle is left is no longer watched.
#[derive(Clone, Debug, Default)]
pub struct Watch(Vec<Weak<Flag>>);

impl Watch {
    /// Looks at this interrupt too.
    pub fn add(&mut self, interrupt: &Interrupt) {
        self.0.retain(|flag| flag.strong_count() > 0);
        self.0.push(Arc::downgrade(&interrupt.0));
    }

    /// # Errors
    ///
    /// [`Error::Interrupted`] when one of the interrupts is set.
    pub fn check(&self) -> Result<(), Error> {
        let set = self.0.iter().any(|flag| flag.upgrade().is_some_and(|flag| flag.is_set()));
        if set { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn slice(&self) -> Duration {
        // Nobody can begin to watch while this one waits.
        if self.0.is_empty() { Duration::from_secs(3600) } else { SLICE }
    }
}

/// One wait for rows: until they come, an interrupt is set, or the time is up; and how long it was.
#[derive(Debug)]
pub struct Waiting<'a> {
    watch: &'a Watch,
    until: Option<Instant>,
    blocked: Duration,
}

impl<'a> Waiting<'a> {
    /// Waits as long as it takes.
    pub fn new(watch: &'a Watch) -> Self {
        Self { watch, until: None, blocked: Duration::ZERO }
    }

    /// Waits until then at most.
    pub fn until(watch: &'a Watch, until: Option<Instant>) -> Self {
        Self { watch, until, blocked: Duration::ZERO }
    }

    /// Calls `wait` with what is waited on (the guard of a lock, say) and the time after which it is to return, though
    /// nothing may have come. Call this until something came; `None` says that the time is up.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when an interrupt is set.
    pub fn pause<G>(&mut self, guard: G, wait: impl FnOnce(G, Duration) -> G) -> Result<Option<G>, Error> {
        self.watch.check()?;
        let began = Instant::now();
        let mut slice = self.watch.slice();
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(began);
            if left.is_zero() {
                return Ok(None);
            }
            slice = slice.min(left);
        }
        let guard = wait(guard, slice);
        self.blocked += began.elapsed();
        Ok(Some(guard))
    }

    /// How long `wait` took, all in all.
    pub fn blocked(&self) -> Duration {
        self.blocked
    }
}
