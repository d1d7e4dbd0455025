use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tidemill_data::{Error, Waiting};

use crate::input::Input;

/// Buffers that go round between the thread and whoever takes the bytes.
const BUFFERS: usize = 4;

/// Bytes that a thread of its own reads, in a bounded ring of buffers, so that whoever waits for them can be
/// interrupted. A read that never returns is left to its thread, which ends with it.
pub(crate) struct Pump(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Piece>,
    spare: Vec<Vec<u8>>,
    /// Nobody takes the bytes any more.
    closed: bool,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    EndOfPart,
    /// The last: a part could not be read.
    Failed(String),
    /// The last: there is no other part.
    End,
}

impl Pump {
    /// Reads from a byte of a part on, `size` bytes at a time at most.
    pub(crate) fn start(input: Input, part: usize, from: u64, size: usize) -> Result<Self, Error> {
        let spare = (0..BUFFERS).map(|_| Vec::new()).collect();
        let state = Mutex::new(State { spare, ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let worker = Arc::clone(&shared);
        thread::Builder::new()
            .name("read".into())
            .spawn(move || work(&worker, input, part, from, size))
            .map_err(|error| Error::invalid("reading", format!("there is no thread for it: {error}")))?;
        Ok(Self(shared))
    }

    /// Waits for the next piece; `None` when the time is up.
    pub(crate) fn next(&self, waiting: &mut Waiting<'_>) -> Result<Option<Piece>, Error> {
        let mut state = self.0.lock();
        loop {
            if let Some(piece) = state.ready.pop_front() {
                return Ok(Some(piece));
            }
            let Some(paused) = waiting.pause(state, |state, time| self.0.wait(state, time))? else { return Ok(None) };
            state = paused;
        }
    }

    /// Whether the next piece is there.
    pub(crate) fn is_ready(&self) -> bool {
        !self.0.lock().ready.is_empty()
    }

    /// Gives a buffer back to be filled again.
    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        self.0.lock().spare.push(buffer);
        self.0.changed.notify_all();
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn push(&self, piece: Piece) {
        self.lock().ready.push_back(piece);
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// An empty buffer; `None` when nobody takes the bytes any more.
    fn buffer(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(buffer) = state.spare.pop() {
                return Some(buffer);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn work(shared: &Shared, mut input: Input, mut part: usize, mut from: u64, size: usize) {
    loop {
        match input.open(part, from) {
            Ok(Some(reader)) => match read(shared, reader, size) {
                Ok(Outcome::End) => shared.push(Piece::EndOfPart),
                Ok(Outcome::Closed) => return,
                Err(error) => return shared.push(Piece::Failed(error.to_string())),
            },
            Ok(None) => return shared.push(Piece::End),
            Err(error) => return shared.push(Piece::Failed(error.to_string())),
        }
        (part, from) = (part + 1, 0);
    }
}

enum Outcome {
    End,
    Closed,
}

fn read(shared: &Shared, mut reader: impl Read, size: usize) -> std::io::Result<Outcome> {
    while let Some(mut buffer) = shared.buffer() {
        buffer.resize(size, 0);
        let read = loop {
            match reader.read(&mut buffer) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if shared.is_closed() {
                        return Ok(Outcome::Closed);
                    }
                }
                other => break other?,
            }
        };
        if read == 0 {
            shared.lock().spare.push(buffer);
            return Ok(Outcome::End);
        }
        buffer.truncate(read);
        shared.push(Piece::Bytes(buffer));
    }
    Ok(Outcome::Closed)
}
