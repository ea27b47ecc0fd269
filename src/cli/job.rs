//! `pairbox job list|show|watch|report|pause|resume|cancel`.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::Subcommand;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::failures::write_failures;
use super::follow::{Followed, follow, held_words, state_words, tell, tell_local_work};
use super::global::Global;
use super::output::{Format, ListWriter, Listed, OutputArgs, counted, say, thing, time_or_dash};
use crate::actions::local_time::local_time;
use crate::control::{
    JobCancel, JobList, JobListAsk, JobPause, JobReportOf, JobResume, JobShow, JobStopAsk,
    PAGE_ROWS_MAX,
};
use crate::jobs::JobReport;

#[derive(Subcommand)]
pub enum JobCommand {
    /// All jobs
    List(OutputArgs),
    /// One job
    Show {
        /// Its number, as `job list` has it
        job: u64,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Follow a job until every row has its ending; without a server it goes on here meanwhile
    Watch {
        /// Its number, as `job list` has it
        job: u64,
        /// Until the CAS has answered everything
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// How its rows ended, and why
    Report {
        /// Its number, as `job list` has it
        job: u64,
        /// Write the failed rows there, to be mended and handed in again
        #[arg(long, value_name = "FILE.csv")]
        failures: Option<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stop a job where it is; `resume` goes on
    Pause {
        /// Its number, as `job list` has it
        job: u64,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a paused job go on
    Resume {
        /// Its number, as `job list` has it
        job: u64,
    },
    /// End a job before its last row; what it has asked for already goes on
    Cancel {
        /// Its number, as `job list` has it
        job: u64,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

impl JobCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let zone = config.api.time_zone;
        let sending = match &self {
            Self::Watch { wait: true, .. } => Sending::WithJobs,
            Self::Watch { .. } => Sending::JobsOnly,
            _ => Sending::Off,
        };
        let backend = Backend::open(&config, sending)?;
        match self {
            Self::List(args) => list_jobs(&backend, args.output, zone)?,
            Self::Show { job, output } => {
                let job = backend.call::<JobShow>(&job)?;
                thing(&job, output.output, &fields(&job, zone))?;
            }
            Self::Watch { job, wait, output } => {
                tell_local_work(&backend)?;
                let followed = Followed {
                    waits_for_cas: wait,
                    format: output.output,
                    is_new: false,
                    failures: None,
                };
                return follow(&backend, job, &followed);
            }
            Self::Report {
                job,
                failures,
                output,
            } => {
                if let Some(path) = failures.as_ref().filter(|path| path.exists()) {
                    return Err(CliError::Exists { path: path.clone() });
                }
                let report = backend.call::<JobReportOf>(&job)?;
                tell(&report, output.output, None)?;
                if let Some(path) = failures {
                    let count = write_failures(&backend, job, &path)?;
                    eprintln!("{count} failed rows: {}", path.display());
                }
            }
            Self::Pause { job, reason } => {
                backend.call::<JobPause>(&JobStopAsk { job, reason })?;
                say(&format!(
                    "job {job} is paused; `pairbox job resume {job}` goes on"
                ))?;
            }
            Self::Resume { job } => {
                backend.call::<JobResume>(&job)?;
                let then = if backend.is_remote() {
                    format!("`pairbox job watch {job}` follows it")
                } else {
                    format!("`pairbox serve` runs it, or `pairbox job watch {job}` here")
                };
                say(&format!("job {job} goes on; {then}"))?;
            }
            Self::Cancel { job, reason } => {
                backend.call::<JobCancel>(&JobStopAsk { job, reason })?;
                let left = backend.call::<JobShow>(&job)?;
                let pending = counted(left.pending, "request");
                say(&format!(
                    "job {job} is cancelled behind row {}; {pending} of it wait and go on",
                    left.done
                ))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn list_jobs(backend: &Backend, format: Format, zone: Tz) -> Result<(), CliError> {
    let mut writer = ListWriter::new(format, zone);
    let mut ask = JobListAsk {
        after: 0,
        limit: PAGE_ROWS_MAX,
    };
    loop {
        let page = backend.call::<JobList>(&ask)?;
        writer.write(&page.rows)?;
        match page.next {
            Some(after) => ask.after = after,
            None => return writer.end::<JobReport>(),
        }
    }
}

impl Listed for JobReport {
    const HEADINGS: &'static [&'static str] = &[
        "id",
        "script",
        "input",
        "state",
        "rows",
        "created",
        "unchanged",
        "skipped",
        "failed",
        "rejected",
        "pending",
        "began",
    ];

    fn cells(&self, zone: Tz) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.script.clone(),
            self.input.clone(),
            self.state.word().to_owned(),
            format!("{}/{}", self.done, self.rows),
            self.created.to_string(),
            self.unchanged.to_string(),
            self.skipped.to_string(),
            self.failed.to_string(),
            self.rejected.to_string(),
            self.pending.to_string(),
            local_time(self.created_at, zone),
        ]
    }
}

/// How many wait, and for whom.
fn pending_words(job: &JobReport) -> String {
    match held_words(job) {
        Some(held) => format!("{}, of them {held}", job.pending),
        None => job.pending.to_string(),
    }
}

fn fields(job: &JobReport, zone: Tz) -> Vec<(&'static str, String)> {
    vec![
        ("job", job.id.to_string()),
        ("script", job.script.clone()),
        ("input", job.input.clone()),
        ("state", state_words(job)),
        ("by", job.by.clone()),
        ("began", local_time(job.created_at, zone)),
        ("ended", time_or_dash(job.ended_at, zone)),
        ("rows", format!("{} of {}", job.done, job.rows)),
        ("created", job.created.to_string()),
        ("unchanged", job.unchanged.to_string()),
        ("skipped", job.skipped.to_string()),
        ("failed", job.failed.to_string()),
        ("requests", job.requests.to_string()),
        ("completed", job.completed.to_string()),
        ("rejected", job.rejected.to_string()),
        ("pending", pending_words(job)),
    ]
}
