//! Whether a mapping fits what its provider asks of it: a session with keepalives, so many cards and STBs, an action.

use super::contract::{Action, Matching, Session};
use super::error::ScriptError;
use super::mapping::{KEEPALIVE, Mapping};
use super::settings::Settings;
use crate::domain::{Cardinality, Method};

impl Mapping {
    /// Whether the script can keep such a session alive, whoever decides about its numbers.
    pub fn check_keepalive(&self, session: &Session) -> Result<(), ScriptError> {
        if session.keepalive_every.is_zero() && session.ready_after == 0 {
            return Ok(());
        }
        if session.matching == Matching::Fifo {
            return Err(ScriptError::Settings {
                mapping: self.name().to_owned(),
                message: "there are no keepalives where answers are matched by their order: theirs would speak for a command"
                    .to_owned(),
                hint: Some("leave out keepalive_every and ready_after".to_owned()),
            });
        }
        self.program.require(KEEPALIVE)
    }

    /// Whether the CAS can have as many of each together.
    pub fn check_cardinality(&self, asked: Cardinality) -> Result<(), ScriptError> {
        let Some((key, asked, most)) = self.description().caps.exceeded(asked) else {
            return Ok(());
        };
        Err(ScriptError::Settings {
            mapping: self.name().to_owned(),
            message: format!(
                "{key}: expected at most {most}, as its `caps` declare; found {asked}"
            ),
            hint: None,
        })
    }

    /// Fails for an action that the mapping does not declare: its script would take it for another one.
    pub fn check_offers(&self, action: Action, cfg: &Settings) -> Result<(), ScriptError> {
        let method = Method::of(action);
        if self.description().caps.has(method.needs, cfg) {
            return Ok(());
        }
        Err(ScriptError::NotOffered {
            mapping: self.name().to_owned(),
            action: method.words,
        })
    }
}
