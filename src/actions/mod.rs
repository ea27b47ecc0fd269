//! One use case per file: what people, clients and jobs may ask of pairbox, whatever door they come through.
//!
//! HTTP, control, the command line and jobs are translators in front of this room. An action looks things up, runs the
//! mapping's checks, hands one command to `commit/` and says what became of it. There is no second road.

pub mod access_changed;
pub mod ask;
pub mod blacklist;
pub mod cancel;
pub mod details;
pub mod explain;
pub mod find;
pub mod history;
pub mod import;
pub mod items;
pub mod list;
pub mod local_time;
pub mod pair;
pub mod pairings;
pub mod past;
pub mod pause;
pub mod process;
pub mod providers;
pub mod register;
pub mod reload;
pub mod requests;
pub mod resolve;
pub mod retry;
pub mod spreadsheet;
pub mod status;
pub mod subscriptions;
pub mod waiting;
pub mod workbench;

use std::sync::{Arc, OnceLock};

use crate::clock::Clock;
use crate::commit::Door;
use crate::config::Live;
use crate::domain::foresight::GivesWay;
use crate::ledger::Reader;
use crate::provider::{ProviderHealth, Providers};
use crate::store::State;
use crate::telemetry::Metrics;
use process::Processing;
use reload::Reloads;
use status::{ReadinessShown, ThreadsShown};
use waiting::Waiting;

/// What every action needs; shared by all doors.
pub struct Actions {
    pub state: Arc<State>,
    pub door: Door,
    pub ledger: Reader,
    pub clock: Arc<dyn Clock>,
    pub waiting: Arc<Waiting>,
    /// The service's own in its place before anybody calls.
    pub metrics: Arc<Metrics>,
    pub policy: Live<PairingPolicy>,
    /// Replaced whole by a reload.
    pub providers: Live<Providers>,
    pub reloads: Reloads,
    /// Filled by dispatch; empty while nothing sends.
    pub health: Arc<ProviderHealth>,
    /// Set once by `service.rs` when it can send.
    pub processing: OnceLock<Processing>,
    /// Set once by `service.rs`, who alone starts threads.
    pub threads: OnceLock<ThreadsShown>,
    /// Set once by `service.rs` when it serves.
    pub readiness: OnceLock<ReadinessShown>,
}

/// `[pairing]` of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairingPolicy {
    /// `unpair_unknown = "send"`.
    pub sends_unknown_unpairs: bool,
    pub gives_way: GivesWay,
}

impl Actions {
    pub fn new(
        state: Arc<State>,
        door: Door,
        ledger: Reader,
        clock: Arc<dyn Clock>,
        waiting: Arc<Waiting>,
        policy: PairingPolicy,
        providers: Providers,
    ) -> Self {
        let reloads = Reloads::new(clock.now());
        Self {
            state,
            door,
            ledger,
            clock,
            waiting,
            metrics: Arc::default(),
            policy: Live::new(policy),
            providers: Live::new(providers),
            reloads,
            health: Arc::default(),
            processing: OnceLock::new(),
            threads: OnceLock::new(),
            readiness: OnceLock::new(),
        }
    }

    /// The providers as configured now.
    pub fn providers(&self) -> Arc<Providers> {
        self.providers.get()
    }
}
