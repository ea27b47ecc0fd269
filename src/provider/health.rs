//! How each provider is doing right now: lanes, commands in flight, an open circuit.
//!
//! Dispatch writes after every turn, `status`, `provider list` and `explain` read. A snapshot for people, never a basis of a
//! decision; it is empty while nothing sends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::lane::LaneReport;
use super::unmatched::Unmatched;
use crate::domain::ProviderNumber;

/// The latest figures of all providers.
#[derive(Debug, Default)]
pub struct ProviderHealth(Mutex<HashMap<ProviderNumber, Health>>);

/// One provider's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Why the circuit is open, in words; none while it is closed.
    pub circuit_open: Option<String>,
    pub lanes: Vec<LaneReport>,
    /// Answers that no command waits for.
    pub unmatched: Option<Unmatched>,
    /// Commands that went out and have no answer yet.
    pub in_flight: usize,
    /// Commands that may be in flight at once, over all lanes.
    pub window: usize,
}

impl ProviderHealth {
    /// Replaces a provider's figures.
    pub fn set(&self, provider: ProviderNumber, health: Health) {
        self.lock().insert(provider, health);
    }

    /// Forgets a provider that left the configuration.
    pub fn remove(&self, provider: ProviderNumber) {
        self.lock().remove(&provider);
    }

    /// A provider's figures; none while nothing sends.
    pub fn get(&self, provider: ProviderNumber) -> Option<Health> {
        self.lock().get(&provider).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderNumber, Health>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
