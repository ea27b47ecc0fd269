//! Answers that no command waits for: nearly always a mapping whose `encode` and `decode` do not agree on a key.
//!
//! Dispatch counts them, `provider list` and `explain` tell of them; a figure for people, gone with the round of sending.

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// The latest one, and how many there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    pub count: u64,
    /// When the latest came.
    pub at: Timestamp,
    /// What it carried.
    pub key: String,
    /// What the command carried that waited longest then; none if none waited.
    pub awaited: Option<String>,
}

impl Unmatched {
    /// Counts one more.
    pub fn count(before: Option<Self>, at: Timestamp, key: &str, awaited: Option<&str>) -> Self {
        Self {
            count: before.map_or(0, |before| before.count) + 1,
            at,
            key: key.to_owned(),
            awaited: awaited.map(str::to_owned),
        }
    }

    /// In one line.
    pub fn words(&self) -> String {
        let many = match self.count {
            1 => "an answer matched".to_owned(),
            count => format!("{count} answers matched"),
        };
        let awaited = match &self.awaited {
            Some(awaited) => {
                format!(
                    "where a command waited with key `{}`",
                    awaited.escape_debug()
                )
            }
            None => "and none waited".to_owned(),
        };
        format!(
            "{many} no command: the latest had key `{}`, {awaited}",
            self.key.escape_debug()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_both_keys() {
        let first = Unmatched::count(None, Timestamp::ZERO, "0007", None);
        assert_eq!(
            first.words(),
            "an answer matched no command: the latest had key `0007`, and none waited"
        );
        let second = Unmatched::count(Some(first), Timestamp::ZERO, "0008", Some("8"));
        assert_eq!(
            second.words(),
            "2 answers matched no command: the latest had key `0008`, where a command waited with key `8`"
        );
    }
}
