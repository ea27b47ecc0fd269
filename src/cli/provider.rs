//! `pairbox provider list|pause|resume`.

use std::time::Duration;

use chrono_tz::Tz;
use clap::Subcommand;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::{DASH, Listed, OutputArgs, list, say};
use crate::actions::local_time::local_time;
use crate::actions::providers::ProviderReport;
use crate::config::parse_duration;
use crate::control::{PauseAsk, ProviderList, ProviderNamed, ProviderPause, ProviderResume};

#[derive(Subcommand)]
pub enum ProviderCommand {
    /// All providers and how they are doing
    List(OutputArgs),
    /// Send nothing to a provider; requests are accepted and wait
    Pause {
        name: String,
        /// Recorded, and shown to whoever asks why nothing goes out
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Such as 2h; without it until it is resumed
        #[arg(long = "for", value_name = "SPAN", value_parser = parse_duration)]
        for_span: Option<Duration>,
    },
    /// Send again
    Resume { name: String },
}

impl ProviderCommand {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::Off)?;
        match self {
            Self::List(args) => {
                let providers = backend.call::<ProviderList>(&())?;
                list(&providers, args.output, config.api.time_zone)?;
            }
            Self::Pause {
                name,
                reason,
                for_span,
            } => {
                let ask = PauseAsk {
                    name,
                    reason,
                    for_span,
                };
                backend.call::<ProviderPause>(&ask)?;
                say(&format!(
                    "{} is paused; `pairbox provider resume {}` ends it",
                    ask.name, ask.name
                ))?;
            }
            Self::Resume { name } => {
                let ask = ProviderNamed { name };
                backend.call::<ProviderResume>(&ask)?;
                say(&format!("{} is resumed", ask.name))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Listed for ProviderReport {
    const HEADINGS: &'static [&'static str] = &[
        "name",
        "family",
        "mapping",
        "state",
        "lanes",
        "in_flight",
        "unfinished",
        "note",
    ];

    fn cells(&self, zone: Tz) -> Vec<String> {
        let state = match (&self.pause, self.is_configured, self.is_effective) {
            (_, false, _) => "missing",
            (_, _, false) => "NOT_EFFECTIVE",
            (Some(_), ..) => "paused",
            (None, ..) => "EFFECTIVE",
        };
        let (lanes, in_flight) = match &self.health {
            None => (DASH.to_owned(), DASH.to_owned()),
            Some(health) => {
                let lanes: Vec<&str> = health
                    .lanes
                    .iter()
                    .map(|lane| lane.state.as_str())
                    .collect();
                let in_flight = format!("{} of {}", health.in_flight, health.window);
                (lanes.join(", "), in_flight)
            }
        };
        vec![
            self.name.clone(),
            self.family.clone(),
            self.mapping.clone(),
            state.to_owned(),
            lanes,
            in_flight,
            self.unfinished.to_string(),
            self.remarks(zone),
        ]
    }
}

impl ProviderReport {
    /// All that is to be known of it: first what keeps it from sending.
    fn remarks(&self, zone: Tz) -> String {
        let mut remarks = vec![self.note(zone)];
        remarks.retain(|remark| remark != DASH);
        if self.held > 0 {
            remarks.push(format!(
                "{} held: `pairbox request list --state pending`, `pairbox request resolve`",
                self.held
            ));
        }
        let unmatched = self.health.as_ref();
        let unmatched = unmatched.and_then(|health| health.unmatched.as_ref());
        remarks.extend(unmatched.map(|unmatched| {
            format!("{} ({})", unmatched.words(), local_time(unmatched.at, zone))
        }));
        remarks.extend(self.differences.iter().cloned());
        if remarks.is_empty() {
            return DASH.to_owned();
        }
        remarks.join("; ")
    }

    /// What keeps it from sending, if anything does.
    pub(super) fn note(&self, zone: Tz) -> String {
        if let Some(pause) = &self.pause {
            let until = pause.until.map_or_else(String::new, |until| {
                format!(" until {}", local_time(until, zone))
            });
            return format!("by {}{until}: {}", pause.by, pause.reason);
        }
        let health = self.health.as_ref();
        let errors = health.into_iter().flat_map(|health| &health.lanes);
        let error = errors
            .filter(|lane| lane.connected_since.is_none())
            .find_map(|lane| lane.last_error.clone());
        match (
            health.and_then(|health| health.circuit_open.as_ref()),
            error,
        ) {
            (Some(why), Some(error)) => format!("circuit open: {why}; {error}"),
            (Some(why), None) => format!("circuit open: {why}"),
            (None, error) => error.unwrap_or_else(|| DASH.to_owned()),
        }
    }
}
