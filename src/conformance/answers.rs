//! Who answers on the stand: the mapping's simulator, or the one answer that its cases hold for one of its commands.

use super::simulated::Simulated;
use super::stand::Sent;
use crate::provider::Provider;
use crate::script::contract::{Decoded, Reply};

pub(super) enum Answers {
    Simulated(Box<Simulated>),
    Golden(Golden),
}

/// A reply of the cases, and the command that it answers.
pub(super) struct Golden {
    pub(super) case: String,
    pub(super) frame: Vec<u8>,
    pub(super) key: String,
    /// The number that its command goes out with.
    pub(super) transaction: u64,
    /// A reply of the cases with another key.
    pub(super) foreign: Option<Vec<u8>>,
}

impl Answers {
    /// The answer to this command; none if the cases hold none for it.
    pub(super) fn to(
        &mut self,
        provider: &Provider,
        sent: &Sent,
    ) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Golden(golden) => Ok((golden.key == sent.key).then(|| golden.frame.clone())),
            Self::Simulated(simulated) => {
                let frames = simulated.hear(&sent.body)?;
                let found = frames.into_iter().find_map(|frame| {
                    let is_reply = reply_of(provider, &frame).is_some();
                    is_reply.then_some(frame)
                });
                found.map(Some).ok_or_else(|| {
                    format!(
                        "simulator.rhai gives no reply to the command with key `{}`",
                        sent.key
                    )
                })
            }
        }
    }
}

/// What the frame answers, if it is an answer to a command.
pub(super) fn reply_of(provider: &Provider, frame: &[u8]) -> Option<Reply> {
    match provider.mapping.decode(frame, &provider.settings) {
        Ok(Decoded::Reply(reply)) => Some(reply),
        _ => None,
    }
}
