//! Verbs about bulk jobs: hand one in, in parts; try it; list, show, report, pause, resume, cancel.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{ControlContext, ControlError, PAGE_ROWS_MAX, Page, Verb};
use crate::domain::JobNumber;
use crate::jobs::{
    FailedCursor, FailedPage, FullReport, JobFile, JobReport, JobsError, NewJob, RehearsalReport,
};

pub struct JobUpload;

impl Verb for JobUpload {
    const NAME: &'static str = "job.upload";
    type Ask = ();
    /// The folder's name.
    type Answer = String;

    fn run(context: &ControlContext, _by: &str, _ask: ()) -> Result<String, ControlError> {
        Ok(context.jobs.begin_upload()?)
    }
}

/// The next bytes of a file, in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartAsk {
    pub folder: String,
    pub file: JobFile,
    pub at: u64,
    pub bytes: String,
}

impl PartAsk {
    pub fn new(folder: &str, file: JobFile, at: u64, bytes: &[u8]) -> Self {
        Self {
            folder: folder.to_owned(),
            file,
            at,
            bytes: BASE64_STANDARD.encode(bytes),
        }
    }
}

pub struct JobPart;

impl Verb for JobPart {
    const NAME: &'static str = "job.part";
    type Ask = PartAsk;
    type Answer = ();

    fn run(context: &ControlContext, _by: &str, ask: PartAsk) -> Result<(), ControlError> {
        let bytes = BASE64_STANDARD
            .decode(&ask.bytes)
            .map_err(|_| JobsError::Argument("a part came that is no base64".to_owned()))?;
        Ok(context.jobs.append(&ask.folder, ask.file, ask.at, &bytes)?)
    }
}

pub struct JobCreate;

impl Verb for JobCreate {
    const NAME: &'static str = "job.create";
    type Ask = NewJob;
    /// The job's number.
    type Answer = u64;

    fn run(context: &ControlContext, by: &str, ask: NewJob) -> Result<u64, ControlError> {
        Ok(context.jobs.create(by, &ask)?.0)
    }
}

pub struct JobRehearse;

impl Verb for JobRehearse {
    const NAME: &'static str = "job.rehearse";
    type Ask = NewJob;
    /// The folder's name, which names the dry run.
    type Answer = String;

    fn run(context: &ControlContext, by: &str, ask: NewJob) -> Result<String, ControlError> {
        Ok(context.jobs.rehearse(by, &ask)?)
    }
}

pub struct JobRehearsal;

impl Verb for JobRehearsal {
    const NAME: &'static str = "job.rehearsal";
    /// The folder's name.
    type Ask = String;
    type Answer = RehearsalReport;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: String,
    ) -> Result<RehearsalReport, ControlError> {
        Ok(context.jobs.rehearsal(&ask)?)
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JobListAsk {
    pub after: u64,
    pub limit: usize,
}

pub struct JobList;

impl Verb for JobList {
    const NAME: &'static str = "job.list";
    type Ask = JobListAsk;
    type Answer = Page<JobReport>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: JobListAsk,
    ) -> Result<Page<JobReport>, ControlError> {
        let limit = ask.limit.clamp(1, PAGE_ROWS_MAX);
        let rows = context.jobs.list(ask.after, limit);
        Ok(Page::of(rows, limit, |job| job.id))
    }
}

pub struct JobShow;

impl Verb for JobShow {
    const NAME: &'static str = "job.show";
    /// The job's number.
    type Ask = u64;
    type Answer = JobReport;

    fn run(context: &ControlContext, _by: &str, ask: u64) -> Result<JobReport, ControlError> {
        Ok(context.jobs.show(JobNumber(ask))?)
    }
}

pub struct JobReportOf;

impl Verb for JobReportOf {
    const NAME: &'static str = "job.report";
    /// The job's number.
    type Ask = u64;
    type Answer = FullReport;

    fn run(context: &ControlContext, _by: &str, ask: u64) -> Result<FullReport, ControlError> {
        Ok(context.jobs.report(JobNumber(ask))?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedAsk {
    pub job: u64,
    pub before: Option<FailedCursor>,
}

pub struct JobFailed;

impl Verb for JobFailed {
    const NAME: &'static str = "job.failed";
    type Ask = FailedAsk;
    type Answer = FailedPage;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: FailedAsk,
    ) -> Result<FailedPage, ControlError> {
        let job = JobNumber(ask.job);
        Ok(context.jobs.failed(job, ask.before)?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobStopAsk {
    pub job: u64,
    pub reason: String,
}

pub struct JobPause;

impl Verb for JobPause {
    const NAME: &'static str = "job.pause";
    type Ask = JobStopAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: JobStopAsk) -> Result<(), ControlError> {
        Ok(context.jobs.pause(by, JobNumber(ask.job), &ask.reason)?)
    }
}

pub struct JobResume;

impl Verb for JobResume {
    const NAME: &'static str = "job.resume";
    /// The job's number.
    type Ask = u64;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: u64) -> Result<(), ControlError> {
        Ok(context.jobs.resume(by, JobNumber(ask))?)
    }
}

pub struct JobCancel;

impl Verb for JobCancel {
    const NAME: &'static str = "job.cancel";
    type Ask = JobStopAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: JobStopAsk) -> Result<(), ControlError> {
        Ok(context.jobs.cancel(by, JobNumber(ask.job), &ask.reason)?)
    }
}
