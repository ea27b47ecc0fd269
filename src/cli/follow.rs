//! A job as it goes: a bar, then its report. Ctrl-C lets it go on and says how to come back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::backend::Backend;
use super::error::CliError;
use super::exit::Exit;
use super::failures::write_failures;
use super::output::{DASH, Format, lines, say, say_csv_rows};
use super::progress::{JobProgress, Went, per_second};
use crate::control::{
    JobList, JobListAsk, JobRehearsal, JobRehearse, JobReportOf, JobShow, PAGE_ROWS_MAX,
    ProviderList,
};
use crate::domain::JobPhase;
use crate::jobs::{FullReport, JobReport, NewJob, RehearsalReport};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// While requests are held each look goes through all that are unfinished.
const LOOK_AT_HELD_EVERY: Duration = Duration::from_millis(500);
/// Failed rows that are said one by one.
const FAILURES_SAID: usize = 10;

/// How far a job is followed, and what is made of its end.
pub struct Followed {
    /// Until the CAS has answered everything, not only until every row has its ending.
    pub waits_for_cas: bool,
    pub format: Format,
    /// It was handed in just now.
    pub is_new: bool,
    /// Where the failed rows go; none: nowhere.
    pub failures: Option<PathBuf>,
}

/// Follows a job to its end, or until Ctrl-C.
pub fn follow(backend: &Backend, number: u64, followed: &Followed) -> Result<Exit, CliError> {
    let stop = watch_signals()?;
    let mut progress = if followed.is_new {
        JobProgress::from_the_start()
    } else {
        JobProgress::new()
    };
    let mut is_seen = false;
    let mut standstill = Standstill::new();
    let job = loop {
        let job = backend.call::<JobShow>(&number).inspect_err(|_| {
            if is_seen {
                eprintln!("job {number} is kept; `pairbox job watch {number}` comes back to it");
            }
        })?;
        is_seen = true;
        progress.at(&job);
        if followed.waits_for_cas && job.done == job.rows {
            standstill.look(backend, &job)?;
        }
        let can_go_on = job.pending > job.held + job.behind_held;
        let waits = followed.waits_for_cas && job.state.is_over() && can_go_on;
        if (job.state != JobPhase::Running && !waits) || stop.load(Ordering::Relaxed) {
            break job;
        }
        std::thread::sleep(if job.held > 0 {
            LOOK_AT_HELD_EVERY
        } else {
            LOOK_EVERY
        });
    };
    let went = progress.went(job.done);
    if stop.load(Ordering::Relaxed) && job.state == JobPhase::Running {
        return detached(backend, &job);
    }
    let report = backend.call::<JobReportOf>(&number)?;
    tell(&report, followed.format, went)?;
    if let Some(path) = &followed.failures
        && job.failed > 0
    {
        let path = unused(path, number);
        write_failures(backend, number, &path)?;
        eprintln!(
            "failed rows with their reasons: {}; mend them there and hand the file in again",
            path.display()
        );
    }
    next(backend, &job, followed);
    Ok(exit(&job, followed.waits_for_cas))
}

/// How long nothing is answered before somebody is told why.
const STANDSTILL: Duration = Duration::from_secs(10);

/// A CAS that answers nothing more.
struct Standstill {
    pending: u64,
    since: Instant,
    is_told: bool,
}

impl Standstill {
    fn new() -> Self {
        Self {
            pending: 0,
            since: Instant::now(),
            is_told: false,
        }
    }

    /// Says what the providers have to say for themselves, once.
    fn look(&mut self, backend: &Backend, job: &JobReport) -> Result<(), CliError> {
        if job.pending != self.pending {
            *self = Self {
                pending: job.pending,
                ..Self::new()
            };
        }
        if self.is_told || self.pending == 0 || self.since.elapsed() < STANDSTILL {
            return Ok(());
        }
        self.is_told = true;
        let (number, pending) = (job.id, job.pending);
        let providers = backend.call::<ProviderList>(&())?;
        for provider in providers {
            let note = provider.note(chrono_tz::UTC);
            if note != DASH {
                eprintln!("provider {}: {note}", provider.name);
            }
        }
        eprintln!(
            "{pending} wait; `pairbox request list --job {number} --state pending` says when they are due"
        );
        Ok(())
    }
}

/// The path, or one with the job's number beside it: somebody may be at work on the file of an earlier job.
fn unused(path: &Path, number: u64) -> PathBuf {
    if path.exists() {
        path.with_extension(format!("{number}.csv"))
    } else {
        path.to_owned()
    }
}

/// Says which jobs this process works on because no server does.
pub fn tell_local_work(backend: &Backend) -> Result<(), CliError> {
    if backend.is_remote() {
        return Ok(());
    }
    let ask = JobListAsk {
        after: 0,
        limit: PAGE_ROWS_MAX,
    };
    let jobs = backend.call::<JobList>(&ask)?.rows;
    let running = jobs.iter().filter(|job| job.state == JobPhase::Running);
    let numbers: Vec<String> = running.map(|job| job.id.to_string()).collect();
    let too = match numbers.as_slice() {
        [] => String::new(),
        _ => format!(
            "; so do the jobs that were not done: {}",
            numbers.join(", ")
        ),
    };
    eprintln!("no server runs: rows are worked on here{too}");
    Ok(())
}

/// A dry run from its begin to its report.
pub fn rehearse(backend: &Backend, job: &NewJob, format: Format) -> Result<Exit, CliError> {
    let Some((end, went)) = try_job(backend, job)? else {
        eprintln!("left; a dry run stores nothing");
        return Ok(Exit::No);
    };
    tell_failures(&end);
    let Some(report) = end.report else {
        return Ok(Exit::No);
    };
    if format == Format::Table {
        say("dry run, nothing stored")?;
    }
    tell(&report, format, went)?;
    let is_good = report.job.failed == 0;
    Ok(if is_good { Exit::Done } else { Exit::No })
}

/// Refuses a plan of which any row would fail now; `false` if it was left by Ctrl-C.
pub fn fits_still(backend: &Backend, plan: &NewJob, given: &str) -> Result<bool, CliError> {
    let Some((end, _)) = try_job(backend, plan)? else {
        return Ok(false);
    };
    if end.failed == 0 {
        return Ok(true);
    }
    tell_failures(&end);
    Err(CliError::PlanChanged {
        plan: given.to_owned(),
        rows: end.failed,
    })
}

/// Has a job judged without storing anything; none if it was left by Ctrl-C.
fn try_job(
    backend: &Backend,
    job: &NewJob,
) -> Result<Option<(RehearsalReport, Option<Went>)>, CliError> {
    let folder = backend.call::<JobRehearse>(job)?;
    let stop = watch_signals()?;
    let mut progress = JobProgress::from_the_start();
    loop {
        let state = backend.call::<JobRehearsal>(&folder)?;
        if let Some(error) = state.error {
            progress.end();
            return Err(CliError::Rehearsal(error));
        }
        if state.is_over {
            let went = progress.went(state.done);
            return Ok(Some((state, went)));
        }
        progress.of(state.done, state.rows, state.failed);
        if stop.load(Ordering::Relaxed) {
            progress.end();
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn tell_failures(end: &RehearsalReport) {
    for (line, why) in end.failures.iter().take(FAILURES_SAID) {
        eprintln!("line {line}: {why}");
    }
    if end.failures.len() > FAILURES_SAID {
        eprintln!("... and more");
    }
}

/// Writes a report.
pub fn tell(report: &FullReport, format: Format, went: Option<Went>) -> Result<(), CliError> {
    if format == Format::Json {
        let text =
            serde_json::to_string_pretty(report).map_err(|error| CliError::Output(error.into()))?;
        return say(&text);
    }
    if format == Format::Csv {
        return tell_csv(report);
    }
    let job = &report.job;
    let took = went.map(|Went { rows, took }| {
        let rate = per_second(rows, took);
        format!("{} ({rate} rows/s)", super::progress::seconds(took))
    });
    let is_dry = job.id == 0;
    let of_requests = if job.requests == 0 {
        String::new()
    } else if is_dry {
        job.requests.to_string()
    } else {
        format!(
            "{} ({} completed, {} rejected, {} pending)",
            job.requests, job.completed, job.rejected, job.pending
        )
    };
    let id = if is_dry {
        String::new()
    } else {
        job.id.to_string()
    };
    say(&lines(&[
        ("job", id),
        ("script", job.script.clone()),
        ("input", job.input.clone()),
        ("state", state_words(job)),
        ("rows", format!("{} of {}", job.done, job.rows)),
        ("created", job.created.to_string()),
        ("unchanged", job.unchanged.to_string()),
        ("skipped", job.skipped.to_string()),
        ("failed", job.failed.to_string()),
        ("requests", of_requests),
        ("took", took.unwrap_or_default()),
    ]))?;
    if !report.reasons.is_empty() {
        say("\nreasons")?;
        let mut reasons: Vec<_> = report.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            say(&format!("{count:>9}  {reason}"))?;
        }
    }
    if let Some(summary) = &report.summary {
        say(&format!("\n{summary}"))?;
    }
    Ok(())
}

/// Two columns, so that counts and reasons stand below each other.
fn tell_csv(report: &FullReport) -> Result<(), CliError> {
    let job = &report.job;
    let line = |what: &str, value: String| vec![what.to_owned(), value];
    let mut rows = vec![
        line("script", job.script.clone()),
        line("input", job.input.clone()),
        line("state", state_words(job)),
    ];
    let counts = [
        ("rows", job.rows),
        ("done", job.done),
        ("created", job.created),
        ("unchanged", job.unchanged),
        ("skipped", job.skipped),
        ("failed", job.failed),
        ("requests", job.requests),
        ("completed", job.completed),
        ("rejected", job.rejected),
        ("pending", job.pending),
    ];
    rows.extend(counts.map(|(what, count)| line(what, count.to_string())));
    let reasons = report.reasons.iter();
    rows.extend(reasons.map(|(reason, count)| line(reason, count.to_string())));
    say_csv_rows(line("what", "value".to_owned()), rows)
}

/// The state, with the reason where there is one.
pub fn state_words(job: &JobReport) -> String {
    if job.reason.is_empty() {
        job.state.word().to_owned()
    } else {
        format!("{}: {}", job.state.word(), job.reason)
    }
}

fn detached(backend: &Backend, job: &JobReport) -> Result<Exit, CliError> {
    let number = job.id;
    let goes_on = if backend.is_remote() {
        format!("job {number} goes on in the server; `pairbox job watch {number}` comes back to it")
    } else {
        format!(
            "job {number} stops behind row {}; the next `pairbox serve` goes on, or `pairbox job watch {number}` here",
            job.done
        )
    };
    say(&goes_on)?;
    // Here nobody goes on with it.
    let is_good = backend.is_remote();
    Ok(if is_good { Exit::Done } else { Exit::No })
}

/// The requests for which somebody has to decide; none if there is none.
pub fn held_words(job: &JobReport) -> Option<String> {
    let behind = match job.behind_held {
        0 => String::new(),
        count => format!(" and {count} behind them"),
    };
    (job.held + job.behind_held > 0).then(|| format!("{} held{behind}", job.held))
}

/// The next command.
fn next(backend: &Backend, job: &JobReport, followed: &Followed) {
    let number = job.id;
    let has_waited = followed.waits_for_cas;
    if job.failed > 0 && followed.failures.is_none() {
        eprintln!("`pairbox job report {number} --failures FILE.csv` writes the failed rows");
    }
    if job.rejected > 0 {
        eprintln!(
            "`pairbox request list --job {number} --state rejected` names what the CAS refused"
        );
    }
    if job.state == JobPhase::Paused {
        eprintln!(
            "`pairbox job resume {number}` goes on, `pairbox job cancel {number} --reason TEXT` ends it"
        );
    } else if let Some(held) = held_words(job) {
        eprintln!(
            "{held}: `pairbox request list --job {number} --state pending` names them, `pairbox request resolve NUMBER done|not-done|send-again --reason TEXT` \
             settles one"
        );
    } else if job.pending > 0 && !backend.is_remote() && !has_waited {
        eprintln!("queued; start `pairbox serve`, or `pairbox process`, to send it");
    } else if job.pending > 0 {
        eprintln!(
            "the CAS has not answered {} yet; `pairbox job watch {number} --wait` waits for it",
            job.pending
        );
    }
}

fn exit(job: &JobReport, waits_for_cas: bool) -> Exit {
    let is_answered = !waits_for_cas || job.pending == 0;
    let is_good =
        job.state == JobPhase::Done && job.failed == 0 && job.rejected == 0 && is_answered;
    if is_good { Exit::Done } else { Exit::No }
}

/// Ctrl-C asks this process to leave; a second one ends it.
pub fn watch_signals() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(CliError::Signals)?;
    }
    Ok(stop)
}
