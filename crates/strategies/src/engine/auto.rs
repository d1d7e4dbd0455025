use std::sync::Arc;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Program, Table};

use super::{DataParallel, Engine, Running, Serial, group};
use crate::Error;

/// As many shards and threads as the work of a step is worth, up to those it is given: [`DataParallel`], or [`Serial`]
/// where a step is over sooner than another thread could help.
///
/// What is chosen depends on the model, the rows of a step and the threads given, and on nothing that is measured; so
/// the same declaration gives the same bits. It is reported by [`Event::Started`](crate::Event::Started). To choose
/// oneself, name the engine.
#[derive(Clone, Copy, Debug)]
pub struct Auto {
    threads: usize,
}

/// Multiplications for which a thread is worth a shard of its own: some tens of microseconds, a few times what handing
/// work over and adding gradients up takes.
const WORTHWHILE: usize = 2_000_000;
/// Each shard has as many gradients to be added up as the model has parameters that a step touches; this many multiplications take longer
/// than adding one.
const PER_PARAMETER: usize = 16;

impl Auto {
    /// On at most so many threads.
    pub fn new(threads: usize) -> Self {
        Self { threads }
    }

    /// On as many threads as there are processors. The number of shards, and so the rounding, then depends on the
    /// machine.
    pub fn all_processors() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, |n| n.get()))
    }

    fn shards<T: Scalar>(self, program: &Program<T>, rows: usize) -> usize {
        let Some(group) = group(program) else { return 1 };
        // Of a table, the rows of a step at most.
        let touched = |table: &Table| table.range.len().min(table.inputs.len() * table.width * rows);
        let added = program.layout().dense_len() + program.tables().iter().map(touched).sum::<usize>();
        let worthwhile = WORTHWHILE.max(PER_PARAMETER * added);
        let work = program.multiplications_per_row().saturating_mul(rows);
        (work / worthwhile).clamp(1, self.threads.min(rows.div_ceil(group).max(1)))
    }
}

impl<T: Scalar> Engine<T> for Auto {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        if self.threads == 0 {
            return Err(Error::setting("auto", "expected at least 1 thread"));
        }
        match self.shards(program, rows) {
            1 => Serial.start(program, rows),
            shards => DataParallel::new(shards).start(program, rows),
        }
    }

    fn describe(&self) -> String {
        format!("as many shards as are worth it on up to {} threads", self.threads)
    }

    fn updates_rows(&self) -> bool {
        true
    }
}
