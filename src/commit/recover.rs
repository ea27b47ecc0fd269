//! The state brought up to the ledger: what the writer starts from, and what offline commands look at.

use std::path::Path;

use crate::ledger::Reader;
use crate::store::{self, Opened, Progress, Replayed, State, StoreError};

/// Opens the state in `data` and replays what it lacks of the ledger.
pub fn recover(
    data: &Path,
    cache_bytes: u64,
    ledger: &Reader,
    progress: Progress<'_>,
) -> Result<(State, Opened), StoreError> {
    store::open(
        data,
        cache_bytes,
        &|from| Box::new(events(ledger, from)),
        ledger.last_seq(),
        progress,
    )
}

/// Makes the state anew from the first line of the ledger on, whatever is there.
pub fn rebuild(
    data: &Path,
    cache_bytes: u64,
    ledger: &Reader,
    progress: Progress<'_>,
) -> Result<(State, Opened), StoreError> {
    store::rebuild(
        data,
        cache_bytes,
        &|from| Box::new(events(ledger, from)),
        ledger.last_seq(),
        progress,
    )
}

/// An event that this program cannot read.
#[derive(Debug, thiserror::Error)]
#[error("event {seq} cannot be understood: {source}; a newer pairbox may have written it")]
struct NotUnderstood {
    seq: u64,
    source: serde_json::Error,
}

fn events(ledger: &Reader, from: u64) -> impl Iterator<Item = Result<Replayed, StoreError>> {
    ledger.entries(from).map(|entry| {
        let (position, entry) = entry.map_err(|error| StoreError::Replay(Box::new(error)))?;
        let event = serde_json::from_str(entry.event.get()).map_err(|source| {
            StoreError::Replay(Box::new(NotUnderstood {
                seq: entry.seq,
                source,
            }))
        })?;
        Ok(Replayed {
            position,
            at: entry.at,
            by: entry.by,
            event,
        })
    })
}
