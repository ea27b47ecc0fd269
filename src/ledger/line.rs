//! One line of the ledger as it is read: its fields, and the hash that chains it to the next.
//!
//! The keys stand in a fixed order: seq, group, at, by, event, lines (on the last line of a group only), prev.
//! How a line is written is in `group.rs`.

use std::{borrow::Cow, fmt};

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;

/// The SHA-256 of a line without its line feed, as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LineHash([u8; 64]);

impl LineHash {
    /// What the first line ever has for `prev`.
    pub const NONE: Self = Self([b'0'; 64]);

    pub(super) fn of(line: &[u8]) -> Self {
        let mut digits = [b'0'; 64];
        let encoded = hex::encode_to_slice(Sha256::digest(line), &mut digits);
        assert!(encoded.is_ok(), "32 bytes are 64 hex digits");
        Self(digits)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line as its readers get it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub seq: u64,
    /// The seq of the first line of its group.
    pub group: u64,
    pub at: Timestamp,
    pub by: String,
    pub event: Box<RawValue>,
    /// On the last line of a group: how many lines the group has.
    pub lines: Option<u32>,
}

/// A line in the buffer that it was read into.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    pub seq: u64,
    pub group: u64,
    pub at: Timestamp,
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    #[serde(borrow)]
    pub event: &'a RawValue,
    #[serde(default)]
    pub lines: Option<u32>,
    pub prev: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line without its line feed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub fn to_entry(&self) -> Entry {
        Entry {
            seq: self.seq,
            group: self.group,
            at: self.at,
            by: self.by.clone().into_owned(),
            event: self.event.to_owned(),
            lines: self.lines,
        }
    }
}
