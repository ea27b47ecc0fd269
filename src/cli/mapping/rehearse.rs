//! `pairbox mapping rehearse`: what went out, encoded again by the script as it lies now.

use std::sync::Arc;

use clap::Args;

use super::super::backend::{Backend, Sending};
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::global::Global;
use super::super::output::{counted, say};
use super::dump::dump;
use super::provider_of;
use crate::actions::workbench::SentFrame;
use crate::control::{MappingSent, SentAsk};
use crate::script::contract::EncodeContext;
use crate::script::{Mapping, Origin};

/// Frames that are shown with their differences.
const SHOWN_MAX: usize = 10;

#[derive(Args)]
pub struct RehearseArgs {
    /// The mapping whose draft encodes
    name: String,
    /// So many of the latest commands that went out
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    last: u16,
    /// Whose commands [default: the first provider with this mapping]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

impl RehearseArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let provider = provider_of(&config, &self.name, self.provider.as_deref())?;
        let origin = Origin::find(&config.scripts_dir, &self.name)?;
        let mapping = Arc::new(Mapping::from_origin(origin)?);
        let settings = mapping.settings(&provider.settings)?;
        let backend = Backend::open(&config, Sending::Off)?;
        let sent = backend.call::<MappingSent>(&SentAsk {
            provider: provider.name.clone(),
            limit: usize::from(self.last),
        })?;
        let (mut same, mut shown, mut differ) = (0, 0, 0);
        for command in &sent {
            let context = EncodeContext {
                transaction: command.transaction,
                now: command.at,
                lane: 0,
            };
            let before = command.frame.raw();
            let now = mapping.encode(&command.step, &context, &settings);
            let difference = match now {
                Ok(encoded) if encoded.body == before => {
                    same += 1;
                    continue;
                }
                Ok(encoded) => format!(
                    "went out:\n{}now:\n{}",
                    dump(&mapping, &before),
                    dump(&mapping, &encoded.body)
                ),
                Err(error) => format!("the script fails now: {}\n", error.report()),
            };
            differ += 1;
            if shown < SHOWN_MAX {
                shown += 1;
                say(&format!(
                    "request {}, attempt {}, {} {}{}\n{difference}",
                    command.request,
                    command.attempt,
                    command.step.card,
                    command.step.stb.as_deref().unwrap_or("-"),
                    first_difference(&before, &mapping, command, &settings)
                ))?;
            }
        }
        if differ > shown {
            say(&format!("... and {} more", differ - shown))?;
        }
        let commands = counted(sent.len() as u64, "command");
        say(&format!(
            "{commands} of {}: {same} the same, {differ} differ",
            provider.name
        ))?;
        Ok(if differ == 0 { Exit::Done } else { Exit::No })
    }
}

fn first_difference(
    before: &[u8],
    mapping: &Mapping,
    command: &SentFrame,
    settings: &crate::script::Settings,
) -> String {
    let context = EncodeContext {
        transaction: command.transaction,
        now: command.at,
        lane: 0,
    };
    let Ok(now) = mapping.encode(&command.step, &context, settings) else {
        return String::new();
    };
    let at = before.iter().zip(&now.body).position(|(a, b)| a != b);
    let at = at.unwrap_or(before.len().min(now.body.len()));
    format!(": differs from byte {at} on")
}
