//! Pause a provider and resume it: requests are accepted all the same and wait; attempts in flight settle.

use super::Actions;
use crate::commit::Command;
use crate::domain::{ProviderNumber, Refusal, Timestamp, View};

impl Actions {
    /// Pauses until someone resumes it, or until `until`; a new pause replaces an old one.
    pub fn pause(
        &self,
        by: &str,
        name: &str,
        reason: &str,
        until: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let command = Command::Pause {
            provider: self.provider_named(name)?,
            reason: reason.to_owned(),
            until,
        };
        self.door.call(by, command).map(|_| ())
    }

    pub fn resume(&self, by: &str, name: &str) -> Result<(), Refusal> {
        let provider = self.provider_named(name)?;
        self.door.call(by, Command::Resume { provider }).map(|_| ())
    }

    fn provider_named(&self, name: &str) -> Result<ProviderNumber, Refusal> {
        let found = self.state.view().provider_by_name(name);
        found.ok_or_else(|| Refusal::ProviderUnknown {
            name: name.to_owned(),
        })
    }
}
