//! What is about to be sent for a request: ordered steps, each confirming a change of the pairing.

use serde::{Deserialize, Serialize};

use super::{Action, ItemNumber};

/// One ordered step of a plan; recorded before the first is sent. CA IDs, as the mapping made them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub confirms: Confirms,
    pub card: String,
    pub stb: Option<String>,
    /// Of an unpair, where a card can have several STBs in the CAS: the one that its acknowledgement ends the pairing with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<ItemNumber>,
    /// The mapping's own data for `encode`.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

impl Step {
    pub fn acknowledges(&self) -> Acknowledges {
        Acknowledges {
            confirms: self.confirms,
            leaves: self.leaves,
        }
    }
}

/// What the acknowledgement of a step says about the pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledges {
    pub confirms: Confirms,
    /// Of an unpair: the only STB that is left; none ends all that the request leaves.
    pub leaves: Option<ItemNumber>,
}

impl Acknowledges {
    pub const NOTHING: Self = Self {
        confirms: Confirms::None,
        leaves: None,
    };

    /// What the whole of a request confirms.
    pub fn all_of(action: Action) -> Self {
        Self {
            confirms: Confirms::of(action),
            leaves: None,
        }
    }

    /// What a plan confirms in the end: what its last step does that is about a pairing.
    pub fn end_of(plan: &[Step]) -> Self {
        let is_of_pairing = |step: &&Step| step.confirms != Confirms::None;
        let last = plan.iter().rev().find(is_of_pairing);
        last.map_or(Self::NOTHING, Step::acknowledges)
    }
}

/// Which change of the pairing the acknowledgement of a step confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirms {
    /// The card is with the STB, and with no other where the request moves it.
    Pair,
    /// The card is with the STB; nothing is said of its others. What `pair` of a script is where a card can have several in the CAS.
    PairBeside,
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
