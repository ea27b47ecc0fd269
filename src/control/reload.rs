//! Verbs about the configuration: read it again, and hear what came of it. Two calls, because a reload may take long.

use super::{ControlContext, ControlError, Verb};
use crate::actions::reload::ReloadEnd;

pub struct ReloadBegin;

impl Verb for ReloadBegin {
    const NAME: &'static str = "reload.begin";
    type Ask = ();
    /// The attempt, to ask about.
    type Answer = u64;

    fn run(context: &ControlContext, by: &str, _ask: ()) -> Result<u64, ControlError> {
        let attempt = context.actions.reloads.ask(by);
        attempt.ok_or(ControlError::CannotReload)
    }
}

pub struct ReloadProgress;

impl Verb for ReloadProgress {
    const NAME: &'static str = "reload.progress";
    /// The attempt.
    type Ask = u64;
    /// None while it is not over.
    type Answer = Option<ReloadEnd>;

    fn run(
        context: &ControlContext,
        _by: &str,
        attempt: u64,
    ) -> Result<Option<ReloadEnd>, ControlError> {
        Ok(context.actions.reloads.end_of(attempt))
    }
}
