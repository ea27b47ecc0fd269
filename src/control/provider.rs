//! Verbs about providers: list, pause, resume.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ControlContext, ControlError, Verb};
use crate::actions::providers::ProviderReport;

pub struct ProviderList;

impl Verb for ProviderList {
    const NAME: &'static str = "provider.list";
    type Ask = ();
    type Answer = Vec<ProviderReport>;

    fn run(
        context: &ControlContext,
        _by: &str,
        _ask: (),
    ) -> Result<Vec<ProviderReport>, ControlError> {
        Ok(context.actions.provider_reports())
    }
}

/// `for_span` counts from now, on the clock of the box.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PauseAsk {
    pub name: String,
    pub reason: String,
    pub for_span: Option<Duration>,
}

pub struct ProviderPause;

impl Verb for ProviderPause {
    const NAME: &'static str = "provider.pause";
    type Ask = PauseAsk;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: PauseAsk) -> Result<(), ControlError> {
        let actions = &context.actions;
        let until = ask.for_span.map(|span| actions.clock.now().plus(span));
        Ok(actions.pause(by, &ask.name, &ask.reason, until)?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderNamed {
    pub name: String,
}

pub struct ProviderResume;

impl Verb for ProviderResume {
    const NAME: &'static str = "provider.resume";
    type Ask = ProviderNamed;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: ProviderNamed) -> Result<(), ControlError> {
        Ok(context.actions.resume(by, &ask.name)?)
    }
}
