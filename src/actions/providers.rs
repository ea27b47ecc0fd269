//! What is told of each provider: its row, and how it is doing where something sends.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Actions;
use crate::domain::{Pause, Phase, ProviderNumber, View};
use crate::provider::Health;

/// Requests that one look at the state reads.
const ROWS_A_LOOK: usize = 4_096;

/// A provider as `provider list` and `status` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderReport {
    pub number: u16,
    pub name: String,
    pub family: String,
    pub mapping: String,
    pub mapping_sha256: String,
    pub is_effective: bool,
    /// False: it left the configuration while it had unfinished requests.
    pub is_configured: bool,
    /// A pause that counts now; one whose time is up is none.
    pub pause: Option<Pause>,
    pub unfinished: u64,
    /// Of the unfinished ones: held, until an operator decides.
    pub held: u64,
    /// Where its section says otherwise than its mapping, in words.
    pub differences: Vec<String>,
    /// None while nothing sends.
    pub health: Option<Health>,
}

impl Actions {
    /// All providers that the state knows, by number.
    pub fn provider_reports(&self) -> Vec<ProviderReport> {
        let now = self.clock.now();
        let configured = self.providers();
        let held = self.held();
        let rows = self.state.view().providers();
        rows.into_iter()
            .map(|(number, row)| ProviderReport {
                number: number.0,
                name: row.name.to_string(),
                family: row.family.to_string(),
                mapping: row.mapping.to_string(),
                mapping_sha256: row.mapping_sha256.to_string(),
                is_effective: row.is_effective,
                is_configured: row.is_configured,
                pause: row.pause.clone().filter(|_| row.is_paused(now)),
                unfinished: row.unfinished,
                held: held.get(&number).copied().unwrap_or(0),
                differences: configured
                    .by_number(number)
                    .map(|provider| provider.differences.clone())
                    .unwrap_or_default(),
                health: self.health.get(number),
            })
            .collect()
    }
    /// Held requests of each provider.
    fn held(&self) -> HashMap<ProviderNumber, u64> {
        let mut held = HashMap::new();
        if self.state.view().held() == 0 {
            return held;
        }
        let numbers = self.state.view().unfinished();
        for some in numbers.chunks(ROWS_A_LOOK) {
            let view = self.state.view();
            for request in some.iter().filter_map(|number| view.request(*number)) {
                if request.phase == Phase::Held {
                    *held.entry(request.provider).or_default() += 1;
                }
            }
        }
        held
    }
}
