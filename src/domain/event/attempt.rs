//! Attempts: the intent, the end, an answer that comes late, and what the CAS confirmed.

use serde::{Deserialize, Serialize};

use super::Frame;
use crate::domain::{
    Confirms, Doubt, ItemNumber, Move, Outcome, Position, Purpose, RequestNumber, Stbs, Step,
    Timestamp,
};

/// The intent: recorded before bytes leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    pub request: RequestNumber,
    pub before: Position,
    pub attempt: u32,
    pub purpose: Purpose,
    pub transaction: u64,
    /// What the answer will carry.
    pub key: String,
    pub step: u8,
    /// The plan; with the first attempt only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<Step>>,
    /// The STBs that the card leaves, as bound.
    pub leaves: Stbs,
    pub sequence_number: u64,
    pub run: u64,
    pub frame: Frame,
    pub mapping_sha256: String,
}

/// The end of an attempt and what became of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    pub request: RequestNumber,
    pub before: Position,
    pub attempt: u32,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    pub patience_spent_ms: u64,
    pub then: Then,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// The event of the pairing before this one put it in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted_before: Option<Position>,
    /// What is in doubt where it is not what the request asks for: the unpair that a re-pair may begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// What becomes of a request after an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Completed,
    /// The step is acknowledged, the next one follows.
    NextStep,
    /// `in_doubt`: an earlier attempt was unknown, so the refusal leaves the pairing open.
    Rejected {
        in_doubt: bool,
    },
    /// Try again; `counts` as an attempt.
    Waiting {
        until: Timestamp,
        counts: bool,
    },
    /// The end is unknown; send again (or ask) then.
    InDoubt {
        until: Timestamp,
    },
    Held {
        reason: String,
    },
}

/// A change of the pairing that the CAS confirmed; `before` names the event of the pairing that it replaces. `stb` is what the
/// card has joined; of an unpair that is one of several steps, what it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    pub confirms: Confirms,
    pub card: ItemNumber,
    pub stb: Option<ItemNumber>,
    pub before: Position,
}

impl Confirmed {
    /// Which of the other STBs of the card it ends, if its request `moves` the card so.
    pub fn ends(&self, other: ItemNumber, moves: Move) -> bool {
        match (self.confirms, self.stb) {
            (Confirms::None | Confirms::PairBeside, _) | (Confirms::Pair, None) => false,
            (Confirms::Pair, Some(stb)) => other != stb && moves.ends(other),
            (Confirms::Unpair, Some(left)) => other == left,
            // The unpair that a pair may begin with frees the card too.
            (Confirms::Unpair, None) => moves.ends(other),
        }
    }

    /// Whether nothing of what was before it stays open.
    pub fn settles_all(&self, moves: Move) -> bool {
        let is_of_all = matches!(moves, Move::Instead | Move::OutOfAll);
        match self.confirms {
            Confirms::Pair => is_of_all,
            Confirms::Unpair => is_of_all && self.stb.is_none(),
            Confirms::PairBeside | Confirms::None => false,
        }
    }

    /// The STB that it confirms.
    pub fn joins(&self) -> Option<ItemNumber> {
        let joins = matches!(self.confirms, Confirms::Pair | Confirms::PairBeside);
        self.stb.filter(|_| joins)
    }

    /// The STBs that the card has then, if it has `held` before.
    pub fn stbs_after(&self, held: &Stbs, moves: Move) -> Stbs {
        let kept = held.iter().filter(|stb| !self.ends(*stb, moves));
        kept.chain(self.joins()).collect()
    }
}

/// An answer to an attempt that was over already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateAnswer {
    pub request: RequestNumber,
    pub before: Position,
    pub transaction: u64,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub frame: Frame,
    pub effect: LateEffect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// The event of the pairing before this one put it in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted_before: Option<Position>,
    /// What is in doubt where it is not what the request asks for: the unpair that a re-pair may begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// What a late answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateEffect {
    /// Recorded only.
    Nothing,
    Completes,
    /// The step is acknowledged; the next one is due.
    NextStep,
    Rejects,
    /// `ok` after the request was REJECTED: the pairing is in doubt.
    MarksDoubt,
}
