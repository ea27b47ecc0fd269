//! A configured CAS as the state keeps it: its name, whether it takes commands, and why not.

use serde::{Deserialize, Serialize};

use super::{Cardinality, Timestamp};

/// A provider's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRow {
    pub name: Box<str>,
    pub family: Box<str>,
    pub is_effective: bool,
    pub mapping: Box<str>,
    pub mapping_sha256: Box<str>,
    pub cardinality: Cardinality,
    /// Still has a place in the configuration.
    pub is_configured: bool,
    pub pause: Option<Pause>,
    /// The last transaction number that was reserved; 0 before the first block.
    pub transactions_reserved: u64,
    pub unfinished: u64,
}

/// A pause: survives restarts; in-flight attempts settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub reason: Box<str>,
    pub by: Box<str>,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

impl ProviderRow {
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.pause
            .as_ref()
            .is_some_and(|pause| pause.until.is_none_or(|until| now < until))
    }

    /// Whether new attempts may begin.
    pub fn may_send(&self, now: Timestamp) -> bool {
        self.is_configured && self.is_effective && !self.is_paused(now)
    }
}
