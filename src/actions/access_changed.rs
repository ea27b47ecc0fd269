//! Record a change of users and keys, so that the ledger tells who gave whom access and when. No secret is in it.

use super::Actions;
use crate::access::AccessChange;
use crate::commit::Command;
use crate::domain::{Event, Refusal};

impl Actions {
    /// Records what `access/` changed.
    pub fn record_access_change(&self, by: &str, change: &AccessChange) -> Result<(), Refusal> {
        let change = serde_json::to_value(change).unwrap_or_default();
        let events = vec![Event::AccessChanged { change }];
        self.door.call(by, Command::Record(events)).map(|_| ())
    }
}
