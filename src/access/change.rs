//! What changed in users and keys, without any secret: the caller makes a ledger event of it.

use serde::{Deserialize, Serialize};

use super::roster::Role;

/// One change. The names are part of the ledger's contract and never change their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum AccessChange {
    UserAdded { name: String, role: Role },
    UserRemoved { name: String },
    PasswordChanged { name: String },
    KeyCreated { name: String, role: Role },
    KeyRevoked { name: String },
}
