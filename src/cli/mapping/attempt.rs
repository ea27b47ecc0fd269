//! `pairbox mapping try`: one live exchange with a CAS, shown byte by byte. It is recorded, and nothing else changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use crossbeam_channel::{Receiver, bounded};

use super::super::backend::{Backend, Sending};
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::global::Global;
use super::super::output::say;
use super::dump::dump;
use super::provider_of;
use crate::clock::{Clock, SystemClock};
use crate::control::MappingTried;
use crate::dispatch::recorded_frame;
use crate::domain::event::{Tried, TriedFrame};
use crate::provider::{
    EVENT_BATCHES_MAX, LaneBatch, LaneCommand, LaneEvent, LaneWires, Outgoing, Provider,
    ProviderOptions, SessionOverrides,
};
use crate::script::cases::words;
use crate::script::contract::{Action, Decoded, EncodeContext, MappingRequest};
use crate::script::{Mapping, Origin, STACK_BYTES_MIN};
use crate::service::credentials;
use crate::telemetry::Metrics;

/// Numbers that are kept for exchanges by hand: the last of the range, which a server comes to last.
const NUMBERS: u64 = 32;
const LANE_NUMBER: u16 = 0;
/// Beside the session's own time-outs, for the answers of the engine.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct TryArgs {
    /// The mapping, as its files lie now
    name: String,
    /// Host and port of the CAS
    #[arg(long, value_name = "ADDRESS")]
    address: String,
    /// Whose settings and secrets [default: the first provider with this mapping]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[arg(value_enum)]
    action: ActionWord,
    /// The card as the CAS knows it
    card: String,
    /// The STB as the CAS knows it; for an unpair the one that the card leaves, if the CAS must hear it
    stb: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ActionWord {
    Pair,
    Unpair,
}

/// What went over the wire, in its order.
type Wire = Arc<Mutex<Vec<(bool, Vec<u8>)>>>;

impl TryArgs {
    pub fn run(self, global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let configured = provider_of(&config, &self.name, self.provider.as_deref())?;
        let origin = Origin::find(&config.scripts_dir, &self.name)?;
        let mapping = Arc::new(Mapping::from_origin(origin)?);
        let credentials = credentials(configured).map_err(|source| {
            crate::service::ServiceError::Credentials {
                provider: configured.name.clone(),
                source: Box::new(source),
            }
        })?;
        let provider = Provider::new(ProviderOptions {
            number: LANE_NUMBER,
            name: configured.name.clone(),
            family: configured.family.clone(),
            mapping: Arc::clone(&mapping),
            settings: configured.settings.clone(),
            address: self.address.clone(),
            credentials,
            overrides: SessionOverrides {
                reply_timeout: configured.reply_timeout,
                connect_timeout: configured.connect_timeout,
                lanes: Some(1),
                ..SessionOverrides::default()
            },
            smartcard_products: Vec::new(),
            stb_products: Vec::new(),
            seed: 0,
        })?;
        let request = self.request(&mapping, &provider)?;
        if let Some(text) = mapping.validate(&request, &provider.settings)? {
            say(&format!("the mapping refuses this: {text}"))?;
            return Ok(Exit::No);
        }
        // Nothing goes out unrecorded.
        let backend = Backend::open(&config, Sending::Off)?;
        let wire: Wire = Arc::default();
        let mut tried = Tried {
            mapping: self.name.clone(),
            mapping_sha256: mapping.sha256().to_owned(),
            address: self.address.clone(),
            what: self.words(),
            frames: Vec::new(),
            end: None,
        };
        backend.call::<MappingTried>(&tried)?;
        let end = exchange(&provider, &request, &wire);
        let seen = wire.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (is_sent, frame) in &seen {
            let arrow = if *is_sent { "->" } else { "<-" };
            let bytes = frame.len();
            say(&format!("{arrow} {bytes} bytes\n{}", dump(&mapping, frame)))?;
        }
        tried.frames = seen
            .iter()
            .map(|(is_sent, frame)| TriedFrame {
                is_sent: *is_sent,
                frame: recorded_frame(frame, false),
            })
            .collect();
        let (is_good, told) = match end {
            Ok((is_good, told)) => (is_good, told),
            Err(reason) => (false, reason),
        };
        tried.end = Some(told.clone());
        backend.call::<MappingTried>(&tried)?;
        say(&told)?;
        Ok(if is_good { Exit::Done } else { Exit::No })
    }

    fn request(&self, mapping: &Mapping, provider: &Provider) -> Result<MappingRequest, CliError> {
        use crate::domain::ItemKind;
        let normal = |kind, text: &str| mapping.normalize(kind, text, &provider.settings);
        let card = normal(ItemKind::Smartcard, &self.card)?;
        let stb = self.stb.as_deref();
        let stb = stb.map(|stb| normal(ItemKind::Stb, stb)).transpose()?;
        let (action, stb, previous_stb) = match (self.action, stb) {
            (ActionWord::Pair, Some(stb)) => (Action::Pair, Some(stb), None),
            (ActionWord::Pair, None) => {
                return Err(CliError::Argument {
                    what: "try pair",
                    expected: "a card and an STB",
                    found: self.card.clone(),
                });
            }
            (ActionWord::Unpair, previous) => (Action::Unpair, None, previous),
        };
        Ok(MappingRequest {
            action,
            number: 0,
            card,
            stb,
            previous_stb,
        })
    }

    fn words(&self) -> String {
        let action = match self.action {
            ActionWord::Pair => "pair",
            ActionWord::Unpair => "unpair",
        };
        let stb = self.stb.as_deref().unwrap_or_default();
        format!("{action} {} {stb}", self.card)
            .trim_end()
            .to_owned()
    }
}

/// Connects, sends the steps one after the other, and hears their answers. The error is how far it got.
fn exchange(
    provider: &Provider,
    request: &MappingRequest,
    wire: &Wire,
) -> Result<(bool, String), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let range = provider.mapping.description().transaction;
    let transactions = provider.transactions(None);
    let first = range.max.saturating_sub(NUMBERS - 1).max(range.min);
    transactions.grant(first, range.max);
    let (events, heard) = bounded::<LaneBatch>(EVENT_BATCHES_MAX);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tapped = Arc::clone(wire);
    let wires = LaneWires {
        clock: Arc::clone(&clock),
        transactions: Arc::clone(&transactions),
        events,
        metrics: Arc::new(Metrics::new()),
        tap: Some(Arc::new(move |is_sent, frame: &[u8]| {
            let mut wire = tapped.lock().unwrap_or_else(PoisonError::into_inner);
            wire.push((is_sent, frame.to_vec()));
        })),
    };
    let steps = provider
        .mapping
        .plan(request, &provider.settings)
        .map_err(|error| error.report())?;
    let (runner, handle) = provider.lane(0, wires).map_err(|e| failed(&e))?;
    let thread = std::thread::Builder::new()
        .name("try".to_owned())
        .stack_size(STACK_BYTES_MIN)
        .spawn(move || runner.run())
        .map_err(|e| failed(&e))?;
    let mut ear = Ear {
        heard,
        events: Vec::new(),
    };
    let ended = talk(provider, &steps, &transactions, &*clock, &handle, &mut ear);
    let _ = handle.command(LaneCommand::Stop);
    let _ = thread.join();
    ended
}

/// The lane's events, one by one.
struct Ear {
    heard: Receiver<LaneBatch>,
    events: Vec<LaneEvent>,
}

impl Ear {
    fn next(&mut self, until: Instant) -> Option<LaneEvent> {
        while self.events.is_empty() {
            let (_, mut batch) = self.heard.recv_deadline(until).ok()?;
            batch.reverse();
            self.events = batch;
        }
        self.events.pop()
    }
}

fn talk(
    provider: &Provider,
    steps: &[crate::domain::Step],
    transactions: &crate::provider::Transactions,
    clock: &dyn Clock,
    handle: &crate::provider::LaneHandle,
    ear: &mut Ear,
) -> Result<(bool, String), String> {
    let session = &provider.session;
    handle
        .command(LaneCommand::Connect)
        .map_err(|error| error.to_string())?;
    let until = Instant::now()
        + session.connect_timeout
        + session.reply_timeout * (1 + u32::from(session.ready_after))
        + PATIENCE;
    let connection = loop {
        match ear.next(until) {
            Some(LaneEvent::Ready { connection }) => break connection,
            Some(LaneEvent::Down { reason, phase, .. }) => {
                return Err(format!("no session ({phase:?}): {reason}"));
            }
            Some(_) => {}
            None => return Err("the session did not get ready in time".to_owned()),
        }
    };
    for (at, step) in steps.iter().enumerate() {
        let place = format!("step {} of {}", at + 1, steps.len());
        let transaction = transactions.take().ok_or("no transaction number is left")?;
        let context = EncodeContext {
            transaction,
            now: clock.now(),
            lane: 0,
        };
        let encoded = provider
            .mapping
            .encode(step, &context, &provider.settings)
            .map_err(|error| format!("{place}: {}", error.report()))?;
        let frames = vec![Outgoing {
            attempt: at as u64,
            body: encoded.body,
        }];
        handle
            .command(LaneCommand::Send { connection, frames })
            .map_err(|error| format!("{place}: {error}"))?;
        let until = Instant::now() + session.reply_timeout;
        loop {
            match ear.next(until) {
                Some(LaneEvent::Reply { reply, .. }) => {
                    let is_it = reply.key.is_empty() || reply.key == encoded.key;
                    let is_confirmed = reply.outcome.is_confirmed();
                    let told = words(&Decoded::Reply(reply));
                    if !is_it {
                        continue;
                    }
                    if !is_confirmed {
                        return Ok((false, format!("{place}: {told}")));
                    }
                    if at + 1 == steps.len() {
                        return Ok((true, format!("{place}: {told}")));
                    }
                    break;
                }
                Some(LaneEvent::Down { reason, .. }) => {
                    return Err(format!("{place}: unknown, the connection ended: {reason}"));
                }
                Some(LaneEvent::NotSent { reason, .. }) => {
                    return Err(format!("{place}: not sent: {reason}"));
                }
                Some(LaneEvent::Unreadable { error, .. }) => {
                    return Err(format!("{place}: an answer that cannot be read: {error}"));
                }
                Some(_) => {}
                None => {
                    return Err(format!(
                        "{place}: unknown, no answer within the reply time-out"
                    ));
                }
            }
        }
    }
    Err("the plan has no step".to_owned())
}
