//! The CAS side of a mapping as a real socket server: `pairbox simulate`, the demo and the tests use this one.
//!
//! The script answers, the engine does the I/O and the faults. It never touches the ledger, the state or a provider.

pub mod fault;
mod peer;
mod persona;
mod server;
mod state_file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::script::ScriptError;

pub use fault::{Fault, FaultError, Faults};
pub use persona::Persona;
pub use server::{Figures, Simulator, SimulatorView};
pub use state_file::StateFileError;

/// What a simulator is made of.
pub struct SimulateOptions {
    pub persona: Persona,
    /// Host and port; port 0 takes a free one.
    pub listen: String,
    pub faults: Faults,
    pub seed: u64,
    /// Where what changes is kept over a restart.
    pub state_file: Option<PathBuf>,
    /// How late a late reply is; beyond the sender's time-out to be of use.
    pub late_after: Duration,
    pub clock: Arc<dyn Clock>,
    /// What it proves itself with; none: plain TCP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl SimulateOptions {
    /// No faults, no file, a late reply at one and a half times the mapping's reply time-out.
    pub fn new(persona: Persona, listen: impl Into<String>) -> Self {
        let reply_timeout = persona.description().session.reply_timeout;
        Self {
            persona,
            listen: listen.into(),
            faults: Faults::none(),
            seed: 0,
            state_file: None,
            late_after: reply_timeout + reply_timeout / 2,
            clock: Arc::new(SystemClock::new()),
            tls: None,
        }
    }
}

/// Why a simulator cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error("listening on `{address}`: {source}")]
    Listen {
        address: String,
        source: std::io::Error,
    },
    #[error("waiting for connections: {0}")]
    Poll(#[source] std::io::Error),
    #[error("the simulator's script: {0}")]
    Script(#[from] ScriptError),
    #[error("the simulator of `{mapping}` cannot `{fault}`: its script does not read `cfg.fault`")]
    Unspoken {
        mapping: String,
        fault: &'static str,
    },
    #[error(transparent)]
    StateFile(#[from] StateFileError),
}
