//! Why pairbox could not come up, or cannot go on: the errors of all rooms below, in one.
//!
//! `main` turns them into an exit code by way of `cli/error.rs`; a reload shows them as findings.

use thiserror::Error;

use crate::access::AccessError;
use crate::control::GuardError;
use crate::domain::Refusal;
use crate::http::FrontError;
use crate::http::gate::DoorError;
use crate::http::tls::TlsError;
use crate::ledger::LedgerError;
use crate::provider::{CredentialsError, LaneError};
use crate::script::ScriptError;
use crate::store::StoreError;

/// Why pairbox could not come up.
#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Access(#[from] AccessError),
    #[error("provider `{provider}`: {source}")]
    Credentials {
        provider: String,
        source: Box<CredentialsError>,
    },
    #[error("provider `{provider}`: {source}")]
    Mapping {
        provider: String,
        source: Box<ScriptError>,
    },
    #[error("the start could not be recorded: {0}")]
    Refused(#[from] Refusal),
    #[error("a lane could not be made: {0}")]
    Lane(#[from] LaneError),
    #[error("dispatch does not end; a second one beside it would send everything twice")]
    DispatchHangs,
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    #[error("{0}")]
    Front(#[from] FrontError),
    #[error("{0}")]
    Door(#[from] DoorError),
    #[error("{0}")]
    Guard(#[from] GuardError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("the data directory cannot be opened to [control] group: {0}")]
    Group(#[source] std::io::Error),
    #[error("the gate cannot be built: {0}")]
    Gate(#[source] std::io::Error),
}
