//! Blacklist an item, or release it: requests that name a blacklisted one are refused.

use super::Actions;
use crate::commit::{Command, Committed};
use crate::domain::{ItemNumber, Refusal};

impl Actions {
    /// Answers whether anything changed: `false` if it was so already.
    pub fn blacklist(
        &self,
        by: &str,
        item: ItemNumber,
        is_blacklisted: bool,
        reason: &str,
    ) -> Result<bool, Refusal> {
        let command = Command::Blacklist {
            item,
            is_blacklisted,
            reason: reason.to_owned(),
        };
        let committed = self.door.call(by, command)?;
        Ok(committed == Committed::Done(true))
    }
}
