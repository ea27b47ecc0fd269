//! The append-only record: every fact that pairbox acknowledges is a line here before anybody hears of it.
//!
//! Segments of JSON Lines, chained by SHA-256, written group by group with one write and one sync each. The room knows
//! nothing of events: it takes whatever serializes and gives the raw JSON back. It must never change or drop a line of
//! a complete group. `commit/` writes, everybody else reads through `Reader`.

mod close;
mod copy;
mod error;
mod extent;
pub mod faulty;
mod files;
mod folder;
mod group;
mod line;
mod lines;
mod opening;
mod options;
mod prepare;
mod reader;
mod segment;
mod tear;
mod verify;
mod walk;
mod writer;

pub use error::{Act, Finding, LedgerError};
pub use files::{Files, OpenFile, RealFiles};
pub use group::Mark as GroupMark;
pub use line::{Entry, LineHash};
pub use opening::{Cut, Opening};
pub use options::Options;
pub use prepare::Preparer;
pub use reader::{Entries, Reader};
pub use verify::{Progress, Unfinished, Verified, verify};
pub use writer::{GroupWritten, Ledger};
