//! What goes wrong with users, keys and tokens: for the operator (`AccessError`), for a client (`LoginError`, `Denied`).
//!
//! What a client sees never tells whether a user exists.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::name::NAME_LENGTH_MAX;
use super::password::PASSWORD_CHARS_MIN;

/// Why users or keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{}` is damaged: {source}", path.display())]
    Damaged {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("the user list cannot be written as text")]
    Encode(#[from] toml::ser::Error),
    #[error("`{name}` is not a name")]
    BadName { name: String },
    #[error("a password needs at least {PASSWORD_CHARS_MIN} characters, found {found}")]
    ShortPassword { found: usize },
    #[error("a password has at most {max} bytes, found {found}")]
    LongPassword { max: usize, found: usize },
    #[error("there is a {kind} `{name}` already")]
    NameTaken { kind: &'static str, name: String },
    #[error("there is no {kind} `{name}`")]
    Unknown { kind: &'static str, name: String },
    #[error("there are {max} {kind}s already")]
    TooMany { kind: &'static str, max: usize },
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl AccessError {
    /// The next command, where one helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BadName { .. } => Some(format!(
                "up to {NAME_LENGTH_MAX} letters, digits, `.`, `_`, `-` and `@`, a letter or digit first"
            )),
            Self::Damaged { .. } => Some(
                "restore the file from a backup, or move it away and add the users again"
                    .to_owned(),
            ),
            Self::NameTaken { kind: "user", .. } => {
                Some("`pairbox user password NAME` changes the password".to_owned())
            }
            Self::Unknown { kind, .. } => Some(format!("`pairbox {kind} list` shows them")),
            _ => None,
        }
    }
}

/// Why a login was not answered with a token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("wrong user name, password or key")]
    Refused,
    #[error("too many failed logins; try again in {} s", retry_after.as_millis().div_ceil(1_000))]
    Throttled { retry_after: Duration },
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a token does not open the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("unknown token")]
    Unknown,
    #[error("the token has expired")]
    Expired,
}
