//! Processing runs: when regular requests may go out at all.
//!
//! Continuous: one run per day and start, always open. Every: a run at each interval, open until nothing is left to do.
//! Manual: a run when asked. Between runs only immediate requests go, and what they wait behind.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::{RequestNumber, Timestamp};

/// `[processing] mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Continuous,
    Every(Duration),
    Manual,
}

impl Mode {
    pub fn word(self) -> String {
        match self {
            Self::Continuous => "continuous".into(),
            Self::Every(interval) => format!("every {}s", interval.as_secs()),
            Self::Manual => "manual".into(),
        }
    }
}

/// How far a run is, and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    pub run: u64,
    /// Nothing of it is left to begin or in flight.
    pub is_over: bool,
    /// Ready when it began.
    pub due: u64,
    pub begun: u64,
    pub completed: u64,
    pub rejected: u64,
    /// Tried, and to be tried again later (waiting, in doubt, held).
    pub put_off: u64,
}

/// The state of the runs.
pub struct Runs {
    pub mode: Mode,
    /// The number of the open run.
    pub open: Option<u64>,
    /// The run is ordered and not recorded yet.
    pub is_ordered: bool,
    pub report: RunReport,
    /// Requests whose end the writer has not recorded yet: what follows it, the next step or the next request of the card,
    /// belongs to the same run.
    pub awaited: HashSet<RequestNumber>,
    day: i64,
}

impl Runs {
    /// `goes_on`: the latest run of a dispatcher before this one in the same process and mode. If it was open, it still is.
    pub fn new(mode: Mode, goes_on: Option<RunReport>) -> Self {
        let report = goes_on.unwrap_or_default();
        let is_open = report.run > 0 && (mode == Mode::Continuous || !report.is_over);
        Self {
            mode,
            open: is_open.then_some(report.run),
            is_ordered: false,
            report,
            awaited: HashSet::new(),
            day: 0,
        }
    }

    /// Whether a new run is due by the calendar of the continuous mode.
    pub fn is_new_day(&mut self, now: Timestamp) -> bool {
        const MICROS_A_DAY: i64 = 24 * 3600 * 1_000_000;
        let day = now.micros().div_euclid(MICROS_A_DAY);
        std::mem::replace(&mut self.day, day) != day
    }

    pub fn opened(&mut self, run: u64, due: u64) {
        self.is_ordered = false;
        self.open = Some(run);
        self.report = RunReport {
            run,
            due,
            ..RunReport::default()
        };
    }

    /// The run that new attempts belong to; 0 for an immediate request between runs.
    pub fn number(&self) -> u64 {
        self.open.unwrap_or(0)
    }
}
