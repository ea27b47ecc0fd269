//! Verbs of the mapping workbench: what went out, and the record of a live exchange.

use serde::{Deserialize, Serialize};

use super::{ControlContext, ControlError, Verb};
use crate::actions::workbench::SentFrame;
use crate::domain::event::Tried;
use crate::domain::{ProviderNumber, Refusal};

/// The latest commands to a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SentAsk {
    pub provider: String,
    pub limit: usize,
}

pub struct MappingSent;

impl Verb for MappingSent {
    const NAME: &'static str = "mapping.sent";
    type Ask = SentAsk;
    type Answer = Vec<SentFrame>;

    fn run(
        context: &ControlContext,
        _by: &str,
        ask: SentAsk,
    ) -> Result<Vec<SentFrame>, ControlError> {
        let providers = context.actions.providers();
        let Some(provider) = providers.by_name(&ask.provider) else {
            return Err(Refusal::ProviderUnknown { name: ask.provider }.into());
        };
        let number = ProviderNumber(provider.number);
        Ok(context.actions.sent_frames(number, ask.limit))
    }
}

pub struct MappingTried;

impl Verb for MappingTried {
    const NAME: &'static str = "mapping.tried";
    type Ask = Tried;
    type Answer = ();

    fn run(context: &ControlContext, by: &str, ask: Tried) -> Result<(), ControlError> {
        Ok(context.actions.record_try(by, ask)?)
    }
}
