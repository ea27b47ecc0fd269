//! How far a long command is: a bar on a terminal, else a line every ten seconds, both on stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::SpanText;
use crate::jobs::JobReport;

const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Option<ProgressBar>,
    noun: &'static str,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// `noun` is what is counted, in the plural; `total_bytes` is the length of the input where one is read.
    pub fn new(noun: &'static str, total_bytes: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match total_bytes {
                Some(total) => (
                    ProgressBar::new(total),
                    "{wide_bar} {percent:>3}%  {msg}  {elapsed} (eta {eta})",
                ),
                None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
            };
            let style = ProgressStyle::with_template(template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        Self {
            bar,
            noun,
            started: now,
            told: now,
        }
    }

    /// `bytes` of the input are read, `count` things are done.
    pub fn at(&mut self, bytes: u64, count: u64) {
        let message = format!("{count} {}", self.noun);
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(message);
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            eprintln!("{message} after {}", seconds(self.started.elapsed()));
        }
    }

    /// Takes the bar away; answers how long it took.
    pub fn end(self) -> Duration {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}

/// A span for the eye: whole seconds from ten on, milliseconds before.
pub fn seconds(span: Duration) -> String {
    let millis = if span < Duration::from_secs(10) {
        span.as_millis()
    } else {
        u128::from(span.as_secs()) * 1_000
    };
    let rounded = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    SpanText(rounded).to_string()
}

/// Bytes for the eye.
pub fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// How far a job is: rows of all rows, rows a second, failures.
pub struct JobProgress {
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
    /// The rows that were done when it was first looked at.
    first: Option<u64>,
}

impl JobProgress {
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{wide_bar} {percent:>3}%  {msg}  {elapsed} (eta {eta})",
            );
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        let now = Instant::now();
        Self {
            bar,
            started: now,
            told: now,
            first: None,
        }
    }

    /// Of a job that begins now.
    pub fn from_the_start() -> Self {
        Self {
            first: Some(0),
            ..Self::new()
        }
    }

    pub fn at(&mut self, job: &JobReport) {
        self.tell(job.done, job.rows, job.failed, job.pending);
    }

    pub fn of(&mut self, done: u64, rows: u64, failed: u64) {
        self.tell(done, rows, failed, 0);
    }

    fn tell(&mut self, done: u64, rows: u64, failed: u64, pending: u64) {
        let first = *self.first.get_or_insert(done);
        let rate = per_second(done - first, self.started.elapsed());
        let mut message = format!("{done} of {rows} rows, {rate} rows/s, {failed} failed");
        if done == rows && pending > 0 {
            message = format!("{done} rows, {failed} failed, {pending} wait for the CAS");
        }
        if let Some(bar) = &self.bar {
            bar.set_length(rows);
            bar.set_position(done);
            bar.set_message(message);
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            eprintln!("{message}, after {}", seconds(self.started.elapsed()));
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Takes the bar away; answers what went meanwhile, if anything did.
    pub fn went(&self, done: u64) -> Option<Went> {
        self.end();
        let rows = done - self.first.unwrap_or(done);
        let took = self.started.elapsed();
        (rows > 0).then_some(Went { rows, took })
    }
}

/// Rows that were done while somebody watched.
#[derive(Clone, Copy, Debug)]
pub struct Went {
    pub rows: u64,
    pub took: Duration,
}

/// How many of them a second, in whole ones.
pub fn per_second(count: u64, span: Duration) -> u64 {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000) / millis
}
