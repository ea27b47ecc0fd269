//! Who answers: the mapping's `simulator.rhai`, once as a sound CAS and once for each fault that needs the script's words.
//!
//! A refused command goes to a second copy of the script, made with `fault: "refuse"` in its settings (`busy` and `hello`
//! likewise), so that what was refused changes no pairing. Keepalives are told from commands by what comes before readiness.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::SimulateError;
use super::fault::{Fault, Faults};
use crate::domain::Timestamp;
use crate::script::contract::{Description, EncodeContext, SessionStep};
use crate::script::{Mapping, MappingSession, ScriptError, Settings, SimulatorScript};

/// Faults in the script's own words.
const SPOKEN: [Fault; 3] = [Fault::Refuse, Fault::Busy, Fault::Hello];

/// The script of one simulated CAS.
pub struct Persona {
    description: Description,
    settings: Value,
    mapping: Arc<Mapping>,
    sound: SimulatorScript,
    faulty: Vec<(Fault, SimulatorScript)>,
    /// Frames of the hello that a client sends after its connect.
    hello_frames: u32,
    /// Learned from the keepalives before readiness; a later frame of this length is one too.
    keepalive_bytes: Option<usize>,
    /// Frames heard on each connection.
    heard: HashMap<u32, u32>,
}

/// What a client's frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello,
    Keepalive,
    Command,
}

impl Persona {
    /// `settings` go to the script's `init`; they may be the provider's own.
    pub fn new(mapping: Arc<Mapping>, settings: Value) -> Result<Self, ScriptError> {
        let sound = SimulatorScript::load(&mapping, &settings)?;
        Ok(Self {
            description: mapping.description().clone(),
            hello_frames: hello_frames(&mapping, &settings),
            settings,
            mapping,
            sound,
            faulty: Vec::new(),
            keepalive_bytes: None,
            heard: HashMap::new(),
        })
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Makes the copies that these faults need.
    pub(super) fn prepare(&mut self, faults: &Faults) -> Result<(), SimulateError> {
        let text = self.mapping.origin().read("simulator.rhai")?;
        let reads_fault = text.is_some_and(|text| text.contains("cfg.fault"));
        for fault in SPOKEN.into_iter().filter(|fault| faults.names(*fault)) {
            if !reads_fault {
                return Err(SimulateError::Unspoken {
                    mapping: self.mapping.name().to_owned(),
                    fault: fault.name(),
                });
            }
            let mut settings = match &self.settings {
                Value::Object(settings) => settings.clone(),
                _ => serde_json::Map::new(),
            };
            settings.insert("fault".to_owned(), json!(fault.name()));
            let script = SimulatorScript::load(&self.mapping, &Value::Object(settings))?;
            self.faulty.push((fault, script));
        }
        Ok(())
    }

    /// The frames that greet a new connection.
    pub(super) fn connect(&mut self, connection: u32) -> Result<Vec<Vec<u8>>, ScriptError> {
        self.heard.insert(connection, 0);
        self.sound.on_connect(connection)
    }

    /// What this frame is: as the script says, else by its place in the connection and by its length.
    pub(super) fn kind(&mut self, connection: u32, frame: &[u8]) -> Kind {
        match self.sound.kind(frame).ok().flatten().as_deref() {
            Some("hello") => return Kind::Hello,
            Some("keepalive") => return Kind::Keepalive,
            Some(_) => return Kind::Command,
            None => {}
        }
        let heard = self.heard.entry(connection).or_default();
        let place = *heard;
        *heard = heard.saturating_add(1);
        if place < self.hello_frames {
            return Kind::Hello;
        }
        let warming = u32::from(self.description.session.ready_after);
        if place < self.hello_frames.saturating_add(warming) {
            self.keepalive_bytes = Some(frame.len());
        }
        if self.keepalive_bytes == Some(frame.len()) {
            Kind::Keepalive
        } else {
            Kind::Command
        }
    }

    /// The script's answer to a frame, as a sound CAS or with a fault of `SPOKEN`.
    pub(super) fn hear(
        &mut self,
        connection: u32,
        frame: &[u8],
        fault: Option<Fault>,
    ) -> Result<Vec<Vec<u8>>, ScriptError> {
        let speaker = self
            .faulty
            .iter_mut()
            .find(|(known, _)| Some(*known) == fault)
            .map_or(&mut self.sound, |(_, script)| script);
        speaker.on_frame(frame, connection)
    }

    pub(super) fn forget(&mut self, connection: u32) -> Result<(), ScriptError> {
        self.heard.remove(&connection);
        self.sound.on_close(connection)
    }

    pub(super) fn pairings(&mut self) -> Result<Value, ScriptError> {
        self.sound.pairings().map(Value::Object)
    }

    pub(super) fn state(&self) -> Result<Value, ScriptError> {
        self.sound.state()
    }

    pub(super) fn restore(&mut self, state: &Value) {
        self.sound.restore(state);
    }
}

/// How many frames the mapping sends before it waits for an answer; a hook that fails for want of settings counts as one.
fn hello_frames(mapping: &Arc<Mapping>, settings: &Value) -> u32 {
    let settings = mapping
        .settings(settings)
        .unwrap_or_else(|_| Settings::from_json(settings));
    let mut session = MappingSession::new(Arc::clone(mapping), settings);
    let context = EncodeContext {
        transaction: mapping.description().transaction.min,
        now: Timestamp::ZERO,
        lane: 0,
    };
    let Ok(steps) = session.on_connect(&context) else {
        return 1;
    };
    let sent: usize = steps
        .iter()
        .map(|step| match step {
            SessionStep::Send(frames) => frames.len(),
            SessionStep::Keep(_) | SessionStep::Ready | SessionStep::Fail(_) => 0,
        })
        .sum();
    u32::try_from(sent).unwrap_or(u32::MAX)
}
