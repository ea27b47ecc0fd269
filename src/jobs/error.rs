//! What can go wrong with a job: told to whoever hands it in, or the reason why it paused.

use thiserror::Error;

use super::folder::FolderError;
use super::rows::RowsError;
use crate::domain::Refusal;
use crate::script::ScriptError;

#[derive(Debug, Error)]
pub enum JobsError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Rows(#[from] RowsError),
    #[error("{}", .0.report())]
    Script(Box<ScriptError>),
    #[error("{0}")]
    Argument(String),
    #[error(
        "column `{missing}` is missing from `{input}`: `{script}` needs {expected}; found {found}"
    )]
    Column {
        missing: String,
        input: String,
        script: String,
        expected: String,
        found: String,
    },
    #[error(
        "{limit} inputs are on their way already, the most there may be; try again in a minute"
    )]
    TooManyUploads { limit: usize },
    #[error(
        "no input is on its way as `{folder}`, or not any more: it was handed in, or nothing came of it for too long"
    )]
    NoUpload { folder: String },
    #[error("nobody asked for the dry run any more")]
    Left,
    #[error("line {seq} of the ledger, with rows of the job, cannot be read")]
    Unreadable { seq: u64 },
    #[error("there is no dry run `{folder}`, or not any more")]
    NoRehearsal { folder: String },
    #[error("a dry run is of at most {limit} rows, and `{input}` has {found}")]
    RehearsalTooLong {
        limit: u64,
        input: String,
        found: u64,
    },
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<ScriptError> for JobsError {
    fn from(error: ScriptError) -> Self {
        Self::Script(Box::new(error))
    }
}

impl JobsError {
    /// The next command, where one helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Column { .. } => Some(
                "the first line of the input names the columns, in any order; letter case does not matter"
                    .to_owned(),
            ),
            Self::RehearsalTooLong { .. } => {
                Some("try the first part of the file: `head -n 100000 FILE`".to_owned())
            }
            Self::Unreadable { .. } => Some("`pairbox verify` looks through the ledger".to_owned()),
            Self::Script(error) => error.hint(),
            _ => None,
        }
    }
}
