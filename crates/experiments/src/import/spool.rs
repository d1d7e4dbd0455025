//! What can be read once only, or is packed as a whole, as a file that can be read again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tidemill::arrow::decompressed;
use tidemill::data::Interrupt;

/// How often somebody looks whether it is still wanted.
const SLICE: Duration = Duration::from_millis(50);

/// Writes what is read from `input`, decompressed, to a file; `-` is standard input.
pub(super) fn spool(input: &Path, output: &Path, stop: &Interrupt) -> Result<()> {
    let (sender, receiver) = sync_channel::<io::Result<Vec<u8>>>(4);
    let path = input.to_owned();
    // Opening and reading a pipe may wait for ever; then the thread is left behind.
    std::thread::Builder::new().name("spool".into()).spawn(move || {
        let opened: io::Result<Box<dyn Read + Send>> = match path.as_os_str().as_encoded_bytes() {
            b"-" => Ok(Box::new(io::stdin())),
            _ => File::open(&path).map(|file| Box::new(file) as Box<dyn Read + Send>),
        };
        let mut reader = match opened {
            Ok(reader) => decompressed(reader),
            Err(error) => return drop(sender.send(Err(error))),
        };
        loop {
            let mut bytes = vec![0; 256 << 10];
            let read = match reader.read(&mut bytes) {
                Ok(0) => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(read) => {
                    bytes.truncate(read);
                    Ok(bytes)
                }
                Err(error) => Err(error),
            };
            let is_last = read.is_err();
            if sender.send(read).is_err() || is_last {
                return;
            }
        }
    })?;
    let named = || if input == Path::new("-") { "standard input".into() } else { input.display().to_string() };
    let mut file = File::create(output).with_context(|| output.display().to_string())?;
    loop {
        if stop.is_set() {
            bail!("interrupted while reading {}", named());
        }
        match receiver.recv_timeout(SLICE) {
            Ok(bytes) => file.write_all(&bytes.with_context(named)?).with_context(|| output.display().to_string())?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
