//! Bulk jobs: a script, an input, and every row's ending, whatever dies in between.
//!
//! `folder` keeps what was handed in, `course` takes one job from its cursor to its end, `world` is where it works (the box,
//! or an overlay for a dry run), `report` says what became of it. A job's rows go through `actions/` and the one writer like
//! every other call.

mod asking;
mod board;
mod course;
mod error;
mod finder;
mod folder;
pub mod input;
mod rehearsal;
mod report;
mod rows;
mod stuck;
mod world;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::actions::Actions;
use crate::actions::status::InForce;
use crate::commit::{Command, Committed};
use crate::config::Live;
use crate::domain::event::JobFields;
use crate::domain::length::check_reason;
use crate::domain::{Job, JobNumber, JobPhase, Refusal, View};
use crate::script::JobScript;
use board::Board;
pub use error::JobsError;
use folder::Folders;
pub use folder::{FolderError, JobFile};
pub use rehearsal::RehearsalReport;
pub use report::{FailedCursor, FailedPage, FailedRow, FullReport, JobReport};
use rows::Rows;
use stuck::{Stuck, stuck};

/// Jobs that run at once; each has a thread of `service.rs`.
pub const JOBS_AT_ONCE: usize = 2;
/// How often a job's thread looks for work that nobody told it of.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is handed in. Script and input lie in the folder already.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewJob {
    pub folder: String,
    /// As the caller names them.
    pub script: String,
    pub input: String,
    pub script_sha256: String,
    pub input_sha256: String,
    pub args: Vec<(String, String)>,
    /// In place of the script's own.
    pub rate_per_s: Option<u32>,
    pub stop_after: Option<u64>,
}

/// All jobs of the box.
pub struct Jobs {
    actions: Arc<Actions>,
    folders: Folders,
    board: Board,
    is_stopping: AtomicBool,
    in_force: Arc<Live<InForce>>,
}

impl Jobs {
    /// The jobs of a data directory; folders that no job has are taken away.
    pub fn open(actions: Arc<Actions>, data_dir: &Path, in_force: Arc<Live<InForce>>) -> Arc<Self> {
        let folders = Folders::new(data_dir);
        let jobs = actions.state.view().jobs();
        let known: HashSet<String> = jobs
            .into_iter()
            .map(|(_, job)| job.fields.folder.clone())
            .collect();
        folders.sweep(&known);
        Arc::new(Self {
            actions,
            folders,
            board: Board::default(),
            is_stopping: AtomicBool::new(false),
            in_force,
        })
    }

    /// A place for a script and an input.
    pub fn begin_upload(&self) -> Result<String, JobsError> {
        let now = self.actions.clock.monotonic();
        self.board
            .make_room(now, |lost| self.folders.remove(lost))?;
        let folder = self.folders.make()?;
        self.board.begin(folder.clone(), now);
        Ok(folder)
    }

    /// The next bytes of one of its files.
    pub fn append(
        &self,
        folder: &str,
        file: JobFile,
        at: u64,
        bytes: &[u8],
    ) -> Result<(), JobsError> {
        self.board.came(folder, self.actions.clock.monotonic())?;
        let reserve = self.in_force.get().reserve_bytes;
        if !self.folders.has_room(reserve + bytes.len() as u64) {
            self.discard(folder);
            return Err(Refusal::ReserveLow.into());
        }
        Ok(self.folders.append(folder, file, at, bytes)?)
    }

    /// Records a job; it begins at once if a thread is free.
    pub fn create(&self, by: &str, new: &NewJob) -> Result<JobNumber, JobsError> {
        let fields = self.hand_in(new)?;
        let command = Command::CreateJob(Box::new(fields));
        let created = self.actions.door.call(by, command);
        self.board.forget(&new.folder);
        let refusal = match created {
            Ok(Committed::Job(number)) => {
                self.board.ring();
                return Ok(number);
            }
            Ok(_) => Refusal::Changed,
            Err(refusal) => refusal,
        };
        // Whether one was recorded is not known of a box that stops; its next start knows.
        if refusal != Refusal::Stopping {
            self.folders.remove(&new.folder);
        }
        Err(refusal.into())
    }

    /// Begins a dry run; its folder names it.
    pub fn rehearse(&self, by: &str, new: &NewJob) -> Result<String, JobsError> {
        let fields = self.hand_in(new)?;
        let limit = rehearsal::ROWS_MAX;
        if fields.rows > limit {
            self.discard(&new.folder);
            let (input, found) = (fields.input, fields.rows);
            return Err(JobsError::RehearsalTooLong {
                limit,
                input,
                found,
            });
        }
        self.board.rehearse(&new.folder, by, fields);
        Ok(new.folder.clone())
    }

    /// How far a dry run is. Its end is told once; then it is forgotten.
    pub fn rehearsal(&self, folder: &str) -> Result<RehearsalReport, JobsError> {
        let now = self.actions.clock.monotonic();
        let report = self.board.rehearsal(folder, now)?;
        if report.is_over {
            self.discard(folder);
        }
        Ok(report)
    }

    /// Jobs with numbers above `after`, ascending.
    pub fn list(&self, after: u64, limit: usize) -> Vec<JobReport> {
        let stuck = stuck(&self.actions.state);
        let jobs = self.actions.state.view().jobs();
        jobs.iter()
            .filter(|(number, _)| number.0 > after)
            .take(limit)
            .map(|(number, job)| self.glance(*number, job, &stuck))
            .collect()
    }

    pub fn show(&self, number: JobNumber) -> Result<JobReport, JobsError> {
        let job = self.job(number)?;
        Ok(self.glance(number, &job, &stuck(&self.actions.state)))
    }

    fn glance(&self, number: JobNumber, job: &Job, stuck: &HashMap<JobNumber, Stuck>) -> JobReport {
        let mut report = JobReport::of(number, job);
        let stuck = stuck.get(&number).copied().unwrap_or_default();
        (report.held, report.behind_held) = (stuck.held, stuck.behind);
        if job.phase == JobPhase::Running
            && let Some(why) = self.board.why_not(number)
        {
            why.clone_into(&mut report.reason);
        }
        report
    }

    /// The job with its reasons, and what its script says of the whole.
    pub fn report(&self, number: JobNumber) -> Result<FullReport, JobsError> {
        let job = self.job(number)?;
        let reasons = report::reasons(&self.actions, &self.folders, &job)?;
        let summary = self.summary(number, &job);
        Ok(FullReport {
            job: self.glance(number, &job, &stuck(&self.actions.state)),
            reasons,
            summary,
        })
    }

    pub fn failed(
        &self,
        number: JobNumber,
        before: Option<FailedCursor>,
    ) -> Result<FailedPage, JobsError> {
        let job = self.job(number)?;
        report::failed(&self.actions, &self.folders, &job, before)
    }

    pub fn pause(&self, by: &str, job: JobNumber, reason: &str) -> Result<(), JobsError> {
        check_reason(reason)?;
        let reason = reason.to_owned();
        self.order(by, Command::PauseJob { job, reason })
    }

    pub fn resume(&self, by: &str, job: JobNumber) -> Result<(), JobsError> {
        self.order(by, Command::ResumeJob { job })
    }

    /// Ends a job; what it has asked for already goes on.
    pub fn cancel(&self, by: &str, job: JobNumber, reason: &str) -> Result<(), JobsError> {
        check_reason(reason)?;
        let reason = reason.to_owned();
        self.order(by, Command::CancelJob { job, reason })
    }

    fn order(&self, by: &str, command: Command) -> Result<(), JobsError> {
        self.actions.door.call(by, command)?;
        self.board.ring();
        Ok(())
    }

    /// Takes one job after the other until `stop`; for a thread of its own, with the stack that scripts need.
    pub fn work(&self) {
        self.board.has_threads();
        while !self.is_stopping() {
            if let Some(number) = self.take() {
                self.run(number);
                self.board.give_back(number);
            } else {
                self.board.wait(LOOK_EVERY);
            }
        }
    }

    /// Takes one dry run after the other until `stop`; for a thread of its own, so that none waits for the end of a job.
    pub fn rehearse_all(&self) {
        while !self.is_stopping() {
            match self.board.take_rehearsal() {
                Some((folder, by, fields)) => self.rehearse_now(&folder, &by, &fields),
                None => self.board.wait(LOOK_EVERY),
            }
        }
    }

    /// Ends the work between two chunks.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.board.ring();
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// The oldest job that runs and that no other thread has.
    fn take(&self) -> Option<JobNumber> {
        let jobs = self.actions.state.view().jobs();
        let runs = jobs
            .into_iter()
            .filter(|(_, job)| job.phase == JobPhase::Running);
        runs.map(|(number, _)| number)
            .find(|number| self.board.take(*number))
    }

    fn job(&self, number: JobNumber) -> Result<Arc<Job>, JobsError> {
        let job = self.actions.state.view().job(number);
        Ok(job.ok_or(Refusal::JobUnknown { number })?)
    }

    /// Takes what came for one job or dry run. What is wrong with it is said once: it is handed in anew from the beginning.
    fn hand_in(&self, new: &NewJob) -> Result<JobFields, JobsError> {
        let now = self.actions.clock.monotonic();
        self.board.hand_in(&new.folder, now)?;
        let prepared = self.prepare(new);
        if prepared.is_err() {
            self.discard(&new.folder);
        }
        prepared
    }

    fn discard(&self, folder: &str) {
        self.board.forget(folder);
        self.folders.remove(folder);
    }

    /// Checks what was handed in, and makes it durable.
    fn prepare(&self, new: &NewJob) -> Result<JobFields, JobsError> {
        let folder = new.folder.as_str();
        for (file, sha256) in [
            (JobFile::Script, &new.script_sha256),
            (JobFile::Input, &new.input_sha256),
        ] {
            self.folders.seal(folder, file, sha256)?;
        }
        let script = JobScript::compile(&new.script, self.folders.script(folder)?)?;
        let options = script.options()?;
        let args = script.args(&options, &new.args)?;
        let rows = Rows::open(&self.folders.file(folder, JobFile::Input)?)?;
        check_columns(new, &options.columns, &rows)?;
        let byte = rows.byte();
        Ok(JobFields {
            folder: new.folder.clone(),
            script: new.script.clone(),
            script_sha256: new.script_sha256.clone(),
            input: new.input.clone(),
            input_sha256: new.input_sha256.clone(),
            rows: rows.count()?,
            byte,
            args: args.to_string(),
            chunk_rows: u32::try_from(options.chunk_rows).unwrap_or(u32::MAX),
            rate_per_s: new.rate_per_s.unwrap_or(options.rate_per_s),
            stop_after: new.stop_after.unwrap_or(options.stop_after),
        })
    }
}

fn check_columns(new: &NewJob, needed: &[String], rows: &Rows) -> Result<(), JobsError> {
    let found: Vec<&str> = rows.columns().collect();
    let missing = needed.iter().find(|name| !found.contains(&name.as_str()));
    match missing {
        None => Ok(()),
        Some(missing) => Err(JobsError::Column {
            missing: missing.clone(),
            input: new.input.clone(),
            script: new.script.clone(),
            expected: needed.join(", "),
            found: found.join(", "),
        }),
    }
}
