use std::sync::Arc;

use tidemill::prelude::*;
use tidemill::strategies::{Engine, Error, Running};

/// The engine for so many threads: the one place in this crate where it is chosen. The engine itself chooses how many
/// shards a step is worth, unless that is said.
pub fn engine(threads: usize, shards: Option<usize>) -> Chosen {
    Chosen(match (threads, shards) {
        (1, None | Some(1)) => Box::new(Serial),
        (threads, None) => Box::new(Auto::new(threads)),
        (threads, Some(shards)) => Box::new(DataParallel::new(threads).shards(shards)),
    })
}

/// An engine whose kind was chosen at run time.
pub struct Chosen(Box<dyn Engine<f32>>);

impl Engine<f32> for Chosen {
    fn start(&self, program: &Arc<Program<f32>>, rows: usize) -> Result<Box<dyn Running<f32>>, Error> {
        self.0.start(program, rows)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}
