//! What is shown while it lasts: bars on a terminal, plain lines elsewhere.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::results::Run;

/// The progress of one piece of work that is counted in rows; shown on a terminal alone.
pub(crate) struct Work {
    bar: Option<ProgressBar>,
}

impl Work {
    /// Of so many rows, where that is known.
    pub(crate) fn new(label: &str, rows: Option<u64>) -> Self {
        let target = ProgressDrawTarget::stderr();
        let bar = (!target.is_hidden()).then(|| {
            let bar = ProgressBar::with_draw_target(rows, target);
            bar.set_style(style(match rows {
                Some(_) => "{bar:30} {msg}  {human_pos} of {human_len} rows  {rate}  {eta} left",
                None => "{spinner} {msg}  {human_pos} rows  {rate}  {elapsed} elapsed",
            }));
            bar.set_message(label.to_owned());
            bar
        });
        Self { bar }
    }

    /// So many more rows are done.
    pub(crate) fn advance(&self, rows: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(rows);
        }
    }

    /// So many rows of so many are done.
    pub(crate) fn reach(&self, rows: u64, of: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(rows);
        }
    }

    /// It is done.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Whatever way the work ends, the terminal is left clean.
impl Drop for Work {
    fn drop(&mut self) {
        self.end();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("a template that is part of the program");
    style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
        // Text that cannot be shown is shown to nobody.
        let _ = write!(text, "{:.0} k rows/s", state.per_sec() / 1e3);
    })
}

/// The progress of a comparison.
pub struct Progress {
    bars: Option<Bars>,
    done: usize,
    planned: usize,
}

struct Bars {
    all: ProgressBar,
    run: ProgressBar,
}

impl Progress {
    /// Of so many runs.
    pub fn new(planned: usize) -> Self {
        let target = ProgressDrawTarget::stderr();
        let bars = (!target.is_hidden()).then(|| {
            let multi = MultiProgress::with_draw_target(target);
            let all = multi.add(ProgressBar::new(planned as u64));
            all.set_style(style("{bar:30} {pos}/{len} runs  {elapsed} elapsed"));
            let run = multi.add(ProgressBar::new(1));
            run.set_style(style("{bar:30} {msg}  {human_pos} of {human_len} rows  {rate}  {eta} left"));
            all.enable_steady_tick(Duration::from_millis(500));
            Bars { all, run }
        });
        Self { bars, done: 0, planned }
    }

    /// A run has trained on so many rows.
    pub fn run(&mut self, label: &str, done: u64, total: u64) {
        let Some(bars) = &self.bars else { return };
        if bars.run.message() != label {
            bars.run.set_message(label.to_owned());
            bars.run.reset();
        }
        bars.run.set_length(total);
        bars.run.set_position(done);
    }

    /// A run has finished.
    pub fn finished(&mut self, label: &str, run: &Run) {
        self.done += 1;
        let line = format!(
            "{}/{}  {label}: held-out loss {:.4}, score {:.4}; {} rows in {:.1} s",
            self.done, self.planned, run.held_out.loss, run.held_out.score, run.rows_trained, run.training_seconds
        );
        match &self.bars {
            Some(bars) => {
                bars.all.println(line);
                bars.all.inc(1);
            }
            None => crate::say::line(format_args!("{line}")),
        }
    }

    /// Everything is done.
    pub fn end(&mut self) {
        if let Some(bars) = &self.bars {
            bars.run.finish_and_clear();
            bars.all.finish_and_clear();
        }
    }
}
