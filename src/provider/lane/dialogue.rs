//! What a lane asks its mapping: the session's frames, and what a frame from the CAS means.
//!
//! A script's session lives as long as the connection; errors are counted and become text here, because a lane
//! only reports them.

use std::sync::Arc;

use crate::script::contract::{Decoded, EncodeContext, Encoded, SessionStep};
use crate::script::{Mapping, MappingSession, ScriptError, Settings};
use crate::telemetry::{Metric, Metrics};

pub(in crate::provider) struct Dialogue {
    mapping: Arc<Mapping>,
    settings: Settings,
    session: MappingSession,
    metrics: Arc<Metrics>,
}

impl Dialogue {
    pub(in crate::provider) fn new(
        mapping: Arc<Mapping>,
        settings: Settings,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            session: MappingSession::new(Arc::clone(&mapping), settings.clone()),
            mapping,
            settings,
            metrics,
        }
    }

    /// A new connection: a new session.
    pub(super) fn open(&mut self, context: &EncodeContext) -> Result<Vec<SessionStep>, String> {
        self.session = MappingSession::new(Arc::clone(&self.mapping), self.settings.clone());
        self.session
            .on_connect(context)
            .map_err(|error| told(&self.metrics, &error))
    }

    /// A frame before the session is ready.
    pub(super) fn hear(&mut self, frame: &[u8]) -> Result<Vec<SessionStep>, String> {
        self.session
            .on_frame(frame)
            .map_err(|error| told(&self.metrics, &error))
    }

    pub(super) fn keepalive(&self, context: &EncodeContext) -> Result<Encoded, String> {
        self.session
            .keepalive(context)
            .map_err(|error| told(&self.metrics, &error))
    }

    /// A frame of a session that is ready.
    pub(super) fn decode(&self, frame: &[u8]) -> Result<Decoded, String> {
        self.mapping
            .decode(frame, &self.settings)
            .map_err(|error| told(&self.metrics, &error))
    }
}

fn told(metrics: &Metrics, error: &ScriptError) -> String {
    metrics.count(Metric::ScriptErrors);
    error.to_string()
}
