//! `pairbox mapping rehearse`: what went out, encoded again by the script as it lies now, and what came back, decoded again.

use std::sync::Arc;

use clap::Args;

use super::super::backend::{Backend, Sending};
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::global::Global;
use super::super::output::{counted, say};
use super::dump::dump;
use super::provider_of;
use crate::actions::workbench::{HeardFrame, SentFrame};
use crate::control::{MappingSent, SentAsk};
use crate::domain::placeholder::names_any;
use crate::script::cases::words;
use crate::script::contract::{Decoded, EncodeContext, Reply};
use crate::script::{Mapping, Origin, Settings};

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
        let (mut commands, mut answers) = (Tally::default(), Tally::default());
        for command in &sent {
            let found = encoded_again(&mapping, &settings, command);
            commands.take(command, found)?;
            // One that held a secret is recorded without it: its columns are no more what they were.
            let answer = command.answer.as_ref();
            let answer = answer.filter(|answer| !names_any(&answer.frame.raw()));
            if let Some(answer) = answer {
                let found = decoded_again(&mapping, &settings, command, answer);
                answers.take(command, found)?;
            }
        }
        commands.tell("command", &provider.name)?;
        if answers.count() > 0 {
            answers.tell("answer", &provider.name)?;
        }
        Ok(if commands.differ + answers.differ == 0 {
            Exit::Done
        } else {
            Exit::No
        })
    }
}

/// How many came out as before; the first that did not are shown.
#[derive(Default)]
struct Tally {
    same: usize,
    differ: usize,
}

impl Tally {
    fn count(&self) -> usize {
        self.same + self.differ
    }

    fn take(&mut self, command: &SentFrame, difference: Option<String>) -> Result<(), CliError> {
        let Some(difference) = difference else {
            self.same += 1;
            return Ok(());
        };
        self.differ += 1;
        if self.differ > SHOWN_MAX {
            return Ok(());
        }
        say(&format!(
            "request {}, attempt {}, {} {}{difference}",
            command.request,
            command.attempt,
            command.step.card,
            command.step.stb.as_deref().unwrap_or("-"),
        ))
    }

    fn tell(&self, noun: &str, provider: &str) -> Result<(), CliError> {
        if self.differ > SHOWN_MAX {
            say(&format!("... and {} more", self.differ - SHOWN_MAX))?;
        }
        let counted = counted(self.count() as u64, noun);
        say(&format!(
            "{counted} of {provider}: {} the same, {} differ",
            self.same, self.differ
        ))
    }
}

/// What is different about the frame; none if nothing is.
fn encoded_again(mapping: &Mapping, settings: &Settings, command: &SentFrame) -> Option<String> {
    let context = EncodeContext {
        transaction: command.transaction,
        now: command.at,
        lane: 0,
    };
    let before = command.frame.raw();
    match mapping.encode(&command.step, &context, settings) {
        Ok(now) if now.body == before => None,
        Ok(now) => {
            let at = before.iter().zip(&now.body).position(|(a, b)| a != b);
            let at = at.unwrap_or(before.len().min(now.body.len()));
            Some(format!(
                ": differs from byte {at} on\nwent out:\n{}now:\n{}",
                dump(mapping, &before),
                dump(mapping, &now.body)
            ))
        }
        Err(error) => Some(format!("\nthe script fails now: {}\n", error.report())),
    }
}

/// What is different about the meaning of the answer; none if nothing is. The text is not compared: explanations may improve.
fn decoded_again(
    mapping: &Mapping,
    settings: &Settings,
    command: &SentFrame,
    answer: &HeardFrame,
) -> Option<String> {
    let frame = answer.frame.raw();
    let now = match mapping.decode(&frame, settings) {
        Ok(now) => now,
        Err(error) => {
            return Some(format!(
                ": `decode` fails on its answer now\n{}{}\n",
                dump(mapping, &frame),
                error.report()
            ));
        }
    };
    let key = |key: &str| key.is_empty() || key == command.key;
    let is_same = matches!(&now, Decoded::Reply(reply)
        if key(&reply.key)
            && reply.outcome == answer.outcome
            && reply.code == answer.code
            && reply.reference == answer.reference);
    let before = Decoded::Reply(Reply {
        key: command.key.clone(),
        outcome: answer.outcome,
        code: answer.code.clone(),
        text: None,
        reference: answer.reference.clone(),
        ends_session: false,
    });
    (!is_same).then(|| {
        format!(
            ": its answer means something else\n{}it was:    {}\nit is now: {}\n",
            dump(mapping, &frame),
            words(&before),
            words(&now)
        )
    })
}
