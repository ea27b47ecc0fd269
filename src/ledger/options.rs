//! The sizes of the ledger: how long a segment, how large a group.
//!
//! The defaults are the product's; tests make them tiny. Sizes are in bytes.

/// The most a line adds around its `by` and event: keys, numbers, instant and hash.
pub(super) const LINE_FRAME_BYTES: u64 = 256;

/// How the ledger divides what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The length of a new segment; under 4 GiB, as offsets have 32 bits.
    pub segment_bytes: u64,
    /// `group_is_full` says so before a group can grow beyond this.
    pub group_bytes_max: u64,
    /// For the caller, who alone knows what a command is.
    pub group_commands_max: u32,
    /// The most that the lines of one command take, frames included; this much is free whenever a group is not full.
    pub command_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            group_bytes_max: 8 << 20,
            group_commands_max: 4096,
            command_bytes_max: 1 << 20,
        }
    }
}

impl Options {
    /// Panics if no command would ever fit: a mistake of the program, not of its input.
    pub(super) fn assert_sound(&self) {
        assert!(
            u32::try_from(self.segment_bytes).is_ok(),
            "a segment is under 4 GiB, for the offset of a line has 32 bits"
        );
        assert!(
            self.command_bytes_max + LINE_FRAME_BYTES
                <= self.segment_bytes.min(self.group_bytes_max),
            "the largest command fits an empty segment and an empty group"
        );
    }
}
