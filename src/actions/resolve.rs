//! Resolve a held or doubtful request by what an operator found out at the CAS.

use super::{Actions, find};
use crate::commit::Command;
use crate::domain::event::Resolution;
use crate::domain::{Refusal, RequestIdentifier, RequestNumber};

impl Actions {
    /// `Done` changes the pairing as if the CAS had answered; `SendAgain` is for held requests.
    pub fn resolve(
        &self,
        by: &str,
        named: &RequestIdentifier,
        resolution: Resolution,
        reason: &str,
    ) -> Result<RequestNumber, Refusal> {
        let number = find::request(&self.state.view(), named)?.number;
        let command = Command::Resolve {
            request: number,
            resolution,
            reason: reason.to_owned(),
        };
        self.door.call(by, command).map(|_| number)
    }
}
