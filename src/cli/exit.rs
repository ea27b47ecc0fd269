//! Exit codes: a contract with scripts that call the command line.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// Something went wrong, or the box refused.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// It ran, and the answer is no: findings, rejects, a rejected request, damage.
    No = 3,
    /// There is no server, or it stopped answering.
    NoServer = 4,
    /// Another process holds the data directory.
    Locked = 5,
    /// It would have destroyed something, or run as the wrong user.
    Unsafe = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
