//! What an exchange with the CAS ended in: the mapping's words (`cas.md` section 7) and the engine's own.

use serde::{Deserialize, Serialize};

/// The end of one attempt, as a mapping's `decode` or the engine names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The CAS accepted the command.
    Ok,
    /// The CAS holds what was asked for already; counts as accepted.
    Already,
    /// The CAS refused for good.
    Refused,
    /// The CAS asks to come back; costs no attempt. Seconds to wait.
    Busy { seconds: u32 },
    /// A passing fault that the CAS reported: try again by the delay table.
    Retry,
    /// Nothing of this provider can work now: it is paused with the reason.
    Fatal,
    /// The engine's: no byte of the command left.
    NotSent,
    /// The engine's: bytes left and no answer came (time-out, close, crash).
    Unknown,
}

impl Outcome {
    /// Whether the CAS confirmed the command.
    pub fn is_confirmed(self) -> bool {
        matches!(self, Self::Ok | Self::Already)
    }
}
