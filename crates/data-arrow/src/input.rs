use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidemill_data::Error;

use crate::compressed::{decompressed, is_compressed};

/// How long a socket is read before somebody looks whether that is still wanted.
const SLICE: Duration = Duration::from_millis(50);

/// Where bytes come from: files one behind the other, or something that is read once.
pub(crate) enum Input {
    Files(Vec<PathBuf>),
    /// Files of Arrow IPC, read by their footers, which may have so many bytes.
    Tables(Vec<PathBuf>, u64),
    Once {
        name: String,
        reader: Box<dyn Read + Send>,
    },
}

impl Input {
    pub(crate) fn stdin() -> Self {
        Self::Once { name: "standard input".into(), reader: Box::new(io::stdin()) }
    }

    pub(crate) fn tcp(address: &str) -> Result<Self, Error> {
        let name = format!("tcp {address}");
        let failed = |error: io::Error| Error::invalid(&name, format!("it cannot be connected to: {error}"));
        let stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_read_timeout(Some(SLICE)).map_err(failed)?;
        Ok(Self::Once { name, reader: Box::new(stream) })
    }

    pub(crate) fn listen(listener: TcpListener) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::invalid("tcp listener", error);
        let name = format!("tcp listener {}", listener.local_addr().map_err(failed)?);
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self::Once { name, reader: Box::new(Accepted { listener, stream: None }) })
    }

    /// What errors call each part by.
    pub(crate) fn names(&self) -> Arc<[String]> {
        match self {
            Self::Files(paths) | Self::Tables(paths, _) => {
                paths.iter().map(|path| path.display().to_string()).collect()
            }
            Self::Once { name, .. } => [name.clone()].into(),
        }
    }

    /// Opens a part, from a byte on; `None` behind the last.
    pub(crate) fn open(&mut self, part: usize, from: u64) -> io::Result<Option<Box<dyn Read + Send>>> {
        match self {
            Self::Files(paths) => {
                let Some(path) = paths.get(part) else { return Ok(None) };
                open_at(File::open(path)?, from).map(Some)
            }
            Self::Tables(paths, most) => {
                let Some(path) = paths.get(part) else { return Ok(None) };
                crate::ipc::open(File::open(path)?, *most).map(Some)
            }
            Self::Once { reader, .. } => Ok((part == 0).then(|| {
                let reader = std::mem::replace(reader, Box::new(io::empty()));
                Box::new(decompressed(reader)) as Box<dyn Read + Send>
            })),
        }
    }

    /// The same input again, where it can be read again.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Files(paths) => Some(Self::Files(paths.clone())),
            Self::Tables(paths, most) => Some(Self::Tables(paths.clone(), *most)),
            Self::Once { .. } => None,
        }
    }
}

/// The bytes of a file from `from` on, as they are once decompressed.
fn open_at(mut file: File, from: u64) -> io::Result<Box<dyn Read + Send>> {
    if from == 0 {
        return Ok(Box::new(decompressed(file)));
    }
    let mut head = Vec::new();
    (&mut file).take(4).read_to_end(&mut head)?;
    if !is_compressed(&head) {
        file.seek(SeekFrom::Start(from))?;
        return Ok(Box::new(file));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut reader = decompressed(file);
    io::copy(&mut (&mut reader).take(from), &mut io::sink())?;
    Ok(Box::new(reader))
}

/// The first connection that comes.
struct Accepted {
    listener: TcpListener,
    stream: Option<TcpStream>,
}

impl Read for Accepted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(stream) = &mut self.stream {
            return stream.read(bytes);
        }
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(SLICE))?;
                self.stream.insert(stream).read(bytes)
            }
            // Nobody is there yet, or whoever was has gone again.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {
                std::thread::sleep(SLICE);
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    }
}
