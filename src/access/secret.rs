//! Tokens and API keys: random texts that are shown once, and their SHA-256, which is all that is kept.
//!
//! They are random, so a fast hash is enough; a password is not, so it is not one of these.

use std::fmt;

use sha2::{Digest as _, Sha256};

const TOKEN_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// SHA-256 of a secret's text.
pub(super) type SecretDigest = [u8; 32];

pub(super) fn digest_of(text: &str) -> SecretDigest {
    Sha256::digest(text.as_bytes()).into()
}

/// A token: 32 upper-case hex digits, as CRM.COM's clients expect. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex::encode_upper(bytes)))
    }

    /// The text for the client.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> SecretDigest {
        digest_of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The secret of an API key: 64 lower-case hex digits. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

impl KeySecret {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// The text for the person who asked for the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> SecretDigest {
        digest_of(&self.0)
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

/// A short random text that marks one password or key: tokens of an earlier one do not match it.
pub(super) fn new_stamp() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
