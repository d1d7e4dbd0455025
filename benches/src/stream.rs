use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tidemill::data::{Batch as Rows, Cursor};
use tidemill::prelude::*;

use crate::found::{Pass, rate};
use crate::measure::optimizer;
use crate::{Found, Mode, Workload, engine, higgs, peak};

/// The model of `wide`, in one pass over a file in the shape of HIGGS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// [`Mode::Stream`], [`Mode::Memory`] or [`Mode::Decode`].
    pub mode: Mode,
    /// The file.
    pub file: Option<PathBuf>,
    /// Rows of the file that is to be written for want of one.
    pub rows: usize,
    /// Threads that train; one more reads ahead.
    pub threads: usize,
    /// Shards of each batch; as the engine chooses when absent.
    pub shards: Option<usize>,
    /// Threads that decode, with the one that fills batches; as many as train where nothing trains meanwhile, and else
    /// one, when absent.
    pub decode_threads: Option<usize>,
    /// Bytes that reading may take; the source's own default when absent.
    pub budget: Option<u64>,
    /// Batches that are read ahead; none for zero.
    pub prefetch: usize,
}

impl Streaming {
    /// Rows of a file that is written for want of one.
    pub const ROWS: usize = 2_200_000;

    /// Batches that are read ahead unless told otherwise.
    pub const PREFETCH: usize = 8;

    /// Makes the pass. The most memory that the process ever had is part of what is found: make it in a process of its
    /// own.
    ///
    /// # Errors
    ///
    /// When the setup is impossible, the file is of another shape, and those of training.
    pub fn measure(&self) -> Result<Found> {
        self.check()?;
        let file = self.file.as_deref().context("a file to stream is needed")?;
        read_once(file)?;
        let (pass, how) = match self.mode {
            Mode::Decode => (self.decode(file)?, String::new()),
            _ => self.train(file)?,
        };
        Ok(Found { mode: Some(self.mode.name()), pass: Some(pass), how, ..Found::new("stream", self.threads) })
    }

    /// Whether this can be done, before anything is built.
    ///
    /// # Errors
    ///
    /// When it cannot, with the option to change.
    pub fn check(&self) -> Result<()> {
        ensure!(self.threads > 0, "threads: 0; expected 1 or more");
        ensure!(self.rows > 0, "rows: 0; expected 1 or more");
        ensure!(self.decode_threads != Some(0), "decode threads: 0; expected 1 or more");
        let shards = self.shards.unwrap_or(self.threads);
        ensure!(shards >= self.threads, "shards: {shards} leave some of {} threads without work", self.threads);
        let knows = [Mode::Stream, Mode::Memory, Mode::Decode].contains(&self.mode);
        ensure!(knows, "mode: stream knows stream, memory, decode and write, not {}", self.mode.name());
        Ok(())
    }

    fn train(&self, file: &Path) -> Result<(Pass, String)> {
        let wide: Workload = "wide".parse()?;
        let trainer = Trainer::new(wide.program()?, optimizer())?.engine(engine(self.threads, self.shards));
        let strategy = Online::new().batch_size(wide.batch_size);
        let mut began = Instant::now();
        let (mut source, load_s) = match self.mode {
            Mode::Memory => {
                let source = MemorySource::load(self.open(file)?, u64::MAX)?;
                let load_s = (100.0 * began.elapsed().as_secs_f64()).round() / 100.0;
                began = Instant::now();
                (source.boxed(), Some(load_s))
            }
            _ => (self.ahead(self.open(file)?, wide.batch_size)?, None),
        };
        let mut how = String::new();
        let mut listen = on_event(|event: &Event<'_, f32>, _: &mut Control| {
            if let Event::Started { engine, .. } = event {
                how = (*engine).to_owned();
            }
            Ok(())
        });
        let summary = trainer.run(&strategy, &mut trainer.start(0), &mut source, &mut listen)?;
        let waiting = summary.waiting.total.as_secs_f64() / summary.time.as_secs_f64();
        let pass = Pass {
            rows_per_s: rate(summary.rows as usize, began.elapsed().as_secs_f64()),
            peak_rss_mb: peak::mebibytes(),
            waiting: Some((1e4 * waiting).round() / 1e4),
            load_s,
            loss: Some(summary.last_epoch.mean_loss()),
        };
        Ok((pass, how))
    }

    /// Fills batches and does nothing with them.
    fn decode(&self, file: &Path) -> Result<Pass> {
        let began = Instant::now();
        let mut source = self.open(file)?;
        let mut batch = Rows::new(source.schema().clone());
        source.seek(Cursor::start(0))?;
        let mut rows = 0;
        loop {
            batch.clear();
            match source.fill(&mut batch, 1024)? {
                0 => break,
                filled => rows += filled,
            }
        }
        let rows_per_s = rate(rows, began.elapsed().as_secs_f64());
        Ok(Pass { rows_per_s, peak_rss_mb: peak::mebibytes(), waiting: None, load_s: None, loss: None })
    }

    fn open(&self, file: &Path) -> Result<ParquetSource<f32>> {
        let threads = if self.mode == Mode::Stream { 1 } else { self.threads };
        higgs::open(file, self.budget, self.decode_threads.unwrap_or(threads))
    }

    fn ahead(&self, source: ParquetSource<f32>, rows: usize) -> Result<Box<dyn Source<f32>>> {
        Ok(if self.prefetch == 0 { source.boxed() } else { source.prefetch(self.prefetch, rows)?.boxed() })
    }
}

/// Has the system hold the file in its cache, so that disks are not what is compared.
fn read_once(file: &Path) -> Result<()> {
    let mut opened = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
    std::io::copy(&mut opened, &mut std::io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Streaming = Streaming {
        mode: Mode::Stream,
        file: None,
        rows: 9,
        threads: 1,
        shards: None,
        decode_threads: None,
        budget: None,
        prefetch: 2,
    };

    #[test]
    fn each_mode_makes_one_pass() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("higgs.parquet");
        higgs::write(&path, 3000).unwrap();
        let pass = |mode, threads, prefetch| {
            let found = Streaming { mode, threads, prefetch, file: Some(path.clone()), ..STREAM }.measure().unwrap();
            assert_eq!((found.workload.as_str(), found.mode, found.threads), ("stream", Some(mode.name()), threads));
            found.pass.unwrap()
        };
        let streamed = pass(Mode::Stream, 1, 2);
        assert!(streamed.rows_per_s > 0 && streamed.load_s.is_none());
        assert!((0.0..=1.0).contains(&streamed.waiting.unwrap()), "{streamed:?}");
        assert_eq!(pass(Mode::Stream, 1, 0).loss, streamed.loss);
        let memory = pass(Mode::Memory, 1, 2);
        assert_eq!((memory.loss, memory.waiting), (streamed.loss, Some(0.0)));
        assert!(memory.load_s.is_some());
        assert!(pass(Mode::Stream, 2, 2).loss.is_some());
        let decoded = pass(Mode::Decode, 1, 2);
        assert!(decoded.rows_per_s > 0 && decoded.loss.is_none());
    }

    #[test]
    fn impossible_setups_are_refused_by_name() {
        let error = |setup: Streaming| setup.measure().unwrap_err().to_string();
        assert!(error(Streaming { threads: 0, ..STREAM }).starts_with("threads: 0"));
        assert!(error(Streaming { decode_threads: Some(0), ..STREAM }).starts_with("decode threads: 0"));
        assert!(error(Streaming { threads: 2, shards: Some(1), ..STREAM }).starts_with("shards: 1 leave"));
        assert!(error(Streaming { mode: Mode::Parquet, ..STREAM }).contains("not parquet"));
        assert!(error(STREAM).contains("a file to stream"));
        assert!(error(Streaming { file: Some("no-such-file".into()), ..STREAM }).contains("no-such-file"));
    }
}
