//! The CAS side of a mapping: `simulator.rhai`, run by `simulate/` behind a real socket.
//!
//! The state is bound to `this` and changed in place, because a copy of all pairings for each frame would cost milliseconds.
//! Faults (drops, delays, closes) are the engine's, not the script's. One simulator per thread of control: calls take `&mut`.

use rhai::{Dynamic, Map};

use super::contract::Framing;
use super::engine::Profile;
use super::error::ScriptError;
use super::mapping::Mapping;
use super::program::{Hook, Program};
use super::value::{Wrong, from_json, show, text_of, to_json};
use super::wire;

const INIT: Hook = ("init", 1);
const ON_CONNECT: Hook = ("on_connect", 1);
const ON_FRAME: Hook = ("on_frame", 2);
const ON_CLOSE: Hook = ("on_close", 1);
const PAIRINGS: Hook = ("pairings", 0);
const KIND: Hook = ("kind", 1);

/// Every function of the simulator's contract.
pub(crate) const HOOKS: &[Hook] = &[INIT, ON_CONNECT, ON_FRAME, ON_CLOSE, PAIRINGS, KIND];

/// A running simulator: the script and its state.
pub struct SimulatorScript {
    program: Program,
    framing: Framing,
    state: Dynamic,
    /// What `init` made of the settings: the state, and the same as JSON.
    begun: (Dynamic, serde_json::Value),
}

impl SimulatorScript {
    /// Compiles `simulator.rhai` of the mapping and calls its `init(cfg)`.
    pub fn load(mapping: &Mapping, cfg: &serde_json::Value) -> Result<Self, ScriptError> {
        let text = mapping.origin().need("simulator.rhai")?;
        let framing = mapping.description().framing.clone();
        let program = compile(mapping.name(), text)?.with_tables(mapping.tables());
        Self::begin(program, framing, cfg)
    }

    pub fn from_text(
        name: &str,
        text: &str,
        framing: Framing,
        cfg: &serde_json::Value,
    ) -> Result<Self, ScriptError> {
        Self::begin(compile(name, text.to_owned())?, framing, cfg)
    }

    fn begin(
        program: Program,
        framing: Framing,
        cfg: &serde_json::Value,
    ) -> Result<Self, ScriptError> {
        let mut simulator = Self {
            program,
            framing,
            state: Dynamic::from_map(Map::new()),
            begun: (Dynamic::UNIT, serde_json::Value::Null),
        };
        if simulator.program.has(INIT) {
            let _ = simulator.call(INIT, vec![from_json(cfg)])?;
        }
        let json = to_json(&simulator.state).unwrap_or_default();
        simulator.begun = (simulator.state.clone(), json);
        Ok(simulator)
    }

    /// The frames to send when a connection opens; by default none.
    pub fn on_connect(&mut self, connection: u32) -> Result<Vec<Vec<u8>>, ScriptError> {
        if !self.program.has(ON_CONNECT) {
            return Ok(Vec::new());
        }
        let value = self.call(ON_CONNECT, vec![i64::from(connection).into()])?;
        self.frames(ON_CONNECT, value)
    }

    /// The frames to send for one received frame.
    pub fn on_frame(&mut self, frame: &[u8], connection: u32) -> Result<Vec<Vec<u8>>, ScriptError> {
        let arguments = vec![
            wire::heard(&self.framing, frame),
            i64::from(connection).into(),
        ];
        let value = self.call(ON_FRAME, arguments)?;
        self.frames(ON_FRAME, value)
    }

    /// Tells the script that a connection is gone; by default nothing happens.
    pub fn on_close(&mut self, connection: u32) -> Result<(), ScriptError> {
        if self.program.has(ON_CLOSE) {
            let _ = self.call(ON_CLOSE, vec![i64::from(connection).into()])?;
        }
        Ok(())
    }

    /// What a frame is: hello, keepalive or command; none if the script has no `kind`.
    pub fn kind(&mut self, frame: &[u8]) -> Result<Option<String>, ScriptError> {
        if !self.program.has(KIND) {
            return Ok(None);
        }
        let arguments = vec![wire::heard(&self.framing, frame)];
        let value = self.call(KIND, arguments)?;
        Ok(text_of(&value))
    }

    /// What this CAS holds: card to STB, as JSON.
    pub fn pairings(&mut self) -> Result<serde_json::Map<String, serde_json::Value>, ScriptError> {
        let value = self.call(PAIRINGS, Vec::new())?;
        match to_json(&value) {
            Ok(serde_json::Value::Object(pairings)) => Ok(pairings),
            Ok(_) => Err(self.program.shape(
                PAIRINGS.0,
                Wrong::new(format!(
                    "expected a map of card to STB, found {}",
                    show(&value)
                )),
            )),
            Err(wrong) => Err(self.program.shape(PAIRINGS.0, wrong)),
        }
    }

    /// What has changed since `init`, to be kept across restarts: pairings, not settings, and so no secret among them.
    pub fn state(&self) -> Result<serde_json::Value, ScriptError> {
        let mut state = to_json(&self.state).map_err(|wrong| self.program.shape(INIT.0, wrong))?;
        let (_, begun) = &self.begun;
        if let (Some(state), Some(begun)) = (state.as_object_mut(), begun.as_object()) {
            state.retain(|name, value| begun.get(name) != Some(value));
        }
        Ok(state)
    }

    /// The state as `init` made it, with what was kept in its place.
    pub fn restore(&mut self, kept: &serde_json::Value) {
        let (begun, _) = &self.begun;
        self.state = match (begun.clone().try_cast::<Map>(), kept.as_object()) {
            (Some(mut state), Some(kept)) => {
                let kept = kept.iter();
                state.extend(kept.map(|(name, value)| (name.into(), from_json(value))));
                Dynamic::from_map(state)
            }
            _ => from_json(kept),
        };
    }

    fn call(&mut self, hook: Hook, arguments: Vec<Dynamic>) -> Result<Dynamic, ScriptError> {
        self.program
            .call_with_state(hook, &mut self.state, arguments)
    }

    fn frames(&self, hook: Hook, value: Dynamic) -> Result<Vec<Vec<u8>>, ScriptError> {
        wire::all_said(&self.framing, value).map_err(|wrong| self.program.shape(hook.0, wrong))
    }
}

/// Compiles and demands what a simulator cannot do without.
pub(crate) fn compile(name: &str, text: String) -> Result<Program, ScriptError> {
    let script = format!("{name}/simulator.rhai");
    let program = Program::compile(&script, text, Profile::Simulator, HOOKS)?;
    program.require(ON_FRAME)?;
    program.require(PAIRINGS)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCRIPT: &str = r#"
fn init(cfg) { this.password = cfg.password; this.uses = 9; this.pairings = #{}; }
fn on_frame(frame, connection) { this.pairings["1"] = "2"; this.uses -= 1; [this.password] }
fn pairings() { this.pairings }
"#;

    fn simulator(password: &str) -> SimulatorScript {
        let framing = Framing::Fixed { size: 3 };
        let cfg = json!({ "password": password });
        SimulatorScript::from_text("mine", SCRIPT, framing, &cfg).unwrap()
    }

    #[test]
    fn what_changes_is_kept_and_the_settings_of_now_count() {
        let mut before = simulator("old");
        assert_eq!(before.state().unwrap(), json!({}));
        assert_eq!(before.on_frame(b"abc", 1).unwrap(), [b"old"]);
        let kept = before.state().unwrap();
        assert_eq!(kept, json!({"pairings": {"1": "2"}, "uses": 8}));
        let mut after = simulator("new");
        after.restore(&kept);
        assert_eq!(after.pairings().unwrap().len(), 1);
        assert_eq!(after.on_frame(b"abc", 1).unwrap(), [b"new"]);
        assert_eq!(after.state().unwrap()["uses"], 7);
    }
}
