//! Verbs about the box itself: status, and one processing pass.

use super::{ControlContext, ControlError, Verb};
use crate::actions::process::PassProgress;
use crate::actions::status::StatusReport;

pub struct Status;

impl Verb for Status {
    const NAME: &'static str = "status";
    type Ask = ();
    type Answer = StatusReport;

    fn run(context: &ControlContext, _by: &str, _ask: ()) -> Result<StatusReport, ControlError> {
        Ok(context.actions.status(&context.setting))
    }
}

pub struct ProcessBegin;

impl Verb for ProcessBegin {
    const NAME: &'static str = "process.begin";
    type Ask = ();
    /// The run's number.
    type Answer = u64;

    fn run(context: &ControlContext, _by: &str, _ask: ()) -> Result<u64, ControlError> {
        if context.actions.processing.get().is_none() {
            return Err(ControlError::CannotSend);
        }
        Ok(context.actions.begin_pass()?)
    }
}

pub struct ProcessProgress;

impl Verb for ProcessProgress {
    const NAME: &'static str = "process.progress";
    /// The run's number.
    type Ask = u64;
    type Answer = PassProgress;

    fn run(context: &ControlContext, _by: &str, run: u64) -> Result<PassProgress, ControlError> {
        if context.actions.processing.get().is_none() {
            return Err(ControlError::CannotSend);
        }
        Ok(context.actions.pass_progress(run)?)
    }
}
