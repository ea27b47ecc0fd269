//! One job from its cursor to its end: read the next rows, ask the script, look up, hand the chunk in, again.
//!
//! While the writer has a chunk, the script is asked for the rows of the next one: it knows nothing of the state unless it looks.
//! Looking up waits for the chunk before. Whatever ends the process in between, the job goes on from the cursor that was recorded
//! with its rows.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Jobs;
use super::asking::Asking;
use super::error::JobsError;
use super::folder::JobFile;
use super::rows::{Row, Rows};
use super::world::{Live, Submitted, World, job};
use crate::commit::{Chunk, ChunkRow, RowAsked, row_reason};
use crate::domain::event::JobFields;
use crate::domain::job::{CHUNK_ROWS_MAX, RowEnding};
use crate::domain::length::{REASON_BYTES_MAX, cut};
use crate::domain::{Job, JobNumber, JobPhase, Refusal};
use crate::provider::Rate;
use crate::script::{JobFacts, JobScript, RowActs};
use crate::telemetry::Metric;

/// Times that a row is looked up again because the pairings moved under it.
const TRIES_MAX: u32 = 8;
/// Texts of rows that the script was asked for ahead; a chunk's own are let go of as far as they may not be asked for.
const AHEAD_BYTES_MAX: usize = 1 << 20;
/// How long a job waits for space on the disk before it asks again.
const SPACE_AGAIN: Duration = Duration::from_secs(1);

/// A job under way.
pub struct Course<'a> {
    jobs: &'a Jobs,
    world: Arc<dyn World>,
    number: JobNumber,
    script: JobScript,
    args: Value,
    rows: Rows,
    /// Columns that the script knows and the input has not.
    absent: Vec<String>,
    rate: Rate,
    tries: u32,
    asking: Asking,
    is_dry_run: bool,
    /// The rows of the latest chunk.
    gathered: Vec<Row>,
    ahead: Option<Ahead>,
    /// The latest chunk was not done whole.
    is_cut: bool,
}

/// What the script said of the rows of the next chunk, before their turn.
struct Ahead {
    from_row: u64,
    rows: VecDeque<(Row, Scripted)>,
}

/// What the script said of a row.
enum Scripted {
    Acts(RowActs),
    /// The row itself is wrong.
    Faulty(String),
    /// The script failed.
    Broken(String),
}

/// What one turn brought.
pub enum Step {
    Done(Vec<RowEnding>),
    /// Nothing can be done for so long.
    Wait(Duration),
    /// The disk has no room for more now.
    WaitForSpace,
    /// Somebody stopped the job.
    Over,
}

impl Jobs {
    /// Runs a job until it ends, pauses, or the process stops. What goes wrong with it pauses it, for somebody to look.
    pub(super) fn run(&self, number: JobNumber) {
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_to_end(number)));
        let reason = match ran {
            Ok(Ok(()) | Err(JobsError::Refused(Refusal::Stopping))) => return,
            Ok(Err(error)) => error.to_string(),
            // A chunk under way is recorded whole, with its cursor, or not at all.
            Err(_) => "its thread panicked; keep script and input, and report this".to_owned(),
        };
        tracing::error!(job = number.0, reason, "a job is paused");
        let reason = cut(&reason, REASON_BYTES_MAX);
        if let Err(error) = self.pause("jobs", number, &reason) {
            tracing::error!(job = number.0, %error, "a job that cannot go on could not be paused");
        }
    }

    fn run_to_end(&self, number: JobNumber) -> Result<(), JobsError> {
        let world: Arc<dyn World> = Arc::new(Live(self.actions.clone()));
        let fields = self.job(number)?.fields.clone();
        let mut course = Course::open(self, world.clone(), number, &fields, false)?;
        while let Some(job) = job(&*world, number) {
            if job.phase != JobPhase::Running || self.is_stopping() {
                return Ok(());
            }
            match course.step(&job)? {
                Step::Done(_) => self.board.waits(number, None),
                Step::Wait(span) => self.board.wait(span),
                Step::WaitForSpace => {
                    self.board
                        .waits(number, Some("waits for space on the disk"));
                    self.board.wait(SPACE_AGAIN);
                }
                Step::Over => return Ok(()),
            }
        }
        Ok(())
    }

    /// What the script says of the whole; none if it has nothing to say. A mistake in it must not hide what became of the rows.
    pub(super) fn summary(&self, number: JobNumber, job: &Job) -> Option<String> {
        self.scripts_summary(number, job)
            .unwrap_or_else(|error| Some(format!("the script's summary failed: {error}")))
    }

    fn scripts_summary(&self, number: JobNumber, job: &Job) -> Result<Option<String>, JobsError> {
        let text = self.folders.script(&job.fields.folder)?;
        let script = JobScript::compile(&job.fields.script, text)?;
        let counts = serde_json::json!({
            "number": number.0,
            "rows": job.row,
            "created": job.counts.created,
            "unchanged": job.counts.unchanged,
            "skipped": job.counts.skipped,
            "failed": job.counts.failed,
            "args": args_of(&job.fields),
        });
        Ok(script.summary(&counts)?)
    }
}

impl<'a> Course<'a> {
    pub fn open(
        jobs: &'a Jobs,
        world: Arc<dyn World>,
        number: JobNumber,
        fields: &JobFields,
        is_dry_run: bool,
    ) -> Result<Self, JobsError> {
        let folder = &fields.folder;
        jobs.folders
            .check(folder, JobFile::Script, &fields.script_sha256)?;
        jobs.folders
            .check(folder, JobFile::Input, &fields.input_sha256)?;
        let script = JobScript::compile(&fields.script, jobs.folders.script(folder)?)?;
        let rows = Rows::open(&jobs.folders.file(folder, JobFile::Input)?)?;
        let mut absent = script.options()?.optional;
        absent.retain(|column| !rows.columns().any(|there| there == column));
        let now = jobs.actions.clock.monotonic();
        let zone = jobs.in_force.get().zone;
        Ok(Self {
            asking: Asking::new(jobs.actions.clone(), world.clone(), number, zone),
            jobs,
            world,
            number,
            script,
            args: args_of(fields),
            rows,
            absent,
            rate: Rate::new(fields.rate_per_s, Duration::ZERO, now),
            tries: 0,
            is_dry_run,
            gathered: Vec::new(),
            ahead: None,
            is_cut: false,
        })
    }

    /// One chunk.
    pub fn step(&mut self, job: &Job) -> Result<Step, JobsError> {
        let wanted = wanted(job, job.row);
        let now = self.jobs.actions.clock.monotonic();
        let granted = if self.is_dry_run {
            wanted
        } else {
            self.rate.take(wanted, now)
        };
        if granted == 0 {
            return Ok(Step::Wait(self.rate.next_at(now).saturating_sub(now)));
        }
        let rows = self.gather(job, granted)?;
        let submitted = self.world.submit(
            &job.by,
            Chunk {
                job: self.number,
                from_row: job.row,
                rows,
            },
        );
        self.script_ahead(job, granted, &submitted);
        match submitted.wait() {
            Ok(endings) => {
                self.tries = 0;
                let done = u32::try_from(endings.len()).unwrap_or(u32::MAX);
                self.is_cut = done < granted;
                self.rate.give_back(granted.saturating_sub(done));
                Ok(Step::Done(endings))
            }
            Err(Refusal::Changed) => {
                self.tries += 1;
                self.is_cut = true;
                self.rate.give_back(granted);
                Ok(Step::Wait(Duration::ZERO))
            }
            Err(Refusal::ReserveLow) => {
                self.is_cut = true;
                self.rate.give_back(granted);
                Ok(Step::WaitForSpace)
            }
            Err(Refusal::JobState { .. }) => Ok(Step::Over),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Goes through the rows of the latest chunk that were done.
    pub fn each_done(&self, endings: &[RowEnding], mut told: impl FnMut(&Rows, &Row, &RowEnding)) {
        for (row, ending) in self.gathered.iter().zip(endings) {
            told(&self.rows, row, ending);
        }
    }

    /// Asks the script for the next rows as long as the writer has `count` of them; a slow script delays nothing by more than a
    /// row. Not for a job with a rate, which has the time, nor behind a chunk that was cut short, whose rows may come again.
    fn script_ahead(&mut self, job: &Job, count: u32, submitted: &Submitted) {
        let from_row = job.row + u64::from(count);
        if job.fields.rate_per_s > 0 || self.is_cut {
            return;
        }
        let mut ahead = Ahead {
            from_row,
            rows: VecDeque::new(),
        };
        let mut bytes = 0;
        for at in 0..u64::from(wanted(job, from_row)) {
            if !submitted.is_open() || self.asking.has_looked() || bytes > AHEAD_BYTES_MAX {
                break;
            }
            // What is wrong with the input is found again, and told, in its turn.
            let Ok(row) = self.rows.need(from_row + at) else {
                break;
            };
            let scripted = self.script(&row);
            if let Scripted::Acts(acts) = &scripted {
                bytes += acts.text_bytes();
            }
            ahead.rows.push_back((row, scripted));
        }
        self.ahead = Some(ahead);
    }

    /// What was asked ahead, if the chunk before it was done whole and the script saw nothing of the state.
    fn take_ahead(&mut self, job: &Job) -> VecDeque<(Row, Scripted)> {
        let ahead = self.ahead.take();
        ahead
            .filter(|ahead| ahead.from_row == job.row && !self.asking.has_looked())
            .map(|ahead| ahead.rows)
            .unwrap_or_default()
    }

    fn gather(&mut self, job: &Job, count: u32) -> Result<Vec<ChunkRow>, JobsError> {
        let mut ahead = self.take_ahead(job);
        let read_to = ahead.back().map_or(job.byte, |(row, _)| row.to_byte);
        self.rows.seek(read_to)?;
        self.gathered.clear();
        self.asking.begin_chunk();
        let mut asked = Vec::with_capacity(count as usize);
        for at in 0..count {
            let (row, scripted) = if let Some(ready) = ahead.pop_front() {
                ready
            } else {
                let row = self.rows.need(job.row + u64::from(at))?;
                let scripted = self.script(&row);
                (row, scripted)
            };
            let is_given_up = at == 0 && self.tries > TRIES_MAX;
            asked.push(ChunkRow {
                asked: if is_given_up {
                    RowAsked::Failed(Refusal::Changed.to_string())
                } else {
                    self.ask(scripted)
                },
                to_byte: row.to_byte,
            });
            self.gathered.push(row);
        }
        Ok(asked)
    }

    /// What the script asks for a row.
    fn script(&self, row: &Row) -> Scripted {
        if let Some(fault) = &row.fault {
            return Scripted::Faulty(fault.clone());
        }
        let absent = self.absent.iter().map(|column| (column.as_str(), ""));
        let cells: Vec<(&str, &str)> = self.rows.cells(row).chain(absent).collect();
        let facts = JobFacts {
            number: self.number.0,
            args: &self.args,
            line: row.line,
            is_dry_run: self.is_dry_run,
        };
        match self.script.row(&cells, &facts, self.asking.finder()) {
            Ok(acts) => Scripted::Acts(acts),
            Err(error) => Scripted::Broken(row_reason(&error.to_string())),
        }
    }

    /// Looks up what the script asks for. Its error is that row's failure, and nobody else's.
    fn ask(&mut self, scripted: Scripted) -> RowAsked {
        match scripted {
            Scripted::Acts(acts) => self.asking.asked(acts),
            Scripted::Faulty(fault) => RowAsked::Failed(fault),
            Scripted::Broken(why) => {
                self.jobs.actions.metrics.count(Metric::ScriptErrors);
                RowAsked::Failed(why)
            }
        }
    }
}

/// How many rows the next chunk from this one on may have.
fn wanted(job: &Job, from_row: u64) -> u32 {
    let left = usize::try_from(job.fields.rows.saturating_sub(from_row)).unwrap_or(usize::MAX);
    let chunk_rows = (job.fields.chunk_rows as usize).clamp(1, CHUNK_ROWS_MAX);
    u32::try_from(left.min(chunk_rows)).unwrap_or(u32::MAX)
}

/// The arguments as the script gets them.
fn args_of(fields: &JobFields) -> Value {
    serde_json::from_str::<Value>(&fields.args).unwrap_or(Value::Null)
}
