use std::time::{Duration, Instant};

use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Batch as Rows, Cursor, Source};

use crate::{Error, Timeline, timeline::Activity};

/// Time that a run has taken to get its rows; not measured, and zero, where they lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// All of it: reading and decoding on the run's own thread, and waiting.
    pub total: Duration,
    /// Of that, with nothing to do: until the thread that reads ahead, or a stream, had rows.
    pub blocked: Duration,
}

/// Measures what a source takes; rows in memory keep nobody waiting, and reading the clock takes a good part of a small
/// step, so there it does not.
pub(super) struct Clock<'t> {
    runs: bool,
    timeline: Option<&'t Timeline>,
    blocked_before: Duration,
    pub(super) waited: Waited,
}

impl<'t> Clock<'t> {
    pub(super) fn new<T: Scalar>(source: &dyn Source<T>, timeline: Option<&'t Timeline>) -> Self {
        let runs = source.memory().is_none() || timeline.is_some();
        Self { runs, timeline, blocked_before: source.blocked(), waited: Waited::default() }
    }

    pub(super) fn fill<T: Scalar>(
        &mut self,
        source: &mut dyn Source<T>,
        batch: &mut Rows<T>,
        rows: usize,
    ) -> Result<usize, tidemill_data::Error> {
        self.measure(source, |source| source.fill(batch, rows))
    }

    pub(super) fn seek<T: Scalar>(
        &mut self,
        source: &mut dyn Source<T>,
        cursor: Cursor,
    ) -> Result<(), tidemill_data::Error> {
        self.measure(source, |source| source.seek(cursor))
    }

    fn measure<T: Scalar, R>(&mut self, source: &mut dyn Source<T>, work: impl FnOnce(&mut dyn Source<T>) -> R) -> R {
        if !self.runs {
            return work(source);
        }
        let began = Instant::now();
        let result = work(source);
        let took = began.elapsed();
        let blocked = source.blocked().saturating_sub(self.blocked_before);
        if let Some(timeline) = self.timeline {
            let blocked = (blocked - self.waited.blocked).min(took);
            if !blocked.is_zero() {
                timeline.note_span(Activity::WaitForData, began, blocked);
            }
            timeline.note_span(Activity::Read, began + blocked, took - blocked);
        }
        self.waited = Waited { total: self.waited.total + took, blocked };
        result
    }
}

/// `None` when waiting was interrupted: the run ends as it stands.
pub(super) fn unless_interrupted<R>(result: Result<R, tidemill_data::Error>) -> Result<Option<R>, Error> {
    match result {
        Err(tidemill_data::Error::Interrupted) => Ok(None),
        other => Ok(Some(other?)),
    }
}
