//! `pairbox status`: the box at a glance, and what an operator would want to know first.

use std::time::Duration;

use chrono_tz::Tz;
use clap::Args;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::{DASH, Format, Listed as _, OutputArgs, lines, say, table, thing};
use super::progress::bytes;
use super::reload::findings;
use crate::actions::local_time::local_time;
use crate::actions::providers::ProviderReport;
use crate::actions::reload::ReloadReport;
use crate::actions::status::{RequestCounts, StatusReport};
use crate::config::SpanText;
use crate::control::Status;

#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    output: OutputArgs,
}

impl StatusArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        let status = backend.call::<Status>(&())?;
        let zone = config.api.time_zone;
        if self.output.output != Format::Table {
            thing(&status, self.output.output, &fields(&status, zone))?;
            return Ok(Exit::Done);
        }
        say(&lines(&fields(&status, zone)))?;
        if !status.providers.is_empty() {
            let rows = status.providers.iter().map(|row| row.cells(zone));
            say(&format!(
                "\n{}",
                table(ProviderReport::HEADINGS, rows.collect())
            ))?;
        }
        if !status.threads.is_empty() {
            let rows = status.threads.iter();
            let rows = rows.map(|thread| vec![thread.name.clone(), thread.state.clone()]);
            say(&format!(
                "\n{}",
                table(&["thread", "state"], rows.collect())
            ))?;
        }
        if let Some(refused) = &status.configuration.refused {
            let (at, by) = (local_time(refused.at, zone), &refused.by);
            say(&format!("\nnote: the reload at {at} by {by} was refused:"))?;
            say(&findings(refused))?;
        }
        for warning in warnings(&status) {
            say(&format!("\nnote: {warning}"))?;
        }
        Ok(Exit::Done)
    }
}

fn fields(status: &StatusReport, zone: Tz) -> Vec<(&'static str, String)> {
    let serving = if status.is_serving {
        let since = local_time(status.started_at, zone);
        format!("serving since {since}, process {}", status.pid)
    } else {
        "no server is running".to_owned()
    };
    let free = status.disk_free_bytes.map_or_else(
        || "unknown".to_owned(),
        |free| format!("{} (reserve {})", bytes(free), bytes(status.reserve_bytes)),
    );
    vec![
        ("pairbox", format!("{}, {serving}", status.version)),
        (
            "up",
            SpanText(Duration::from_secs(status.uptime_s)).to_string(),
        ),
        ("ready", ready_words(status)),
        ("configuration", configuration_words(status, zone)),
        ("data", status.data_dir.display().to_string()),
        ("processing", status.processing.clone()),
        ("items", status.items.to_string()),
        ("subscriptions", status.subscriptions.to_string()),
        ("pairings", status.pairings.to_string()),
        ("requests", request_words(&status.requests)),
        (
            "ledger",
            format!(
                "lines {} to {}, {} on disk",
                status.ledger_first_seq,
                status.ledger_last_seq,
                bytes(status.ledger_bytes)
            ),
        ),
        ("state", bytes(status.state_bytes)),
        ("disk free", free),
        ("files", file_words(status)),
        ("times", status.time_zone.clone()),
    ]
}

fn configuration_words(status: &StatusReport, zone: Tz) -> String {
    let ReloadReport {
        generation, since, ..
    } = &status.configuration;
    format!("generation {generation} since {}", local_time(*since, zone))
}

fn file_words(status: &StatusReport) -> String {
    let number = |count: Option<u64>| count.map_or_else(|| DASH.to_owned(), |n| n.to_string());
    let (open, most) = (number(status.open_files), number(status.open_files_max));
    format!("{open} open of at most {most}")
}

fn ready_words(status: &StatusReport) -> String {
    let Some(readiness) = &status.readiness else {
        return DASH.to_owned();
    };
    let answer = if readiness.because.is_empty() {
        "yes".to_owned()
    } else {
        format!("no: {}", readiness.because.join(", "))
    };
    match (&readiness.probe_missed, readiness.probe_latency_us) {
        (Some(missed), _) => format!("{answer}; the last probe was missed: {missed}"),
        (None, Some(micros)) => {
            let (millis, tenths) = (micros / 1_000, micros % 1_000 / 100);
            format!("{answer}; the last probe took {millis}.{tenths}ms")
        }
        (None, None) => answer,
    }
}

fn request_words(requests: &RequestCounts) -> String {
    let counts = [
        (requests.completed, "completed"),
        (requests.rejected, "rejected"),
        (requests.scheduled, "scheduled"),
        (requests.due, "due"),
        (requests.waiting, "waiting"),
        (requests.sending, "sending"),
        (requests.in_doubt, "in doubt"),
        (requests.held, "held"),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() {
        return requests.total.to_string();
    }
    format!("{}: {}", requests.total, parts.join(", "))
}

fn warnings(status: &StatusReport) -> Vec<String> {
    let mut warnings = Vec::new();
    if status.is_serving && status.processing == "manual" {
        warnings.push("nothing goes out by itself: `pairbox process` sends what is due".to_owned());
    }
    if !status.is_serving && status.requests.due + status.requests.waiting > 0 {
        warnings.push("requests wait: `pairbox serve` or `pairbox process` sends them".to_owned());
    }
    if status.requests.held > 0 {
        warnings
            .push("held requests wait for you: `pairbox request list --state pending`".to_owned());
    }
    if status.pairing_conflicts > 0 {
        warnings.push(format!(
            "the CAS confirmed {} pairings against what was held here: compare `pairbox pairing list` with the CAS",
            status.pairing_conflicts
        ));
    }
    let is_low = |free: u64| free < status.reserve_bytes;
    if status.disk_free_bytes.is_some_and(is_low) {
        warnings.push("the disk is below its reserve: nothing new is accepted".to_owned());
    }
    warnings
}
