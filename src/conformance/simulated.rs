//! The mapping's own `simulator.rhai` in process: greeted as a lane greets a CAS, then asked one command after the other.
//!
//! Frames go through the framing both ways and secrets are put in as the lane does it; there is no socket and no time.

use std::collections::VecDeque;

use serde_json::Value;

use crate::domain::Framing;
use crate::domain::placeholder::{Filter, Part, Placeholder, parts};
use crate::provider::{Provider, Secrets};
use crate::script::cases::GoldenCommand;
use crate::script::contract::{EncodeContext, SessionStep};
use crate::script::secrets_named::kept_by;
use crate::script::{MappingSession, SimulatorScript};
use crate::transport::{Decoder, encode};

const CONNECTION: u32 = 1;
/// Frames that a greeting may take; more, and it goes round in a circle.
const GREETING_MAX: usize = 64;

pub(super) struct Simulated {
    script: SimulatorScript,
    framing: Framing,
    secrets: Secrets,
    /// Names that only the session gives a value.
    kept: Vec<String>,
}

impl Simulated {
    /// A session that is ready for commands. The error says how far it got; none if the mapping has no simulator.
    pub(super) fn open(
        provider: &Provider,
        command: &GoldenCommand,
    ) -> Option<Result<Self, String>> {
        let origin = provider.mapping.origin();
        match origin.read("simulator.rhai") {
            Ok(None) => None,
            Ok(Some(_)) => Some(Self::greet(provider, command)),
            Err(error) => Some(Err(error.report())),
        }
    }

    fn greet(provider: &Provider, command: &GoldenCommand) -> Result<Self, String> {
        let mapping = &provider.mapping;
        let cfg = match &command.cfg {
            Value::Null => Value::Object(serde_json::Map::new()),
            given => given.clone(),
        };
        let script = SimulatorScript::load(mapping, &cfg).map_err(|error| error.report())?;
        let mut simulated = Self {
            script,
            framing: mapping.description().framing.clone(),
            secrets: Secrets::default(),
            kept: kept_by(mapping.origin()),
        };
        let mut session = MappingSession::new(mapping.clone(), provider.settings.clone());
        let greeted = simulated.script.on_connect(CONNECTION);
        let greeted = greeted.map_err(|error| error.report())?;
        let through_framing = |frame: &Vec<u8>| through(&simulated.framing, frame);
        let greeted: Result<_, String> = greeted.iter().map(through_framing).collect();
        let mut heard: VecDeque<Vec<u8>> = greeted?;
        // The last numbers are kept for what is sent by hand: no command of the list has them.
        let (first, last) = provider.numbers_by_hand();
        let mut numbers = (first..=last).rev().cycle();
        let mut context = || EncodeContext {
            transaction: numbers.next().unwrap_or(last),
            ..command.context
        };
        let mut steps = session.on_connect(&context());
        for _ in 0..GREETING_MAX {
            for step in steps.map_err(|error| error.report())? {
                match step {
                    SessionStep::Send(bodies) => {
                        for body in bodies {
                            heard.extend(simulated.hear(&body)?);
                        }
                    }
                    SessionStep::Keep(values) => simulated.secrets.add(values),
                    SessionStep::Fail(text) => return Err(format!("the session fails: {text}")),
                    SessionStep::Ready => {
                        for _ in 0..provider.session.ready_after {
                            let kept = session.keepalive(&context());
                            let kept = kept.map_err(|error| error.report())?;
                            simulated.hear(&kept.body)?;
                        }
                        return Ok(simulated);
                    }
                }
            }
            let Some(frame) = heard.pop_front() else {
                return Err("the session does not get ready: the simulator is silent".to_owned());
            };
            steps = session.on_frame(&frame);
        }
        Err(format!(
            "the session is not ready after {GREETING_MAX} frames"
        ))
    }

    /// What the simulator sends for one frame.
    pub(super) fn hear(&mut self, body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        self.stand_in(body);
        let completed = self.secrets.complete(&self.framing, body);
        let completed = completed.map_err(|error| error.to_string())?;
        let frame = through(&self.framing, &completed.payload)?;
        let answers = self.script.on_frame(&frame, CONNECTION);
        let answers = answers.map_err(|error| error.report())?;
        answers
            .iter()
            .map(|answer| through(&self.framing, answer))
            .collect()
    }
}

/// The value of a secret that no configuration is there to give.
const STAND_IN: &str = "stand-in";

impl Simulated {
    /// Gives every secret of a configuration a value; what the session keeps must come from the session.
    fn stand_in(&mut self, body: &[u8]) {
        let named = parts(body).filter_map(|part| match part {
            Part::Named(inner) => Placeholder::parse(inner).ok(),
            Part::Plain(_) => None,
        });
        let missing: Vec<(String, String)> = named
            .filter(|one| self.secrets.get(one.name).is_none())
            .filter(|one| !self.kept.iter().any(|kept| kept == one.name))
            .map(|one| {
                let widths = one.filters.iter().filter_map(|filter| match filter {
                    Filter::Pad(width) | Filter::Zeros(width) => Some(usize::from(*width)),
                    _ => None,
                });
                let width = widths.min().unwrap_or(STAND_IN.len());
                let value: String = STAND_IN.chars().take(width).collect();
                (one.name.to_owned(), value)
            })
            .collect();
        if !missing.is_empty() {
            self.secrets.add(missing);
        }
    }
}

/// The payload as it comes out at the other end.
fn through(framing: &Framing, body: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream = Vec::new();
    encode(framing, b"", body, &mut stream).map_err(|error| error.to_string())?;
    let mut decoder = Decoder::new(framing.clone());
    decoder.feed(&stream);
    match decoder.next_frame() {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err("a frame does not come out of its framing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
