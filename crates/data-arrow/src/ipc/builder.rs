use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Error, Interrupt, Stream, Waiting, Watch};

use super::IpcSource;
use super::decode::{IpcDecode, StreamEnd};
use crate::input::Input;
use crate::{ArrowSupply, Columns, Layout, Table, choose_columns};

/// Declares a source of Arrow IPC, as files (also called Feather) or as a stream.
///
/// # Example
///
/// ```no_run
/// use tidemill_data_arrow::IpcBuilder;
///
/// let source = IpcBuilder::file("flights.arrow").columns(["distance"]).target("delay").build::<f32>()?;
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[must_use = "a source is made by `build`"]
pub struct IpcBuilder {
    input: Result<Input, Error>,
    chosen: Columns,
    budget: u64,
    end: StreamEnd,
    complete: bool,
    watch: Watch,
}

impl IpcBuilder {
    choose_columns!(chosen);

    /// One or more files, read one behind the other.
    pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self::new(Ok(Input::Tables(paths.into_iter().map(Into::into).collect(), 0)))
    }

    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::files([path])
    }

    /// Standard input.
    pub fn stdin() -> Self {
        Self::new(Ok(Input::stdin()))
    }

    /// Whatever can be read, such as a pipe; errors call it by `name`. A read that never returns is left to its thread.
    pub fn reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        Self::new(Ok(Input::Once { name: name.into(), reader: Box::new(reader) }))
    }

    /// A server that sends rows, such as `localhost:7000`; connected to at once.
    pub fn tcp(address: &str) -> Self {
        Self::new(Input::tcp(address))
    }

    /// The first client that connects, and sends rows.
    pub fn listen(listener: TcpListener) -> Self {
        Self::new(Input::listen(listener))
    }

    fn new(input: Result<Input, Error>) -> Self {
        let end = StreamEnd::Marked;
        Self { input, chosen: Columns::new(), budget: 64 << 20, end, complete: false, watch: Watch::default() }
    }

    /// Bytes that reading may take, 64 MiB unless told otherwise; where there is LZ4, 256 KiB more. A message, which is a
    /// record batch or a dictionary, may have a quarter of them, also once it is decompressed, and so may all
    /// dictionaries together.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// A stream may end without the mark by which its sender says that it is whole: one that is cut off between two
    /// messages is not told from a whole one then. Files with a footer are read by that.
    pub fn unmarked_end(mut self) -> Self {
        self.end = StreamEnd::Anywhere;
        self
    }

    /// Every chosen column has a value in every row, whatever the schema says; one that lacks is an error.
    pub fn no_nulls(mut self) -> Self {
        self.complete = true;
        self
    }

    /// Stops waiting for the schema, and then for rows, when this is set.
    pub fn watch(mut self, interrupt: &Interrupt) -> Self {
        self.watch.add(interrupt);
        self
    }

    /// Reads the schema, which a stream is waited for, and makes the source.
    ///
    /// # Errors
    ///
    /// When nothing can be read, the budget is below 64 KiB, a column is missing or cannot serve, or waiting was
    /// interrupted.
    pub fn build<T: Scalar>(self) -> Result<IpcSource<T>, Error> {
        let most = (self.budget / 4) as usize;
        let mut decode = start(self.input?, self.budget, self.end)?;
        let table = decode.schema(&mut Waiting::new(&self.watch))?;
        let mut layout = Layout::new(self.chosen, decode.name(), &table)?;
        if self.complete {
            (0..layout.reads().len()).for_each(|read| layout.set_nullable(read, false));
        }
        let can_go = decode.can_go();
        let source = Stream::new(ArrowSupply::new(Box::new(decode), layout, most)).watching(self.watch);
        Ok(if can_go { source.keep(0) } else { source })
    }

    /// Reads the schema, which a stream is waited for, and makes a table of all columns.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn table(self) -> Result<Table, Error> {
        let mut decode = start(self.input?, self.budget, self.end)?;
        let schema = decode.schema(&mut Waiting::new(&self.watch))?;
        Ok(Table::new(Box::new(decode), schema, self.watch))
    }
}

fn start(mut input: Input, budget: u64, end: StreamEnd) -> Result<IpcDecode, Error> {
    if budget < 1 << 16 {
        let advice = "allow at least 65536 bytes".into();
        return Err(Error::Budget { what: "reading Arrow IPC".into(), needed: 1 << 16, budget, advice });
    }
    if input.names().is_empty() {
        return Err(Error::invalid("Arrow IPC", "there is no file to read"));
    }
    let most = (budget / 4) as usize;
    if let Input::Tables(_, footer) = &mut input {
        *footer = most as u64;
    }
    IpcDecode::start(input, (most / 16).min(1 << 18), most, end)
}
