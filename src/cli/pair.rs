//! `pairbox pair CARD [STB]` and `pairbox unpair CARD`: the same road as the CRM's call, with an operator's name on it.
//!
//! A missing STB never unpairs here: `pair CARD` alone sends the present pairing again, which is how a dark box is mended.

use std::time::{Duration, Instant};

use clap::Args;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::named::{self, ByArgs};
use super::output::say;
use crate::actions::requests::RequestShown;
use crate::config::{Config, parse_duration};
use crate::control::{
    ItemNamed, Pair, PairAsk, PairingShow, RequestNamed, RequestShow, Unpair, UnpairAsk,
};
use crate::domain::{Phase, Priority};

#[derive(Args)]
pub struct PairArgs {
    /// The smartcard
    card: String,
    /// The STB; without it the present pairing is sent again
    stb: Option<String>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Args)]
pub struct UnpairArgs {
    /// The smartcard
    card: String,
    /// Only from this STB, where a card may have several; without it from all
    #[arg(long, value_name = "STB")]
    from: Option<String>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Args)]
struct HowArgs {
    #[command(flatten)]
    by: ByArgs,
    /// The subscription's number, or id:ID
    #[arg(long, value_name = "NUMBER")]
    subscription: Option<String>,
    /// Not before; local time of the configured zone, such as 2026-11-23T22:00:00
    #[arg(long, value_name = "TIME", conflicts_with = "immediate")]
    scheduled: Option<String>,
    #[arg(long, value_name = "PRIORITY", default_value = "REGULAR", value_parser = priority)]
    priority: Priority,
    /// Ahead of what waits, also where processing is manual
    #[arg(long)]
    immediate: bool,
    /// Wait for the CAS's answer, at most so long
    #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "30s",
          value_parser = parse_duration)]
    wait: Option<Duration>,
}

fn priority(text: &str) -> Result<Priority, String> {
    Priority::parse(&text.to_ascii_uppercase())
        .ok_or_else(|| "expected REGULAR or EXPRESS".to_owned())
}

const LOOK_EVERY: Duration = Duration::from_millis(100);

impl PairArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let call = self.how.call(&self.card, &config)?;
        let stb = self.stb.as_deref();
        let stb = stb.map(|stb| self.how.by.item(stb)).transpose()?;
        let backend = self.how.open(&config)?;
        let stb = match stb {
            Some(stb) => stb,
            None => present_stb(&backend, &self.card, &call.card)?,
        };
        let done = backend.call::<Pair>(&PairAsk { stb, call })?;
        self.how.end(&backend, done.number)
    }
}

impl UnpairArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let mut call = self.how.call(&self.card, &config)?;
        let from = self.from.as_deref();
        call.from = from.map(|stb| self.how.by.item(stb)).transpose()?;
        let backend = self.how.open(&config)?;
        let done = backend.call::<Unpair>(&call)?;
        self.how.end(&backend, done.number)
    }
}

/// The one STB that the card has now.
fn present_stb(backend: &Backend, card: &str, named: &ItemNamed) -> Result<ItemNamed, CliError> {
    let rows = backend.call::<PairingShow>(named)?;
    let mut stbs: Vec<String> = rows.into_iter().filter_map(|row| row.stb).collect();
    let card = card.to_owned();
    match (stbs.pop(), stbs.is_empty()) {
        (None, _) => Err(CliError::NothingToSendAgain { card }),
        (Some(stb), true) => Ok(ItemNamed::SerialNumber(stb)),
        (Some(stb), false) => {
            stbs.push(stb);
            let stbs = stbs.join(", ");
            Err(CliError::SeveralToSendAgain { card, stbs })
        }
    }
}

impl HowArgs {
    fn call(&self, card: &str, config: &Config) -> Result<UnpairAsk, CliError> {
        let scheduled = self.scheduled.as_deref();
        let subscription = self.subscription.as_deref();
        Ok(UnpairAsk {
            card: self.by.item(card)?,
            from: None,
            subscription: subscription.map(named::subscription).transpose()?,
            scheduled: scheduled
                .map(|text| named::instant("--scheduled", text, config.api.time_zone))
                .transpose()?,
            priority: self.priority,
            is_immediate: self.immediate,
        })
    }

    fn open(&self, config: &Config) -> Result<Backend, CliError> {
        let sending = if self.wait.is_some() {
            Sending::On
        } else {
            Sending::Off
        };
        Backend::open(config, sending)
    }

    fn end(&self, backend: &Backend, number: u64) -> Result<Exit, CliError> {
        let Some(wait) = self.wait else {
            let then = if backend.is_remote() {
                format!("`pairbox request explain {number}` says what becomes of it")
            } else {
                "start `pairbox serve`, or `pairbox process`, to send it".to_owned()
            };
            say(&format!("request {number} is queued; {then}"))?;
            return Ok(Exit::Done);
        };
        let until = Instant::now() + wait;
        loop {
            let shown = backend.call::<RequestShow>(&RequestNamed::Number(number))?;
            let phase = shown.request.phase;
            let is_over = phase.is_finished() || phase == Phase::Held;
            if is_over || Instant::now() >= until {
                return tell(&shown);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn tell(shown: &RequestShown) -> Result<Exit, CliError> {
    let number = shown.request.number;
    match shown.request.phase {
        Phase::Completed => {
            say(&format!(
                "request {number} is COMPLETED: the CAS accepted it"
            ))?;
            Ok(Exit::Done)
        }
        Phase::Rejected => {
            let words = [&shown.error_code, &shown.error_description];
            let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
            say(&format!(
                "request {number} is REJECTED: {}",
                words.join(", ")
            ))?;
            Ok(Exit::No)
        }
        phase => {
            let phase = phase.word().replace('_', " ");
            say(&format!(
                "request {number} is PENDING ({phase}); `pairbox request explain {number}` says why"
            ))?;
            Ok(Exit::No)
        }
    }
}
