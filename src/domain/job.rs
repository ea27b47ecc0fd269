//! A bulk job as the state keeps it: what was given, how far it is, how its rows ended. Its texts stay in the ledger and in
//! its folder.
//!
//! A chunk's rows and the job's cursor are one ledger group, so no row is done twice or missed, whatever dies.

use serde::{Deserialize, Serialize};

use super::event::{Event, JobFields};
use super::{JobNumber, Position, Refusal, RequestNumber, Timestamp, View};

/// Most rows that are judged as one.
pub const CHUNK_ROWS_MAX: usize = 256;
/// Most acts of one row.
pub const ROW_ACTS_MAX: usize = 16;
/// Most bytes of a reason of one row.
pub const ROW_REASON_BYTES_MAX: usize = 300;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    Running,
    /// Waits for an operator; nothing is lost.
    Paused,
    Cancelled,
    /// Every row has its ending; its requests may still wait for the CAS.
    Done,
}

impl JobPhase {
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    pub fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done)
    }
}

/// How many rows ended how, and what became of their requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    pub created: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
    pub requests: u64,
    pub completed: u64,
    pub rejected: u64,
}

/// A job's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub fields: JobFields,
    pub by: Box<str>,
    pub phase: JobPhase,
    /// Why it is paused or was cancelled.
    pub reason: Box<str>,
    /// Rows that have their ending: the cursor.
    pub row: u64,
    /// Where the next row begins in the job's input.
    pub byte: u64,
    pub counts: JobCounts,
    /// Rows that failed since it was created or resumed.
    pub failures_in_a_run: u64,
    pub created_at: Timestamp,
    /// When its last row ended, or it was cancelled.
    pub ended_at: Option<Timestamp>,
    pub created: Position,
    pub latest_chunk: Position,
}

impl Job {
    /// Requests that the CAS has not answered yet.
    pub fn pending(&self) -> u64 {
        self.counts.requests - self.counts.completed - self.counts.rejected
    }
}

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowEnding {
    /// What it made; none if it only registered something.
    Created(Vec<RequestNumber>),
    /// It was so already.
    Unchanged,
    Skipped(String),
    Failed(String),
}

/// Judges that a job may begin.
pub fn create(view: &dyn View, fields: &JobFields) -> (JobNumber, Event) {
    let number = JobNumber(view.meta().last_job + 1);
    let job = fields.clone();
    (number, Event::JobCreated { number, job })
}

/// Stops a job where it is.
pub fn pause(view: &dyn View, number: JobNumber, reason: &str) -> Result<Event, Refusal> {
    let job = find(view, number)?;
    if job.phase != JobPhase::Running {
        return Err(state(number, "paused", &job));
    }
    let reason = reason.to_owned();
    Ok(Event::JobPaused { number, reason })
}

/// Lets a paused job go on.
pub fn resume(view: &dyn View, number: JobNumber) -> Result<Event, Refusal> {
    let job = find(view, number)?;
    if job.phase != JobPhase::Paused {
        return Err(state(number, "resumed", &job));
    }
    Ok(Event::JobResumed { number })
}

/// Ends a job before its last row.
pub fn cancel(view: &dyn View, number: JobNumber, reason: &str) -> Result<Event, Refusal> {
    let job = find(view, number)?;
    if job.phase.is_over() {
        return Err(state(number, "cancelled", &job));
    }
    let reason = reason.to_owned();
    Ok(Event::JobCancelled { number, reason })
}

fn find(view: &dyn View, number: JobNumber) -> Result<std::sync::Arc<Job>, Refusal> {
    view.job(number).ok_or(Refusal::JobUnknown { number })
}

fn state(number: JobNumber, verb: &'static str, job: &Job) -> Refusal {
    Refusal::JobState {
        number,
        verb,
        state: job.phase.word(),
    }
}
