//! Installed items (smartcards and STBs), their products, and subscriptions: what the CRM names and requests refer to.
//!
//! Whether an item is a smartcard or an STB is the provider's to say, by product code; an item itself does not know.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Position, ProductNumber, PublicId};

/// Which of the two a provider takes an item for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    Smartcard,
    Stb,
}

impl ItemKind {
    /// The kind in words, as errors name it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Smartcard => "smartcard",
            Self::Stb => "STB",
        }
    }
}

/// An installed item. Notes and dates are read from the ledger at `noted`, `created` and `updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub product: ProductNumber,
    pub is_effective: bool,
    pub is_blacklisted: bool,
    pub identifiers: Identifiers,
    /// An id that came with an import; otherwise the id is computed.
    pub imported_id: Option<PublicId>,
    pub created: Position,
    pub updated: Position,
    /// The event with its notes; a change without notes leaves them alone.
    pub noted: Position,
    /// Of its notes, so that a row of an import is compared without the ledger.
    pub notes_digest: u32,
}

/// The first bytes of the SHA-256 of an item's notes; 0 for none.
pub fn notes_digest(notes: &str) -> u32 {
    if notes.is_empty() {
        return 0;
    }
    let digest: [u8; 32] = Sha256::digest(notes.as_bytes()).into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}

/// Serial number, alternative code and CA ID, in one text to keep a million of them small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifiers(Box<str>);

/// Longest serial number, alternative code or CA ID, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 64;

impl Identifiers {
    /// The three texts must not hold a control character; callers check with [`identifier_fault`].
    pub fn new(serial_number: &str, alternative_code: &str, ca_id: Option<&str>) -> Self {
        Self(
            format!(
                "{serial_number}\n{alternative_code}\n{}",
                ca_id.unwrap_or_default()
            )
            .into(),
        )
    }

    pub fn serial_number(&self) -> &str {
        self.part(0)
    }

    pub fn alternative_code(&self) -> &str {
        self.part(1)
    }

    /// The id that the CAS knows: the serial number unless another was given.
    pub fn ca_id(&self) -> &str {
        match self.part(2) {
            "" => self.serial_number(),
            ca_id => ca_id,
        }
    }

    fn part(&self, at: usize) -> &str {
        self.0.split('\n').nth(at).unwrap_or_default()
    }
}

/// What is wrong with a text as an identifier: empty, too long, or with characters no card or box carries.
pub fn identifier_fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("expected a value, found an empty one".into());
    }
    if text.len() > IDENTIFIER_BYTES_MAX {
        return Some(format!(
            "expected at most {IDENTIFIER_BYTES_MAX} bytes, found {}",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Some("expected printable characters, found a control character".into());
    }
    (text.trim() != text).then(|| "expected no space at either end".into())
}

/// A product, born with the first mention of its code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub code: Box<str>,
}

/// A subscription: only what the CRM names it by, and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub number: Box<str>,
    pub life_cycle_state: Box<str>,
    pub imported_id: Option<PublicId>,
    pub created: Position,
    pub updated: Position,
}
