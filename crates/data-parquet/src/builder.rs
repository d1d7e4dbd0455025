use tidemill_data::Error;
use tidemill_data::tensor::Scalar;
use tidemill_data_arrow::{Columns, choose_columns};

use crate::plan::Plan;
use crate::{ParquetSource, Paths};

/// Says which columns of which files make the rows; from [`ParquetSource::open`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read before build()"]
pub struct ParquetSourceBuilder {
    paths: Paths,
    chosen: Columns,
    budget: u64,
    threads: usize,
}

impl ParquetSourceBuilder {
    /// Bytes that reading may take unless told otherwise: 64 MiB.
    pub const BUDGET: u64 = 64 << 20;

    pub(crate) fn new(paths: Paths) -> Self {
        Self { paths, chosen: Columns::new(), budget: Self::BUDGET, threads: 1 }
    }

    choose_columns!(chosen);

    /// Sets how many bytes reading may take: pages, dictionaries, decoded rows and the footer of the file being read,
    /// not the batches that are filled.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// Sets how many threads decode, with the one that fills batches: one, unless told otherwise.
    ///
    /// More of them decode the next page of each column, of this row group or the next, while rows are taken from the
    /// last. Only columns of plain numbers gain by it, those of 32 or 64 bits that are not written by a dictionary and
    /// where they are not null, and only where the budget has room for two pages of every column. The rows are the same
    /// bits for any number, and the errors come with the same rows. The threads start with the first row and end with
    /// the source; where the system gives fewer, fewer decode.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Looks at the footers of all files, and at the sizes of their pages where those could exceed the budget.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened or is no Parquet file ([`FileError`](crate::FileError)), a column is missing or of
    /// a type that cannot serve, files disagree on a type, the budget is too small, with the smallest that works, or
    /// there are no threads.
    pub fn build<T: Scalar>(self) -> Result<ParquetSource<T>, Error> {
        if self.threads == 0 {
            return Err(Error::invalid("threads", "none is left to read; one reads, more decode ahead"));
        }
        let files = self.paths.files()?;
        Ok(ParquetSource::new(Plan::new(files, self.chosen, self.budget, self.threads)?))
    }
}
