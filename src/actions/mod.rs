//! One use case per file: what people, clients and jobs may ask of pairbox, whatever door they come through.
//!
//! HTTP, control, the command line and jobs are translators in front of this room. An action looks things up, runs the
//! mapping's checks, hands one command to `commit/` and says what became of it. There is no second road.

pub mod details;
pub mod find;
pub mod list;
pub mod pair;
pub mod register;
pub mod waiting;

use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::Clock;
use crate::commit::Door;
use crate::ledger::Reader;
use crate::provider::Providers;
use crate::store::State;
use waiting::Waiting;

/// What every action needs; shared by all doors.
pub struct Actions {
    pub state: Arc<State>,
    pub door: Door,
    pub ledger: Reader,
    pub clock: Arc<dyn Clock>,
    pub waiting: Arc<Waiting>,
    pub policy: PairingPolicy,
    providers: RwLock<Arc<Providers>>,
}

/// `[pairing]` of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairingPolicy {
    /// `unpair_unknown = "send"`.
    pub sends_unknown_unpairs: bool,
    /// `stb_taken = "replace"`.
    pub replaces_holder: bool,
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
        let providers = RwLock::new(Arc::new(providers));
        Self {
            state,
            door,
            ledger,
            clock,
            waiting,
            policy,
            providers,
        }
    }

    /// The providers as configured now.
    pub fn providers(&self) -> Arc<Providers> {
        self.providers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
