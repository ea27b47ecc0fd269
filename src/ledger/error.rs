//! What can go wrong in the ledger: a file call failed, the record is damaged, or a line cannot be taken.
//!
//! Every text names its subject; damage names file, line and byte offset. After a failed file call the ledger takes
//! nothing more: the caller ends the process, because an unknown part of a group may be on the disk.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// What was being done to a file when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Create,
    Open,
    List,
    Read,
    Write,
    Sync,
    Rename,
    Remove,
    Measure,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Measure => "measure the free space of",
        })
    }
}

/// What is wrong at a place of the record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Finding {
    #[error("no ledger line: {reason}")]
    NotALine { reason: String },
    #[error("a line without its end")]
    TornLine,
    #[error("seq {found} where {expected} is due")]
    Sequence { expected: u64, found: u64 },
    #[error("a line of group {found} where group {expected} is due")]
    Group { expected: u64, found: u64 },
    #[error("`lines` says {found}, the group has {expected}")]
    Lines { expected: u32, found: u32 },
    #[error("its SHA-256 is not the `prev` of the line after it: one of the two was changed")]
    Changed,
    #[error("its `prev` is not the SHA-256 of the last line of the segment before")]
    NotContinuing,
    #[error("group {group} has no last line")]
    UnfinishedGroup { group: u64 },
    #[error("bytes after the end of the record")]
    AfterTheEnd,
    #[error("no segment begins with seq {expected}")]
    NoSegment { expected: u64 },
    #[error("no line at all")]
    Empty,
}

/// The errors of the ledger.
#[derive(Debug, Error)]
pub enum LedgerError {
    #[error("cannot {act} `{}`: {source}", path.display())]
    File {
        act: Act,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the ledger is damaged: `{}`, line {line}, byte {offset}: {found}", file.display())]
    Damaged {
        file: PathBuf,
        line: u64,
        offset: u64,
        found: Finding,
    },
    #[error(
        "the ledger in `{}` was closed after seq {closed_after}, but ends after seq {found} or with another last line",
        folder.display()
    )]
    NotAsClosed {
        folder: PathBuf,
        closed_after: u64,
        found: u64,
    },
    #[error("`{}` is no marker of a clean stop: {source}", path.display())]
    Marker {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the event of seq {seq} cannot be written as JSON: {source}")]
    Event { seq: u64, source: serde_json::Error },
    #[error(
        "with the line of seq {seq} its command has {bytes} bytes, and one has at most {limit}"
    )]
    CommandTooLong { seq: u64, bytes: u64, limit: u64 },
    #[error("the line of seq {seq} has {bytes} bytes, and {room} are left in its segment")]
    LineTooLong { seq: u64, bytes: u64, room: u64 },
    #[error("the ledger takes no more: writing the group of seq {group} failed before")]
    Stopped { group: u64 },
    #[error("seq {seq} is not in the ledger: it has {first} to {last}")]
    NoSuchLine { seq: u64, first: u64, last: u64 },
    #[error("`{}`, byte {offset}: the line there is seq {found}, not {seq}", file.display())]
    OtherLine {
        file: PathBuf,
        offset: u32,
        seq: u64,
        found: u64,
    },
}

impl LedgerError {
    /// Whether it is about what was to be recorded, not about the files: the ledger is as it was and goes on.
    pub fn is_about_event(&self) -> bool {
        matches!(
            self,
            Self::Event { .. } | Self::CommandTooLong { .. } | Self::LineTooLong { .. }
        )
    }

    /// What the operator does next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free space on the disk that holds the data folder, then start again"
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run as the owner of the data folder"
            }
            Self::File { .. } => {
                "look at the disk (`dmesg`, SMART); what was acknowledged is kept, start again when it is sound"
            }
            Self::Damaged { .. } | Self::NotAsClosed { .. } | Self::Marker { .. } => {
                "run `pairbox ledger verify`, keep the folder as it is, and restore the ledger from a backup"
            }
            Self::Event { .. } | Self::CommandTooLong { .. } | Self::LineTooLong { .. } => {
                "the request was not recorded; send it again with less in it"
            }
            Self::Stopped { .. } => "start pairbox again; the first error says what failed",
            Self::NoSuchLine { .. } | Self::OtherLine { .. } => {
                "the state does not belong to this ledger: delete the state folder and start, it is rebuilt"
            }
        }
    }
}
