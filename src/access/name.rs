//! Names of users and keys: one line of plain characters, because they stand in log lines and ledger events.

use std::fmt;

use super::error::AccessError;

/// Characters of a name.
pub const NAME_LENGTH_MAX: usize = 64;

/// A name that may be given to a user or a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessName(String);

impl AccessName {
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let is_plain = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'));
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if is_plain && starts_well && text.len() <= NAME_LENGTH_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(AccessError::BadName {
                name: shortened(text),
            })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a stranger called himself, cut to what is kept of it. A true name is never cut.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(NAME_LENGTH_MAX + 1).collect()
}
