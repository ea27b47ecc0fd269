//! Cancel a request that has not gone out: it ends REJECTED with the code CANCELLED.

use super::{Actions, find};
use crate::commit::Command;
use crate::domain::{Refusal, RequestIdentifier, RequestNumber};

impl Actions {
    /// Refused while an attempt is in flight or unknown, or after a step was acknowledged.
    pub fn cancel(
        &self,
        by: &str,
        named: &RequestIdentifier,
        reason: &str,
    ) -> Result<RequestNumber, Refusal> {
        let number = find::request(&self.state.view(), named)?.number;
        let command = Command::Cancel {
            request: number,
            reason: reason.to_owned(),
        };
        self.door.call(by, command).map(|_| number)
    }
}
