//! Endings that no answer brought, and what operators found out.

use serde::{Deserialize, Serialize};

use crate::domain::{ItemNumber, Stbs};

/// Endings of our own making.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing was left to do; nothing was sent.
    Already,
    Cancelled {
        reason: String,
    },
    StbTaken {
        holder: ItemNumber,
    },
    /// The card has as many STBs as its provider allows.
    CardFull {
        stbs: Stbs,
    },
    ProviderUnreachable,
    ScriptError {
        text: String,
    },
}

impl Ending {
    /// The `error_code` that the CRM reads.
    pub fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::Already => None,
            Self::Cancelled { .. } => Some("CANCELLED"),
            Self::StbTaken { .. } => Some("STB_TAKEN"),
            Self::CardFull { .. } => Some("CARD_FULL"),
            Self::ProviderUnreachable => Some("PROVIDER_UNREACHABLE"),
            Self::ScriptError { .. } => Some("SCRIPT_ERROR"),
        }
    }
}

/// What an operator found out about a held or doubtful request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    Done,
    NotDone,
    SendAgain,
}
