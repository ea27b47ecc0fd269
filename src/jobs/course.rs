//! One job from its cursor to its end: read the next rows, ask the script, look up, hand the chunk in, again.
//!
//! While the writer has a chunk, the next one is made ready behind it (`Gathered::is_ahead`), unless its rows could see what the
//! chunk before them does. Whatever ends the process in between, the job goes on from the cursor that was recorded with its rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Jobs;
use super::asking::Asking;
use super::error::JobsError;
use super::folder::JobFile;
use super::rows::{Row, Rows};
use super::world::{Live, World, job};
use crate::commit::{Chunk, ChunkRow, RowAsked, row_reason};
use crate::domain::event::JobFields;
use crate::domain::job::{CHUNK_ROWS_MAX, RowEnding};
use crate::domain::length::{REASON_BYTES_MAX, cut};
use crate::domain::{Job, JobNumber, JobPhase, Refusal};
use crate::provider::Rate;
use crate::script::{JobFacts, JobScript};
use crate::telemetry::Metric;

/// Times that a row is looked up again because the pairings moved under it.
const TRIES_MAX: u32 = 8;
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
    handed_in: Vec<Row>,
    ahead: Option<Gathered>,
    /// The latest chunk was not done whole.
    is_cut: bool,
}

/// The rows of a chunk, ready to be handed in.
struct Gathered {
    from_row: u64,
    asked: Vec<ChunkRow>,
    rows: Vec<Row>,
    /// Made ready while the chunk before it was under way.
    is_ahead: bool,
    /// Rows that a look at the state failed: behind the chunk before them they may not fail.
    unfound: Vec<usize>,
}

impl Gathered {
    /// The cursor behind its last row.
    fn end(&self) -> Option<(u64, u64)> {
        let to_byte = self.asked.last()?.to_byte;
        Some((self.from_row + self.asked.len() as u64, to_byte))
    }
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
            handed_in: Vec::new(),
            ahead: None,
            is_cut: false,
        })
    }

    /// One chunk.
    pub fn step(&mut self, job: &Job) -> Result<Step, JobsError> {
        if let Some(ahead) = self.take_ahead(job) {
            return self.hand_in(job, ahead);
        }
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
        let gathered = self.gather((job.row, job.byte), granted, false)?;
        self.hand_in(job, gathered)
    }

    fn hand_in(&mut self, job: &Job, gathered: Gathered) -> Result<Step, JobsError> {
        let (end, is_ahead) = (gathered.end(), gathered.is_ahead);
        let count = u32::try_from(gathered.asked.len()).unwrap_or(u32::MAX);
        let chunk = Chunk {
            job: self.number,
            from_row: gathered.from_row,
            rows: gathered.asked,
        };
        self.handed_in = gathered.rows;
        let submitted = self.world.submit(&job.by, chunk);
        if let Some(end) = end {
            self.gather_ahead(job, end);
        }
        match submitted.wait() {
            Ok(endings) => {
                self.tries = 0;
                let done = u32::try_from(endings.len()).unwrap_or(u32::MAX);
                self.is_cut = done < count;
                self.rate.give_back(count.saturating_sub(done));
                Ok(Step::Done(endings))
            }
            Err(Refusal::Changed) => {
                // What was looked up before the chunk before it was done is looked up again, and was no try.
                self.tries += u32::from(!is_ahead);
                self.is_cut = true;
                self.rate.give_back(count);
                Ok(Step::Wait(Duration::ZERO))
            }
            Err(Refusal::ReserveLow) => {
                self.rate.give_back(count);
                Ok(Step::WaitForSpace)
            }
            Err(Refusal::JobState { .. }) => Ok(Step::Over),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Goes through the rows of the latest chunk that were done.
    pub fn each_done(&self, endings: &[RowEnding], mut told: impl FnMut(&Rows, &Row, &RowEnding)) {
        for (row, ending) in self.handed_in.iter().zip(endings) {
            told(&self.rows, row, ending);
        }
    }

    /// Makes the next chunk ready while the writer has this one. Not for a job with a rate, which has the time; not behind a
    /// chunk that registers something, not for a script that looks things up, and not while rows are about what rows before
    /// them changed.
    fn gather_ahead(&mut self, job: &Job, cursor: (u64, u64)) {
        let wanted = wanted(job, cursor.0);
        let can_see = self.asking.registers() || self.asking.has_looked();
        let has_time = job.fields.rate_per_s > 0 || self.is_dry_run;
        if wanted == 0 || has_time || can_see || self.is_cut {
            return;
        }
        // What is wrong with the input is found again, and told, in its turn.
        self.ahead = self.gather(cursor, wanted, true).ok();
    }

    /// The chunk that was made ready, if the one before it was done whole.
    fn take_ahead(&mut self, job: &Job) -> Option<Gathered> {
        let mut ahead = self.ahead.take()?;
        if ahead.from_row != job.row || self.asking.has_looked() {
            return None;
        }
        for at in std::mem::take(&mut ahead.unfound) {
            let (row, asked) = (ahead.rows.get(at)?, ahead.asked.get_mut(at)?);
            asked.asked = self.ask(row);
        }
        Some(ahead)
    }

    fn gather(
        &mut self,
        (from_row, from_byte): (u64, u64),
        count: u32,
        is_ahead: bool,
    ) -> Result<Gathered, JobsError> {
        self.rows.seek(from_byte)?;
        self.asking.begin_chunk();
        let mut gathered = Gathered {
            from_row,
            asked: Vec::with_capacity(count as usize),
            rows: Vec::with_capacity(count as usize),
            is_ahead,
            unfound: Vec::new(),
        };
        for at in 0..count {
            let row = self.rows.need(from_row + u64::from(at))?;
            let is_given_up = at == 0 && self.tries > TRIES_MAX;
            let refused = self.asking.refused();
            let asked = if is_given_up {
                RowAsked::Failed(Refusal::Changed.to_string())
            } else {
                self.ask(&row)
            };
            if is_ahead && self.asking.refused() != refused {
                gathered.unfound.push(gathered.rows.len());
            }
            let to_byte = row.to_byte;
            gathered.asked.push(ChunkRow { asked, to_byte });
            gathered.rows.push(row);
        }
        Ok(gathered)
    }

    /// What the script asks for a row. Its error is that row's failure, and nobody else's.
    fn ask(&mut self, row: &Row) -> RowAsked {
        if let Some(fault) = &row.fault {
            return RowAsked::Failed(fault.clone());
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
            Ok(acts) => self.asking.asked(acts),
            Err(error) => {
                self.jobs.actions.metrics.count(Metric::ScriptErrors);
                RowAsked::Failed(row_reason(&error.to_string()))
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
