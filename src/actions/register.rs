//! Register items and subscriptions: one by one from a create call, in chunks from an import.

use serde::Serialize;

use super::Actions;
use crate::commit::{Command, Committed, RegisteredItem, RowResult};
use crate::domain::event::SubscriptionFields;
use crate::domain::items::NewItem;
use crate::domain::{ItemNumber, Refusal, SubscriptionNumber};

/// Rows in one chunk of an import: one command.
pub const CHUNK_ROWS: usize = 500;
/// Bytes in one chunk, by [`row_bytes`]: with the frames of its lines well under the ledger's limit for a command.
pub const CHUNK_BYTES: usize = 512 * 1024;

/// What a row takes in a chunk: its texts as JSON escapes them.
pub fn row_bytes(row: &impl Serialize) -> usize {
    serde_json::to_vec(row).map_or(usize::MAX, |text| text.len())
}

impl Actions {
    /// Registers one item; `done` hears its number after the sync, on the responder's thread.
    pub fn register_item(
        &self,
        by: &str,
        item: NewItem,
        done: impl FnOnce(Result<ItemNumber, Refusal>) + Send + 'static,
    ) {
        let command = Command::RegisterItems {
            items: vec![item],
            may_update: false,
        };
        let reply = move |result| {
            done(match result {
                Ok(Committed::Items(rows)) => first(rows).map(|row| row.number()),
                Ok(_) => Err(Refusal::Changed),
                Err(refusal) => Err(refusal),
            });
        };
        self.door.submit(by, command, Box::new(reply));
    }

    /// Registers one subscription; `done` hears its number after the sync, on the responder's thread.
    pub fn register_subscription(
        &self,
        by: &str,
        subscription: SubscriptionFields,
        done: impl FnOnce(Result<SubscriptionNumber, Refusal>) + Send + 'static,
    ) {
        let command = Command::RegisterSubscriptions {
            subscriptions: vec![subscription],
            may_update: false,
        };
        let reply = move |result| {
            done(match result {
                Ok(Committed::Subscriptions(rows)) => first(rows).map(|row| row.number()),
                Ok(_) => Err(Refusal::Changed),
                Err(refusal) => Err(refusal),
            });
        };
        self.door.submit(by, command, Box::new(reply));
    }

    /// Registers up to [`CHUNK_ROWS`] items of together at most [`CHUNK_BYTES`]; each row ends by itself.
    pub fn register_items(
        &self,
        by: &str,
        items: Vec<NewItem>,
        may_update: bool,
    ) -> Result<Vec<RegisteredItem>, Refusal> {
        assert!(
            items.len() <= CHUNK_ROWS,
            "an import comes in chunks of {CHUNK_ROWS} rows"
        );
        check_bytes(&items)?;
        match self
            .door
            .call_bulk(by, Command::RegisterItems { items, may_update })?
        {
            Committed::Items(rows) => Ok(rows),
            _ => Err(Refusal::Changed),
        }
    }

    /// Registers up to [`CHUNK_ROWS`] subscriptions.
    pub fn register_subscriptions(
        &self,
        by: &str,
        subscriptions: Vec<SubscriptionFields>,
        may_update: bool,
    ) -> Result<Vec<RowResult<SubscriptionNumber>>, Refusal> {
        assert!(
            subscriptions.len() <= CHUNK_ROWS,
            "an import comes in chunks of {CHUNK_ROWS} rows"
        );
        check_bytes(&subscriptions)?;
        match self.door.call_bulk(
            by,
            Command::RegisterSubscriptions {
                subscriptions,
                may_update,
            },
        )? {
            Committed::Subscriptions(rows) => Ok(rows),
            _ => Err(Refusal::Changed),
        }
    }
}

fn check_bytes(rows: &[impl Serialize]) -> Result<(), Refusal> {
    let bytes = rows.iter().map(row_bytes).fold(0, usize::saturating_add);
    if bytes > CHUNK_BYTES {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

fn first<N>(rows: Vec<RowResult<N>>) -> RowResult<N> {
    rows.into_iter().next().unwrap_or(Err(Refusal::Changed))
}
