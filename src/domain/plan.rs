//! What is about to be sent for a request: ordered steps, each confirming a change of the pairing.

use serde::{Deserialize, Serialize};

use super::Action;

/// One ordered step of a plan; recorded before the first is sent. CA IDs, as the mapping made them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub confirms: Confirms,
    pub card: String,
    pub stb: Option<String>,
    /// The mapping's own data for `encode`.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// Which change of the pairing the acknowledgement of a step confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirms {
    Pair,
    Unpair,
    None,
}

impl Confirms {
    /// What the whole of a request confirms.
    pub fn of(action: Action) -> Self {
        match action {
            Action::Pair => Self::Pair,
            Action::Unpair => Self::Unpair,
            Action::AddProducts | Action::CancelProducts | Action::ResetPin => Self::None,
        }
    }
}

/// What to do with a command whose answer never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// Absolute commands: send again.
    Resend,
    /// Ask the CAS what it holds.
    Query,
    /// Leave it to an operator.
    Hold,
}

/// What a frame that goes out is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The command of a step.
    Command,
    /// A question about what the CAS holds, after an unknown attempt.
    Query,
}
