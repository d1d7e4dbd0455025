//! The runtime that asks stores: one for all of them, on a thread of its own, so that whoever reads needs none and may
//! have any.

use std::io;
use std::sync::{OnceLock, mpsc};
use std::thread;

use tokio::runtime::{Builder, Handle};

static RUNTIME: OnceLock<Result<Handle, String>> = OnceLock::new();

/// Waits for something that the runtime does.
pub(super) fn wait<R: Send + 'static>(job: impl Future<Output = R> + Send + 'static) -> io::Result<R> {
    let handle = RUNTIME.get_or_init(|| start().map_err(|error| error.to_string()));
    let handle = handle.as_ref().map_err(|problem| io::Error::other(problem.as_str()))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    handle.spawn(async move {
        // Nobody hangs up: it is waited for below.
        let _ = sender.send(job.await);
    });
    receiver.recv().map_err(|_| io::Error::other("a request ended without an answer"))
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    // It lives as long as the program, as connections are kept for whoever reads next.
    thread::Builder::new().name("stores".into()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
