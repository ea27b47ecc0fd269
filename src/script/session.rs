//! One connection's session with the CAS: the hooks that have state, from the connect to readiness.
//!
//! The lane that owns the connection owns this; a new connection starts with a new one. The engine does what the steps say and
//! then sends `ready_after` keepalives of its own before commands flow.

use std::sync::Arc;

use rhai::{Dynamic, Map};

use super::answer;
use super::contract::{EncodeContext, Encoded, SessionStep};
use super::error::ScriptError;
use super::given::context_value;
use super::mapping::{Mapping, ON_CONNECT, ON_FRAME};
use super::program::Hook;
use super::settings::Settings;
use super::wire;

/// The script's state for one connection.
pub struct MappingSession {
    mapping: Arc<Mapping>,
    cfg: Settings,
    state: Dynamic,
    is_over: bool,
}

impl MappingSession {
    pub fn new(mapping: Arc<Mapping>, cfg: Settings) -> Self {
        Self {
            mapping,
            cfg,
            state: Dynamic::from_map(Map::new()),
            is_over: false,
        }
    }

    /// What to do right after the connect; without the hook the lane is ready at once.
    pub fn on_connect(&mut self, context: &EncodeContext) -> Result<Vec<SessionStep>, ScriptError> {
        if !self.mapping.program.has(ON_CONNECT) {
            self.is_over = true;
            return Ok(vec![SessionStep::Ready]);
        }
        let arguments = vec![context_value(context, &self.cfg), self.state.clone()];
        let mut steps = self.step(ON_CONNECT, arguments)?;
        if !self.is_over && !self.mapping.program.has(ON_FRAME) {
            self.is_over = true;
            steps.push(SessionStep::Ready);
        }
        Ok(steps)
    }

    /// What a frame before readiness asks for; after `Ready` or `Fail` nothing more.
    pub fn on_frame(&mut self, frame: &[u8]) -> Result<Vec<SessionStep>, ScriptError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let heard = wire::heard(&self.mapping.description().framing, frame);
        let arguments = vec![heard, self.state.clone()];
        self.step(ON_FRAME, arguments)
    }

    /// The next keepalive of this session.
    pub fn keepalive(&self, context: &EncodeContext) -> Result<Encoded, ScriptError> {
        self.mapping
            .keepalive_with(context, &self.cfg, self.state.clone())
    }

    fn step(
        &mut self,
        hook: Hook,
        arguments: Vec<Dynamic>,
    ) -> Result<Vec<SessionStep>, ScriptError> {
        let program = &self.mapping.program;
        let framing = &self.mapping.description().framing;
        let value = program.call(hook, arguments)?;
        let (steps, state) = answer::session(hook.0, value, framing)
            .map_err(|wrong| program.shape(hook.0, wrong))?;
        if let Some(state) = state {
            self.state = state;
        }
        self.is_over = steps
            .iter()
            .any(|step| matches!(step, SessionStep::Ready | SessionStep::Fail(_)));
        Ok(steps)
    }
}
