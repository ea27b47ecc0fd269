//! Where a ledger line lies: its sequence number and its offset in the uncompressed segment that holds it.
//!
//! Rows of the state name their texts by a position; the segment is found by `seq`, so that positions survive compression
//! and restore.

use serde::{Deserialize, Serialize};

/// The place of one ledger line: `seq` (1 is the first line ever), `offset` in bytes from the start of its segment.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    pub seq: u64,
    pub offset: u32,
}

impl Position {
    /// The position that names no line.
    pub const NONE: Self = Self { seq: 0, offset: 0 };

    pub fn is_some(self) -> bool {
        self.seq != 0
    }
}
