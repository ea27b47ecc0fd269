//! What is told of each provider: its row, and how it is doing where something sends.

use serde::{Deserialize, Serialize};

use super::Actions;
use crate::domain::Pause;
use crate::provider::Health;

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
    /// None while nothing sends.
    pub health: Option<Health>,
}

impl Actions {
    /// All providers that the state knows, by number.
    pub fn provider_reports(&self) -> Vec<ProviderReport> {
        let now = self.clock.now();
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
                health: self.health.get(number),
            })
            .collect()
    }
}
